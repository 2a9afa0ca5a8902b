package softkey_test

import (
	"bufio"
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// pcscdSocket is the one socket, and so the one daemon, that there is on a machine.
const pcscdSocket = "/run/pcscd/pcscd.comm"

// startPCSCD has pcscd running until the test ends: the one of the system, or one that the test starts, and that it may
// start anew by the function that it gets. Tests of other processes that need it, or the virtual reader, wait for this
// one.
func startPCSCD(t *testing.T) (restart func()) {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "fob-test-pcscd.lock"), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Close() })
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if conn, err := net.Dial("unix", pcscdSocket); err == nil {
		conn.Close()
		return nil
	}
	stop := runPCSCD(t)
	t.Cleanup(func() { stop() })
	return func() {
		stop()
		stop = runPCSCD(t)
	}
}

func runPCSCD(t *testing.T) (stop func()) {
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
	return awaitPCSCD(t, cmd, bufio.NewScanner(out))
}

// awaitPCSCD waits until the daemon says that it is ready, and reads what it says after that, lest it stops.
func awaitPCSCD(t *testing.T, cmd *exec.Cmd, out *bufio.Scanner) (stop func()) {
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
	return func() {
		cmd.Process.Signal(syscall.SIGTERM)
		<-drained
		err := cmd.Wait()
		if t.Failed() {
			t.Logf("pcscd: %v\n%s", err, &said)
		}
	}
}
