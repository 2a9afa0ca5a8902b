package endpoint

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"fob/fido/ctapnfc"
)

// A reader that has not noticed that the card before has gone is made to notice that this one goes. If it still doesn't
// power the card up, it does so for those who use it.
func TestCardIsInsertedAgain(t *testing.T) {
	for _, next := range []byte{vpcdOn, vpcdATR} {
		l := listenVPCD(t)
		accepted := make(chan reader, 1)
		go func() {
			r := accept(t, l)
			r.conn.Write(vpcdFrame{vpcdATR}.bytes())
			if f, err := readVPCDFrame(r.conn); err != io.EOF {
				t.Errorf("the card stays: %x, %v", []byte(f), err)
			}
			r.conn.Close()
			r = accept(t, l)
			r.conn.Write(vpcdFrame{next}.bytes())
			accepted <- r
		}()
		v, err := OpenVPCD(waiting(t), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		go v.Serve(t.Context(), newNFCKey())
		r := <-accepted
		defer r.conn.Close()
		if next == vpcdATR {
			r.hears(string(atr))
		}
		r.asks(selectFIDO, u2fV2)
	}
}

func TestCardInReader(t *testing.T) {
	k := newNFCKey()
	_, r, _ := insert(t, k, ctapnfc.Card{})
	r.asks(selectFIDO, u2fV2)
	r.asks(echo, echoed)
	r.says(vpcdATR)
	r.hears(string(atr))
	r.asks(echo, echoed)
	if n := k.powerUps.Load(); n != 1 {
		t.Errorf("powered up %d times", n)
	}
	r.asks("", "6700")
	r.asks("03", "6700") // no control byte that we know
	r.asks("8010", "6700")
	data := strings.Repeat("65", 7609)
	r.asks("80100000 001db8"+data[2:]+"0000", "00"+data[2:]+"9000")
}

func TestCardSettings(t *testing.T) {
	applet := func(context.Context, ctapnfc.Command) ctapnfc.Response {
		return ctapnfc.Response{Data: make([]byte, 65536), SW: ctapnfc.SWSuccess}
	}
	_, r, _ := insert(t, newNFCKey(), ctapnfc.Card{NoU2F: true, Applets: map[string]ctapnfc.Applet{"applet": applet}})
	r.asks(selectFIDO, "4649444f5f325f30 9000")
	r.asks("00a40400 000006 6170706c6574 0000", "6700") // more than a frame holds
	r.asks("00a40400 06 6170706c6574 00", strings.Repeat("00", 256)+"6100")
}

// A handler that is no ctap.PowerCycler.
func TestHandlerWithoutPower(t *testing.T) {
	_, r, _ := insert(t, newKey(), ctapnfc.Card{})
	r.asks(selectFIDO, u2fV2)
	r.says(vpcdReset)
	r.asks(echo, notFound)
}

// Losing power deselects, cancels what the card works on, and leaves no answer to it behind.
func TestCardLosesPower(t *testing.T) {
	for name, controls := range map[string][]byte{"off and on": {vpcdOff, vpcdOn}, "reset": {vpcdReset}, "on": {vpcdOn}} {
		for _, request := range []string{touch, touchPoll} {
			t.Run(name, func(t *testing.T) {
				k := newNFCKey()
				_, r, _ := insert(t, k, ctapnfc.Card{UpdateInterval: time.Hour})
				r.asks(selectFIDO, u2fV2)
				r.says(unhex(t, request)...)
				if request == touchPoll {
					r.hears(string(unhex(t, upNeeded)))
				}
				await(t, "lit", k.lit)
				for _, c := range controls {
					r.says(c)
				}
				await(t, "dark", k.dark)
				r.asks(echo, notFound)
				r.asks(selectFIDO, u2fV2)
				r.asks(poll91, "6985")
				if n := k.powerUps.Load(); n != 2 {
					t.Errorf("powered up %d times", n)
				}
			})
		}
	}
}

// A reader that asks something else while the card is at work gets both answers, in order.
func TestImpatientReader(t *testing.T) {
	k := newNFCKey()
	_, r, _ := insert(t, k, ctapnfc.Card{})
	r.asks(selectFIDO, u2fV2)
	r.says(unhex(t, touch)...)
	await(t, "lit", k.lit)
	r.says(vpcdATR)
	r.hears(string(unhex(t, cancelled)))
	r.hears(string(atr))
	r.says(unhex(t, touch)...)
	await(t, "lit", k.lit)
	r.asks(echo, cancelled)
	r.hears(string(unhex(t, echoed)))
}

// A reader looks at the ATR again and again; a request that can be asked after goes on meanwhile.
func TestPresenceIsPolled(t *testing.T) {
	k := newNFCKey()
	_, r, _ := insert(t, k, ctapnfc.Card{UpdateInterval: time.Hour})
	r.asks(selectFIDO, u2fV2)
	r.asks(touchPoll, upNeeded)
	r.says(vpcdATR)
	r.hears(string(atr))
	close(k.touch)
	r.asks(poll91, "00"+hex.EncodeToString([]byte("touched"))+"9000")
}

// A reader that is lost takes the power from the card, whatever the card is at, and gets it back.
func TestReaderComesBack(t *testing.T) {
	ways := map[string]func(r reader){
		"ends":          func(r reader) { r.conn.Close() },
		"half a frame":  func(r reader) { r.conn.Write([]byte{0, 9, 1, 2, 3}); r.conn.Close() },
		"half a length": func(r reader) { r.conn.Write([]byte{0}); r.conn.Close() },
	}
	for name, lose := range ways {
		for _, request := range []string{"", touch, touchPoll} {
			t.Run(name, func(t *testing.T) {
				k := newNFCKey()
				v, r, served := insert(t, k, ctapnfc.Card{})
				for n := range 3 {
					r.asks(selectFIDO, u2fV2)
					if request != "" {
						r.says(unhex(t, request)...)
						await(t, "lit", k.lit)
					}
					lose(r)
					if request != "" {
						await(t, "dark", k.dark)
					}
					r = r.again()
					r.asks(echo, notFound)
					r.asks(selectFIDO, u2fV2)
					r.asks(poll91, "6985")
					r.asks(echo, echoed)
					if ups := int(k.powerUps.Load()); ups != n+2 {
						t.Errorf("powered up %d times", ups)
					}
				}
				v.Close()
				if err := <-served; err != os.ErrClosed {
					t.Errorf("Serve: %v", err)
				}
			})
		}
	}
}

// A reader that is not there for a while, drops the card at once, or never looks at it: the card keeps trying.
func TestReaderIsFickle(t *testing.T) {
	k := newNFCKey()
	_, r, _ := insert(t, k, ctapnfc.Card{})
	addr := r.listen.Addr().String()
	r.listen.Close()
	r.conn.Close()
	var err error
	if r.listen, err = net.Listen("tcp", addr); err != nil {
		t.Fatal(err)
	}
	defer r.listen.Close()
	for range 3 {
		conn, err := r.listen.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	r = r.again()
	r.asks(selectFIDO, u2fV2)
}

// Close, or the end of the context, ends the wait for a reader: one that is gone, and one that doesn't look.
func TestCloseWhileReaderIsGone(t *testing.T) {
	for _, gone := range []bool{true, false} {
		for _, end := range []string{"close", "cancel"} {
			l := listenVPCD(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			v := &VPCD{addr: l.Addr().String()}
			served := make(chan error, 1)
			if gone {
				l.Close()
			}
			go func() { served <- v.Serve(ctx, newNFCKey()) }()
			if !gone {
				conn, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
			}
			var want error
			if want = os.ErrClosed; end == "close" {
				v.Close()
			} else {
				want = context.Canceled
				cancel()
			}
			if err := <-served; err != want {
				t.Errorf("gone %v, %s: %v", gone, end, err)
			}
		}
	}
}

// After Serve the card is out, and another Serve puts it in.
func TestServeCardAgain(t *testing.T) {
	l := listenVPCD(t)
	v := &VPCD{addr: l.Addr().String()}
	defer v.Close()
	k := newNFCKey()
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- v.Serve(ctx, k) }()
		r := reader{t: t, listen: l}.again()
		r.asks(selectFIDO, u2fV2)
		cancel()
		if err := <-served; err != context.Canceled {
			t.Errorf("Serve: %v", err)
		}
		if _, err := io.Copy(io.Discard, r.conn); err != nil {
			t.Errorf("the reader: %v", err)
		}
	}
}

func TestTakeCardOut(t *testing.T) {
	for _, request := range []string{touch, touchPoll} {
		k := newNFCKey()
		v, r, served := insert(t, k, ctapnfc.Card{})
		r.asks(selectFIDO, u2fV2)
		r.says(unhex(t, request)...)
		await(t, "lit", k.lit)
		if err := v.Serve(t.Context(), k); err != ErrServing {
			t.Errorf("second Serve: %v", err)
		}
		if err := v.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != os.ErrClosed {
			t.Errorf("Serve: %v", err)
		}
		await(t, "dark", k.dark)
		if _, err := io.Copy(io.Discard, r.conn); err != nil { // whatever comes, it ends
			t.Errorf("the reader: %v", err)
		}
		if err := v.Close(); err != os.ErrClosed {
			t.Errorf("second Close: %v", err)
		}
	}
}

func TestNoReader(t *testing.T) {
	l := listenVPCD(t)
	l.Close()
	_, err := OpenVPCD(t.Context(), l.Addr().String())
	if !errors.Is(err, ErrNoReader) {
		t.Errorf("OpenVPCD: %v", err)
	}
}

func TestReaderDoesNotLook(t *testing.T) {
	l := listenVPCD(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		conn, err := l.Accept()
		cancel()
		if err == nil {
			defer conn.Close()
			io.Copy(io.Discard, conn)
		}
	}()
	_, err := OpenVPCD(ctx, l.Addr().String())
	if !errors.Is(err, ErrReaderTaken) || !errors.Is(err, context.Canceled) {
		t.Errorf("OpenVPCD: %v", err)
	}
	_, err = OpenVPCD(ctx, l.Addr().String())
	if !errors.Is(err, ErrReaderTaken) {
		t.Errorf("OpenVPCD, ctx done before: %v", err)
	}
}

func TestReaderHangsUpAtOnce(t *testing.T) {
	l := listenVPCD(t)
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Close()
		}
	}()
	if _, err := OpenVPCD(waiting(t), l.Addr().String()); !errors.Is(err, ErrReaderGone) {
		t.Errorf("OpenVPCD: %v", err)
	}
}

