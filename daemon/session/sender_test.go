package session

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// TestOthersSignals: any program may send a signal to a connection of the system bus, whatever that has subscribed to.
// What does not come from logind is not heeded, and after logind was started anew, the new one is.
func TestOthersSignals(t *testing.T) {
	bus := startBus(t)
	l := startLogind(t, bus)
	away := make(chan Reason, 16)
	w := &Watcher{Log: slog.New(slog.DiscardHandler), Away: func(_ context.Context, why Reason) { away <- why }}
	go w.Run(t.Context())
	l.inhibitor(t)

	hostile, err := dbus.ConnectSystemBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hostile.Close() })
	var names []string
	if err := hostile.BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&names); err != nil {
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
	forge("/org/freedesktop/DBus", "org.freedesktop.DBus", "NameOwnerChanged", login1, "", hostile.Names()[0])
	forge("/org/freedesktop/login1", manager, "PrepareForSleep", true)
	forge(ours, "org.freedesktop.DBus.Properties", "PropertiesChanged", session,
		map[string]dbus.Variant{"LockedHint": dbus.MakeVariant(true)}, []string{})
	if err := hostile.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err; err != nil { // the bus has them all
		t.Fatal(err)
	}

	l.conn.ReleaseName(login1)
	startLogind(t, hostile).emit(t, ours, session+".Lock") // it is logind now
	select {
	case why := <-away:
		if why != Lock || len(away) > 0 {
			t.Errorf("%q, and %d more", why, len(away))
		}
	case <-time.After(patience):
		t.Error("not told of the lock")
	}
}
