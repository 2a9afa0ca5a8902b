package main

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fob/ipc"
)

const patience = 30 * time.Second

// manager plays systemd: it has the socket, starts fobd for it, and hears how it goes.
type manager struct {
	testing.TB
	socket *net.UnixListener
	file   *os.File // the socket, as fobd gets it
	notify *net.UnixConn
	heard  []string
	client ipc.Client
	env    []string
	user   *syscall.Credential // of fobd; nil for ours
}

func newManager(t testing.TB) *manager {
	t.Helper()
	dir := t.TempDir()
	m := &manager{TB: t, client: ipc.Client{Socket: filepath.Join(dir, "fob.sock")}}
	var err error
	if m.socket, err = net.ListenUnix("unix", &net.UnixAddr{Name: m.client.Socket, Net: "unix"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.socket.Close() })
	if m.file, err = m.socket.File(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.file.Close() })
	notify := filepath.Join(dir, "notify")
	if m.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.notify.Close() })
	m.env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "HOME="+dir, "NOTIFY_SOCKET="+notify, "LISTEN_FDS=1",
		"LISTEN_FDNAMES=varlink")
	return m
}

// run is one fobd.
type run struct {
	*manager
	cmd   *exec.Cmd
	ended chan error
}

// start starts fobd.
func (m *manager) start(args ...string) *run {
	m.Helper()
	return m.startProgram(fobdPath, append([]string{"--no-discovery", "--on-demand", "--tpm="}, args...)...)
}

// startProgram starts a program for the socket. A shell tells it its own number, as systemd does.
func (m *manager) startProgram(path string, args ...string) *run {
	m.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, path}, args...)...)
	cmd.Env, cmd.ExtraFiles, cmd.Stderr = m.env, []*os.File{m.file}, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: m.user} // and no terminal, as a service
	if err := cmd.Start(); err != nil {
		m.Fatal(err)
	}
	r := &run{m, cmd, make(chan error, 1)}
	go func() { r.ended <- cmd.Wait() }()
	m.Cleanup(func() { cmd.Process.Kill() })
	return r
}

// hear waits until fobd tells something.
func (m *manager) hear(line string) {
	m.Helper()
	m.notify.SetReadDeadline(time.Now().Add(patience))
	b := make([]byte, 1024)
	for {
		n, err := m.notify.Read(b)
		if err != nil {
			m.Fatalf("%q was not told: %v; told was %q", line, err, m.heard)
		}
		m.heard = append(m.heard, string(b[:n]))
		if strings.Split(string(b[:n]), "\n")[0] == line {
			return
		}
	}
}

// last is the datagram that was heard last.
func (m *manager) last() string { return m.heard[len(m.heard)-1] }

// end waits for the end of a fobd, in peace.
func (r *run) end() {
	r.Helper()
	select {
	case err := <-r.ended:
		if err != nil {
			r.Error(err)
		}
	case <-time.After(patience):
		r.Fatal("fobd goes on")
	}
}

func (r *run) signal(s os.Signal) {
	r.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.Fatal(err)
	}
}

// person sees touches.
type person struct {
	ipc.Prompter // nil: nothing else is asked for
	touch        chan struct{}
}

func (p person) Touch(ipc.Event) { p.touch <- struct{}{} }

var registration = ipc.CeremonyRequest{Origin: "https://example.com", Options: []byte(
	`{"challenge":"AAAAAAAAAAAAAAAAAAAAAA","rp":{"id":"example.com","name":"x"},` +
		`"user":{"id":"AA","name":"alice","displayName":""},"pubKeyCredParams":[{"type":"public-key","alg":-7}]}`)}

// register registers; nobody touches the key before done.
func (m *manager) register() (touch <-chan struct{}, done <-chan error) {
	p, result := person{touch: make(chan struct{}, 1)}, make(chan error, 1)
	go func() {
		_, err := m.client.Register(m.Context(), registration, p)
		result <- err
	}()
	return p.touch, result
}

func await[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing has come")
		panic("unreachable")
	}
}

