package helper

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

// fakeDriver stands in for libfido2. What a key does depends on the relying party that it is asked for.
type fakeDriver struct {
	log  func(event string)
	open error
	// replug has a link point somewhere else when it is opened for the first time, which is denied: as what the process
	// was confined to is there no more.
	replug map[string]string

	sandbox  Sandbox
	confine  error
	confined []string // what the process was confined to

	mu   sync.Mutex
	pins []fido.PIN // the slices that ceremonies were given
}

func (d *fakeDriver) Confine(path string) (Sandbox, error) {
	d.confined = append(d.confined, path)
	return d.sandbox, d.confine
}

func (d *fakeDriver) Devices() ([]fido.DeviceInfo, error) {
	return []fido.DeviceInfo{
		{Path: "/dev/zero", VendorID: 0x1050, ProductID: 0x407, Manufacturer: "Yu\x1b[31mbico", Product: "Key"},
		{Path: "/dev/gone"},
	}, nil
}

func (d *fakeDriver) Rehearse() (fido.Authenticator, []byte, error) {
	return playedKey{(*fakeKey)(d)}, []byte{1}, nil
}

// playedKey is a key for a rehearsal.
type playedKey struct{ *fakeKey }

func (k playedKey) GetAssertion(
	ctx context.Context, r *fido.GetAssertionRequest,
) ([]fido.GetAssertionResponse, error) {
	list, err := k.fakeKey.GetAssertion(ctx, r)
	return list[:1], err
}

func (playedKey) Close() error { return nil }

func (d *fakeDriver) Open(path string) (fido.Authenticator, error) {
	d.log("open " + path)
	if d.open != nil {
		return nil, d.open
	}
	if next := d.replug[path]; next != "" {
		if target, _ := os.Readlink(path); target != next { // the first time
			os.Remove(path)
			os.Symlink(next, path)
			return nil, fido.ErrDenied
		}
	}
	return (*fakeKey)(d), nil
}

type fakeKey fakeDriver

func (k *fakeKey) GetInfo(context.Context) (*ctap.GetInfoResponse, error) { return fakeInfo(), nil }

func fakeInfo() *ctap.GetInfoResponse {
	return &ctap.GetInfoResponse{
		Versions:           []string{ctap.VersionFIDO20},
		AAGUID:             ctap.AAGUID{1, 2, 3},
		Options:            map[string]bool{ctap.OptionRK: true},
		MaxMsgSize:         1200,
		PINUVAuthProtocols: []ctap.PINProtocol{2, 1},
		Algorithms:         []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: ctap.ES256}},
	}
}

func (k *fakeKey) PINRetries(context.Context) (fido.PINRetries, error) {
	return fido.PINRetries{Left: 8}, nil
}

func (k *fakeKey) UVRetries(context.Context) (uint, error) { return 3, nil }

func (k *fakeKey) Select(ctx context.Context) error {
	k.log("select")
	<-ctx.Done()
	k.log("dark")
	return ctx.Err()
}

func (k *fakeKey) Wink(context.Context) error {
	k.log("wink")
	return nil
}

func (k *fakeKey) SetPIN(_ context.Context, pin fido.PIN) error {
	k.keep(pin)
	k.log("set PIN of " + fmt.Sprint(len(pin)))
	return nil
}

func (k *fakeKey) ChangePIN(_ context.Context, old, pin fido.PIN) error {
	k.keep(old, pin)
	k.log(fmt.Sprintf("change PIN of %d to %d", len(old), len(pin)))
	if string(old) != "1234" {
		return ctap.ErrPINInvalid
	}
	return nil
}

func (k *fakeKey) Configure(_ context.Context, r *fido.ConfigRequest) error {
	k.keep(r.PIN)
	k.log(fmt.Sprintf("configure %d min=%d rp=%v force=%v", r.Subcommand, r.MinPINLength, r.RPIDs, r.ForceChange))
	return nil
}

func (k *fakeKey) Reset(context.Context) error {
	k.log("reset")
	return ctap.ErrNotAllowed
}

// keep remembers PINs, so that a test sees them wiped.
func (k *fakeKey) keep(pins ...fido.PIN) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pins = append(k.pins, pins...)
}

