package main

import (
	"bytes"
	"strings"
	"testing"

	"fob/fido/ctap"
	"fob/ipc"
)

// control plays the person who holds the emulated key.
func (s *screen) control(args ...string) {
	s.t.Helper()
	c := s.world.command(s.dir, "fob", append([]string{"emulate", "control", "--socket", "run/fob/fob.sock"}, args...)...)
	if out, err := c.CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
}

// A key is erased for who types its name, and nobody else.
func TestResetAsksForTheName(t *testing.T) {
	s := newScreen(t, "sesame-4711", "--emulator-profile", "fingerprint")
	const question = `type fob emulated key to go on: $`
	for answer, code := range map[string]int{"yes\n": 4, "\n": 8, ctrlD: 8} {
		s.run("fob key reset")
		s.sees(question)
		s.types(answer)
		s.exits(code)
	}
	s.run("fob key reset")
	s.sees(`fob emulated key \w{8} will be erased, for good:\r\n` +
		`  all credentials: it opens none of its accounts any more\r\n` +
		`    it has room for 100 more passkeys; .*\r\n  its PIN\r\n  its large blobs\r\n`)
	s.sees(question)
	s.types(ctrlC)
	s.exits(130)

	s.run("fob key reset")
	s.sees(question)
	s.types("fob emulated key\n")
	s.sees(`unplug fob emulated key \w{8} and plug it in again, then touch it when it blinks\r\n`)
	s.control("replug")
	s.sees(`touch fob emulated key \w{8} to erase it\r\nthe key is reset\r\n`)
	s.exits(0)
	s.run("fob key reset")
	s.sees(`passkeys; .*\r\n  its large blobs\r\ntype`) // and no PIN
	s.types(ctrlD)
	s.exits(8)
}

// A finger is removed for who says yes.
func TestFingerprintRemoveAsks(t *testing.T) {
	s := newScreen(t, "sesame-4711", "--emulator-profile", "fingerprint")
	s.run("fob key fingerprint add --name thumb")
	s.sees(`8 attempts left: $`)
	s.types("sesame-4711\n")
	s.sees(`good, 3 more to go: lift the finger and lay it on again\r\n`)
	s.sees(`good, that was the last one\r\nfinger [0-9a-f]{32}, "thumb", is enrolled\r\n`)
	s.exits(0)
	for _, answer := range []string{"no\n", "y\n", ctrlD} {
		s.run("fob key fingerprint remove thumb")
		s.sees(`the key will not know finger "thumb" any more; type yes to go on: $`)
		s.types(answer)
		s.sees(`fob: not confirmed, and nothing is done\r\n`)
		s.exits(8)
	}
	s.run("fob key fingerprint remove thumb")
	s.sees(`type yes to go on: $`)
	s.types("yes\n")
	s.sees(`finger [0-9a-f]{32}, "thumb", is removed\r\n`)
	s.exits(0)
	s.hides("sesame-4711")
}

// Ctrl-C between two samples: the key forgets the finger.
func TestInterruptedEnrollment(t *testing.T) {
	s := newScreen(t, "sesame-4711", "--emulator-profile", "fingerprint", "--emulator-touch", "never")
	s.run("fob key fingerprint add")
	s.sees(`8 attempts left: $`)
	s.types("sesame-4711\n")
	s.control("finger", "--wait")
	s.sees(`good, 3 more to go: `)
	s.types(ctrlC)
	s.sees(`fob: interrupted; the ceremony is cancelled\r\n`)
	s.exits(130)
	s.logs(`method=fob.Device.AddFingerprint .* result=fob.Ceremony.Cancelled`)
	s.run("fob key fingerprint list")
	s.sees(`8 attempts left: $`)
	s.types("sesame-4711\n")
	s.sees(`no finger is enrolled\r\n`)
	s.exits(0)
}

// TestSampleTexts: there are words for whatever a key may say of a sample.
func TestSampleTexts(t *testing.T) {
	four := 4
	for status := ctap.SampleGood; status <= ctap.SampleNoUserPresence; status++ {
		name := strings.ToLower(status.String())
		text := sampleText(ipc.Event{Sample: name, Remaining: &four})
		if known := !strings.HasPrefix(name, "0x"); known == strings.HasPrefix(text, "not good") {
			t.Errorf("%s: %q", name, text)
		}
	}
	if text := sampleText(ipc.Event{Sample: "odd\x1b[2J"}); text != "not good (odd\ufffd[2J): try again" {
		t.Errorf("%q", text)
	}
}

func TestReplugTexts(t *testing.T) {
	var out bytes.Buffer
	p := &person{out: &out, json: new(bool)}
	p.Replug(ipc.Event{Device: "k1", Product: "Key", Late: true, LongTouch: true})
	want := "that was too late for the key, and nothing is erased yet\n" +
		"unplug Key k1 and plug it in again, then touch it for several seconds when it blinks\n"
	if out.String() != want {
		t.Errorf("%q", out.String())
	}
}

// Who is asked for a new PIN on the way hears why. One that is too short, or differs from itself, is asked for again.
func TestNewPIN(t *testing.T) {
	s := newScreen(t, "")
	const newPIN = `new PIN of fob emulated key \w{8}, at least 4 characters: $`
	s.run("fob register --rp example.com --user alice --user-verification required")
	s.sees(`^the key has no PIN yet, and wants one for this\r\n` + newPIN)
	s.types("123\n")
	s.sees(`a PIN of this key has at least 4 characters and at most 63 bytes\r\n` + newPIN)
	s.types("sesame-4711\n")
	s.sees(`the same again: $`)
	s.types("sesame-4712\n")
	s.sees(`these were two different PINs\r\n` + newPIN)
	s.types("sesame-4711\n")
	s.sees(`the same again: $`)
	s.types("sesame-4711\n")
	s.sees(`registered  alice at example.com\r\n`)
	s.exits(0)

	s.run("fob key pin force-change")
	s.sees(`8 attempts left: $`)
	s.types("sesame-4711\n")
	s.exits(0)
	s.run("fob register --rp example.com --user alice --user-verification required")
	s.sees(`8 attempts left: $`)
	s.types("sesame-4711\n")
	s.sees(`the key wants its PIN to be changed first\r\n` + newPIN)
	s.types("sesame-4711\n")
	s.sees(`the same again: $`)
	s.types("sesame-4711\n")
	s.sees(`the key does not take this PIN; choose another one\r\n` + newPIN)
	s.types(ctrlD)
	s.sees(`fob: the key wants its PIN to be changed first\r\n`)
	s.exits(5)

	s.run("fob key pin change")
	s.sees(`^PIN of fob emulated key \w{8}, 8 attempts left: $`)
	s.types("sesame-4711\n")
	s.sees(`^\r\n` + newPIN)
	s.types("another-4711\n")
	s.sees(`the same again: $`)
	s.types("another-4711\n")
	s.sees(`the PIN is changed\r\n`)
	s.exits(0)
	s.hides("sesame-4711")
	s.hides("another-4711")
}
