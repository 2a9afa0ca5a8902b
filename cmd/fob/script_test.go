package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"fob/daemon/seal"
	"fob/daemon/store"
	"fob/fido/hidraw/hidrawtest"
	"fob/fido/metadata"
	"fob/fido/metadata/metadatatest"
)

// scriptCommands are what the scripts can say beside testscript's own commands. Programs take "<FILE", "3<FILE" and "4<FILE" as
// in the shell; "&NAME" at the end runs one in the background until "ends CODE NAME". What a program has said when it
// ended is for the commands stdout and stderr.
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"fob":     command(script.fob),      // fob ARG...: must succeed
	"exits":   command(script.exits),    // exits CODE PROGRAM ARG...: must end with this exit code
	"fobd":    command(script.fobd),     // fobd [ARG...] [&NAME]: in the background, and ready, with helpers on demand
	"emulate": command(script.emulate),  // emulate NAME [ARG...]: fob emulate in the background; $NAME is its path
	"waitfor": command(script.waitFor),  // waitfor NAME REGEXP: it says so, behind what was waited for before
	"type":    command(script.typeLine), // type NAME [TEXT]: a line for its standard input
	"signal":  command(script.signal),   // signal SIGNAL NAME
	"ends":    command(script.ends),     // ends CODE NAME: its exit code, or the signal that killed it
	"halt":    command(script.halt),     // halt NAME: ends in peace when asked, and leaves nothing behind
	"helpers": command(script.helpers),  // helpers none: there is none; killed: there is one, kill it; end: until they end
	"hidden":  command(script.hidden),   // hidden SECRET: nobody has said it or shows it
	"capture": command(script.capture),  // capture NAME FILE REGEXP: the first group in $NAME; FILE may be stdout, stderr
	"mode":    command(script.mode),     // mode OCTAL PATH
	"blob":    command(script.blob),     // blob FILE NUMBER NEXT [STATUS DATE]: FIDO metadata; its root is root.pem
	"keep":    command(script.keep),     // keep FOLDER NAME VALUE: a record in the store there, which no fobd has open
	"kept":    command(script.kept),     // kept FOLDER NAME VALUE: there is this record
	"system":  command(script.system),   // system FOLDER [NUMBER PORT]: plays a system for doctor, or plugs a key in there
}

// script is a running script and its world.
type script struct {
	*testscript.TestScript
	world *world
}

type worldKey struct{}

func setUp(e *testscript.Env) error {
	w, err := newWorld(e.WorkDir)
	if err != nil {
		return err
	}
	for _, v := range w.env {
		name, value, _ := strings.Cut(v, "=")
		e.Setenv(name, value)
	}
	e.Values[worldKey{}] = w
	e.Defer(func() {
		if err := w.close(); err != nil {
			e.T().Fatal(err)
		}
	})
	return nil
}

func command(f func(s script, args []string) error) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("! does not go with this; 'exits CODE fob ...' says how a program fails")
		}
		ts.Check(f(script{ts, ts.Value(worldKey{}).(*world)}, args))
	}
}

// words gives the arguments of a command that wants between least and most.
func words(args []string, least, most int) ([]string, error) {
	if len(args) < least || len(args) > most {
		return nil, fmt.Errorf("%d arguments, expected %d to %d", len(args), least, most)
	}
	return append(args, make([]string, most-len(args))...), nil
}

// parse makes a command of a line of a script.
func (s script) parse(line []string) (c *exec.Cmd, background string, err error) {
	c = s.world.command(s.MkAbs("."), line[0])
	for _, word := range line[1:] {
		var f *os.File
		switch {
		case strings.HasPrefix(word, "&"):
			background = word[1:]
		case strings.HasPrefix(word, "<"):
			f, err = s.open(word[1:])
			c.Stdin = f
		case strings.HasPrefix(word, "3<"), strings.HasPrefix(word, "4<"):
			f, err = s.open(word[2:])
			c.ExtraFiles = append(c.ExtraFiles, f)
		default:
			c.Args = append(c.Args, word)
		}
		if err != nil {
			return nil, "", err
		}
	}
	return c, background, nil
}

