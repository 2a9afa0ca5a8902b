package libfido2

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/emulator"
	"fob/fido/fault"
	"fob/fido/softkey"
)

// plugFaulty gives a key with the PIN 1234 that does what words say (fob/fido/fault), once.
func plugFaulty(t *testing.T, words string) string {
	t.Helper()
	in := fault.New(1, fault.MustParse(words))
	key, err := softkey.Plug(t.Context(), in.Options(softkey.Options{PIN: fido.PIN("1234")}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { key.Close(); in.Wait() })
	return key.Path()
}

// TestBadAnswers: an answer that makes no sense is named so, and the key is of use afterwards.
func TestBadAnswers(t *testing.T) {
	for _, words := range []string{
		"garbage on makeCredential",
		"truncate after makeCredential",
		"oversize after makeCredential",
		"corrupt huge out packet 1 of makeCredential",
		"corrupt seq out packet 2 of makeCredential",
		"corrupt cid out packet 1 of makeCredential",
		"drop out packet 2 of makeCredential",
		"garbage on getKeyAgreement",
		"truncate after getKeyAgreement",
	} {
		t.Run(words, func(t *testing.T) {
			d := open(t, plugFaulty(t, words))
			r := registration("ada")
			r.PIN = fido.PIN("1234")
			if _, err := d.MakeCredential(t.Context(), r); !errors.Is(err, fido.ErrBadAnswer) {
				t.Errorf("%v", err)
			}
			if _, err := d.MakeCredential(t.Context(), r); err != nil {
				t.Errorf("the next time: %v", err)
			}
		})
	}
}

// TestHalfARequest: what a key has heard half of is sent again, but not for ever.
func TestHalfARequest(t *testing.T) {
	for words, want := range map[string]error{
		"drop in packet 3 of makeCredential":    nil,
		"drop in packet 3 of makeCredential 1+": fido.ErrBadAnswer,
	} {
		d := open(t, plugFaulty(t, words))
		r := registration("ada")
		r.PIN = fido.PIN("1234")
		if _, err := d.MakeCredential(t.Context(), r); !errors.Is(err, want) {
			t.Errorf("%s: %v", words, err)
		}
	}
}

// TestHiddenStatus: what libfido2 makes an internal error of is the status that the key gave.
func TestHiddenStatus(t *testing.T) {
	d := open(t, plugFaulty(t, "status 0x30 on getKeyAgreement"))
	r := registration("ada")
	r.PIN = fido.PIN("1234")
	if _, err := d.MakeCredential(t.Context(), r); !errors.Is(err, ctap.ErrNotAllowed) {
		t.Error(err)
	}
}

func TestBusyInMidOperation(t *testing.T) {
	f := newFinger()
	path, _ := plug(t, newKey(t, emulator.Options{Presence: f.presence}))
	d := open(t, path)
	openNeighbour(t, path).begin(t, makeCredential())
	await(t, "light", f.waiting)
	if _, err := d.MakeCredential(t.Context(), registration("ada")); !errors.Is(err, fido.ErrDeviceBusy) {
		t.Error(err)
	}
	close(f.touch)
}

// makeCredential is what other programs send.
func makeCredential() []byte {
	r := registration("bob")
	return (&ctap.MakeCredentialRequest{
		ClientDataHash: r.ClientDataHash, RP: &r.RP, User: &r.User,
		PubKeyCredParams: []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: r.Algorithm}},
	}).Encode()
}

// TestOpenAfterAnother reads the answer that another program has left unread, and does not take it for its own.
func TestOpenAfterAnother(t *testing.T) {
	served := make(chan struct{}, 1)
	h := noted{newKey(t, emulator.Options{}), served}
	path, _ := plug(t, h)
	n := openNeighbour(t, path)
	for range 3 {
		n.send(t, ctaphid.Message{CID: ctaphid.BroadcastCID, Command: ctaphid.CommandInit, Payload: make([]byte, 8)})
	}
	d := open(t, path)
	await(t, "authenticatorGetInfo", served)
	if _, err := d.GetInfo(t.Context()); err != nil {
		t.Error(err)
	}
}

// noted tells of each request.
type noted struct {
	ctap.Handler
	served chan struct{}
}

func (h noted) ServeCTAP(ctx context.Context, r ctap.Request, k func(ctap.KeepaliveStatus)) ctap.Response {
	select {
	case h.served <- struct{}{}:
	default:
	}
	return h.Handler.ServeCTAP(ctx, r, k)
}

func TestExchange(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{}))
	d := open(t, path)
	body, err := d.exchange(t.Context(), []byte{byte(ctap.CommandGetInfo)})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := ctap.ParseGetInfoResponse(body); err != nil || !info.Options[ctap.OptionRK] {
		t.Error(info, err)
	}
	if _, err := d.exchange(t.Context(), []byte{0x3f}); !errors.Is(err, ctap.ErrInvalidCommand) {
		t.Error(err)
	}
	if _, err := d.MakeCredential(t.Context(), registration("ada")); err != nil { // on the same channel
		t.Error(err)
	}
}

