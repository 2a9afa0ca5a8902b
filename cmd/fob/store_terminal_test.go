package main

import "testing"

// A new passphrase is asked for twice, until both are the same; a wrong one three times.
func TestPassphrasesAtTheTerminal(t *testing.T) {
	const secret = "correct horse battery"
	s := newScreen(t, "")
	s.run("fob store export backup.age")
	s.sees(`new passphrase of the backup: $`)
	s.types(secret + "\n")
	s.sees(`the same again: $`)
	s.types(secret + "!\n")
	s.sees(`these were two different passphrases\r\nnew passphrase of the backup: $`)
	s.types("\n")
	s.sees(`a passphrase has at least 1 and at most 1024 bytes\r\nnew passphrase of the backup: $`)
	s.types(secret + "\n")
	s.sees(`the same again: $`)
	s.types(secret + "\n")
	s.sees(`the store is exported to backup.age\r\n`)
	s.exits(0)

	s.run("fob store import backup.age")
	s.sees(`passphrase of the backup: $`)
	s.types("wrong\n")
	s.sees(`wrong passphrase\r\npassphrase of the backup: $`)
	s.types(secret + "\n")
	s.sees(`the store holds 0 records\r\n`)
	s.exits(0)

	s.run("fob store seal --to passphrase")
	s.sees(`new passphrase of the store: $`)
	s.types(secret + "\n")
	s.sees(`the same again: $`)
	s.types(secret + "\n")
	s.sees(`the store is sealed by a passphrase\r\n`)
	s.exits(0)
	s.run("fob store unlock")
	for _, before := range []string{"", "wrong passphrase\r\n", "wrong passphrase\r\n"} {
		s.sees(before + `passphrase of the store: $`)
		s.types("wrong\n")
	}
	s.sees(`fob: wrong passphrase or PIN, or no identity that opens it\r\n`)
	s.exits(5)
	s.run("fob store unlock")
	s.sees(`passphrase of the store: $`)
	s.types(ctrlD)
	s.exits(8)

	s.run("fob store reset")
	s.sees(`the store, with 0 records, will be set aside, and fob begins with an empty one; type yes to go on: $`)
	s.types("no\n")
	s.sees(`fob: not confirmed, and nothing is done\r\n`)
	s.exits(8)
	s.hides(secret)
}
