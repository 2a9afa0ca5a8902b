package session

import (
	"context"
	"sync/atomic"

	"github.com/godbus/dbus/v5"
)

const (
	theBus       = "org.freedesktop.DBus"
	ownerChanged = "NameOwnerChanged"
)

// sender lets signals of logind through, and nobody else's: any program may send one to any connection, whatever that
// has subscribed to. It drops the others before they are queued.
type sender struct {
	queue
	owner atomic.Pointer[string] // logind's connection, by its unique name; nil before it is known
}

// queue is what a connection wants of its dbus.SignalHandler.
type queue interface {
	dbus.SignalHandler
	dbus.SignalRegistrar
	dbus.Terminator
}

func newSender() *sender { return &sender{queue: dbus.NewSequentialSignalHandler().(queue)} }

// DeliverSignal implements dbus.SignalHandler.
func (s *sender) DeliverSignal(of, name string, signal *dbus.Signal) {
	if signal.Sender == theBus && signal.Name == theBus+"."+ownerChanged {
		var changed, before, now string
		if dbus.Store(signal.Body, &changed, &before, &now) == nil && changed == login1 {
			s.owner.Store(&now)
		}
		return
	}
	if owner := s.owner.Load(); owner != nil && signal.Sender == *owner {
		s.queue.DeliverSignal(of, name, signal)
	}
}

// follow finds out which connection is logind's, now and when it is started anew.
func (s *sender) follow(ctx context.Context, conn *dbus.Conn) error {
	err := conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(theBus), dbus.WithMatchInterface(theBus),
		dbus.WithMatchMember(ownerChanged), dbus.WithMatchArg(0, login1))
	if err != nil {
		return err
	}
	owner := ""
	if conn.BusObject().CallWithContext(ctx, theBus+".GetNameOwner", 0, login1).Store(&owner) == nil {
		s.owner.CompareAndSwap(nil, &owner) // what we were told meanwhile is newer
	}
	return ctx.Err()
}