// TCK is the exclusive or of all bytes after TS (ISO 7816-3 §8.2.5).
func TestATR(t *testing.T) {
	var sum byte
	for _, b := range atr[1:] {
		sum ^= b
	}
	if historical := int(atr[1] & 0x0f); sum != 0 || len(atr) != 4+historical+1 {
		t.Errorf("%x: checksum %02x, %d historical bytes", atr, sum, historical)
	}
}

func TestVPCDLeavesNothing(t *testing.T) {
	for range 20 {
		k := newNFCKey()
		v, r, served := insert(t, k, ctapnfc.Card{})
		r.asks(selectFIDO, u2fV2)
		r.says(unhex(t, touchPoll)...)
		await(t, "lit", k.lit)
		v.Close()
		<-served
	}
	nothingRuns(t, "endpoint.(*cardSession)", "ctapnfc.(*Card)", "ctapnfc.start", "endpoint.(*VPCD)")
}

// nothingRuns waits until no goroutine runs any of these functions. The last thing that a goroutine does is seen by
// others a moment before it has ended.
func nothingRuns(t *testing.T, functions ...string) {
	t.Helper()
	stacks := make([]byte, 1<<20)
	running := func(function string) bool {
		return bytes.Contains(stacks[:runtime.Stack(stacks, true)], []byte(function))
	}
	deadline := time.Now().Add(patience)
	for _, f := range functions {
		for running(f) {
			if time.Now().After(deadline) {
				t.Fatalf("goroutines left:\n%s", stacks)
			}
			runtime.Gosched()
		}
	}
}

// FuzzVPCDFrames reads frames from arbitrary bytes: they encode to the same bytes, and nothing but a broken frame is left.
func FuzzVPCDFrames(f *testing.F) {
	f.Add([]byte{0, 1, vpcdATR, 0, 1, vpcdOn, 0, 5, 0, 0xa4, 4, 0, 0})
	f.Add([]byte{0, 0, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, stream []byte) {
		in := bytes.NewReader(stream)
		var again []byte
		var err error
		for err == nil {
			var frame vpcdFrame
			if frame, err = readVPCDFrame(in); err == nil {
				again = append(again, frame.bytes()...)
			}
		}
		whole := len(again) == len(stream)
		if !bytes.HasPrefix(stream, again) || (err == io.EOF) != whole || !whole && err != io.ErrUnexpectedEOF {
			t.Errorf("%x: read %x, then %v", stream, again, err)
		}
	})
}
