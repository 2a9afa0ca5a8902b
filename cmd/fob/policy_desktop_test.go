package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

const notifications = "org.freedesktop.Notifications"

// desktop plays the notification server: it shows a notification by sending it, and the test presses a button of it.
type desktop struct {
	conn   *dbus.Conn
	shown  chan [2]string // summary and body
	closed chan uint32
	last   uint32
}

// GetCapabilities is of org.freedesktop.Notifications, as the next.
func (d *desktop) GetCapabilities() ([]string, *dbus.Error) { return []string{"actions", "body"}, nil }

func (d *desktop) Notify(_ string, _ uint32, _, summary, body string, _ []string, _ map[string]dbus.Variant, _ int32) (
	uint32, *dbus.Error) {
	d.last++ // calls come one by one
	d.shown <- [2]string{summary, body}
	return d.last, nil
}

func (d *desktop) CloseNotification(id uint32) *dbus.Error {
	d.closed <- id
	return nil
}

func (d *desktop) shows(t *testing.T, summary, body string) {
	t.Helper()
	select {
	case got := <-d.shown:
		if got[0] != summary || !regexp.MustCompile(body).MatchString(got[1]) {
			t.Fatalf("%q, want %q", got, body)
		}
	case <-time.After(patience):
		t.Fatalf("not shown: %s", summary)
	}
}

func (d *desktop) closes(t *testing.T, id uint32) {
	t.Helper()
	select {
	case got := <-d.closed:
		if got != id {
			t.Fatalf("closed %d, want %d", got, id)
		}
	case <-time.After(patience):
		t.Fatalf("%d is still shown", id)
	}
}

// startDesktop runs a session bus where fobd looks for one, with a notification server.
func startDesktop(t *testing.T, s *screen) *desktop {
	t.Helper()
	at := "unix:path=" + filepath.Join(s.dir, "run", "bus")
	config := filepath.Join(s.dir, "bus.conf")
	if err := os.WriteFile(config, []byte(`<busconfig><listen>`+at+`</listen><policy context="default"><allow own="*"/>
		<allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>`), 0o600); err != nil {
		t.Fatal(err)
	}
	bus, err := start("dbus-daemon",
		exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		bus.cmd.Process.Kill()
		<-bus.exited
	})
	if _, err := bus.waitFor(regexp.MustCompile(`(?m)^unix:.*\n`)); err != nil {
		t.Fatal(err)
	}
	conn, err := dbus.Connect(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	d := &desktop{conn: conn, shown: make(chan [2]string, 8), closed: make(chan uint32, 8)}
	if err := conn.Export(d, "/org/freedesktop/Notifications", notifications); err != nil {
		t.Fatal(err)
	}
	if reply, err := conn.RequestName(notifications, 0); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return d
}

// A program in the background: the desktop asks once, and shows that the key waits for a touch.
func TestDesktopConsent(t *testing.T) {
	s := newAskingScreen(t, `notify = ["touch"]
		[[rule]]
		verbs = ["register"]
		action = "ask"`, "--emulator-touch", "delay=300ms")
	d := startDesktop(t, s)
	press := func(id uint32, button string) {
		t.Helper()
		if err := d.conn.Emit("/org/freedesktop/Notifications", notifications+".ActionInvoked", id, button); err != nil {
			t.Fatal(err)
		}
	}
	fob := func() *process {
		t.Helper()
		p, err := s.world.background("fob",
			s.world.command(s.dir, "fob", "register", "--rp", "example.com", "--user", "alice"))
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const wants = `^/.+/fob \(.*PID \d+\) wants to register a key at example.com, with fob emulated key \w{8}\.$`

	p := fob()
	d.shows(t, "Register a key at example.com?", wants)
	press(1, "deny")
	d.closes(t, 1)
	if err := s.world.end(p, 8); err != nil {
		t.Error(err)
	}

	p = fob()
	d.shows(t, "Register a key at example.com?", wants)
	press(2, "allow")
	d.closes(t, 2)
	d.shows(t, "Touch your security key", wants)
	if err := s.world.end(p, 0); err != nil {
		t.Error(err)
	}
	d.closes(t, 3)

	p = fob()
	d.shows(t, "Register a key at example.com?", wants)
	p.cmd.Process.Kill() // the question goes away with who asked
	d.closes(t, 4)
	if err := s.world.end(p, -9); err != nil {
		t.Error(err)
	}
}
