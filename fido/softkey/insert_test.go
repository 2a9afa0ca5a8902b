package softkey

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
)

// TestRemoveAndInsert takes a key out and puts it back: its path goes, its credentials stay.
func TestRemoveAndInsert(t *testing.T) {
	k, err := Plug(t.Context(), Options{PIN: []byte("1234")})
	if err != nil {
		t.Fatal(err)
	}
	before := k.Path()
	if err := k.Insert(t.Context()); !errors.Is(err, ErrInserted) {
		t.Errorf("Insert of a key that is in: %v", err)
	}
	host, err := os.OpenFile(before, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if err := k.Remove(); err != nil {
		t.Fatal(err)
	}
	if n, err := host.Read(make([]byte, 1)); err == nil { // another program may have the path now, but not the key
		t.Errorf("read %d bytes of a key that was pulled out", n)
	}
	if k.Path() != "" {
		t.Errorf("a removed key is at %s", k.Path())
	}
	if err := k.Remove(); !errors.Is(err, ErrRemoved) {
		t.Errorf("a second Remove: %v", err)
	}
	select {
	case <-k.Lost():
		t.Error("a removed key is lost")
	default:
	}
	if err := k.Insert(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(k.Path()); err != nil {
		t.Error(err)
	}
	if err := k.Close(); err != nil {
		t.Error(err)
	}
	<-k.Lost()
	if err := k.Insert(t.Context()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Insert after Close: %v", err)
	}
	if err := k.Remove(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Remove after Close: %v", err)
	}
}

// TestClock lets a key's own clock jump over the window in which it may be reset.
func TestClock(t *testing.T) {
	now := time.Now()
	k, err := Plug(t.Context(), Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	reset := ctap.Request{Payload: []byte{byte(ctap.CommandReset)}}
	quiet := func(ctap.KeepaliveStatus) {}
	now = now.Add(11 * time.Second)
	if resp := k.ServeCTAP(t.Context(), reset, quiet); ctap.StatusCode(resp[0]) != ctap.ErrNotAllowed {
		t.Errorf("reset after 11 s: %v", ctap.StatusCode(resp[0]))
	}
	k.PowerCycle()
	if resp := k.ServeCTAP(t.Context(), reset, quiet); ctap.StatusCode(resp[0]) != ctap.StatusOK {
		t.Errorf("reset after power-up: %v", ctap.StatusCode(resp[0]))
	}
}

// counter stands before a key and counts how often that loses power.
type counter struct {
	ctap.PowerCycler
	cycles int
}

func (c *counter) PowerCycle() {
	c.cycles++
	c.PowerCycler.PowerCycle()
}

// TestWrapSeesPowerCycles has what stands before the key see each loss of power: asked for, and by pulling the key.
func TestWrapSeesPowerCycles(t *testing.T) {
	var c *counter
	k, err := Plug(t.Context(), Options{Wrap: func(h ctap.Handler) ctap.Handler {
		c = &counter{PowerCycler: h.(ctap.PowerCycler)}
		return c
	}})
	if err != nil {
		t.Fatal(err)
	}
	k.PowerCycle()
	if c.cycles != 1 {
		t.Errorf("%d losses of power", c.cycles)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if c.cycles < 2 {
		t.Error("pulling the key out was not seen")
	}
}
