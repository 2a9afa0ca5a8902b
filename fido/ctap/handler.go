package ctap

import "context"

// Transport is how an authenticator is reached.
type Transport int

const (
	TransportUSB Transport = iota // or what behaves like it: the person touches the key
	TransportNFC                  // the person holds the card to the reader; that is user presence, and power-up
)

// Request is one message to an authenticator, as a transport delivered it.
type Request struct {
	Transport Transport
	// Channel tells requests of different clients apart: the CID of CTAPHID, 0 where a transport has no channels.
	// The state of authenticatorGetNextAssertion belongs to one channel.
	Channel uint32
	// U2F is true when Payload is a CTAP1/U2F command APDU (CTAPHID_MSG), false when it is a CTAP2 command byte
	// followed by its CBOR parameters (CTAPHID_CBOR).
	U2F     bool
	Payload []byte
}

// Response is the answer to a Request: a status byte and CBOR, or an R-APDU for U2F.
type Response []byte

// KeepaliveStatus tells the platform what an authenticator is busy with (CTAP 2.2 §11.2.9.1.7, CTAPHID_KEEPALIVE).
type KeepaliveStatus byte

const (
	KeepaliveProcessing KeepaliveStatus = 1 // STATUS_PROCESSING: still working
	KeepaliveUPNeeded   KeepaliveStatus = 2 // STATUS_UPNEEDED: waiting for the person to touch the key
)

// Handler is whatever can answer CTAP requests: the emulator, a key held by a TPM, a forwarded key.
//
// ServeCTAP answers one request. It calls keepalive when it begins to wait for the person, so that the transport can
// tell the platform. When ctx is cancelled (CTAPHID_CANCEL, or the device is gone) it returns promptly with
// ErrKeepaliveCancel as the status. A Handler is called by one transport for one request at a time, but several
// transports may share it.
type Handler interface {
	ServeCTAP(ctx context.Context, req Request, keepalive func(KeepaliveStatus)) Response
}

// PowerCycler is a Handler that minds when its device loses power: unplugged, or taken from the reader's field.
type PowerCycler interface {
	Handler
	// PowerCycle ends what lasts only until power is lost. It waits for the request that is being served.
	PowerCycle()
}
