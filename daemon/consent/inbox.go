package consent

import (
	"sync/atomic"

	"github.com/godbus/dbus/v5"
)

const (
	theBus       = "org.freedesktop.DBus"
	ownerChanged = "NameOwnerChanged"
)

// inbox takes the signals of the notification server and of the bus, and nobody else's: any program may send one to any
// connection, whatever that has subscribed to.
type inbox struct {
	owner   atomic.Pointer[string] // the server's connection; nil before it is known
	signals chan *dbus.Signal
}

// maxSignals is how many signals wait while we wait for a reply. Of more, which no server sends, the rest is lost.
const maxSignals = 256

func newInbox() *inbox { return &inbox{signals: make(chan *dbus.Signal, maxSignals)} }

// DeliverSignal implements dbus.SignalHandler.
func (i *inbox) DeliverSignal(_, _ string, signal *dbus.Signal) {
	owner := i.owner.Load()
	if signal.Sender != theBus && (owner == nil || signal.Sender != *owner) {
		return
	}
	select {
	case i.signals <- signal:
	default:
	}
}
