package endpoint

import (
	"context"
	"encoding/hex"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fob/fido/ctap"
	"fob/fido/ctapnfc"
)

// reader plays vpcd: it speaks to the card that has connected.
type reader struct {
	t      *testing.T
	listen net.Listener
	conn   net.Conn
}

// listenVPCD is a reader without a card.
func listenVPCD(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// accept waits for a card and looks at its ATR, as pcscd does.
func accept(t *testing.T, l net.Listener) reader {
	conn, err := l.Accept()
	if err != nil {
		t.Error(err)
		return reader{}
	}
	conn.SetDeadline(time.Now().Add(patience))
	r := reader{t, l, conn}
	for range vpcdLooks {
		r.looks()
	}
	return r
}

// again waits for the card to come back, and powers it up.
func (r reader) again() reader {
	r = accept(r.t, r.listen)
	r.t.Cleanup(func() { r.conn.Close() })
	r.says(vpcdOn)
	return r
}

func (r reader) looks() {
	r.conn.Write(vpcdFrame{vpcdATR}.bytes())
	if f, err := readVPCDFrame(r.conn); string(f) != string(atr) {
		r.t.Errorf("ATR %x, %v", []byte(f), err)
	}
}

// insert puts a card into a reader, which powers it up.
func insert(t *testing.T, h ctap.Handler, card ctapnfc.Card) (*VPCD, reader, <-chan error) {
	t.Helper()
	l := listenVPCD(t)
	accepted := make(chan reader, 1)
	go func() {
		r := accept(t, l)
		r.conn.Write(vpcdFrame{vpcdOn}.bytes())
		accepted <- r
	}()
	v, err := OpenVPCD(waiting(t), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	v.Card = card
	served := make(chan error, 1)
	go func() { served <- v.Serve(t.Context(), h) }()
	r := <-accepted
	t.Cleanup(func() {
		v.Close()
		r.conn.Close()
	})
	return v, r, served
}

func (r reader) says(frame ...byte) {
	r.t.Helper()
	if _, err := r.conn.Write(vpcdFrame(frame).bytes()); err != nil {
		r.t.Fatal(err)
	}
}

func (r reader) hears(want string) {
	r.t.Helper()
	f, err := readVPCDFrame(r.conn)
	if err != nil {
		r.t.Fatal(err)
	}
	if string(f) != want {
		r.t.Errorf("the card says %x, want %x", []byte(f), want)
	}
}

// asks exchanges APDUs, in hexadecimal.
func (r reader) asks(command, want string) {
	r.t.Helper()
	r.says(unhex(r.t, command)...)
	r.hears(string(unhex(r.t, want)))
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	selectFIDO = "00a40400 08 a0000006472f0001 00"
	u2fV2      = "5532465f5632 9000"
	touch      = "80100000 01 74 00" // a request that waits for the touch
	touchPoll  = "80108000 01 74 00" // and one that can be asked after
	poll91     = "80110000 00"
	echo       = "80100000 02 6501 00"
	echoed     = "00 6501 9000"
	upNeeded   = "02 9100"
	cancelled  = "2d 9000"
	notFound   = "6d00" // what a card without a selected application answers
)

// nfcKey is a key that counts how often it is powered up, and refuses what is not of NFC.
type nfcKey struct {
	*key
	powerUps atomic.Int32
}

func (k *nfcKey) PowerCycle() { k.powerUps.Add(1) }

func (k *nfcKey) ServeCTAP(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	if r.Transport != ctap.TransportNFC || r.Channel != 0 {
		return ctap.Response{byte(ctap.ErrOther)}
	}
	return k.key.ServeCTAP(ctx, r, keepalive)
}

func newNFCKey() *nfcKey { return &nfcKey{key: newKey()} }
