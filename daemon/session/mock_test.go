package session

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// TestMockedLogind is a second opinion: the logind of python-dbusmock, which others made after the real one.
func TestMockedLogind(t *testing.T) {
	conn := startBus(t)
	mock := exec.Command("/usr/bin/python3", "-m", "dbusmock", "--system", "--template", "logind")
	mock.Stderr = os.Stderr
	owned := make(chan *dbus.Signal, 4)
	conn.Signal(owned)
	err := conn.AddMatchSignal(
		dbus.WithMatchSender(theBus), dbus.WithMatchMember(ownerChanged), dbus.WithMatchArg(0, login1))
	if err != nil {
		t.Fatal(err)
	}
	if err := mock.Start(); err != nil {
		t.Fatal("the package python3-dbusmock is needed: ", err)
	}
	t.Cleanup(func() { mock.Process.Kill(); mock.Wait() })
	for name, over := "", time.After(patience); name != theBus+"."+ownerChanged; {
		select {
		case s := <-owned:
			name = s.Name
		case <-over:
			t.Fatal("dbusmock does not start")
		}
	}
	call := func(path dbus.ObjectPath, method string, args ...any) {
		t.Helper()
		if err := conn.Object(login1, path).Call(method, 0, args...).Err; err != nil {
			t.Fatal(method, err)
		}
	}
	const root, mocked = dbus.ObjectPath("/org/freedesktop/login1"), "org.freedesktop.DBus.Mock."
	call(root, mocked+"AddSession", "c1", "seat0", uint32(os.Getuid()), "alice", true)
	call(root, mocked+"AddSession", "c2", "seat0", uint32(os.Getuid())+1, "bob", false)

	w, away := run(t)
	becomes(t, w, State{Known: true})
	call(sessions+"/c1", session+".SetLockedHint", true)
	becomes(t, w, State{Known: true, Away: Lock})
	call(sessions+"/c1", session+".SetLockedHint", false)
	becomes(t, w, State{Known: true})
	call(sessions+"/c1", mocked+"UpdateProperties", session, map[string]dbus.Variant{"Active": dbus.MakeVariant(false)})
	becomes(t, w, State{Known: true, Away: Inactive})
	call(root, mocked+"EmitSignal", manager, "PrepareForSleep", "b", []dbus.Variant{dbus.MakeVariant(true)})
	becomes(t, w, State{Known: true, Away: Suspend})
	for _, want := range []Reason{Lock, Inactive, Suspend} {
		if got := <-away; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
