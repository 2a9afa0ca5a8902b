package nfcbridge_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctapnfc"
	"fob/fido/emulator"
	"fob/fido/helper"
	"fob/fido/nfcbridge"
	"fob/fido/pcsc"
	"fob/fido/pcsc/pcscdtest"
)

// open opens the key of a device as fobd would: through the helper process and libfido2.
func open(t *testing.T, w *nfcbridge.Watcher, d nfcbridge.Device) fido.Authenticator {
	t.Helper()
	source := &helper.Source{Path: helperPath, Extra: w.Devices, NoDiscovery: true}
	all, err := source.Devices(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(i fido.DeviceInfo) bool { return i.Path == d.Path })
	if i < 0 || all[i].Product != "key at "+d.Reader {
		t.Fatalf("devices %+v", all)
	}
	key, err := source.Open(t.Context(), all[i].ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { key.Close() })
	return key
}

func registration(user string) *fido.MakeCredentialRequest {
	hash := sha256.Sum256([]byte("client data"))
	return &fido.MakeCredentialRequest{
		ClientDataHash: hash[:], RP: ctap.PublicKeyCredentialRpEntity{ID: rpID},
		User: ctap.PublicKeyCredentialUserEntity{ID: []byte(user), Name: user}, Algorithm: ctap.ES256,
	}
}

// TestTwoReaders has two cards at two readers: what is registered at one is not at the other.
func TestTwoReaders(t *testing.T) {
	pcscdtest.Start(t)
	w := new(nfcbridge.Watcher)
	e := watch(t, w)
	first, second := newKey(t, emulator.Options{}), newKey(t, emulator.Options{})
	takeOut0 := insert(t, addr0, ctapnfc.Card{Handler: first})
	d0 := e.want(nfcbridge.Added, reader0, nil)
	takeOut1 := insert(t, addr1, ctapnfc.Card{Handler: second, NoU2F: true})
	d1 := e.want(nfcbridge.Added, reader1, nil)
	if d0.Path == d1.Path || !d0.U2F || d1.U2F {
		t.Errorf("devices %+v, %+v", d0, d1)
	}
	for i, d := range []nfcbridge.Device{d0, d1} {
		r := registration("alice")
		r.RK = true
		if _, err := open(t, w, d).MakeCredential(t.Context(), r); err != nil {
			t.Error(err)
		}
		if n0, n1 := len(first.Credentials()), len(second.Credentials()); n0 != 1 || n1 != i {
			t.Errorf("%d and %d credentials", n0, n1)
		}
	}
	takeOut0()
	e.want(nfcbridge.Removed, reader0, nil)
	if left := w.Devices(); len(left) != 1 || left[0].Path != d1.Path {
		t.Errorf("left %+v", left)
	}
	takeOut1()
	e.want(nfcbridge.Removed, reader1, nil)
}

// TestCardThatIsNoKey leaves other cards alone, and says why.
func TestCardThatIsNoKey(t *testing.T) {
	pcscdtest.Start(t)
	e := watch(t, new(nfcbridge.Watcher))
	other := func(context.Context, ctapnfc.Command) ctapnfc.Response {
		return ctapnfc.Response{SW: ctapnfc.SWSuccess}
	}
	takeOut := insert(t, addr0, ctapnfc.Card{Applets: map[string]ctapnfc.Applet{"other": other}})
	e.want(nfcbridge.Refused, reader0, nfcbridge.ErrNoFIDO)
	takeOut()
	awaitEmpty(t)
	takeOut = insert(t, addr0, ctapnfc.Card{Applets: map[string]ctapnfc.Applet{ctapnfc.AID: other}})
	e.want(nfcbridge.Refused, reader0, nfcbridge.ErrNoFIDO)
	takeOut()
	awaitEmpty(t)
	insert(t, addr0, ctapnfc.Card{Handler: newKey(t, emulator.Options{})})
	e.want(nfcbridge.Added, reader0, nil)
}

