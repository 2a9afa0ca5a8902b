package consent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"fob/daemon/policy"
	"fob/fido"
)

const patience = 30 * time.Second

// startBus runs a session bus of our own, and gives its address.
func startBus(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	config, at := filepath.Join(dir, "bus.conf"), "unix:path="+filepath.Join(dir, "bus")
	if err := os.WriteFile(config, fmt.Appendf(nil, `<busconfig><listen>%s</listen>
		<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
		</busconfig>`, at), 0o600); err != nil {
		t.Fatal(err)
	}
	said := run(t, exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1"))
	if line, err := said.ReadString('\n'); err != nil || !strings.HasPrefix(line, "unix:") {
		t.Fatalf("dbus-daemon says %q, %v", line, err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", at)
	return at
}

// run runs a program until the test ends, and gives its standard output.
func run(t *testing.T, c *exec.Cmd) *bufio.Reader {
	t.Helper()
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	return bufio.NewReader(out)
}

func dial(t *testing.T, address string) *dbus.Conn {
	t.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// shown is a notification that our server shows.
type shown struct {
	id            uint32
	summary, body string
	actions       []string
	urgency       byte
	expires       int32
}

// desk plays the notification server.
type desk struct {
	conn     *dbus.Conn
	can      []string
	instant  string // an action that is chosen before Notify has replied
	notified chan shown
	closed   chan uint32
}

// GetCapabilities is of org.freedesktop.Notifications, as the next.
func (d *desk) GetCapabilities() ([]string, *dbus.Error) { return d.can, nil }

func (d *desk) Notify(app string, replaces uint32, _, summary, body string, actions []string,
	hints map[string]dbus.Variant, expires int32) (uint32, *dbus.Error) {

	if app != "fob" || replaces != 0 {
		return 0, dbus.MakeFailedError(errors.New("odd"))
	}
	const id = 7
	urgency, _ := hints["urgency"].Value().(byte)
	if d.instant != "" {
		d.conn.Emit(notifyPath, notifications+".ActionInvoked", uint32(id), d.instant)
	}
	d.notified <- shown{id, summary, body, actions, urgency, expires}
	return id, nil
}

func (d *desk) CloseNotification(id uint32) *dbus.Error {
	d.closed <- id
	return nil
}

// startDesk puts a notification server on the bus.
func startDesk(t *testing.T, conn *dbus.Conn, can ...string) *desk {
	t.Helper()
	return (&desk{conn: conn, can: can}).start(t)
}

func (d *desk) start(t *testing.T) *desk {
	t.Helper()
	d.notified, d.closed = make(chan shown, 8), make(chan uint32, 8)
	if err := d.conn.Export(d, notifyPath, notifications); err != nil {
		t.Fatal(err)
	}
	if reply, err := d.conn.RequestName(notifications, 0); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return d
}

func (d *desk) emit(t *testing.T, name string, values ...any) {
	t.Helper()
	if err := d.conn.Emit(notifyPath, notifications+"."+name, values...); err != nil {
		t.Fatal(err)
	}
}

func receive[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatal("no " + what)
	}
	return v
}

// asked is a question that goes on.
func asked(ctx context.Context, q *Question) <-chan answer {
	result := make(chan answer, 1)
	go func() {
		yes, err := new(Desktop).Ask(ctx, q)
		result <- answer{yes, err}
	}()
	return result
}

func TestDesktopAnswers(t *testing.T) {
	d := startDesk(t, dial(t, startBus(t)), "actions", "body-markup")
	for _, test := range []struct {
		name string
		do   func()
		want answer
		open bool // we close it
	}{
		{"allow", func() { d.emit(t, "ActionInvoked", uint32(7), "allow") }, answer{yes: true}, true},
		{"deny", func() { d.emit(t, "ActionInvoked", uint32(7), "deny") }, answer{}, true},
		{"dismiss", func() { d.emit(t, "NotificationClosed", uint32(7), uint32(2)) }, answer{err: ErrDismissed}, false},
		{"other notifications, labels, nonsense", func() {
			d.emit(t, "ActionInvoked", uint32(8), "allow")
			d.emit(t, "NotificationClosed", uint32(6), uint32(2))
			d.emit(t, "ActionInvoked", uint32(7), "Allow")
			d.emit(t, "ActionInvoked", uint32(7), "default")
			d.emit(t, "ActionInvoked", uint32(7), "")
			d.emit(t, "ActionInvoked", "7", "allow")
			d.emit(t, "ActionInvoked", uint32(7))
			d.emit(t, "ActionInvoked", uint32(7), "deny")
		}, answer{}, true},
	} {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		result := asked(ctx, &Question{Caller: backup, Verb: policy.SignIn, RPID: "example.com",
			Keys: []fido.DeviceInfo{{ID: "k1", Product: "<b>Key</b> & more"}}})
		n := receive(t, d.notified, "notification")
		if n.summary != "Sign in to example.com?" || n.urgency != critical || n.expires < 59_000 || n.expires > 62_000 ||
			!slices.Equal(n.actions, []string{"allow", "Allow", "deny", "Deny"}) {
			t.Errorf("%s: %+v", test.name, n)
		}
		if want := "/usr/bin/backup (backup.service, PID 2) wants to sign in to example.com, " +
			"with &lt;b&gt;Key&lt;/b&gt; &amp; more k1."; n.body != want {
			t.Errorf("%s: %s", test.name, n.body)
		}
		test.do()
		if got := receive(t, result, "answer"); got.yes != test.want.yes || !errors.Is(got.err, test.want.err) {
			t.Errorf("%s: %+v", test.name, got)
		}
		if test.open {
			receive(t, d.closed, "closing")
		}
		stop()
	}
	if len(d.closed) != 0 {
		t.Error("closed twice")
	}
}

// The answer may come before the number of the notification does.
func TestInstantAnswer(t *testing.T) {
	(&desk{conn: dial(t, startBus(t)), can: []string{"actions"}, instant: "allow"}).start(t)
	if got := receive(t, asked(t.Context(), &Question{Caller: backup}), "answer"); !got.yes || got.err != nil {
		t.Errorf("%+v", got)
	}
}

// When the ceremony ends, the notification goes away.
func TestDesktopCancelled(t *testing.T) {
	d := startDesk(t, dial(t, startBus(t)), "actions")
	why := errors.New("why")
	ctx, stop := context.WithCancelCause(t.Context())
	result := asked(ctx, &Question{Caller: backup})
	if n := receive(t, d.notified, "notification"); n.expires != 0 || strings.ContainsAny(n.body, "&;") {
		t.Errorf("%+v", n)
	}
	stop(why)
	if got := receive(t, result, "answer"); got.yes || !errors.Is(got.err, why) {
		t.Errorf("%+v", got)
	}
	if id := receive(t, d.closed, "closing"); id != 7 {
		t.Error(id)
	}
}

// A server that ends, or is replaced, can't answer any more, and nobody else in its place.
func TestDesktopEnds(t *testing.T) {
	bus := startBus(t)
	d := startDesk(t, dial(t, bus), "actions")
	result := asked(t.Context(), &Question{Caller: backup})
	receive(t, d.notified, "notification")
	d.conn.ReleaseName(notifications)
	if got := receive(t, result, "answer"); got.yes || !errors.Is(got.err, ErrDismissed) {
		t.Errorf("%+v", got)
	}
}

func TestDesktopUnable(t *testing.T) {
	unable := func(what string) {
		t.Helper()
		got := receive(t, asked(t.Context(), &Question{Caller: backup}), "answer")
		if got.yes || !errors.Is(got.err, ErrUnable) {
			t.Errorf("%s: %+v", what, got)
		}
	}
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	unable("no bus")
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+filepath.Join(t.TempDir(), "none"))
	unable("a bus that is gone")
	bus := startBus(t)
	unable("no server")
	startDesk(t, dial(t, bus), "body")
	unable("no actions")
}

// Any program may send signals to any connection; only those of the server count.
func TestForgedAnswers(t *testing.T) {
	bus := startBus(t)
	d, hostile := startDesk(t, dial(t, bus), "actions"), dial(t, bus)
	result := asked(t.Context(), &Question{Caller: backup})
	receive(t, d.notified, "notification")
	var names []string
	if err := hostile.BusObject().Call(theBus+".ListNames", 0).Store(&names); err != nil {
		t.Fatal(err)
	}
	forge := func(path dbus.ObjectPath, of, member string, values ...any) {
		for _, name := range names {
			if name[0] != ':' || name == hostile.Names()[0] {
				continue
			}
			m := &dbus.Message{Type: dbus.TypeSignal, Headers: map[dbus.HeaderField]dbus.Variant{
				dbus.FieldDestination: dbus.MakeVariant(name),
				dbus.FieldInterface:   dbus.MakeVariant(of),
				dbus.FieldMember:      dbus.MakeVariant(member),
				dbus.FieldPath:        dbus.MakeVariant(path),
				dbus.FieldSignature:   dbus.MakeVariant(dbus.SignatureOf(values...)),
			}, Body: values}
			if c := hostile.Send(m, nil); c.Err != nil {
				t.Fatal(c.Err)
			}
		}
	}
	forge(notifyPath, notifications, "ActionInvoked", uint32(7), "allow")
	forge("/org/freedesktop/DBus", theBus, ownerChanged, notifications, "", hostile.Names()[0])
	forge(notifyPath, notifications, "ActionInvoked", uint32(7), "allow")
	if err := hostile.BusObject().Call(theBus+".GetId", 0).Err; err != nil { // the bus has them all
		t.Fatal(err)
	}
	d.emit(t, "ActionInvoked", uint32(7), "deny")
	if got := receive(t, result, "answer"); got.yes || got.err != nil {
		t.Errorf("%+v", got)
	}
}

func TestShow(t *testing.T) {
	d := startDesk(t, dial(t, startBus(t)), "body")
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		new(Desktop).Show(ctx, "Touch Key", "for something")
	}()
	if n := receive(t, d.notified, "notification"); n.summary != "Touch Key" || len(n.actions) != 0 || n.urgency != normal {
		t.Errorf("%+v", n)
	}
	stop()
	receive(t, d.closed, "closing")
	receive(t, done, "end")
}

// mock runs python-dbusmock's notification server, and says when it has all its methods.
const mock = `
import dbus, dbus.mainloop.glib, dbus.service, dbusmock
from gi.repository import GLib
dbus.mainloop.glib.DBusGMainLoop(set_as_default=True)
name = dbus.service.BusName("org.freedesktop.Notifications", dbus.SessionBus())
server = dbusmock.mockobject.DBusMockObject(name, "/org/freedesktop/Notifications", "org.freedesktop.Notifications", {})
server.AddTemplate("notification_daemon", {"capabilities": "body body-markup actions"})
print("ready", flush=True)
GLib.MainLoop().run()
`

// TestForeignServer has a notification server that is none of ours.
func TestForeignServer(t *testing.T) {
	bus := startBus(t)
	log := run(t, exec.Command("/usr/bin/python3", "-u", "-c", mock))
	lines := make(chan string, 64)
	go func() {
		for {
			line, err := log.ReadString('\n')
			if err != nil { // the test is over
				return
			}
			lines <- line
		}
	}()
	logged(t, lines, "ready")
	server := dial(t, bus).Object(notifications, notifyPath)
	for i, action := range []string{"allow", "deny"} {
		result := asked(t.Context(), &Question{Caller: backup, Verb: policy.Reset})
		logged(t, lines, ` Notify "fob" 0 `)
		err := server.Call("org.freedesktop.DBus.Mock.EmitSignal", 0, notifications, "ActionInvoked", "us",
			[]dbus.Variant{dbus.MakeVariant(uint32(i + 1)), dbus.MakeVariant(action)}).Err
		if err != nil {
			t.Fatal(err)
		}
		if got := receive(t, result, "answer"); got.yes != (action == "allow") || got.err != nil {
			t.Errorf("%s: %+v", action, got)
		}
		logged(t, lines, fmt.Sprintf(" CloseNotification %d", i+1))
	}
}

// logged waits until the server says something.
func logged(t *testing.T, lines <-chan string, text string) {
	t.Helper()
	for !strings.Contains(receive(t, lines, "line with "+text), text) {
	}
}
