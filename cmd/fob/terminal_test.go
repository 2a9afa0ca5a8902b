package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// screen is a person's terminal: a shell runs in it, and in the shell fob.
type screen struct {
	t      *testing.T
	dir    string
	world  *world
	fobd   *process
	master *os.File
	shown  output
	hungUp chan struct{} // closed when nothing more will be shown
}

// newScreen starts a fobd with an emulated key; pin is empty for a key without a PIN.
func newScreen(t *testing.T, pin string, flags ...string) *screen {
	t.Helper()
	t.Parallel()
	dir, err := os.MkdirTemp(programs, "screen") // t.TempDir is too long for a socket's path
	if err != nil {
		t.Fatal(err)
	}
	w, err := newWorld(dir)
	if err != nil {
		t.Fatal(err)
	}
	fobd := w.command(dir, "fobd", append([]string{"--no-discovery", "--emulator", "--verbose"}, flags...)...)
	if pin != "" {
		file := filepath.Join(dir, "pin")
		if err := os.WriteFile(file, []byte(pin+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		fobd.ExtraFiles, fobd.Args = []*os.File{f}, append(fobd.Args, "--emulator-pin-fd", "3")
	}
	t.Cleanup(func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	})
	p, err := w.ready("fobd", fobd)
	if err != nil {
		t.Fatal(err)
	}
	return &screen{t: t, dir: dir, world: w, fobd: p}
}

// shell runs a line that the person has typed, and stays: while the shell lives, the terminal is as the line has left
// it. Ctrl-C, which goes to all programs in the terminal, ends the line and not the shell.
const shell = `trap : INT; eval "$1"; echo "exit code $?"; exec cat`

// run types a line at a new terminal.
func (s *screen) run(line string) {
	s.t.Helper()
	master, slave := openPTY(s.t)
	defer slave.Close()
	sh := exec.Command("sh", "-c", shell, "sh", line)
	sh.Dir, sh.Env = s.dir, s.world.env
	sh.Stdin, sh.Stdout, sh.Stderr = slave, slave, slave
	sh.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := sh.Start(); err != nil {
		s.t.Fatal(err)
	}
	hungUp := make(chan struct{})
	go func() {
		defer close(hungUp)
		io.Copy(&s.shown, master) // until the last program in the terminal has ended
	}()
	s.t.Cleanup(func() {
		sh.Process.Kill()
		sh.Wait()
		<-hungUp
		master.Close()
	})
	s.master, s.hungUp = master, hungUp
}

func openPTY(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	var number uint32
	if err := (&terminal{master}).control(func(fd int) (err error) {
		number, err = unix.IoctlGetUint32(fd, unix.TIOCGPTN)
		if err == nil {
			err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// sees waits until the screen shows what matches, behind what it showed before.
func (s *screen) sees(pattern string) {
	s.t.Helper()
	if _, err := s.shown.waitFor(regexp.MustCompile(pattern), s.hungUp); err != nil {
		s.t.Fatalf("the screen %v", err)
	}
}

// logs waits until fobd's log says what matches.
func (s *screen) logs(pattern string) {
	s.t.Helper()
	if _, err := s.fobd.waitFor(regexp.MustCompile(pattern)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *screen) types(keys string) {
	s.t.Helper()
	if _, err := s.master.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

const (
	ctrlC = "\x03"
	ctrlD = "\x04"
)

// exits waits for the end of fob. The terminal must be as it was: a shell's user sees what they type.
func (s *screen) exits(code int) {
	s.t.Helper()
	s.sees(fmt.Sprintf("exit code %d\r\n", code))
	if !s.echoes() {
		s.t.Error("the terminal does not echo any more")
	}
}

func (s *screen) echoes() bool {
	s.t.Helper()
	var mode *unix.Termios
	if err := (&terminal{s.master}).control(func(fd int) (err error) {
		mode, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	}); err != nil {
		s.t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

// hides checks that nobody has shown a secret, least of all the screen.
func (s *screen) hides(secret string) {
	s.t.Helper()
	if shown := s.shown.all(); strings.Contains(shown, secret) {
		s.t.Errorf("the screen shows %q:\n%s", secret, shown)
	}
	if err := s.world.hides(secret); err != nil {
		s.t.Errorf("%q: %v", secret, err)
	}
}

const register = "fob register --rp example.com --user alice --save alice.json"

func TestPINIsNotShown(t *testing.T) {
	s := newScreen(t, "sesame-4711")
	s.run(register)
	s.sees(`^PIN of fob emulated key \w{8} to register at example.com, 8 attempts left: $`)
	if s.echoes() {
		t.Error("the terminal echoes")
	}
	s.types("sesame-4711\n")
	s.sees(`^\r\ntouch fob emulated key \w{8} to register at example.com\r\n`)
	s.sees(`registered +alice at example.com\r\n`)
	s.exits(0)
	s.hides("sesame-4711")
}

func TestWrongPINAsksAgain(t *testing.T) {
	s := newScreen(t, "sesame-4711")
	s.run(register)
	s.sees(`8 attempts left: $`)
	s.types("swordfish-0815\n")
	s.sees(`wrong PIN\r\nPIN of fob emulated key \w{8} to register at example.com, 7 attempts left: $`)
	s.types("sesame-4711\n")
	s.sees(`registered`)
	s.exits(0)
	s.hides("sesame-4711")
	s.hides("swordfish-0815")
}

func TestThreeWrongPINs(t *testing.T) {
	s := newScreen(t, "1234")
	s.run(register)
	for _, left := range []string{"8", "7", "6"} {
		s.sees(left + ` attempts left: $`)
		s.types("4321\n")
	}
	s.sees(`fob: too many wrong PINs in a row, 5 attempts left\r\nhint: unplug the key`)
	s.exits(5)
}

// The last attempts are not spent but by the word "yes".
func TestLastAttempts(t *testing.T) {
	s := newScreen(t, "1234")
	s.run("fob emulate control --socket $XDG_RUNTIME_DIR/fob/fob.sock retries --pin 2 && " + register)
	s.sees(`fob emulated key \w{8}: 2 attempts left, ` +
		`then it blocks its PIN for good, and only a reset helps, which erases it\r\n`)
	s.sees(`type yes to go on: $`)
	s.types("y\n")
	s.sees(`fob: declined\r\n`)
	s.exits(8)
	s.run(register)
	s.sees(`type yes to go on: $`)
	s.types("yes\n")
	s.sees(`PIN of fob emulated key \w{8} to register at example.com, 2 attempts left: $`)
	s.types("1234\n")
	s.sees(`registered`)
	s.exits(0)
}

// A PIN that no key can have costs no attempt.
func TestImpossiblePINAsksAgain(t *testing.T) {
	s := newScreen(t, "1234")
	s.run(register)
	for _, pin := range []string{"", "123", strings.Repeat("1", 64)} {
		s.sees(`8 attempts left: $`)
		s.types(pin + "\n")
		s.sees(`a PIN has at least 4 characters and at most 63 bytes\r\n`)
	}
	s.sees(`8 attempts left: $`)
	s.types("1234\n")
	s.exits(0)
}

func TestInterruptAtPIN(t *testing.T) {
	s := newScreen(t, "1234")
	s.run(register)
	s.sees(`8 attempts left: $`)
	s.types("12" + ctrlC)
	s.sees(`fob: interrupted; the ceremony is cancelled\r\n`)
	s.exits(130)
	s.logs(`result=fob.Ceremony.Cancelled`)
}

func TestInterruptAtTouch(t *testing.T) {
	s := newScreen(t, "", "--emulator-touch", "ask")
	s.run(register)
	s.logs(`touch the emulated key`)
	s.types(ctrlC)
	s.sees(`fob: interrupted; the ceremony is cancelled\r\n`)
	s.exits(130)
	s.logs(`\(cancelled\)`)
	s.logs(`result=fob.Ceremony.Cancelled`)
}

func TestDeclineAtPIN(t *testing.T) {
	s := newScreen(t, "1234")
	s.run(register)
	s.sees(`8 attempts left: $`)
	s.types(ctrlD)
	s.sees(`fob: declined\r\n`)
	s.exits(8)

	s.run(register)
	s.sees(`8 attempts left: $`)
	s.types("4321\n")
	s.sees(`7 attempts left: $`)
	s.types(ctrlD)
	s.sees(`fob: wrong PIN, 7 attempts left\r\n`)
	s.exits(5)
}

func TestTimeoutAtPIN(t *testing.T) {
	s := newScreen(t, "1234")
	s.run(register + " --timeout 1s")
	s.sees(`8 attempts left: $`)
	s.types("12")
	s.sees(`fob: timed out: nobody touched the key or answered\r\n`)
	s.exits(7)
}

func TestFobdEndsAtPIN(t *testing.T) {
	s := newScreen(t, "1234")
	s.run(register)
	s.sees(`8 attempts left: $`)
	if err := s.world.stop(s.fobd); err != nil {
		t.Error(err)
	}
	s.sees(`fob: cancelled: fobd ends\r\n`)
	s.exits(8)
}

// The terminal is asked even where the standard streams are files.
func TestPINBesideStandardStreams(t *testing.T) {
	const options = `{"challenge": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE", "rpId": "example.com"}`
	s := newScreen(t, "1234")
	s.run("echo '" + options + "' >get.json; " +
		"fob webauthn get --origin https://example.com <get.json >out 2>err; cat out err; (exit 7)")
	s.sees(`8 attempts left: $`)
	s.types("1234\n")
	s.sees(`\r\nfob: this key is not registered here\r\n`) // the key needs no touch to say so
	s.exits(7)
}

// twoAccounts registers alice and bob.
func (s *screen) twoAccounts() {
	s.t.Helper()
	for _, user := range []string{"alice", "bob"} {
		s.run("fob register --rp example.com --resident-key required --user " + user + " --save " + user + ".json")
		s.exits(0)
	}
}

const signIn = "fob sign-in alice.json bob.json --discoverable"

func TestChooseAccount(t *testing.T) {
	s := newScreen(t, "")
	s.twoAccounts()
	s.run(signIn)
	s.sees(`touch fob emulated key \w{8} to sign in to example.com\r\n`)
	s.sees(`^  1  bob\r\n  2  alice\r\n`) // the one registered last comes first
	for _, wrong := range []string{"0", "3", "alice", ""} {
		s.sees(`account, 1 to 2: $`)
		s.types(wrong + "\n")
	}
	s.sees(`account, 1 to 2: $`)
	s.types("2\n")
	s.sees(`signed in +alice at example.com\r\n`)
	s.exits(0)
}

func TestChooseNoAccount(t *testing.T) {
	s := newScreen(t, "")
	s.twoAccounts()
	s.run(signIn)
	s.sees(`account, 1 to 2: $`)
	s.types(ctrlD)
	s.sees(`fob: declined\r\n`)
	s.exits(8)

	s.run(signIn)
	s.sees(`account, 1 to 2: $`)
	s.types(ctrlC)
	s.sees(`fob: interrupted; the ceremony is cancelled\r\n`)
	s.exits(130)

	s.run(signIn + " --timeout 1s")
	s.sees(`account, 1 to 2: $`)
	s.sees(`fob: timed out: nobody touched the key or answered\r\n`)
	s.exits(7)
}

// A credential is deleted by the word "yes", and nothing else, of who was shown whose it is. The PIN is asked for once.
func TestDeleteCredentialAsks(t *testing.T) {
	s := newScreen(t, "1234")
	remove := `fob key credentials delete -- ` +
		`$(fob key credentials list --json --pin-fd 3 3<pin | sed 's/.*"id":"\([^"]*\)".*/\1/')`
	s.run(register + " --resident-key required --pin-fd 3 3<pin && " + remove)
	question := `fob emulated key \w{8} will lose the credential of alice at example.com\r\n` +
		`type yes to delete it for good: $`
	s.sees(`PIN of fob emulated key \w{8}, 8 attempts left: $`)
	s.types("1234\n")
	s.sees(question)
	s.types("y\n")
	s.sees(`fob: not confirmed, and nothing is done\r\n`)
	s.exits(8)
	s.run(remove)
	s.sees(`8 attempts left: $`)
	s.types("1234\n")
	s.sees(question)
	s.types(ctrlC)
	s.sees(`fob: interrupted; the ceremony is cancelled\r\n`)
	s.exits(130)
	s.run(remove)
	s.sees(`8 attempts left: $`)
	s.types("1234\n")
	s.sees(question)
	s.types("yes\n")
	s.sees(`deleted the credential of alice at example.com\r\n`)
	s.exits(0)
	s.run("fob key credentials list --pin-fd 3 3<pin")
	s.sees(`0 of 100 used\r\n`)
	s.exits(0)
}

// What a large blob is could move the cursor, or more.
func TestLargeBlobIsNotForTerminals(t *testing.T) {
	s := newScreen(t, "1234")
	s.run("fob key large-blobs get AAAAAAAA")
	s.sees(`fob: standard output is a terminal; write the large blob to a file, or say --force\r\n`)
	s.exits(2)
	s.run("fob key large-blobs get AAAAAAAA --force --pin-fd 3 3<pin")
	s.sees(`fob: the key has no credential "AAAAAAAA"\r\n`)
	s.exits(6)
}
