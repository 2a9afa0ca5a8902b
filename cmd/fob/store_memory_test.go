package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPassphraseLeavesNoTrace seals a store with a passphrase, opens it with wrong ones and the right one, and then
// looks for them, and for what the store holds, in the memory of fobd.
func TestPassphraseLeavesNoTrace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: only root may read the memory of fobd")
	}
	const passphrase, value = "Qx7#veloc\"raptor9Kx!", "Wv3=m4Mm0th-Kn1ght;Qo"
	dir := t.TempDir()
	w, err := newWorld(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	if err := keepIn(filepath.Join(dir, "state"), "alice", value); err != nil {
		t.Fatal(err)
	}
	fobd, err := w.ready("fobd", w.command(dir, "fobd", "--no-discovery", "--state", filepath.Join(dir, "state")))
	if err != nil {
		t.Fatal(err)
	}
	w.run(t, w.withPIN(dir, passphrase, "store", "seal", "--to", "passphrase", "--new-passphrase-fd", "3"), 0)
	w.run(t, w.withPIN(dir, passphrase+"?", "store", "unlock", "--passphrase-fd", "3"), 5)
	w.run(t, w.withPIN(dir, passphrase, "store", "unlock", "--passphrase-fd", "3"), 0)
	for _, part := range []string{passphrase, passphrase[:9], "raptor9Kx!", value, value[:9]} {
		found, err := inMemory(fobd.cmd.Process.Pid, []byte(part))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			t.Errorf("fobd still has %q: %s", part, strings.Join(found, "; "))
		}
	}
}
