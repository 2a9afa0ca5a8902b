package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"fob/daemon/tpm/tpmtest"
)

// tpmWorld is a world with a TPM, and a fobd that keeps its store in "state".
type tpmWorld struct {
	*world
	t       *testing.T
	dir     string
	machine *tpmtest.TPM
	fobd    *process
}

func newTPMWorld(t *testing.T) *tpmWorld {
	t.Helper()
	w := &tpmWorld{t: t, dir: t.TempDir(), machine: tpmtest.Start(t)}
	var err error
	if w.world, err = newWorld(w.dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// start starts a fobd.
func (w *tpmWorld) start() {
	w.t.Helper()
	c := w.command(w.dir, "fobd", "--no-discovery", "--on-demand", "--state", filepath.Join(w.dir, "state"),
		"--tpm", w.machine.Socket)
	var err error
	if w.fobd, err = w.ready("fobd", c); err != nil {
		w.t.Fatal(err)
	}
}

func (w *tpmWorld) halt() {
	w.t.Helper()
	if err := w.stop(w.fobd); err != nil {
		w.t.Fatal(err)
	}
}

// restart has the computer start again.
func (w *tpmWorld) restart() {
	w.t.Helper()
	w.halt()
	w.machine.Cycle()
	w.start()
}

// says runs fob, with what it reads from file descriptor 3, and looks for what it says.
func (w *tpmWorld) says(code int, secret, pattern string, args ...string) string {
	w.t.Helper()
	p, err := w.background("fob", w.withPIN(w.dir, secret, args...))
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.end(p, code); err != nil {
		w.t.Fatal(err)
	}
	said := p.said.all()
	if !regexp.MustCompile(`(?m)` + pattern).MatchString(said) {
		w.t.Errorf("fob %s says %q, expected %s", strings.Join(args, " "), said, pattern)
	}
	return said
}

// A store goes to the TPM, survives restarts, is lost with the TPM, and comes back from a backup.
func TestTPMCommands(t *testing.T) {
	w := newTPMWorld(t)
	state := filepath.Join(w.dir, "state")
	if err := keepIn(state, "alice", "one"); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.says(0, "", `^fobd can use the TPM at `, "tpm", "status")
	w.says(0, "", `^-----BEGIN TPM2B_PUBLIC-----\n`, "tpm", "srk")
	w.says(0, "", `^ok        tpm       secrets can be kept by the TPM at `, "status")
	w.says(2, "", `--pin and --pcrs go with --to tpm`, "store", "seal", "--to", "keyfile", "--pin")
	w.says(2, "", `there is no PCR 24`, "store", "seal", "--to", "tpm", "--pcrs", "7,24")
	w.says(0, "", `^the store is sealed by the TPM$`, "store", "seal", "--to", "tpm", "--pcrs", "7")
	if _, err := os.Stat(filepath.Join(state, "store.key")); !os.IsNotExist(err) {
		t.Errorf("the key file is still there: %v", err)
	}
	w.restart()
	w.says(0, "", `^sealed by  the TPM\nrecords    1$`, "store", "status")
	w.says(0, "sesame", `^the store is exported`, "store", "export", "--new-passphrase-fd", "3", "backup.age")

	w.says(0, "1234", `^the store is sealed by the TPM and a PIN$`,
		"store", "seal", "--to", "tpm", "--pin", "--new-passphrase-fd", "3")
	w.restart()
	w.says(0, "", `^state      locked; 'fob store unlock' opens it\n.*\nsealed by  the TPM and a PIN$`, "store", "status")
	w.says(5, "4321", `^fob: wrong passphrase or PIN`, "store", "unlock", "--passphrase-fd", "3")
	w.says(0, "1234", `^the store is open$`, "store", "unlock", "--passphrase-fd", "3")
	w.says(0, "", `records    1$`, "store", "status")

	w.machine.Tool("tpm2_clear")
	w.restart()
	w.says(1, "1234", `^hint: bring a backup back with 'fob store import --replace FILE'$`,
		"store", "unlock", "--passphrase-fd", "3")
	w.says(0, "sesame", `^the store holds 1 record$`, "store", "import", "--replace", "--passphrase-fd", "3", "backup.age")
	w.says(0, "", `^sealed by   the TPM\nrecords     1$`, "store", "status")
	for _, secret := range []string{"sesame", "1234\n"} {
		if err := w.hides(secret); err != nil {
			t.Errorf("%q: %v", secret, err)
		}
	}
	w.machine.Off()
	w.halt()
	w.machine.Socket += "-gone"
	w.start()
	w.says(10, "", `^off       tpm       there is no TPM 2.0 at `, "status")
	w.says(1, "", `^hint: 'fob doctor' tells whether this computer has one$`, "tpm", "srk")
}