func (s script) open(name string) (*os.File, error) {
	f, err := os.Open(s.MkAbs(name))
	if err == nil {
		s.Defer(func() { f.Close() })
	}
	return f, err
}

func (s script) fob(args []string) error { return s.exits(append([]string{"0", "fob"}, args...)) }

func (s script) exits(args []string) error {
	if len(args) < 2 {
		return errors.New("exits CODE PROGRAM [ARG...]")
	}
	c, background, err := s.parse(args[1:])
	if err != nil {
		return err
	}
	if background == "" && c.Stdin == nil {
		if c.Stdin, err = s.open(os.DevNull); err != nil {
			return err
		}
	}
	name := background
	if name == "" {
		name = args[1] + " in the foreground"
	}
	p, err := s.world.background(name, c)
	if err != nil || background != "" {
		return err
	}
	return s.end(p, args[0])
}

// end waits for the end of p and shows what it said.
func (s script) end(p *process, code string) error {
	n, err := strconv.Atoi(code)
	if signal := unix.SignalNum("SIG" + code); signal != 0 {
		n, err = -int(signal), nil
	}
	if err != nil {
		return err
	}
	err = s.world.end(p, n)
	s.Stdout().Write(p.out.Bytes())
	s.Stderr().Write(p.err.Bytes())
	return err
}

func (s script) fobd(args []string) error {
	c, name, err := s.parse(append([]string{"fobd", "--no-discovery", "--on-demand"}, args...))
	if err != nil {
		return err
	}
	if name == "" {
		name = "fobd"
	}
	_, err = s.world.ready(name, c)
	return err
}

func (s script) emulate(args []string) error {
	if len(args) == 0 {
		return errors.New("emulate NAME [ARG...]")
	}
	c, _, err := s.parse(append([]string{"fob", "emulate"}, args[1:]...))
	if err != nil {
		return err
	}
	p, err := s.world.background(args[0], c)
	if err != nil {
		return err
	}
	ready := regexp.MustCompile(`(?m)^\{"id":"[^"]+","endpoint":"pty","path":"(/dev/pts/\d+)"(?:,"control":"[^"]+")?\}\n`)
	path, err := p.waitFor(ready)
	if err == nil {
		s.Setenv(args[0], path[1])
	}
	return err
}

func (s script) waitFor(args []string) error {
	args, err := words(args, 2, 2)
	if err != nil {
		return err
	}
	re, err := regexp.Compile("(?m)" + args[1])
	if err != nil {
		return err
	}
	p, err := s.world.find(args[0])
	if err == nil {
		_, err = p.waitFor(re)
	}
	return err
}

func (s script) typeLine(args []string) error {
	args, err := words(args, 1, 2)
	if err != nil {
		return err
	}
	p, err := s.world.find(args[0])
	if err == nil {
		_, err = p.stdin.Write([]byte(args[1] + "\n"))
	}
	return err
}

func (s script) signal(args []string) error {
	args, err := words(args, 2, 2)
	if err != nil {
		return err
	}
	signal := unix.SignalNum("SIG" + args[0])
	p, err := s.world.find(args[1])
	if err != nil || signal == 0 {
		return fmt.Errorf("signal %s: %w", args[0], err)
	}
	return p.cmd.Process.Signal(signal)
}

func (s script) ends(args []string) error {
	args, err := words(args, 2, 2)
	if err != nil {
		return err
	}
	p, err := s.world.find(args[1])
	if err != nil {
		return err
	}
	return s.end(p, args[0])
}

func (s script) halt(args []string) error {
	args, err := words(args, 1, 1)
	if err != nil {
		return err
	}
	p, err := s.world.find(args[0])
	if err != nil {
		return err
	}
	return s.world.stop(p)
}

