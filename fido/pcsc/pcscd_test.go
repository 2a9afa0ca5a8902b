package pcsc_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"fob/fido/ctapnfc"
	"fob/fido/endpoint"
	"fob/fido/pcsc"
	"fob/fido/pcsc/pcscdtest"
)

// The tests of this file are against the real pcscd, and cards in its virtual readers.

const reader = "Virtual PCD 00 00"

// until is a context for what should happen soon.
func until(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func dial(t *testing.T) *pcsc.Client {
	t.Helper()
	c, err := pcsc.Dial(until(t), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echoAID names the application of echoCard, which answers as many zeros as its data says.
const echoAID = "\xf0fob echo"

func echo(_ context.Context, c ctapnfc.Command) ctapnfc.Response {
	if c.INS == 0xa4 {
		return ctapnfc.Response{SW: ctapnfc.SWSuccess}
	}
	return ctapnfc.Response{Data: make([]byte, c.Ne), SW: ctapnfc.SWSuccess}
}

// insert puts echoCard into the reader until the test ends or it is taken out.
func insert(t *testing.T) (takeOut func()) {
	t.Helper()
	v, err := endpoint.OpenVPCD(until(t), endpoint.VPCDAddr)
	if err != nil {
		t.Fatal(err)
	}
	v.Card = ctapnfc.Card{Applets: map[string]ctapnfc.Applet{echoAID: echo}}
	served := make(chan error, 1)
	go func() { served <- v.Serve(context.WithoutCancel(t.Context()), nil) }()
	out := false
	takeOut = func() {
		if !out {
			out = true
			v.Close()
			<-served
		}
	}
	t.Cleanup(takeOut)
	return takeOut
}

// watch gives what a Watch tells of the reader.
func watch(t *testing.T) <-chan pcsc.ReaderState {
	t.Helper()
	c := dial(t)
	ctx, cancel := context.WithCancel(context.Background())
	states, over := make(chan pcsc.ReaderState, 100), make(chan error, 1)
	go func() {
		over <- c.Watch(ctx, func(all []pcsc.ReaderState) {
			i := slices.IndexFunc(all, func(s pcsc.ReaderState) bool { return s.Name == reader })
			if i < 0 || len(all) != 2 {
				t.Errorf("readers %+v", all)
				return
			}
			states <- all[i]
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-over; err != context.Canceled {
			t.Error("Watch:", err)
		}
		if _, err := c.Readers(until(t)); err != nil {
			t.Error("after Watch:", err)
		}
	})
	return states
}

// await waits for a state of the reader.
func await(t *testing.T, states <-chan pcsc.ReaderState, is func(pcsc.ReaderState) bool) pcsc.ReaderState {
	t.Helper()
	for ctx := until(t); ; {
		select {
		case s := <-states:
			if is(s) {
				return s
			}
		case <-ctx.Done():
			t.Fatal("pcscd did not tell")
		}
	}
}

func hasCard(s pcsc.ReaderState) bool   { return s.HasCard() }
func hasNoCard(s pcsc.ReaderState) bool { return !s.HasCard() }

func connect(t *testing.T, mode pcsc.ShareMode) *pcsc.Card {
	t.Helper()
	k, err := dial(t).Connect(until(t), reader, mode, pcsc.T0|pcsc.T1)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestPCSCD uses a card with and without others, and loses it.
func TestPCSCD(t *testing.T) {
	pcscdtest.Start(t)
	states := watch(t)
	await(t, states, hasNoCard)
	if _, err := dial(t).Connect(until(t), reader, pcsc.Shared, pcsc.T1); err != pcsc.ErrNoSmartcard {
		t.Error("no card:", err)
	}
	takeOut := insert(t)
	in := await(t, states, hasCard)
	if in.Sharing != 0 || in.ATR[0] != 0x3b {
		t.Errorf("state %+v", in)
	}
	k := connect(t, pcsc.Shared)
	if k.Protocol != pcsc.T1 {
		t.Errorf("T=1 is not preferred: %d", k.Protocol)
	}
	await(t, states, func(s pcsc.ReaderState) bool { return s.Sharing == 1 })
	if _, err := dial(t).Connect(until(t), reader, pcsc.Exclusive, pcsc.T1); err != pcsc.ErrSharingViolation {
		t.Error("exclusive among others:", err)
	}
	testTransaction(t, k)
	testAPDUs(t, k)
	if name, err := k.Attribute(until(t), pcsc.VendorName); err != pcsc.ErrUnsupportedFeature { // by this driver
		t.Errorf("vendor %q, %v", name, err)
	}
	if err := k.Disconnect(until(t), pcsc.LeaveCard); err != nil {
		t.Error(err)
	}
	testExclusive(t, states)
	k = connect(t, pcsc.Shared)
	takeOut()
	out := await(t, states, hasNoCard)
	if out.Events == in.Events {
		t.Error("events are not counted")
	}
	if err := k.Status(until(t)); err != pcsc.ErrRemovedCard {
		t.Error("removed card:", err)
	}
	if _, err := k.Transmit(until(t), make([]byte, 4)); err != pcsc.ErrRemovedCard && err != pcsc.ErrNoSmartcard {
		t.Error("removed card:", err)
	}
}

// testTransaction keeps a card from another program, which waits.
func testTransaction(t *testing.T, k *pcsc.Card) {
	other := connect(t, pcsc.Shared)
	if err := k.Begin(until(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Transmit(until(t), []byte("\x00\xa4\x04\x00")); err != pcsc.ErrSharingViolation {
		t.Error("in another's transaction:", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 350*time.Millisecond)
	defer cancel()
	if err := other.Begin(short); !errors.Is(err, pcsc.ErrSharingViolation) {
		t.Error("in another's transaction:", err)
	}
	if err := other.Disconnect(until(t), pcsc.LeaveCard); err != nil { // giving up has not closed the connection
		t.Error(err)
	}
	began := make(chan error, 1)
	third := dial(t)
	go func() { // pcscd itself waits with this one
		k, err := third.Connect(until(t), reader, pcsc.Shared, pcsc.T1)
		if err == nil {
			err = errors.Join(k.Begin(until(t)), k.End(until(t), pcsc.ResetCard))
		}
		began <- err
	}()
	if err := k.End(until(t), pcsc.LeaveCard); err != nil {
		t.Error(err)
	}
	if err := <-began; err != nil {
		t.Error("after the transaction:", err)
	}
	if err := k.Status(until(t)); err != pcsc.ErrResetCard {
		t.Error("reset by another:", err)
	}
	if err := k.Reconnect(until(t), pcsc.Shared, pcsc.T1, pcsc.LeaveCard); err != nil {
		t.Error(err)
	}
	third.Close()
}

// testAPDUs sends APDUs of all lengths for which the virtual reader, with its lengths of 16 bits, has room. The card
// refuses those that are longer than any FIDO command, but it gets them.
func testAPDUs(t *testing.T, k *pcsc.Card) {
	if r, err := k.Transmit(until(t), selection()); err != nil || !bytes.Equal(r, []byte{0x90, 0}) {
		t.Fatalf("select: %x, %v", r, err)
	}
	for _, n := range []int{0, 255, 256, ctapnfc.MaxPayload, 65535 - 9} {
		for _, ne := range []int{0, 1, 256, 65533} {
			c := ctapnfc.Command{INS: 1, Data: make([]byte, n), Ne: ne, Extended: n > 255 || ne > 256}
			apdu, err := c.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			want := append(make([]byte, ne), 0x90, 0)
			if n > ctapnfc.MaxPayload {
				want = []byte{0x67, 0}
			}
			if r, err := k.Transmit(until(t), apdu); err != nil || !bytes.Equal(r, want) {
				t.Errorf("%d bytes for %d: %d, %v", n, ne, len(r), err)
			}
		}
	}
}

func selection() []byte {
	b, err := ctapnfc.Command{INS: 0xa4, P1: 4, Data: []byte(echoAID)}.Bytes()
	if err != nil {
		panic(err)
	}
	return b
}

// testExclusive has the card for itself.
func testExclusive(t *testing.T, states <-chan pcsc.ReaderState) {
	await(t, states, func(s pcsc.ReaderState) bool { return s.Sharing == 0 })
	k := connect(t, pcsc.Shared)
	if err := k.Reconnect(until(t), pcsc.Exclusive, pcsc.T1, pcsc.LeaveCard); err != nil {
		t.Error(err)
	}
	await(t, states, func(s pcsc.ReaderState) bool { return s.Sharing == pcsc.SharedExclusively })
	if _, err := dial(t).Connect(until(t), reader, pcsc.Shared, pcsc.T1); err != pcsc.ErrSharingViolation {
		t.Error("shared beside an exclusive one:", err)
	}
	if err := k.Disconnect(until(t), pcsc.LeaveCard); err != nil {
		t.Error(err)
	}
	if err := connect(t, pcsc.Exclusive).Disconnect(until(t), pcsc.UnpowerCard); err != nil {
		t.Error(err)
	}
}

// TestPCSCDEnds has pcscd end while somebody watches.
func TestPCSCDEnds(t *testing.T) {
	restart := pcscdtest.Start(t)
	if restart == nil {
		t.Skip("the pcscd of the system stays")
	}
	c := dial(t)
	seen, over := make(chan struct{}, 10), make(chan error, 1)
	go func() { over <- c.Watch(until(t), func([]pcsc.ReaderState) { seen <- struct{}{} }) }()
	<-seen
	restart()
	if err := <-over; !errors.Is(err, pcsc.ErrNoService) {
		t.Error(err)
	}
	if _, err := dial(t).Readers(until(t)); err != nil {
		t.Error("the new one:", err)
	}
}