func (k *fakeKey) MakeCredential(
	ctx context.Context, r *fido.MakeCredentialRequest,
) (*fido.MakeCredentialResponse, error) {
	if r.PIN != nil {
		k.mu.Lock()
		k.pins = append(k.pins, r.PIN)
		k.mu.Unlock()
		if string(r.PIN) != "1234" {
			return nil, fmt.Errorf("fake: %w", ctap.ErrPINInvalid)
		}
	}
	switch r.RP.ID {
	case "unplug.example":
		return nil, fmt.Errorf("%w (FIDO_ERR_RX)", fido.ErrDeviceGone)
	case "odd.example":
		return nil, fmt.Errorf("odd\x1b[2J %s", strings.Repeat("x", 1000))
	case "touch.example":
		fido.Waiting(ctx) // for a finger
		fido.Waiting(ctx) // for a touch
	case "wait.example":
		k.log("touch")
		<-ctx.Done()
		k.log("dark")
		return nil, ctx.Err()
	case "hang.example":
		k.log("touch")
		select {}
	case "huge.example":
		huge := fakeCredential()
		huge.AttStmt = mustCBOR(map[string][]byte{"x": make([]byte, maxReply)})
		return huge, nil
	case "bad.example":
		bad := fakeCredential()
		bad.AuthData = make([]byte, 37)
		return bad, nil
	}
	return fakeCredential(), nil
}

func fakeCredential() *fido.MakeCredentialResponse {
	data := ctap.AuthenticatorData{Flags: ctap.FlagUP, Attested: &ctap.AttestedCredentialData{
		CredentialID: []byte("credential"), PublicKey: []byte{0xa1, 1, 2},
	}}
	return &fido.MakeCredentialResponse{MakeCredentialResponse: ctap.MakeCredentialResponse{
		Format: ctap.FormatNone, AuthData: data.Encode(), AttStmt: []byte{0xa0}}}
}

func (k *fakeKey) GetAssertion(
	ctx context.Context, r *fido.GetAssertionRequest,
) ([]fido.GetAssertionResponse, error) {
	data := ctap.AuthenticatorData{Flags: ctap.FlagUP, SignCount: 7}
	list := make([]fido.GetAssertionResponse, 2)
	for i := range list {
		list[i].GetAssertionResponse = ctap.GetAssertionResponse{
			Credential: ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: []byte{byte(i + 1)}},
			AuthData:   data.Encode(),
			Signature:  []byte("signature"),
			User:       &ctap.PublicKeyCredentialUserEntity{ID: []byte{byte(i)}, Name: "ada\u202e"},
		}
		if r.Salts != nil {
			list[i].HMACSecret = bytes.Repeat([]byte{byte(i)}, len(r.Salts))
		}
		if r.ReadLargeBlob {
			list[i].LargeBlob = []byte("large")
		}
		list[i].LargeBlobWritten = r.WriteLargeBlob != nil
	}
	return list, nil
}

func (k *fakeKey) Close() error {
	k.log("close")
	return nil
}

func makeRequest(rpID string, pin fido.PIN) *fido.MakeCredentialRequest {
	return &fido.MakeCredentialRequest{
		ClientDataHash: make([]byte, 32),
		RP:             ctap.PublicKeyCredentialRpEntity{ID: rpID, Name: "Example"},
		User:           ctap.PublicKeyCredentialUserEntity{ID: []byte{1}, Name: "ada"},
		Algorithm:      ctap.ES256,
		ExcludeList:    [][]byte{{1}, {2}},
		RK:             true,
		PIN:            pin,
	}
}

// TestMain is the helper program too, when its first argument says so: its environment is empty.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "helper" {
		syscall.Exit(helperMain(os.Args[2])) // os.Exit would sleep for a second under the race detector
	}
	os.Exit(m.Run())
}