func TestExchangeIsCancelled(t *testing.T) {
	f := newFinger()
	path, unplug := plug(t, newKey(t, emulator.Options{Presence: f.presence}))
	d := open(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := d.exchange(fido.OnWaiting(ctx, cancel), makeCredential()); err != context.Canceled {
		t.Error(err)
	}
	await(t, "dark", f.dark)
	if _, err := d.exchange(t.Context(), []byte{byte(ctap.CommandGetInfo)}); err != nil {
		t.Error(err)
	}
	unplug()
	if _, err := d.exchange(t.Context(), []byte{byte(ctap.CommandGetInfo)}); !errors.Is(err, fido.ErrDeviceGone) {
		t.Error(err)
	}
}

// TestDeadline: an answer that comes too late is not taken for that to the next request.
func TestDeadline(t *testing.T) {
	f := newFinger()
	path, _ := plug(t, newKey(t, emulator.Options{Presence: f.presence}))
	d := open(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := d.MakeCredential(ctx, registration("ada")); err != context.DeadlineExceeded {
		t.Error(err)
	}
	if _, err := d.GetInfo(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestWink(t *testing.T) {
	winks := make(chan struct{}, 1)
	path, _ := plugDevice(t, ctaphid.Device{Wink: func() { winks <- struct{}{} }}, newKey(t, emulator.Options{}))
	if err := open(t, path).Wink(t.Context()); err != nil {
		t.Error(err)
	}
	await(t, "wink", winks)
	path, _ = plug(t, newKey(t, emulator.Options{}))
	if err := open(t, path).Wink(t.Context()); !errors.Is(err, ctap.ErrInvalidCommand) {
		t.Error(err)
	}
}

// TestInfoThatLibfido2Hides arrives as the key has it, within bounds.
func TestInfoThatLibfido2Hides(t *testing.T) {
	more := func(m map[int]any) {
		m[14] = uint64(1) << 60
		m[19] = map[string]int{"FIPS-CMVP-3": 2}
		m[21] = []uint64{1 << 62}
		m[24] = true
		m[26] = []string{"usb"}
		m[28] = []byte("https://example.com")
		m[99] = "unknown"
	}
	path, _ := plug(t, rewrite{newKey(t, emulator.Options{}), ctap.CommandGetInfo, more})
	info, err := open(t, path).GetInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.FirmwareVersion != math.MaxInt32 || info.Certifications["FIPS-CMVP-3"] != 2 || !info.LongTouchForReset ||
		info.VendorConfigCommands[0] != 1<<62 || info.TransportsForReset[0] != "usb" ||
		string(info.PINComplexityPolicyURL) != "https://example.com" {
		t.Errorf("%+v", info)
	}
}

// TestCarelessInfo: what is not canonical CBOR is read by libfido2.
func TestCarelessInfo(t *testing.T) {
	path, _ := plug(t, careless{newKey(t, emulator.Options{})})
	info, err := open(t, path).GetInfo(t.Context())
	if err != nil || !info.Options[ctap.OptionRK] {
		t.Error(info, err)
	}
}

// careless encodes the first member of authenticatorGetInfo longer than needed.
type careless struct{ ctap.Handler }

func (h careless) ServeCTAP(ctx context.Context, r ctap.Request, k func(ctap.KeepaliveStatus)) ctap.Response {
	out := h.Handler.ServeCTAP(ctx, r, k)
	if r.Payload[0] != byte(ctap.CommandGetInfo) {
		return out
	}
	return append(ctap.Response{out[0], out[1], 0x18}, out[2:]...) // key 1 in two bytes
}

func TestUVRetries(t *testing.T) {
	profile, err := emulator.LookupProfile("fingerprint")
	if err != nil {
		t.Fatal(err)
	}
	path, _ := plug(t, newKey(t, emulator.Options{Profile: profile}))
	if n, err := open(t, path).UVRetries(t.Context()); n == 0 || err != nil {
		t.Error(n, err)
	}
	path, _ = plug(t, newKey(t, emulator.Options{}))
	if n, err := open(t, path).UVRetries(t.Context()); err == nil {
		t.Error(n, err)
	}
}

// TestWaiting: told is what the key says, when it says it.
func TestWaiting(t *testing.T) {
	f := newFinger()
	key := newKey(t, emulator.Options{Presence: f.presence})
	if err := key.SetPIN([]byte("1234")); err != nil {
		t.Fatal(err)
	}
	path, _ := plug(t, key)
	d := open(t, path)
	told := 0
	ctx := fido.OnWaiting(t.Context(), func() {
		told++
		<-f.waiting
		f.touch <- struct{}{}
	})
	r := registration("ada")
	r.PIN = fido.PIN("4321")
	if _, err := d.MakeCredential(ctx, r); err != ctap.ErrPINInvalid || told != 0 {
		t.Errorf("wrong PIN: %v, told %d times", err, told)
	}
	r.PIN = fido.PIN("1234")
	made, err := d.MakeCredential(ctx, r)
	if err != nil || told != 1 {
		t.Fatalf("right PIN: %v, told %d times", err, told)
	}
	data, err := ctap.ParseAuthenticatorData(made.AuthData)
	if err != nil {
		t.Fatal(err)
	}
	a := signIn(data.Attested.CredentialID)
	a.Silent = true
	if _, err := d.GetAssertion(ctx, a); err != nil || told != 1 {
		t.Errorf("silent: %v, told %d times", err, told)
	}
	a.Silent = false
	if _, err := d.GetAssertion(ctx, a); err != nil || told != 2 {
		t.Errorf("assertion: %v, told %d times", err, told)
	}
	if err := d.Select(ctx); err != nil || told != 3 {
		t.Errorf("selection: %v, told %d times", err, told)
	}
}
