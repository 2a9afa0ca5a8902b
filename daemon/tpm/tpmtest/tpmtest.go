// Package tpmtest starts swtpm, a TPM 2.0 in software that is not ours, for tests.
package tpmtest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"fob/daemon/tpm"
)

// TPM is a TPM with a state folder of its own.
type TPM struct {
	Socket string // for tpm.TPM

	t       testing.TB
	dir     string
	files   []*os.File // the sockets, on which it listens although it is off
	process *exec.Cmd
}

// Start gives a new TPM, which is on. It ends with the test, which is skipped where swtpm or tpm2-tools are not
// installed.
func Start(t testing.TB) *TPM {
	t.Helper()
	for _, program := range []string{"swtpm", "tpm2_getcap"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip("NOT RUN: .ci/packages test installs ", program)
		}
	}
	dir, err := os.MkdirTemp("", "tpm") // shorter than that of the test, for a socket
	if err != nil {
		t.Fatal(err)
	}
	s := &TPM{Socket: filepath.Join(dir, "tpm"), t: t, dir: dir}
	t.Cleanup(s.end)
	for _, path := range []string{s.Socket, s.Socket + ".ctrl"} { // as tpm2-tools look for it
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		f, err := l.File()
		l.Close()
		if err != nil {
			t.Fatal(err)
		}
		s.files = append(s.files, f)
	}
	s.On()
	return s
}

// On turns the TPM on. Who has connected to it before is served now.
func (s *TPM) On() {
	s.t.Helper()
	s.process = exec.Command("swtpm", "socket", "--tpm2", "--tpmstate", "dir="+s.dir, "--server", "type=unixio,fd=3",
		"--ctrl", "type=unixio,fd=4", "--flags", "not-need-init,startup-clear")
	s.process.ExtraFiles = s.files
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
}

// Off turns it off.
func (s *TPM) Off() {
	if s.process != nil {
		_ = s.process.Process.Signal(syscall.SIGTERM)
		_ = s.process.Wait() // by the signal
		s.process = nil
	}
}

// Cycle turns it off and on again, as a restart of the computer does.
func (s *TPM) Cycle() {
	s.t.Helper()
	s.Off()
	s.On()
}

func (s *TPM) end() {
	s.Off()
	for _, f := range s.files {
		f.Close()
	}
	os.RemoveAll(s.dir)
}

// TPM gives the TPM as fob sees it.
func (s *TPM) TPM() *tpm.TPM { return &tpm.TPM{Path: s.Socket} }

// File writes a file that a tool reads, and gives its path. Without content, it is for a tool to write.
func (s *TPM) File(name string, content []byte) string {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	if content != nil {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	return path
}

// Tool runs one of tpm2-tools, such as "tpm2_clear", which must succeed, and gives what it prints.
func (s *TPM) Tool(args ...string) string {
	s.t.Helper()
	out, err := s.Try(args...)
	if err != nil {
		s.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return out
}

// Try runs one of tpm2-tools.
func (s *TPM) Try(args ...string) (string, error) {
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:path="+s.Socket)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		s.t.Logf("%s: %s", args[0], said.String())
	}
	return string(out), err
}
