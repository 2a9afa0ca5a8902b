package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"fob/ipc"
)

func TestShown(t *testing.T) {
	for s, want := range map[string]string{
		"alice@example.com": "alice@example.com", "Zoë 李": "Zoë 李", "a\x1b]0;x\a": "a\ufffd]0;x\ufffd",
		"a\nb": "a\ufffdb", "\xff": "\ufffd", "a\u202eb": "a\ufffdb",
	} {
		if got := shown(s); got != want {
			t.Errorf("%q is shown as %q, want %q", s, got, want)
		}
	}
}

// TestHostileTexts: readers call themselves as they like, and so do programs that keep cards busy.
func TestHostileTexts(t *testing.T) {
	const hostile = "reader\x1b]0;x\a\u202e"
	var out bytes.Buffer
	a := &app{stderr: &out}
	p := a.person()
	e := ipc.Event{Device: "k1", Product: "key at " + hostile, Reader: hostile, Problem: hostile}
	for _, say := range []func(ipc.Event){p.Waiting, p.Touch, p.Tap, p.Passed, p.Chosen, p.Sample, p.Replug} {
		say(e)
	}
	for _, err := range []error{ipc.DeviceBusy{Reader: hostile, Program: hostile}, ipc.CardLost{Reader: hostile},
		ipc.Failed{Problem: hostile}, errors.Join(errors.New("first"), errors.New(hostile))} {
		a.report(err, false)
	}
	if strings.ContainsAny(out.String(), "\x1b\a\u202e") || strings.Count(out.String(), "\n") < 11 {
		t.Errorf("%q", out.String())
	}
}
