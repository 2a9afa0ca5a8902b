package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/metadata/metadatatest"
)

// world is one user's machine: programs in a folder of their own, so that nobody else's process can be taken for one of
// theirs, a runtime folder, and what runs in the background.
type world struct {
	bin, helper string
	env         []string
	running     []*process
	said        bytes.Buffer            // by all that has ended
	metadata    *metadatatest.Authority // nil until a script needs it
}

// newWorld furnishes dir.
func newWorld(dir string) (*world, error) {
	w := &world{bin: filepath.Join(dir, ".bin")}
	w.helper = filepath.Join(w.bin, "fob-fido-helper")
	run := filepath.Join(dir, "run")
	if err := errors.Join(os.Mkdir(w.bin, 0o755), os.Mkdir(run, 0o700)); err != nil {
		return nil, err
	}
	for _, name := range []string{"fob", "fobd", "fob-fido-helper"} {
		if err := os.Link(filepath.Join(programs, name), filepath.Join(w.bin, name)); err != nil {
			return nil, err
		}
	}
	if err := w.allowAll(dir); err != nil {
		return nil, err
	}
	clients, err := filepath.Abs("../../testdata/clients")
	if err != nil {
		return nil, err
	}
	w.env = []string{"PATH=" + w.bin + ":" + os.Getenv("PATH"), "XDG_RUNTIME_DIR=" + run, "HOME=" + dir, "TMPDIR=" + dir,
		"CLIENTS=" + clients}
	return w, nil
}

// allowAll lets every program do everything: most tests are not about the policy, and have neither a terminal nor an
// emulated key that fobd knows as such.
func (w *world) allowAll(home string) error {
	folder := filepath.Join(home, ".config", "fob")
	const all = "[[rule]]\naction = 'allow'\n" +
		"verbs = ['register', 'sign-in', 'code', 'manage', 'reset', 'provision', 'account']\n"
	return errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "policy.toml"), []byte(all), 0o600))
}

// command prepares a program of ours in folder dir. It has no controlling terminal, so that it asks nobody who happens
// to sit before the tests.
func (w *world) command(dir, name string, args ...string) *exec.Cmd {
	if name == "fobd" { // the TPM of the computer that tests is not for tests
		args = append([]string{"--tpm="}, args...)
	}
	c := exec.Command(filepath.Join(w.bin, name), args...)
	c.Dir, c.Env = dir, w.env
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c
}

// background starts cmd; its name is for find, and free again when it has ended.
func (w *world) background(name string, cmd *exec.Cmd) (*process, error) {
	if _, err := w.find(name); err == nil {
		return nil, fmt.Errorf("%s is running already", name)
	}
	p, err := start(name, cmd)
	if err == nil {
		w.running = append(w.running, p)
	}
	return p, err
}

func (w *world) find(name string) (*process, error) {
	for _, p := range w.running {
		if p.name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("no %s is running", name)
}

// end waits for the end of a process, which must have the exit code (see process.wait).
func (w *world) end(p *process, code int) error {
	w.running = slices.DeleteFunc(w.running, func(other *process) bool { return other == p })
	got, err := p.wait()
	if err != nil {
		return err
	}
	w.said.WriteString(p.said.all())
	if got != code {
		return fmt.Errorf("%s ended with %d, expected %d; it said:\n%s", p.name, got, code, p.said.all())
	}
	return nil
}

// stop asks a process to end. It must do so in peace, and a fobd must take its helpers along.
func (w *world) stop(p *process) error {
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := w.end(p, 0); err != nil {
		return err
	}
	if filepath.Base(p.cmd.Path) != "fobd" {
		return nil
	}
	return w.noHelper()
}

// close stops what is still running, the last one first.
func (w *world) close() error {
	var errs []error
	for len(w.running) > 0 {
		errs = append(errs, w.stop(w.running[len(w.running)-1]))
	}
	return errors.Join(append(errs, w.noHelper())...)
}

// helpers finds the helper processes: what runs our helper, and any child of a fobd of ours, even one that has ended
// and was not waited for.
func (w *world) helpers() ([]int, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, path := range stats {
		stat, _ := os.ReadFile(path) // it may have ended since
		cmdline, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
		_, behindName, _ := bytes.Cut(stat, []byte(") ")) // S PPID ...
		fields := strings.Fields(string(behindName))
		if string(cmdline) == w.helper+"\x00" || len(fields) > 1 && w.isFobd(fields[1]) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func (w *world) isFobd(pid string) bool {
	return slices.ContainsFunc(w.running, func(p *process) bool {
		return strconv.Itoa(p.cmd.Process.Pid) == pid && filepath.Base(p.cmd.Path) == "fobd"
	})
}

// A helper ends just after its ceremony, and is waited for: by us, and by fobd, which takes a moment.
func (w *world) noHelper() error {
	known, err := w.helpers()
	if err == nil {
		err = w.helpersEnd()
	}
	if err != nil {
		return fmt.Errorf("helper processes are left: %w", err)
	}
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		pids, err := w.helpers()
		if err != nil || len(pids) == 0 {
			return err
		}
		came := slices.ContainsFunc(pids, func(pid int) bool { return !slices.Contains(known, pid) })
		if came || time.Now().After(end) {
			return fmt.Errorf("helper processes have come, or nobody has waited for them: %v", pids)
		}
	}
}

// helpersEnd waits until no helper is left.
func (w *world) helpersEnd() error {
	pids, err := w.helpers()
	for _, pid := range pids {
		err = errors.Join(err, waitForExit(pid))
	}
	return err
}

// waitForExit waits for the end of a process that is nobody's child any more.
func waitForExit(pid int) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	end := time.Now().Add(patience)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(end).Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("helper %d did not end", pid)
		default:
			return nil
		}
	}
}

// killHelper ends the one helper without mercy.
func (w *world) killHelper() error {
	pids, err := w.helpers()
	if err != nil || len(pids) != 1 {
		return fmt.Errorf("helpers %v, expected one; %w", pids, err)
	}
	return syscall.Kill(pids[0], syscall.SIGKILL)
}

// ready starts a fobd and waits until it says that it is ready.
func (w *world) ready(name string, fobd *exec.Cmd) (*process, error) {
	p, err := w.background(name, fobd)
	if err == nil {
		_, err = p.waitFor(regexp.MustCompile(`(?m)^\{"socket":".+"\}\n`))
	}
	return p, err
}

// hides checks that nobody has said a secret, and that no process shows it to the others in its arguments or
// environment.
func (w *world) hides(secret string) error {
	if strings.Contains(w.said.String(), secret) {
		return errors.New("a program that has ended said it")
	}
	pids, err := w.helpers()
	if err != nil {
		return err
	}
	for _, p := range w.running {
		if strings.Contains(p.said.all(), secret) {
			return fmt.Errorf("%s said it", p.name)
		}
		pids = append(pids, p.cmd.Process.Pid)
	}
	for _, pid := range pids {
		for _, name := range []string{"cmdline", "environ"} {
			shown, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
			gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH)
			kept := name == "environ" && errors.Is(err, fs.ErrPermission)
			if err != nil && !gone && !kept {
				return err
			}
			if bytes.Contains(shown, []byte(secret)) {
				return fmt.Errorf("process %d has it in its %s", pid, name)
			}
		}
	}
	return nil
}
