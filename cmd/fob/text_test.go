package main

import "testing"

func TestShown(t *testing.T) {
	for s, want := range map[string]string{
		"alice@example.com": "alice@example.com", "Zoë 李": "Zoë 李", "a\x1b]0;x\a": "a\ufffd]0;x\ufffd", "a\nb": "a\ufffdb", "\xff": "\ufffd", "a\u202eb": "a\ufffdb",
	} {
		if got := shown(s); got != want {
			t.Errorf("%q is shown as %q, want %q", s, got, want)
		}
	}
}
