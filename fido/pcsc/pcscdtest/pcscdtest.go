// Package pcscdtest has pcscd running for tests.
package pcscdtest

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"fob/fido/pcsc"
)

// Start has pcscd running until the test ends: the one of the system, or one that the test starts, and that it may
// start anew by the function that it gets, which is nil for that of the system. There is one pcscd on a machine, with
// its virtual readers: tests of other processes that need them wait for this one.
func Start(t testing.TB) (restart func()) {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "fob-test-pcscd.lock"), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("unix", pcsc.DefaultSocket); err == nil {
		conn.Close()
		return nil
	}
	stop := run(t)
	t.Cleanup(func() { stop() })
	return func() {
		stop()
		stop = run(t)
	}
}

func run(t testing.TB) (stop func()) {
	t.Helper()
	path, err := exec.LookPath("/usr/sbin/pcscd")
	if err != nil {
		t.Fatalf("%v: install the packages pcscd and vsmartcard-vpcd", err)
	}
	if os.Geteuid() != 0 {
		t.Fatal("pcscd doesn't run, and only root can start it: systemctl start pcscd")
	}
	cmd := exec.Command(path, "--foreground", "--info")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return await(t, cmd, bufio.NewScanner(out))
}

// await waits until the daemon says that it is ready, and reads what it says after that, lest it stops.
func await(t testing.TB, cmd *exec.Cmd, out *bufio.Scanner) (stop func()) {
	t.Helper()
	var said bytes.Buffer
	ready := false
	for !ready && out.Scan() {
		said.WriteString(out.Text() + "\n")
		ready = strings.Contains(out.Text(), "daemon ready")
	}
	if !ready {
		t.Fatalf("pcscd: %v\n%s", cmd.Wait(), &said)
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for out.Scan() {
			said.WriteString(out.Text() + "\n")
		}
	}()
	awaitSocket(t)
	return func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		err := cmd.Wait()
		if t.Failed() {
			t.Logf("pcscd: %v\n%s", err, &said)
		}
	}
}

// awaitSocket waits until pcscd listens, which it does a moment after it has said that it is ready.
func awaitSocket(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		conn, err := net.Dial("unix", pcsc.DefaultSocket)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}
