package main

import (
	"os"
	"path/filepath"
	"testing"
)

// At a terminal a new passphrase is asked for twice, the one of a file up to three times, and seeds may be seen.
func TestSeedsAtTheTerminal(t *testing.T) {
	const secret, key = "correct horse battery", "00112233445566778899aabbccddeeff"
	s := newScreen(t, "")
	s.run("fob seeds generate 5000 tokens.pskc")
	s.sees(`new passphrase for tokens.pskc: $`)
	s.types(secret + "\n")
	s.sees(`the same again: $`)
	s.types(secret + "!\n")
	s.sees(`these were two different ones\r\nnew passphrase for tokens.pskc: $`)
	s.types("\n")
	s.sees(`a passphrase has at least 1 and at most 1024 bytes\r\nnew passphrase for tokens.pskc: $`)
	s.types(secret + "\n")
	s.sees(`the same again: $`)
	s.types(secret + "\n")
	s.sees(`\r\[=+ +\]  20%  1000 tokens`)
	s.sees(`\r\x1b\[K5000 tokens are written to tokens.pskc, encrypted with your passphrase\r\n`)
	s.exits(0)

	s.run("fob seeds show tokens.pskc --token 00000007 --reveal")
	s.sees(`passphrase "Passphrase" of tokens.pskc: $|passphrase of tokens.pskc: $`)
	s.types("wrong\n")
	s.sees(`that was the wrong one\r\n.*of tokens.pskc: $`)
	s.types(secret + "\n")
	s.sees(`MADE BY +SEED\r\n00000007 .* [A-Z2-7]{32}\r\n`)
	s.exits(0)
	s.run("fob seeds show tokens.pskc")
	for range 3 {
		s.sees(`of tokens.pskc: $`)
		s.types("wrong\n")
	}
	s.sees(`fob: tokens.pskc: the key or passphrase is not the one of the file\r\n`)
	s.exits(5)

	s.run("fob seeds convert tokens.pskc key.pskc --to pskc --key")
	s.sees(`of tokens.pskc: $`)
	s.types(secret + "\n")
	s.sees(`new key, in hexadecimal digits, for key.pskc: $`)
	s.types("00112233\n")
	s.sees(`a key has 16, 24 or 32 bytes, as they are or as hexadecimal digits\r\n`)
	s.sees(`new key, in hexadecimal digits, for key.pskc: $`)
	s.types(key + "\n")
	s.sees(`the same again: $`)
	s.types(key + "\n")
	s.sees(`5000 tokens are written to key.pskc, encrypted with your key\r\n`)
	s.exits(0)

	s.run("fob seeds generate 1 - --plain")
	s.sees(`fob: standard output is a terminal; name a file, or redirect it\r\n`)
	s.exits(2)
	s.hides(secret)
	s.hides(key)
}

// What a person stops leaves nothing.
func TestSeedsStoppedAtTheTerminal(t *testing.T) {
	s := newScreen(t, "")
	s.run("fob seeds generate 10 stopped.pskc")
	s.sees(`new passphrase for stopped.pskc: $`)
	s.types(ctrlC)
	s.sees(`fob: interrupted; nothing is written\r\n`)
	s.exits(130)
	s.run("fob seeds generate 10 stopped.pskc")
	s.sees(`new passphrase for stopped.pskc: $`)
	s.types(ctrlD)
	s.exits(8)
	s.run("fob seeds convert - stopped.pskc --from entra-csv --to pskc --plain --skip-bad")
	s.types("upn,serial number,secret key,time interval,manufacturer,model\nthis is no token, but a line\n")
	s.sees(`left out: standard input: line 2`)
	s.types(ctrlC)
	s.sees(`fob: interrupted; nothing is written\r\n`)
	s.exits(130)
	if left, err := filepath.Glob(filepath.Join(s.dir, "*stopped*")); err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
	if _, err := os.Lstat(s.dir); err != nil {
		t.Error(err)
	}
}

// TestSeedsInANarrowTerminal: a QR code that would be broken is not drawn, and the progress does not stand in one that
// is.
func TestSeedsInANarrowTerminal(t *testing.T) {
	s := newScreen(t, "")
	s.run("fob seeds generate 1 plain.pskc --plain")
	s.exits(0)
	s.run("stty cols 30; fob seeds show plain.pskc --qr")
	s.sees(`fob: the QR code is \d+ columns wide, and the terminal has 30\r\nhint: make the window larger, `)
	s.exits(1)
	s.run("stty cols 120 && fob seeds show plain.pskc --qr")
	s.sees(`(^|\n)00000001\r\n\x1b\[38;5;16;48;5;231m  `)
	s.exits(0)
}
