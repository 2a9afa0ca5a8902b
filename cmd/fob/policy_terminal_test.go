package main

import (
	"os"
	"path/filepath"
	"testing"
)

// newAskingScreen starts a fobd with a policy.
func newAskingScreen(t *testing.T, policy string, flags ...string) *screen {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	return newScreen(t, "", append([]string{"--policy", file}, flags...)...)
}

// Consent is asked for at the terminal of the program that calls; nothing but a yes is one.
func TestConsent(t *testing.T) {
	s := newAskingScreen(t, "[[rule]]\nverbs = ['register']\naction = 'ask'\n")
	question := `^fob \(pts/\d+, PID \d+\) wants to register fob emulated key \w{8} at example.com\r\n` +
		`allow it\? \[y/N\]: $`
	for _, answer := range []string{"\n", "n\n", "x\n", ctrlD} {
		s.run(register)
		s.sees(question)
		s.types(answer)
		s.sees(`fob: the person who was asked refused to register a key \(register\)\r\n`)
		s.exits(8)
	}
	for _, answer := range []string{"y\n", "Yes\n"} {
		s.run("rm -f alice.json; " + register)
		s.sees(question)
		s.types(answer)
		s.sees(`touch fob emulated key \w{8} to register at example.com\r\n`)
		s.exits(0)
	}
	s.run("fob sign-in alice.json")
	s.sees(`fob: the policy does not let fob \(pts/\d+, PID \d+\) sign in \(sign-in\)\r\nhint: it was no rule of `)
	s.exits(8)
}

func TestConsentOnce(t *testing.T) {
	s := newAskingScreen(t, "[[rule]]\nverbs = ['register']\naction = 'ask-once'\n")
	s.run(register)
	s.sees(`a yes holds until the session is locked\r\nallow it\? \[y/N\]: $`)
	s.types("y\n")
	s.exits(0)
	s.run("rm alice.json; " + register)
	s.sees(`^touch fob emulated key`)
	s.exits(0)
	s.run("fob register --rp www.example.com --user alice")
	s.sees(`wants to register fob emulated key \w{8} at www.example.com\r\n`)
	s.types(ctrlC)
	s.exits(130)
}

// While the person thinks, no key waits for a touch; a question ends with its ceremony.
func TestInterruptAtConsent(t *testing.T) {
	s := newAskingScreen(t, "[[rule]]\nverbs = ['register', 'manage', 'reset']\naction = 'ask'\n",
		"--emulator-touch", "ask")
	s.run(register)
	s.sees(`allow it\? \[y/N\]: $`)
	s.types(ctrlC)
	s.sees(`fob: interrupted; the ceremony is cancelled\r\n`)
	s.exits(130)
	s.logs(`result=fob.Ceremony.Cancelled`)
	s.run(register + " --timeout 1s")
	s.sees(`allow it\? \[y/N\]: $`)
	s.sees(`fob: timed out`)
	s.exits(7)
	s.run("fob key pin set")
	s.sees(`wants to manage fob emulated key \w{8} \(SetPIN\)\r\n`)
	s.types("n\n")
	s.exits(8)
	s.run("fob key reset --confirm 'fob emulated key'")
	s.sees(`wants to erase fob emulated key \w{8} and all its credentials\r\n`)
	if err := s.world.stop(s.fobd); err != nil {
		t.Error(err)
	}
	s.exits(8)
}

// What is done to the sealed store is asked about before any passphrase.
func TestStoreConsent(t *testing.T) {
	s := newAskingScreen(t, "[[rule]]\nverbs = ['manage']\naction = 'ask-once'\n"+
		"[[rule]]\nverbs = ['reset']\naction = 'ask'\n")
	s.run("fob store export backup.age")
	s.sees(`^fob \(pts/\d+, PID \d+\) wants to make a backup of all secrets in the sealed store\r\n` +
		`a yes holds until the session is locked\r\nallow it\? \[y/N\]: $`)
	s.types("\n")
	s.sees(`fob: the person who was asked refused to change what is stored on a key, or the store \(manage\)\r\n`)
	s.exits(8)
	s.run("fob store import --replace /dev/null")
	s.sees(`wants to replace all secrets in the sealed store by a backup\r\n.*\r\nallow it\? \[y/N\]: $`)
	s.types("n\n")
	s.exits(8)
	s.run("fob store seal --to keyfile")
	s.sees(`wants to change what opens the sealed store\r\n.*\r\nallow it\? \[y/N\]: $`)
	s.types("y\n")
	s.sees(`the store is sealed by a key file beside it\r\n`)
	s.exits(0)
	s.run("fob store export backup.age")
	s.sees(`^new passphrase of the backup: $`)
	s.types(ctrlC)
	s.exits(130)
	s.run("fob store reset --yes")
	s.sees(`wants to begin anew with an empty sealed store\r\nallow it\? \[y/N\]: $`)
	s.types("y\n")
	s.sees(`the store is empty\r\n`)
	s.exits(0)
}
