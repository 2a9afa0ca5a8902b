package libfido2

import (
	"context"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// Rehearse opens a key that is only played. It has one credential, whose assertions are worth nothing. A process that
// has gone through a ceremony with it has loaded and set up what the first real one would have to wait for.
func Rehearse() (*Device, error) {
	d, err := newDevice("")
	if err != nil {
		return nil, err
	}
	if err := d.openLink(newStage()); err != nil {
		d.release()
		return nil, err
	}
	return d, nil
}

// stage is the way to a key that is played.
type stage struct {
	ctaphid.Conn
	end   context.CancelFunc
	ended chan struct{}
}

func newStage() *stage {
	ctx, end := context.WithCancel(context.Background())
	played, host := ctaphid.Pipe()
	s := &stage{Conn: host, end: end, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		device := ctaphid.Device{Handler: player{}}
		_ = device.Serve(ctx, played) // until s.end
	}()
	return s
}

func (s *stage) discard() {}

func (s *stage) close() {
	s.end()
	<-s.ended
}

// player answers as a key does that needs no touch.
type player struct{}

func (player) ServeCTAP(_ context.Context, r ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
	if r.U2F || len(r.Payload) == 0 {
		return ctap.Response{byte(ctap.ErrInvalidCommand)}
	}
	var answer any
	switch ctap.Command(r.Payload[0]) {
	case ctap.CommandGetInfo:
		answer = playedInfo
	case ctap.CommandGetAssertion:
		answer = playedAssertion
	default:
		return ctap.Response{byte(ctap.ErrInvalidCommand)}
	}
	b, err := ctap.Marshal(answer)
	if err != nil {
		return ctap.Response{byte(ctap.ErrOther)}
	}
	return append(ctap.Response{byte(ctap.StatusOK)}, b...)
}

// RehearsedID is the credential of the key that is played.
var RehearsedID = []byte("a credential of nobody")

var playedInfo = &ctap.GetInfoResponse{
	Versions:           []string{ctap.VersionFIDO21, ctap.VersionFIDO20},
	Extensions:         []string{"credProtect", "hmac-secret"},
	Options:            map[string]bool{ctap.OptionRK: true, ctap.OptionUP: true},
	MaxMsgSize:         1200,
	PINUVAuthProtocols: []ctap.PINProtocol{ctap.PINProtocolTwo, ctap.PINProtocolOne},
	Transports:         []string{"usb"},
	Algorithms:         []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: ctap.ES256}},
	MinPINLength:       fido.MinPINLength,
}

var playedAssertion = &ctap.GetAssertionResponse{
	Credential: ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: RehearsedID},
	AuthData:   append(make([]byte, 32), byte(ctap.FlagUP), 0, 0, 0, 1), // a hash, flags and a counter
	Signature:  []byte{0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01},
}
