package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

// secretPIN is found nowhere by chance, and neither is half of it. The é is one character in normalization form C,
// which is what the key wants (CTAP 2.2 §6.5.1), and two as it is typed here.
const (
	secretPIN = "Zq7#véloc\"raptor9Kx!"
	typedPIN  = "Zq7#ve\u0301loc\"raptor9Kx!"
	otherPIN  = "m4Mm0th-Kn1ght=Qo" // that the key has for a while
)

// TestPINLeavesNoTrace performs ceremonies with a PIN, right and wrong, and then looks for it in the memory of fobd,
// which goes on, and of the helper that waits for the next one. The helper that was given the PIN is gone by then. The
// key is another process's.
func TestPINLeavesNoTrace(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: only root may read the memory of fobd")
	}
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
	key, err := w.background("key", w.withPIN(dir, secretPIN, "emulate", "--pin-fd", "3"))
	if err != nil {
		t.Fatal(err)
	}
	path, err := key.waitFor(regexp.MustCompile(`"path":"([^"]+)"`))
	if err != nil {
		t.Fatal(err)
	}
	fobd, err := w.ready("fobd", w.command(dir, "fobd", "--no-discovery", "--device", path[1]))
	if err != nil {
		t.Fatal(err)
	}
	const user = "memorable-user-name"
	for range 3 {
		w.run(t, w.withPIN(dir, typedPIN, "register", "--rp", "example.com", "--user", user, "--save", "record.json",
			"--pin-fd", "3"), 0)
		w.run(t, w.withPIN(dir, typedPIN+"?", "sign-in", "record.json", "--pin-fd", "3"), 5)
		w.run(t, w.withPIN(dir, typedPIN, "sign-in", "record.json", "--pin-fd", "3"), 0)
		os.Remove(dir + "/record.json")
		w.run(t, w.withPIN(dir, typedPIN, "key", "credentials", "list", "--pin-fd", "3"), 0)
		w.run(t, w.withPINs(dir, typedPIN+"?", otherPIN, "key", "pin", "change"), 5)
		w.run(t, w.withPINs(dir, typedPIN, otherPIN, "key", "pin", "change"), 0)
		w.run(t, w.withPINs(dir, otherPIN, typedPIN, "key", "pin", "change"), 0)
	}
	var helpers []int
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		if helpers, err = w.helpers(); err == nil && len(helpers) <= 1 { // one may wait for the next ceremony
			break
		}
		if time.Now().After(end) {
			t.Fatal("helper processes are left:", helpers, err)
		}
	}
	memory := func(pid int, what string) []string {
		found, err := inMemory(pid, []byte(what))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if len(memory(fobd.cmd.Process.Pid, "fob.Ceremony")) == 0 { // of the interfaces that it serves
		t.Error("the memory of fobd can't be searched")
	}
	for _, pid := range append(helpers, fobd.cmd.Process.Pid) {
		for _, part := range []string{
			typedPIN, secretPIN, secretPIN[:9], typedPIN[:9], "raptor9Kx!", otherPIN, otherPIN[:9]} {
			for _, where := range memory(pid, part) {
				t.Errorf("process %d still has the PIN, %s", pid, where)
			}
		}
	}
}

// withPIN prepares a command of fob's that reads a PIN from file descriptor 3.
func (w *world) withPIN(dir, pin string, args ...string) *exec.Cmd {
	r, p, err := os.Pipe()
	if err != nil {
		panic(err)
	}
	io.WriteString(p, pin+"\n") // a pipe has room for it
	p.Close()
	c := w.command(dir, "fob", args...)
	c.ExtraFiles = []*os.File{r}
	return c
}

// withPINs is withPIN with the PIN that the key shall have, from file descriptor 4.
func (w *world) withPINs(dir, pin, chosen string, args ...string) *exec.Cmd {
	c := w.withPIN(dir, pin, append(args, "--pin-fd", "3", "--new-pin-fd", "4")...)
	c.ExtraFiles = append(c.ExtraFiles, w.withPIN(dir, chosen).ExtraFiles...)
	return c
}

func (w *world) run(t *testing.T, c *exec.Cmd, code int) {
	t.Helper()
	p, err := w.background("fob", c)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.end(p, code); err != nil {
		t.Fatal(err)
	}
}

// inMemory searches all that a process can read, and tells where it found what, with what is around it.
func inMemory(pid int, what []byte) (found []string, err error) {
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return nil, err
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		return nil, err
	}
	defer mem.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var begin, end int64
		var rights string
		fmt.Sscanf(lines.Text(), "%x-%x %s", &begin, &end, &rights)
		if !strings.HasPrefix(rights, "r") {
			continue
		}
		b := make([]byte, end-begin)
		n, _ := mem.ReadAt(b, begin) // the kernel's own pages can't be read
		for at := 0; ; at++ {
			next := bytes.Index(b[at:n], what)
			if next < 0 {
				break
			}
			at += next
			around := b[max(0, at-48):min(n, at+len(what)+32)]
			found = append(found, fmt.Sprintf("at %#x of %s: %q", begin+int64(at), lines.Text(), around))
		}
	}
	return found, nil
}
