package pcsc

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// patience is how long a test waits for what should happen at once.
const patience = 10 * time.Second

// daemon is the other end of a connection: a pcscd that a test plays.
type daemon struct {
	t    testing.TB
	conn net.Conn
}

// listen has play answer the connections to a socket, one after the other, until the test ends.
func listen(t testing.TB, play func(d *daemon)) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "pcscd.comm")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(patience))
			play(&daemon{t, conn})
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return socket
}

// hears wants a request, and gives the structure in it to msg, unless that is nil. It is false when there is none.
func (d *daemon) hears(want command, msg any) bool {
	var h header
	if err := readMsg(d.conn, &h); err != nil {
		if !errors.Is(err, io.EOF) {
			d.t.Errorf("instead of command %#x: %v", want, err)
		}
		return false
	}
	size := 0
	if msg != nil {
		size = binary.Size(msg)
	}
	if h.Command != want || int(h.Size) != size {
		d.t.Errorf("command %#x of %d bytes, want %#x of %d", h.Command, h.Size, want, size)
		return false
	}
	return msg == nil || readMsg(d.conn, msg) == nil
}

func (d *daemon) says(msg any) { d.conn.Write(appendMsg(nil, msg)) }

// theContext and theCard are the handles that this daemon gives.
const (
	theContext = 0x12345678
	theCard    = 0x0badcafe
)

// begins is how every conversation begins. It is false when there is none.
func (d *daemon) begins() bool {
	var v versionMsg
	if !d.hears(cmdVersion, &v) {
		return false
	}
	if v != (versionMsg{Major: 4, Minor: 4}) {
		d.t.Errorf("version %+v", v)
	}
	d.says(v)
	var e establishMsg
	if !d.hears(cmdEstablishContext, &e) {
		return false
	}
	e.Context = theContext
	d.says(e)
	return true
}

// connects gives a card to the client.
func (d *daemon) connects() bool {
	var m connectMsg
	if !d.begins() || !d.hears(cmdConnect, &m) {
		return false
	}
	name := string(bytes.TrimRight(m.Reader[:], "\x00"))
	if m.Context != theContext || name != "reader" || m.ShareMode != Shared || m.Preferred != T0|T1 {
		d.t.Errorf("connect %+v", m)
	}
	m.Card, m.Active = theCard, T1
	d.says(m)
	return true
}

// until is a context for what should happen at once.
func until(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func dial(t testing.TB, play func(d *daemon)) *Client {
	t.Helper()
	c, err := Dial(until(t), listen(t, play))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// connect gives a card, about which the daemon goes on to play.
func connect(t testing.TB, play func(d *daemon)) *Card {
	t.Helper()
	c := dial(t, func(d *daemon) {
		if d.connects() {
			play(d)
		}
	})
	k, err := c.Connect(until(t), "reader", Shared, T0|T1)
	if err != nil {
		t.Fatal(err)
	}
	if k.Protocol != T1 || k.Reader != "reader" {
		t.Errorf("card %+v", k)
	}
	return k
}

// state is a place in the table of readers, as pcscd keeps it.
func state(name string, s ReaderState) (m stateMsg) {
	copy(m.Name[:], name)
	copy(m.ATR[:], s.ATR)
	m.Events, m.State, m.Sharing, m.Protocol, m.ATRLength = s.Events, s.State, s.Sharing, s.Protocol, uint32(len(s.ATR))
	return m
}
