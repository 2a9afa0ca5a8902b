package main

import (
	"encoding/base32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestSeedLeavesNoTrace adds tokens, has fobd make codes and export a seed, and then looks for the seeds, as they are,
// in Base32 and as HMAC mixes them, in the memory of fobd.
func TestSeedLeavesNoTrace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: only root may read the memory of fobd")
	}
	const first, second = "Qx7#veloc-raptor9Kx!", "Wv3=m4Mm0th-Kn1ght;Qo_Zebra%4711" // of 20 and 32 bytes
	inBase32 := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString
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
	c := w.command(dir, "fobd", "--no-discovery", "--state", filepath.Join(dir, "state"))
	// When Go's runtime interrupts a thread by a signal, the kernel saves its registers, which may hold what was copied
	// last. Nobody can wipe that; here there are no such signals.
	c.Env = append(slices.Clone(c.Env), "GODEBUG=asyncpreemptoff=1")
	fobd, err := w.ready("fobd", c)
	if err != nil {
		t.Fatal(err)
	}
	uri := "otpauth://hotp/ACME:bob?counter=5&algorithm=SHA512&secret=" + inBase32([]byte(second))
	w.run(t, w.withPIN(dir, inBase32([]byte(first)), "otp", "add", "first", "--seed-fd", "3"), 0)
	w.run(t, w.withPIN(dir, uri, "otp", "add", "second", "--seed-fd", "3"), 0)
	for range 3 {
		w.run(t, w.command(dir, "fob", "otp", "code", "first"), 0)
		w.run(t, w.command(dir, "fob", "otp", "code", "second"), 0)
	}
	w.run(t, w.command(dir, "fob", "otp", "rename", "second", "other"), 0)
	w.run(t, w.command(dir, "fob", "otp", "list"), 0)
	w.run(t, w.command(dir, "fob", "otp", "export", "--plain", "other"), 0)
	for _, part := range []string{
		first, first[:9], first[10:], second, second[:9], second[10:], inBase32([]byte(first)), inBase32([]byte(second)),
		inBase32([]byte(first))[:16], inBase32([]byte(second))[8:24],
		inPad(first, 0x36), inPad(first, 0x5c), inPad(second, 0x36), inPad(second, 0x5c),
	} {
		found, err := inMemory(fobd.cmd.Process.Pid, []byte(part))
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			t.Errorf("fobd still has %q: %s", part, strings.Join(found, "; "))
		}
	}
}

// inPad is a key as HMAC mixes it into its blocks (RFC 2104).
func inPad(key string, pad byte) string {
	mixed := []byte(key)
	for i := range mixed {
		mixed[i] ^= pad
	}
	return string(mixed)
}
