package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"fob/fido/endpoint"
	"fob/ipc"
)

// flagsBeside parses what stands beside --key.
func flagsBeside(t testing.TB, args ...string) (*fleet, *pflag.FlagSet) {
	t.Helper()
	var f fleet
	set := pflag.NewFlagSet("emulate", pflag.ContinueOnError)
	f.flags(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &f, set
}

func TestKeyFlags(t *testing.T) {
	f, set := flagsBeside(t, "--touch", "deny", "--pin-fd", "7", "--unix", "/s", "--algorithms", "es256,eddsa",
		"--key", "id=a-{n},count=2,unix=/run/{n}",
		"--key", "uhid,pin=12,,34,touch=auto,algorithms=rs256,,es256",
		"--key", "state=/k,,{n}.json,profile=u2f")
	if err := f.parse(set); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range f.keys {
		name, _, err := k.place.choose()
		got = append(got, fmt.Sprint(k.id, " ", name, k.place.unix, " ", k.Touch, " ", k.PIN, k.PINFD, " ",
			k.State, k.Profile, k.Algorithms, err))
	}
	want := []string{
		"a-1 unix/run/1 deny 7 [es256 eddsa] <nil>",
		"a-2 unix/run/2 deny 7 [es256 eddsa] <nil>",
		" uhid auto 12,34-1 [rs256 es256] <nil>",
		" unix/s deny 7 /k,4.jsonu2f[es256 eddsa] <nil>",
	}
	if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

func FuzzParseKey(f *testing.F) {
	for _, s := range []string{
		"", ",", "id=a,,b,count=3", "uhid,", "profile=fido2.1,state=x,,,pin=", "touch", "count=9999999999999999999",
	} {
		f.Add(s)
	}
	_, beside := flagsBeside(f, "--touch", "deny")
	f.Fuzz(func(t *testing.T, s string) {
		var joined []string
		for _, option := range splitOptions(s) {
			joined = append(joined, strings.ReplaceAll(option, ",", ",,"))
		}
		if got := strings.Join(joined, ","); got != s {
			t.Errorf("%q is split into %q", s, splitOptions(s))
		}
		if k, err := parseKey(s, beside); err == nil && k.Touch != "deny" && !strings.Contains(s, "touch=") {
			t.Errorf("%q: touch %q", s, k.Touch)
		}
	})
}

// TestServeKeys loses keys, one of them or all.
func TestServeKeys(t *testing.T) {
	gone := func(id string) error { return &lostKey{id, endpoint.ErrReaderGone} }
	var said bytes.Buffer
	a := &app{stderr: &said}
	lost := make(chan error)
	ended := make(chan error, 1)
	ctx, interrupt := context.WithCancel(t.Context())
	go func() { ended <- a.serveKeys(ctx, 3, lost, nil) }()
	lost <- gone("a")
	lost <- gone("b")
	interrupt()
	err := <-ended
	if err == nil || err.Error() != "2 of 3 emulated keys were lost" || exitCode(err) != exitDevice {
		t.Errorf("got %v, exit code %d", err, exitCode(err))
	}
	got := said.String()
	if !strings.Contains(got, "fob: the emulated key a is lost: ") || !strings.Contains(got, "key b is lost") {
		t.Errorf("said %q", got)
	}
	go func() { ended <- a.serveKeys(t.Context(), 1, lost, nil) }()
	lost <- gone("c")
	if err := <-ended; !errors.Is(err, endpoint.ErrReaderGone) || exitCode(err) != exitDevice {
		t.Errorf("got %v, exit code %d", err, exitCode(err))
	}
	interrupt()
	if err := a.serveKeys(ctx, 1, lost, nil); err != nil {
		t.Errorf("interrupted: %v", err)
	}
}

func TestLimits(t *testing.T) {
	call := func(name string, err error) error {
		return fmt.Errorf("open pseudo-terminal: %w", os.NewSyscallError(name, err))
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{call("open /dev/ptmx", unix.ENOSPC), "kernel.pty.max"},
		{call("open /dev/ptmx", unix.EMFILE), "ulimit -n"},
		{call("open /dev/ptmx", unix.ENFILE), "fs.file-max"},
		{call("inotify_init1", unix.EMFILE), "fs.inotify.max_user_instances"},
		{call("inotify_add_watch", unix.ENOSPC), "fs.inotify.max_user_watches"},
		{&os.PathError{Op: "open", Path: "/k.json.lock", Err: unix.EMFILE}, "ulimit -n"},
		{call("open /dev/ptmx", unix.EACCES), ""},
	} {
		err := plugFailed(7, 9, test.err)
		var h hinted
		if hint := errors.As(err, &h); hint != (test.want != "") || hint && !strings.Contains(h.Hint(), test.want) {
			t.Errorf("%v: hint %v", err, h)
		}
		if !strings.HasPrefix(err.Error(), "key 7 of 9: ") {
			t.Errorf("got %v", err)
		}
	}
}

// TestControlErrors: each error of fob.Emulator has an exit code that the help lists, and reads well.
func TestControlErrors(t *testing.T) {
	for _, test := range []struct {
		err  error
		code int
		want string
	}{
		{ipc.NotWaiting{Key: "k"}, exitKey, "key k waits for nothing"},
		{ipc.KeyLost{Key: "k"}, exitDevice, "key k is lost"},
		{ipc.PlugFailed{Key: "k", Problem: "no reader"}, exitDevice, "key k can't be inserted: no reader"},
		{ipc.KeyFailed{Key: "k", Problem: "disk full"}, exitDevice, "key k failed: disk full"},
		{ipc.ParameterInvalid{Parameter: "policy", Problem: "none"}, exitUsage, "parameter policy makes no sense: none"},
		{ipc.SeveralKeys{Keys: strings.Split("a b c d e f g h i", " "), Count: 1000}, exitDevice,
			"there are 1000 emulated keys: a, b, c, d, e, f, g, h, ..."},
		{&ipc.Lost{Err: unix.EPIPE}, exitNotRunning,
			"the program with the emulated keys went away, or hangs, and has not answered"},
		{context.Canceled, exitFailure, "interrupted"},
	} {
		err := &controlFailed{test.err, "/s"}
		if err.Error() != test.want || exitCode(err) != test.code {
			t.Errorf("%q, exit code %d; want %q, %d", err, exitCode(err), test.want, test.code)
		}
	}
}
