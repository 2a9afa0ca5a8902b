package program

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"fob/daemon/workbench"
	"fob/fido"
)

func TestReadLine(t *testing.T) {
	longest := strings.Repeat("1", fido.MaxPINLength)
	for _, c := range []struct {
		in, pin, rest string
		err           error
	}{
		{"1234\n", "1234", "", nil},
		{"1234", "1234", "", nil}, // the end will do as well
		{"1234\nmore\n", "1234", "more\n", nil},
		{" 12 34 \r\n", " 12 34 \r", "", nil}, // a PIN may have any characters
		{"päss\n", "päss", "", nil},
		{longest + "\n", longest, "", nil},
		{longest + "1\n", "", "\n", ErrPINLength},
		{"123\n", "", "", ErrPINLength},
		{"123", "", "", ErrPINLength},
		{"\n1234\n", "", "1234\n", ErrPINLength},
		{"", "", "", ErrPINLength},
	} {
		r := strings.NewReader(c.in)
		pin, err := ReadLine(r)
		rest, _ := io.ReadAll(r)
		if string(pin) != c.pin || err != c.err || string(rest) != c.rest {
			t.Errorf("%q: %q, %v; rest %q", c.in, pin, err, rest)
		}
	}
	broken := errors.New("broken")
	if pin, err := ReadLine(io.MultiReader(strings.NewReader("1234"), iotest.ErrReader(broken))); pin != nil || err != broken {
		t.Errorf("%q, %v", pin, err)
	}
}

func FuzzReadLine(f *testing.F) {
	f.Add([]byte("1234\nrest"))
	f.Add([]byte("123"))
	f.Add([]byte("0خ0")) // four bytes, three characters
	f.Fuzz(func(t *testing.T, in []byte) {
		r := strings.NewReader(string(in))
		pin, err := ReadLine(r)
		line, _, _ := strings.Cut(string(in), "\n")
		if good := utf8.RuneCountInString(line) >= fido.MinPINLength && len(line) <= fido.MaxPINLength; good != (err == nil) || good && string(pin) != line {
			t.Fatalf("%q, %v", pin, err)
		}
		if !errors.Is(err, ErrPINLength) && err != nil || err != nil && pin != nil {
			t.Fatalf("%q, %v", pin, err)
		}
	})
}

func TestReadPIN(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	w.WriteString("1234\nmore")

	// A file of our own is not what somebody has given us, and stays open.
	if _, err := ReadPIN(t.Context(), int(r.Fd())); !errors.As(err, new(UsageError)) {
		t.Error(err)
	}
	given, err := unix.Dup(int(r.Fd())) // not closed on exec, as what a shell opens
	if err != nil {
		t.Fatal(err)
	}
	if pin, err := ReadPIN(t.Context(), given); string(pin) != "1234" || err != nil {
		t.Error(pin, err)
	}
	if _, err := ReadPIN(t.Context(), given); !errors.As(err, new(UsageError)) {
		t.Error(err)
	}
	more := make([]byte, 4)
	if _, err := io.ReadFull(r, more); string(more) != "more" || err != nil {
		t.Errorf("%q, %v", more, err)
	}
}

func TestEmulatorFlags(t *testing.T) {
	for _, e := range []Emulator{
		{Touch: "", PINFD: -1, PassphraseFD: -1},
		{Touch: "auto", PINFD: -1, PassphraseFD: -1, Attestation: "anonca"},
		{Touch: "auto", PINFD: -1, PassphraseFD: -1, Profile: "fido9"},
		{Touch: "auto", PINFD: -1, PassphraseFD: -1, Profile: "u2f", PIN: "1234"},
		{Touch: "maybe", PINFD: -1, PassphraseFD: -1},
		{Touch: "delay=", PINFD: -1, PassphraseFD: -1},
		{Touch: "auto", PIN: "1234", PINFD: 0},
		{Touch: "auto", PIN: "123", PINFD: -1, PassphraseFD: -1},
		{Touch: "auto", PIN: strings.Repeat("1", fido.MaxPINLength+1), PINFD: -1, PassphraseFD: -1},
	} {
		if e.Attestation == "" {
			e.Attestation = "self"
		}
		var w workbench.Workbench
		o, err := e.Options(t.Context(), &Bench{}, "")
		if err == nil {
			_, err = w.Plug(t.Context(), o)
			err = errors.Join(PlugError(err), w.Close())
		}
		if !errors.As(err, new(UsageError)) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// TestSignalsInARow: one that follows the first at once ends nobody in the middle of ending in peace.
func TestSignalsInARow(t *testing.T) {
	if os.Getenv("FOB_TEST_SIGNALS") != "" {
		ctx, _ := contextWith(time.Hour, unix.SIGTERM) // without stop, before which the kernel may not have handed the signal over
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println("ending")
		io.Copy(io.Discard, os.Stdin)
		return
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSignalsInARow$")
	c.Env = append(os.Environ(), "FOB_TEST_SIGNALS=1")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, want := range []string{"ready", "ending"} {
		if !lines.Scan() || lines.Text() != want {
			t.Errorf("%q, not %q", lines.Text(), want)
		}
		if err := c.Process.Signal(unix.SIGTERM); err != nil {
			t.Error(err)
		}
	}
	in.Close()
	for lines.Scan() { // until it has ended
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

// TestConfine: what the README promises of core dumps and debuggers.
func TestConfine(t *testing.T) {
	if err := Confine(); err != nil {
		t.Fatal(err)
	}
	defer unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil || core.Cur != 0 || core.Max != 0 {
		t.Errorf("core dumps: %+v, %v", core, err)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("dumpable: %d, %v", dumpable, err)
	}
}