func (s script) helpers(args []string) error {
	switch strings.Join(args, " ") {
	case "none":
		return s.world.noHelper()
	case "killed":
		return s.world.killHelper()
	case "end":
		return s.world.helpersEnd()
	}
	return errors.New("helpers none|killed|end")
}

func (s script) hidden(args []string) error {
	args, err := words(args, 1, 1)
	if err != nil {
		return err
	}
	return s.world.hides(args[0])
}

func (s script) capture(args []string) error {
	args, err := words(args, 3, 3)
	if err != nil {
		return err
	}
	re, err := regexp.Compile("(?m)" + args[2])
	if err != nil {
		return err
	}
	m := re.FindStringSubmatch(s.ReadFile(args[1]))
	if len(m) < 2 {
		return fmt.Errorf("no match of a group in %q", re)
	}
	s.Setenv(args[0], m[1])
	return nil
}

func (s script) mode(args []string) error {
	args, err := words(args, 2, 2)
	if err != nil {
		return err
	}
	var st syscall.Stat_t
	if err := syscall.Lstat(s.MkAbs(args[1]), &st); err != nil {
		return err
	}
	if got := fmt.Sprintf("%04o", st.Mode&0o7777); got != args[0] {
		return fmt.Errorf("%s has mode %s, expected %s", args[1], got, args[0])
	}
	return nil
}

// blob writes a BLOB about one model. All of a script are of one service.
func (s script) blob(args []string) error {
	args, err := words(args, 3, 5)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	if s.world.metadata == nil {
		if s.world.metadata, err = metadatatest.New(metadata.Name, "ES256", time.Now(), nil); err != nil {
			return err
		}
		if err := os.WriteFile(s.MkAbs("root.pem"), s.world.metadata.RootPEM(), 0o600); err != nil {
			return err
		}
	}
	reports := []metadatatest.Report{{"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2020-05-12"}}
	if args[3] != "" {
		reports = append(reports, metadatatest.Report{"status": args[3], "effectiveDate": args[4]})
	}
	b, err := s.world.metadata.Sign(metadatatest.Payload(number, args[2],
		metadatatest.Entry("2fc0579f-8113-47ea-b116-bb5a8db9202a", "YubiKey 5 Series with NFC", reports...),
		metadatatest.Entry("d396e033-7ac2-eae2-b28c-aca9555fbca0", "An emulated key"), map[string]any{"aaid": "4e4e#4005"}))
	if err != nil {
		return err
	}
	return os.WriteFile(s.MkAbs(args[0]), b, 0o600)
}

func (s script) system(args []string) error {
	args, err := words(args, 1, 3)
	if err != nil {
		return err
	}
	system, err := hidrawtest.New(s.MkAbs(args[0]))
	if err != nil || args[1] == "" {
		return err
	}
	number, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	return system.Plug(hidrawtest.Key{Port: args[2], Number: number, VendorID: 0x1050, ProductID: 0x407,
		Manufacturer: "Yubico", Product: "YubiKey"})
}

// onStore does something in the store of a folder.
func onStore(dir string, do func(*store.Tx) error) error {
	st := store.Open(store.Options{
		Dir: dir, Sealers: []seal.Sealer{seal.KeyFile{Path: filepath.Join(dir, store.KeyName)}}, Program: "test"})
	return errors.Join(st.Update(do), st.Close())
}

func keepIn(dir, name, value string) error {
	return onStore(dir, func(tx *store.Tx) error { return tx.Put("script", name, []byte(value)) })
}

func (s script) keep(args []string) error {
	args, err := words(args, 3, 3)
	if err != nil {
		return err
	}
	return keepIn(s.MkAbs(args[0]), args[1], args[2])
}

func (s script) kept(args []string) error {
	args, err := words(args, 3, 3)
	if err != nil {
		return err
	}
	return onStore(s.MkAbs(args[0]), func(tx *store.Tx) error {
		v, err := tx.Get("script", args[1])
		if err == nil && string(v) != args[2] {
			err = fmt.Errorf("%s is %q, expected %q", args[1], []byte(v), args[2])
		}
		return err
	})
}