// helperMain behaves as the test named it. Events are lines on standard error.
func helperMain(behaviour string) int {
	conn, err := net.FileConn(os.NewFile(3, "socket"))
	if err != nil {
		return 64
	}
	driver := &fakeDriver{log: func(event string) { fmt.Fprintln(os.Stderr, event) }}
	if behave, ok := behaviours[behaviour]; ok {
		behave(conn)
		return 0
	}
	switch behaviour {
	case "busy":
		driver.open = fido.ErrDeviceBusy
	case "denied":
		driver.open = fido.ErrDenied
	case "replugged":
		driver.replug = map[string]string{os.Args[3] + "/same": "/dev//zero", os.Args[3] + "/other": "/dev/full"}
	case "confined-badly":
		driver.sandbox = Sandbox{Seccomp: true, Missing: []string{"no Landlock: \x1b[2Jbecause"}}
	case "chatty":
		fmt.Fprintf(os.Stderr, "%s\x1b[31m\nenv %q\n", strings.Repeat("x", 5000), os.Environ())
		os.Stdout.WriteString("garbage")
	}
	if Serve(context.Background(), conn, driver) != nil {
		return 1
	}
	return 0
}

// behaviours are those of hostile or broken helpers.
var behaviours = map[string]func(conn net.Conn){
	"mute": func(conn net.Conn) { readFrame(conn, maxReply); select {} },
	"exit": func(net.Conn) {},
	"version": func(conn net.Conn) {
		b, _ := ctap.Marshal(hello{protocolVersion + 1})
		writeFrame(conn, append(newFrame(0), b...), maxHello)
	},
	"nonsense": func(conn net.Conn) { conn.Write(bytes.Repeat([]byte("?"), 100)) },
	"deaf": func(conn net.Conn) { // opens the key, then never answers again
		greet(conn)
		answerWith(conn, opened())
		answerWith(conn, nil)
		fmt.Fprintln(os.Stderr, "touch")
		select {}
	},
	"unconfined": func(conn net.Conn) { greet(conn); select {} }, // never answers at all
	"garbage":    afterOpen([]byte{0, 0, 0, 3, 'x', 'y', 'z'}),
	"oversize":   afterOpen([]byte{0xff, 0xff, 0xff, 0xff}),
	"empty":      afterOpen([]byte{0, 0, 0, 0}),
	"truncated":  afterOpen([]byte{0, 0, 1, 0, 'x'}),
	"half":       endAfterOpen([]byte{0, 0, 1, 0, 'x'}),
	"half-head":  endAfterOpen([]byte{0, 0}),
	"silent":     endAfterOpen(nil),
	"wrong-id":   afterOpen(encoded(&reply{ID: 3, Body: mustCBOR(fido.PINRetries{Left: 8})})),
	"odd-kind":   afterOpen(encoded(&reply{ID: 2, Kind: "helper-died"})),
	"told-more":  afterOpen(encoded(&reply{ID: 2, Kind: kindWaiting, Body: mustCBOR(1)})),
	"told-ever": afterOpen(slices.Concat(
		encoded(&reply{ID: 2, Kind: kindWaiting}), encoded(&reply{ID: 2, Kind: kindWaiting}))),
	"no-status": afterOpen(encoded(&reply{ID: 2, Kind: kindStatus})),
	"no-body":   afterOpen(encoded(&reply{ID: 2})),
	"huge":      afterOpen(encoded(&reply{ID: 2, Body: mustCBOR(map[int]uint64{1: 1 << 40})})),
}

// afterOpen is a helper that opens the key and answers the request after that with raw bytes.
func afterOpen(raw []byte) func(net.Conn) {
	return func(conn net.Conn) {
		greet(conn)
		answerWith(conn, opened())
		answerWith(conn, raw)
		readFrame(conn, maxRequest) // the end of the connection
	}
}

// endAfterOpen is afterOpen, but the helper ends then.
func endAfterOpen(raw []byte) func(net.Conn) {
	return func(conn net.Conn) {
		greet(conn)
		answerWith(conn, opened())
		answerWith(conn, raw)
	}
}

func opened() []byte { return encoded(&reply{ID: 1, Body: mustCBOR(openBody{})}) }

func answerWith(conn net.Conn, raw []byte) {
	readFrame(conn, maxRequest)
	conn.Write(raw)
}

func mustCBOR(v any) []byte {
	b, err := ctap.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func encoded(r *reply) []byte {
	b := mustCBOR(r)
	return append([]byte{0, 0, byte(len(b) >> 8), byte(len(b))}, b...)
}

// patience ends tests that would hang; nothing waits for it when all is well.
const patience = 30 * time.Second
