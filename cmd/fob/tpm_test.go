package main

import (
	"encoding/base32"
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

// Tokens whose seeds are in the TPM give the codes that oathtool gives, ask for their PIN where they have one, and stay
// there; seeds that were wrapped to the TPM are for it alone.
func TestOTPInTPM(t *testing.T) {
	w := newTPMWorld(t)
	w.start()
	const seed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" // of RFC 4226
	w.says(2, "", `--pin goes with --in tpm`, "otp", "add", "a", "--pin")
	w.says(2, "", `--in cloud is neither store nor tpm nor key`, "otp", "add", "a", "--in", "cloud")
	w.says(0, seed, `^added hotp: HOTP, SHA1, 6 digits, next 0, a seed of 20 bytes$`,
		"otp", "add", "hotp", "--type", "hotp", "--in", "tpm", "--seed-fd", "3")
	c := w.withPIN(w.dir, seed, "otp", "add", "pin", "--type", "hotp", "--in", "tpm", "--seed-fd", "3", "--pin",
		"--new-pin-fd", "4")
	c.ExtraFiles = append(c.ExtraFiles, w.withPIN(w.dir, "sesame").ExtraFiles...)
	w.run(t, c, 0)
	w.says(0, "", `^hotp  +- +- +HOTP, SHA1, 6 digits, next 0  in the TPM$`, "otp", "list")
	w.says(0, "", `^755224$`, "otp", "code", "hotp")
	w.restart()
	w.says(0, "", `^287082$`, "otp", "code", "hotp")
	w.says(0, "sesame", `^755224$`, "otp", "code", "pin", "--pin-fd", "3")
	w.says(5, "sesamo", `^fob: wrong passphrase or PIN`, "otp", "code", "pin", "--pin-fd", "3")
	w.says(5, "", `^fob: a PIN is needed, and there is no terminal`, "otp", "code", "pin")
	w.says(6, "", `^fob: the seed can.t leave the place`, "otp", "export", "--plain", "hotp")

	key := w.machine.File("SRK.pub", nil)
	if err := os.WriteFile(key, []byte(w.says(0, "", `^-----BEGIN`, "tpm", "srk")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.dir, "seeds.txt"), []byte("otpauth://hotp/ACME:bob?counter=1&secret="+seed+
		"\notpauth://totp/ACME:eve?algorithm=SHA256&digits=8&secret="+seed+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.says(2, "", `seeds.txt has no public key of a TPM`, "seeds", "wrap", "seeds.txt", "x", "--for", "seeds.txt")
	w.says(0, "", `^2 tokens are written to bob.wrapped, encrypted to one TPM$`,
		"seeds", "wrap", "seeds.txt", "bob.wrapped", "--for", key)
	w.says(0, "", `^added ACME:bob: HOTP, SHA1, 6 digits, next 1, a seed of 20 bytes\nadded ACME:eve: `,
		"otp", "import", "bob.wrapped")
	w.says(0, "", `^287082$`, "otp", "code", "ACME:bob")
	w.says(6, "", `^left out: bob.wrapped: token bob: there is a token "ACME:bob" already$`, "otp", "import", "bob.wrapped")
	if err := w.hides(seed); err != nil {
		t.Error(err)
	}
	w.halt()
	w.machine = tpmtest.Start(t)
	w.start()
	w.says(1, "", `^hint: bring a backup back`, "otp", "import", "bob.wrapped") // the store is of the other TPM
	w.says(0, "", ``, "store", "reset", "--yes")
	w.says(1, "", `^hint: have it wrapped to the key that 'fob tpm srk' prints here$`, "otp", "import", "bob.wrapped")
}

// TestTPMLeavesNoTrace seals a store by the TPM with a PIN, and keeps seeds in it, and then looks for the PIN and the
// seeds in the memory of fobd.
func TestTPMLeavesNoTrace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: only root may read the memory of fobd")
	}
	const seed, pin, tokenPIN = "Qx7#veloc-raptor9Kx!", "Wv3=m4Mm0th-Kn1ght;", "Zk8+gAzEl1e.Oryx_52q"
	w := newTPMWorld(t)
	// When Go's runtime interrupts a thread by a signal, the kernel saves its registers, which may hold what was copied
	// last. Nobody can wipe that; here there are no such signals.
	w.env = append(w.env, "GODEBUG=asyncpreemptoff=1")
	w.start()
	inBase32 := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString([]byte(seed))
	look := func(after string) { // before what comes next makes use of the same memory
		t.Helper()
		for _, part := range []string{seed, seed[:9], seed[10:], inBase32, inBase32[:16], pin, pin[:9], pin[9:], tokenPIN,
			tokenPIN[:9], tokenPIN[10:], inPad(seed, 0x36), inPad(seed, 0x5c)} {
			found, err := inMemory(w.fobd.cmd.Process.Pid, []byte(part))
			if err != nil {
				t.Fatal(err)
			}
			if len(found) > 0 {
				t.Errorf("fobd still has %q after %s: %s", part, after, strings.Join(found, "; "))
			}
		}
	}
	w.says(0, inBase32, `^added`, "otp", "add", "open", "--in", "tpm", "--seed-fd", "3")
	look("a token")
	c := w.withPIN(w.dir, inBase32, "otp", "add", "closed", "--in", "tpm", "--seed-fd", "3", "--pin", "--new-pin-fd", "4")
	c.ExtraFiles = append(c.ExtraFiles, w.withPIN(w.dir, tokenPIN).ExtraFiles...)
	w.run(t, c, 0)
	look("a token with a PIN")
	w.says(0, "", `^[0-9]{6}$`, "otp", "code", "open")
	w.says(0, tokenPIN, `^[0-9]{6}$`, "otp", "code", "closed", "--pin-fd", "3")
	look("a code")
	w.says(5, tokenPIN+"?", ``, "otp", "code", "closed", "--pin-fd", "3")
	w.says(0, pin, ``, "store", "seal", "--to", "tpm", "--pin", "--new-passphrase-fd", "3")
	look("a seal")
	w.says(0, pin, ``, "store", "export", "--passphrase-fd", "3", "--recipient",
		"age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "backup.age")
	look("the PIN was given")
}