// TestService: what systemd hears, from the start by the socket over a reload to the end.
func TestService(t *testing.T) {
	m := newManager(t)
	m.env = append(m.env, "WATCHDOG_USEC=400000")
	fobd := m.start("--emulator", "--emulator-touch", "never")
	m.hear("READY=1")
	m.hear("WATCHDOG=1")
	s, err := m.client.Status(t.Context())
	if err != nil || s.Started != ipc.StartedBySocket || s.PID != fobd.cmd.Process.Pid || s.Socket != m.client.Socket ||
		s.Keys == nil || *s.Keys != 1 || s.Clients != 1 || len(s.Parts) == 0 {
		t.Fatalf("%+v, %v", s, err)
	}
	for _, p := range s.Parts {
		if p.State == ipc.PartBroken || p.Text == "" {
			t.Errorf("%+v", p)
		}
		if p.Name == "systemd" && !strings.Contains(p.Text, "watched every 400ms") {
			t.Errorf("%+v", p)
		}
	}

	touch, done := m.register()
	await(t, touch)
	m.hear("STATUS=1 ceremony")
	fobd.signal(unix.SIGHUP)
	m.hear("RELOADING=1")
	if !strings.Contains(m.last(), "\nMONOTONIC_USEC=") {
		t.Errorf("%q", m.last())
	}
	m.hear("READY=1")
	m.hear("WATCHDOG=1") // it goes on
	select {
	case err := <-done:
		t.Errorf("the ceremony ended with the reload: %v", err)
	default:
	}

	fobd.signal(unix.SIGTERM)
	m.hear("STOPPING=1")
	var interrupted ipc.Interrupted
	if err := await(t, done); !errors.As(err, &interrupted) || interrupted.Reason != "fobd ends" {
		t.Errorf("%v", err)
	}
	fobd.end()
	if _, err := os.Stat(m.client.Socket); err != nil {
		t.Error("the socket is systemd's: ", err)
	}

	// The next client starts the next one.
	next := m.start()
	if _, err := m.client.Devices(t.Context()); err != nil {
		t.Error(err)
	}
	next.signal(unix.SIGTERM)
	next.end()
}

// TestIdleExit: fobd ends when nobody is there, time and again, and no client is lost by it.
func TestIdleExit(t *testing.T) {
	m := newManager(t)
	m.env = append(m.env, "NOTIFY_SOCKET=") // nobody would listen
	ctx, stop := context.WithCancel(t.Context())
	over, ends := make(chan struct{}), make(chan struct{}, 1)
	go func() {
		defer close(over)
		for ctx.Err() == nil { // as systemd does; it would wait for a client before
			m.start("--idle-exit", "1ms").end()
			select {
			case ends <- struct{}{}:
			default:
			}
		}
	}()
	for range 10 {
		if _, err := m.client.Devices(t.Context()); err != nil {
			t.Error(err)
		}
		await(t, ends)
	}
	stop()
	await(t, over)
}

// TestStaysForClients: a client that watches keeps fobd.
func TestStaysForClients(t *testing.T) {
	m := newManager(t)
	fobd := m.start("--idle-exit", "1ms", "--emulator")
	ctx, stop := context.WithCancel(t.Context())
	watching := make(chan struct{})
	watched := make(chan error)
	go func() {
		watched <- m.client.WatchDevices(ctx, func([]ipc.Device) error { close(watching); return nil },
			func(ipc.DeviceEvent) error { return nil })
	}()
	await(t, watching)
	for range 3 {
		if err := m.client.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	}
	select {
	case err := <-fobd.ended:
		t.Fatalf("it ended: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	stop()
	<-watched
	fobd.end()
}

// TestSocketActivate has systemd's own program pass the socket.
func TestSocketActivate(t *testing.T) {
	client := ipc.Client{Socket: filepath.Join(t.TempDir(), "fob.sock")}
	cmd := exec.Command("systemd-socket-activate", "--listen="+client.Socket, "--fdname=varlink", fobdPath, "--no-discovery")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal("the package systemd is needed: ", err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	if line := make([]byte, 9); true { // "Listening on ..."
		if _, err := said.Read(line); err != nil {
			t.Fatal(err)
		}
	}
	s, err := client.Status(t.Context())
	if err != nil || s.Started != ipc.StartedBySocket || s.PID != cmd.Process.Pid {
		t.Errorf("%+v, %v", s, err)
	}
	if len(s.Parts) == 0 || s.Parts[0].Text != "started for its socket; ends when nobody was there for 5m0s" {
		t.Errorf("%+v", s.Parts)
	}
	cmd.Process.Signal(unix.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestWrongSockets: what is not one Unix stream socket is refused.
func TestWrongSockets(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	for name, args := range map[string][]string{
		"a datagram socket": {"--datagram", "--listen=" + one, fobdPath},
		"two sockets":       {"--listen=" + one, "--listen=" + two, "--fdname=a:b", fobdPath},
		"--socket as well":  {"--listen=" + one, fobdPath, "--socket", two},
	} {
		t.Run(name, func(t *testing.T) { refused(t, args) })
	}
}

// refused has systemd's own program pass what fobd can't serve. It starts fobd for the first client.
func refused(t *testing.T, args []string) {
	cmd := exec.Command("systemd-socket-activate", args...)
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal("the package systemd is needed: ", err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	lines := bufio.NewScanner(said)
	text := ""
	for lines.Scan() {
		text += lines.Text() + "\n"
		if address, ok := strings.CutPrefix(lines.Text(), "Listening on "); ok {
			knock(t, strings.TrimSuffix(strings.Fields(address)[0], "."))
		}
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(text, "\nfobd: ") || !strings.Contains(text, "\nhint: ") {
		t.Errorf("%v:\n%s", err, text)
	}
}

// knock sends something to an address.
func knock(t *testing.T, address string) {
	c, err := net.Dial("unix", address)
	if err != nil {
		c, err = net.Dial("unixgram", address)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("x"))
	t.Cleanup(func() { c.Close() })
}
