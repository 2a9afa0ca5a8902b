package session

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const patience = 30 * time.Second

// startBus runs a system bus of our own, at which fob looks for logind, and gives a connection to it.
func startBus(t *testing.T) *dbus.Conn {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "bus.conf")
	address := "unix:path=" + filepath.Join(dir, "bus")
	if err := os.WriteFile(config, fmt.Appendf(nil, `<busconfig><listen>%s</listen>
		<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
		</busconfig>`, address), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1")
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		t.Fatal("the package dbus-daemon is needed: ", err)
	}
	t.Cleanup(func() {
		daemon.Process.Kill()
		daemon.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "unix:") {
		t.Fatalf("dbus-daemon says %q, %v", line, err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
	conn, err := dbus.ConnectSystemBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// logind plays systemd-logind.
type logind struct {
	conn      *dbus.Conn
	inhibited chan [2]*os.File // inhibitors: the end that stays with us, at its end of file the other is closed

	mu       sync.Mutex
	sessions map[dbus.ObjectPath]*played
}

// Inhibit is org.freedesktop.login1.Manager.Inhibit.
func (l *logind) Inhibit(what, who, _, mode string) (dbus.UnixFD, *dbus.Error) {
	if what != "sleep" || who != "fob" || mode != "delay" {
		return 0, dbus.MakeFailedError(fmt.Errorf("inhibits %s, %s", what, mode))
	}
	r, w, err := os.Pipe()
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	copied := dbus.UnixFD(w.Fd()) // by the bus
	l.inhibited <- [2]*os.File{r, w}
	return copied, nil
}

// listed is a session as logind lists it.
type listed struct {
	ID   string
	UID  uint32
	User string
	Seat string
	Path dbus.ObjectPath
}

// ListSessions is org.freedesktop.login1.Manager.ListSessions.
func (l *logind) ListSessions() (list []listed, _ *dbus.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for path, s := range l.sessions {
		list = append(list, listed{ID: filepath.Base(string(path)), UID: s.user, Path: path})
	}
	return list, nil
}

// played is a session that is played.
type played struct {
	*logind
	user       uint32
	properties map[string]any
}

// Get is org.freedesktop.DBus.Properties.Get.
func (p *played) Get(_, name string) (dbus.Variant, *dbus.Error) {
	if name != "User" {
		return dbus.Variant{}, dbus.MakeFailedError(fmt.Errorf("asks for %s", name))
	}
	return dbus.MakeVariant(struct {
		UID  uint32
		Path dbus.ObjectPath
	}{p.user, "/org/freedesktop/login1/user/_1"}), nil
}

// GetAll is org.freedesktop.DBus.Properties.GetAll.
func (p *played) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[string]dbus.Variant)
	for name, value := range p.properties {
		all[name] = dbus.MakeVariant(value)
	}
	return all, nil
}

const ours, others = sessions + "/_31", sessions + "/_32"

func startLogind(t *testing.T, conn *dbus.Conn) *logind {
	t.Helper()
	l := &logind{
		conn: conn, inhibited: make(chan [2]*os.File, 4), sessions: make(map[dbus.ObjectPath]*played)}
	if err := conn.Export(l, "/org/freedesktop/login1", manager); err != nil {
		t.Fatal(err)
	}
	l.logIn(t, ours, os.Getuid())
	l.logIn(t, others, os.Getuid()+1)
	if reply, err := conn.RequestName(login1, 0); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return l
}

// logIn begins a session of a user, who has the screen.
func (l *logind) logIn(t *testing.T, path dbus.ObjectPath, user int) {
	t.Helper()
	s := &played{l, uint32(user), map[string]any{
		"Class": "user", "State": "active", "Active": true, "LockedHint": false}}
	if err := l.conn.Export(s, path, "org.freedesktop.DBus.Properties"); err != nil {
		t.Fatal(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions[path] = s
}

func (l *logind) set(path dbus.ObjectPath, name string, v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions[path].properties[name] = v
}

// change changes a property of a session and tells of it.
func (l *logind) change(t *testing.T, path dbus.ObjectPath, name string, v any) {
	t.Helper()
	l.set(path, name, v)
	l.emit(t, path, "org.freedesktop.DBus.Properties.PropertiesChanged", session,
		map[string]dbus.Variant{name: dbus.MakeVariant(v)}, []string{})
}

func (l *logind) emit(t *testing.T, path dbus.ObjectPath, name string, values ...any) {
	t.Helper()
	if err := l.conn.Emit(path, name, values...); err != nil {
		t.Fatal(err)
	}
}

func (l *logind) inhibitor(t *testing.T) (r, w *os.File) {
	t.Helper()
	select {
	case f := <-l.inhibited:
		t.Cleanup(func() { f[0].Close(); f[1].Close() })
		return f[0], f[1]
	case <-time.After(patience):
		t.Fatal("sleep is not delayed")
		return nil, nil
	}
}

func TestWatcher(t *testing.T) {
	l := startLogind(t, startBus(t))
	away, dark := make(chan Reason), make(chan struct{})
	w := &Watcher{Log: slog.New(slog.DiscardHandler), Away: func(_ context.Context, why Reason) {
		away <- why
		<-dark
	}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	is := func(want Reason) {
		t.Helper()
		select {
		case got := <-away:
			if got != want {
				t.Fatalf("%q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("not told that %s", want)
		}
	}
	first, copied := l.inhibitor(t)
	if s := w.State(); s.Problem != "" {
		t.Error(s)
	}

	l.emit(t, "/org/freedesktop/login1", manager+".PrepareForSleep", true)
	is(Suspend)
	copied.Close() // by now the watcher has its own
	first.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := first.Read(make([]byte, 1)); !os.IsTimeout(err) {
		t.Error("the computer may sleep before the keys are dark:", err)
	}
	dark <- struct{}{}
	first.SetReadDeadline(time.Now().Add(patience))
	if _, err := first.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Error("the computer may not sleep:", err)
	}
	l.emit(t, "/org/freedesktop/login1", manager+".PrepareForSleep", false)
	l.inhibitor(t)

	// Another user's session, other properties, an unlock and nonsense come before what counts.
	hint := func(path dbus.ObjectPath, name string, v any) {
		t.Helper()
		l.change(t, path, name, v)
	}
	l.emit(t, others, session+".Lock")
	hint(others, "LockedHint", true)
	hint(ours, "IdleHint", true)
	hint(ours, "LockedHint", false)
	hint(ours, "LockedHint", "yes")
	l.emit(t, "/org/freedesktop/login1", manager+".PrepareForSleep", "now")
	l.emit(t, "/elsewhere", session+".Lock")
	hint(ours, "LockedHint", true)
	is(Lock)
	dark <- struct{}{}
	l.emit(t, ours, session+".Lock")
	is(Lock)
	dark <- struct{}{}

	stop()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the watcher goes on")
	}
}

// told has a value for each line of a log.
type told chan struct{}

func (c told) Write(b []byte) (int, error) {
	select {
	case c <- struct{}{}:
	default:
	}
	return len(b), nil
}

// TestNoBus is about a computer without a system bus, where one is started later.
func TestNoBus(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	w := &Watcher{Log: slog.New(slog.DiscardHandler)}
	if err := w.follow(t.Context()); err == nil {
		t.Error("followed nothing")
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	tried := make(chan struct{}, 1)
	w.Log = slog.New(slog.NewTextHandler(told(tried), &slog.HandlerOptions{Level: slog.LevelDebug}))
	go func() {
		defer close(ended)
		w.Run(ctx)
	}()
	<-tried
	if w.State().Problem == "" {
		t.Error("no problem")
	}
	stop()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the watcher goes on")
	}
}