// awaitEmpty waits until pcscd knows that there is no card in the first reader. One that does not answer it may have
// gone, but pcscd would not notice that another one has come.
func awaitEmpty(t *testing.T) {
	t.Helper()
	c, err := pcsc.Dial(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err = c.Watch(ctx, func(readers []pcsc.ReaderState) {
		i := slices.IndexFunc(readers, func(r pcsc.ReaderState) bool { return r.Name == reader0 })
		if i >= 0 && readers[i].State&pcsc.CardAbsent != 0 {
			cancel()
		}
	})
	if err != context.Canceled {
		t.Fatal(err)
	}
}

// hold has python-pyscard connect to the card in the first reader, in a mode, and begin a transaction if it is asked
// to, until the function that it returns.
func hold(t *testing.T, mode, transaction string) (release func()) {
	t.Helper()
	const script = `
import sys
from smartcard.scard import *
r, context = SCardEstablishContext(SCARD_SCOPE_USER)
while True:
    r, card, p = SCardConnect(context, sys.argv[1], getattr(smartcard.scard, sys.argv[2]), SCARD_PROTOCOL_ANY)
    if r != SCARD_E_SHARING_VIOLATION: break
if r == 0 and sys.argv[3]: r = SCardBeginTransaction(card)
print(hex(r & 0xffffffff), flush=True)
sys.stdin.read()
if sys.argv[3]: SCardEndTransaction(card, SCARD_LEAVE_CARD)
SCardDisconnect(card, SCARD_LEAVE_CARD)
`
	cmd := exec.Command("/usr/bin/python3", "-c", "import smartcard.scard"+script, reader0, mode, transaction)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "0x0\n" {
		t.Errorf("python3-pyscard: %q, %v", line, err)
	}
	released := false
	release = func() {
		if !released {
			released = true
			in.Close()
			cmd.Wait()
		}
	}
	t.Cleanup(release)
	return release
}

// TestExclusive has another program take the card for itself: the key stays, and is busy until that program is done.
func TestExclusive(t *testing.T) {
	pcscdtest.Start(t)
	w := new(nfcbridge.Watcher)
	e := watch(t, w)
	insert(t, addr0, ctapnfc.Card{Handler: newKey(t, emulator.Options{})})
	d := e.want(nfcbridge.Added, reader0, nil)
	release := hold(t, "SCARD_SHARE_EXCLUSIVE", "")
	source := &helper.Source{Path: helperPath, Extra: w.Devices, NoDiscovery: true}
	all, err := source.Devices(t.Context())
	if err != nil || len(all) != 1 {
		t.Fatalf("%+v, %v", all, err)
	}
	if _, err := source.Open(t.Context(), all[0].ID); !errors.Is(err, fido.ErrDeviceBusy) {
		t.Error("Open:", err)
	}
	if _, err := nfcbridge.Open(t.Context(), reader0, nfcbridge.Options{}); !errors.Is(err, fido.ErrDeviceBusy) ||
		!errors.Is(err, pcsc.ErrSharingViolation) {
		t.Error("Open:", err)
	}
	release()
	if _, err := open(t, w, d).GetInfo(t.Context()); err != nil {
		t.Error(err)
	}
	if now, err := source.Devices(t.Context()); err != nil || !slices.Equal(now, all) {
		t.Errorf("%+v, %v; it was %+v", now, err, all)
	}
}

// TestExclusiveFromTheStart finds a card that another program has for itself, and plugs it in when that is over.
func TestExclusiveFromTheStart(t *testing.T) {
	pcscdtest.Start(t)
	insert(t, addr0, ctapnfc.Card{Handler: newKey(t, emulator.Options{})})
	awaitCard(t)
	release := hold(t, "SCARD_SHARE_EXCLUSIVE", "")
	w := new(nfcbridge.Watcher)
	e := watch(t, w)
	e.want(nfcbridge.Refused, reader0, fido.ErrDeviceBusy)
	if held := w.Held(); !slices.Equal(held, []string{reader0}) || len(w.Devices()) > 0 {
		t.Errorf("held %q, devices %+v", held, w.Devices())
	}
	release()
	e.want(nfcbridge.Added, reader0, nil)
	if held := w.Held(); len(held) > 0 {
		t.Errorf("held %q", held)
	}
}

// TestTransaction has another program keep the card in a transaction, for longer than we wait. A ceremony keeps others
// from the card in turn.
func TestTransaction(t *testing.T) {
	pcscdtest.Start(t)
	w := &nfcbridge.Watcher{Options: nfcbridge.Options{Idle: 50 * time.Millisecond}}
	e := watch(t, w)
	insert(t, addr0, ctapnfc.Card{Handler: newKey(t, emulator.Options{})})
	key := open(t, w, e.want(nfcbridge.Added, reader0, nil))
	release := hold(t, "SCARD_SHARE_SHARED", "transaction") // which waits for the one of Open to end
	if _, err := key.MakeCredential(t.Context(), registration("alice")); !errors.Is(err, fido.ErrDeviceBusy) {
		t.Error("in another's transaction:", err)
	}
	release()
	if _, err := key.MakeCredential(t.Context(), registration("alice")); err != nil {
		t.Error("after it:", err)
	}
}

// TestHeldFromTheStart finds a card that another program keeps in a transaction, and waits for it to let go.
func TestHeldFromTheStart(t *testing.T) {
	pcscdtest.Start(t)
	insert(t, addr0, ctapnfc.Card{Handler: newKey(t, emulator.Options{})})
	awaitCard(t)
	release := hold(t, "SCARD_SHARE_SHARED", "transaction")
	e := watch(t, new(nfcbridge.Watcher))
	e.want(nfcbridge.Refused, reader0, fido.ErrDeviceBusy)
	release()
	e.want(nfcbridge.Added, reader0, nil)
}

// slowKey takes its time over makeCredential, until it is cancelled.
type slowKey struct {
	*emulator.Authenticator
	slow             atomic.Bool
	begun, cancelled chan struct{}
}

func newSlowKey(t *testing.T) *slowKey {
	k := &slowKey{
		Authenticator: newKey(t, emulator.Options{}), begun: make(chan struct{}, 1), cancelled: make(chan struct{}, 1),
	}
	k.slow.Store(true)
	return k
}

func (k *slowKey) ServeCTAP(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	if r.U2F || ctap.Command(r.Payload[0]) != ctap.CommandMakeCredential || !k.slow.Load() {
		return k.Authenticator.ServeCTAP(ctx, r, keepalive)
	}
	keepalive(ctap.KeepaliveUPNeeded)
	k.begun <- struct{}{}
	<-ctx.Done()
	k.cancelled <- struct{}{}
	return ctap.Response{byte(ctap.ErrKeepaliveCancel)}
}

// TestCardLost takes the card away in the middle of a ceremony. When it is back the ceremony can be held.
func TestCardLost(t *testing.T) {
	pcscdtest.Start(t)
	w := new(nfcbridge.Watcher)
	e := watch(t, w)
	card := newSlowKey(t)
	takeOut := insert(t, addr0, ctapnfc.Card{Handler: card})
	d := e.want(nfcbridge.Added, reader0, nil)
	key := open(t, w, d)
	result := make(chan error, 1)
	go func() {
		_, err := key.MakeCredential(t.Context(), registration("alice"))
		result <- err
	}()
	<-card.begun
	takeOut()
	<-card.cancelled
	e.want(nfcbridge.Removed, reader0, nfcbridge.ErrCardLost)
	if err := <-result; !errors.Is(err, fido.ErrDeviceGone) {
		t.Error("the host got", err)
	}
	if left := w.Devices(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
	awaitEmpty(t)
	card.slow.Store(false)
	insert(t, addr0, ctapnfc.Card{Handler: card})
	key = open(t, w, e.want(nfcbridge.Added, reader0, nil))
	if _, err := key.MakeCredential(t.Context(), registration("alice")); err != nil {
		t.Error("tapped again:", err)
	}
}

// TestCancel cancels a ceremony: the card goes on working.
func TestCancel(t *testing.T) {
	pcscdtest.Start(t)
	w := new(nfcbridge.Watcher)
	e := watch(t, w)
	card := newSlowKey(t)
	insert(t, addr0, ctapnfc.Card{Handler: card})
	d := e.want(nfcbridge.Added, reader0, nil)
	key := open(t, w, d)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-card.begun
		cancel()
	}()
	if _, err := key.MakeCredential(ctx, registration("alice")); err != context.Canceled {
		t.Error(err)
	}
	<-card.cancelled
	card.slow.Store(false)
	key.Close()
	key = open(t, w, d) // a helper that has heard of the cancel too late was killed
	if _, err := key.MakeCredential(t.Context(), registration("alice")); err != nil {
		t.Error("afterwards:", err)
	}
}

// longKey answers getInfo, and as many bytes as a request says.
type longKey struct{ *emulator.Authenticator }

func (k longKey) ServeCTAP(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	if r.Payload[0] != 0x40 {
		return k.Authenticator.ServeCTAP(ctx, r, keepalive)
	}
	return append(ctap.Response{0}, bytes.Repeat(r.Payload[:1], len(r.Payload)-1)...)
}

// TestLongMessages carries the longest request and response that there are.
func TestLongMessages(t *testing.T) {
	pcscdtest.Start(t)
	insert(t, addr0, ctapnfc.Card{Handler: longKey{newKey(t, emulator.Options{})}})
	awaitCard(t)
	key, err := nfcbridge.Open(t.Context(), reader0, nfcbridge.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	for _, n := range []int{1, 254, 255, 256, 257, 1200, ctapnfc.MaxPayload} {
		response := key.ServeCTAP(t.Context(), ctap.Request{Payload: bytes.Repeat([]byte{0x40}, n)}, nothing)
		if len(response) != n || bytes.Count(response, []byte{0x40}) != n-1 {
			t.Errorf("%d bytes: %d", n, len(response))
		}
	}
	response := key.ServeCTAP(t.Context(), ctap.Request{Payload: make([]byte, ctapnfc.MaxPayload+1)}, nothing)
	if !bytes.Equal(response, []byte{byte(ctap.ErrOther)}) {
		t.Errorf("too long: %x", response)
	}
}

// awaitCard waits until pcscd knows of the card in the first reader.
func awaitCard(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w := new(nfcbridge.Watcher)
	if err := w.Run(ctx, func(nfcbridge.Event) { cancel() }); err != context.Canceled {
		t.Fatal(err)
	}
}

// TestIdle lets go of the card after a ceremony: another program can have it for itself, while the key stays plugged in
// until then.
func TestIdle(t *testing.T) {
	pcscdtest.Start(t)
	insert(t, addr0, ctapnfc.Card{Handler: newKey(t, emulator.Options{})})
	awaitCard(t)
	key, err := nfcbridge.Open(t.Context(), reader0, nfcbridge.Options{Idle: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer key.Close()
	info := ctap.Request{Payload: []byte{byte(ctap.CommandGetInfo)}}
	for range 3 {
		if r := key.ServeCTAP(t.Context(), info, nothing); r[0] != 0 {
			t.Errorf("getInfo: %x", r[0])
		}
		hold(t, "SCARD_SHARE_EXCLUSIVE", "")() // which tries until it can
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if r := key.ServeCTAP(done, info, nothing); ctap.StatusCode(r[0]) != ctap.ErrKeepaliveCancel {
		t.Errorf("cancelled before: %x", r)
	}
	hold(t, "SCARD_SHARE_EXCLUSIVE", "")
	if r := key.ServeCTAP(t.Context(), info, nothing); ctap.StatusCode(r[0]) != ctap.ErrChannelBusy {
		t.Errorf("busy: %x", r)
	}
	u2f := ctap.Request{U2F: true, Payload: []byte("\x00\x03\x00\x00\x00\x00\x00")}
	if r := key.ServeCTAP(t.Context(), u2f, nothing); !bytes.Equal(r, []byte{0x69, 0x86}) {
		t.Errorf("busy: %x", r)
	}
}

// TestPCSCDEnds ends with pcscd. The keys go with it.
func TestPCSCDEnds(t *testing.T) {
	restart := pcscdtest.Start(t)
	if restart == nil {
		t.Skip("the pcscd of the system stays")
	}
	takeOut := insert(t, addr0, ctapnfc.Card{Handler: newKey(t, emulator.Options{})})
	w := new(nfcbridge.Watcher)
	added := make(chan string, 1)
	over := make(chan error, 1)
	go func() { over <- w.Run(t.Context(), func(e nfcbridge.Event) { added <- e.Device.Path }) }()
	path := <-added
	takeOut()
	restart()
	if err := <-over; !errors.Is(err, pcsc.ErrNoService) {
		t.Error(err)
	}
	if d := w.Devices(); len(d) > 0 {
		t.Errorf("%s is still there: %+v", path, d)
	}
}

// TestNothingIsLeft holds a card to the reader again and again.
func TestNothingIsLeft(t *testing.T) {
	pcscdtest.Start(t)
	card := newSlowKey(t)
	cycle := func(interrupt bool) {
		ctx, cancel := context.WithCancel(t.Context())
		e := events{t, make(chan nfcbridge.Event, 4), make(chan error, 1)}
		go func() { e.over <- new(nfcbridge.Watcher).Run(ctx, func(v nfcbridge.Event) { e.c <- v }) }()
		takeOut := insert(t, addr0, ctapnfc.Card{Handler: card})
		d := e.want(nfcbridge.Added, reader0, nil)
		if interrupt {
			tool := exec.CommandContext(ctx, "fido2-cred", "-M", "-i", credentialInput(t), d.Path)
			if err := tool.Start(); err != nil {
				t.Fatal(err)
			}
			<-card.begun
			takeOut()
			<-card.cancelled
			e.want(nfcbridge.Removed, reader0, nfcbridge.ErrCardLost)
			tool.Wait()
		}
		cancel()
		<-e.over
		takeOut()
		awaitEmpty(t)
	}
	cycle(true)
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	for i := range 6 {
		cycle(i%2 == 0)
	}
	for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines || openFiles(t) > files; runtime.Gosched() {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d files; %d, %d before\n%s", runtime.NumGoroutine(), openFiles(t), goroutines,
				files, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
