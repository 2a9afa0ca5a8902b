// Package fido performs ceremonies on authenticators: it registers credentials and signs in with them, and talks to
// the person about PINs and touches on the way.
//
// Authenticators come from a Source. In fobd that is the helper process, which drives libfido2 (fido/helper,
// fido/libfido2); the emulator is reached through the same helper, over a pseudo-terminal.
package fido

import (
	"context"
	"errors"

	"fob/fido/ctap"
)

// DeviceID names a key for as long as it stays plugged in. A key that is unplugged and plugged in again has another,
// unless it has a serial number that says that it is the same (see hidraw.ID).
type DeviceID string

// DeviceInfo says what is known of a key before it is opened.
type DeviceInfo struct {
	ID           DeviceID
	Path         string // device node, e.g. /dev/hidraw3
	VendorID     uint16 // USB
	ProductID    uint16 // USB
	Manufacturer string
	Product      string
	Emulated     bool      // a software authenticator: no hardware guards its keys
	Transport    Transport // empty for TransportUSB
	Reader       string    // that the key is held to, as pcscd names it; empty for a key without
	// Mark tells the key again after it was unplugged and plugged in, among what is plugged in then: a serial number, or
	// the place where it was and is. It is empty where nothing can be known.
	Mark string
}

// Transport is how a key is reached, by the names of WebAuthn (§5.8.4, AuthenticatorTransport).
type Transport string

// The transports.
const (
	TransportUSB       Transport = "usb"
	TransportNFC       Transport = "nfc"
	TransportSmartCard Transport = "smart-card" // a card with contacts
)

// Errors of sources and authenticators that are not a ctap.StatusCode.
var (
	ErrNoDevice    = errors.New("no such key is plugged in")
	ErrDeviceGone  = errors.New("the key was unplugged or stopped answering")
	ErrNotFIDO2    = errors.New("the key does not speak FIDO2")
	ErrDeviceBusy  = errors.New("the key is busy with another program")
	ErrDenied      = errors.New("no permission to open the key")
	ErrHelperDied  = errors.New("the helper process ended in the middle of the operation")
	ErrBadAnswer   = errors.New("the key gave an answer that makes no sense")
	ErrBadReply    = errors.New("the helper process sent a malformed reply")
	ErrHelperStart = errors.New("the helper process did not start")
)

// Source finds authenticators and opens them.
type Source interface {
	// Devices lists the keys that are plugged in now, in a stable order.
	Devices(ctx context.Context) ([]DeviceInfo, error)
	// Open opens the key named id; ErrNoDevice when it is not plugged in any more. The caller closes it.
	Open(ctx context.Context, id DeviceID) (Authenticator, error)
}

// Watcher is a Source that tells what is plugged in and out.
type Watcher interface {
	// Watch gives the keys that are plugged in, and then tells what happens, until ctx ends; then the channel is closed.
	// One that is closed earlier means that nothing more will be told.
	Watch(ctx context.Context) ([]DeviceInfo, <-chan Event, error)
}

// EventKind says what has happened to a key.
type EventKind string

// The kinds of events.
const (
	Added   EventKind = "added"
	Removed EventKind = "removed"
	Opened  EventKind = "opened" // by a program that is none of ours
)

// Event tells what has happened to a key.
type Event struct {
	Kind     EventKind
	Device   DeviceInfo
	Programs []Program // of Opened: those that have it open now, as far as that can be seen; often none
}

// Program is a process of another program.
type Program struct {
	PID  int
	Name string // the kernel's, of 15 characters at most; the program can choose it
}

// Authenticator is an open key. It serves one operation at a time. Every method returns when ctx is cancelled, after
// the key was told to stop, so that it is dark; the error is then ctx.Err(). Errors unwrap to a ctap.StatusCode, or
// to one of the errors above.
type Authenticator interface {
	GetInfo(ctx context.Context) (*ctap.GetInfoResponse, error)
	// PINRetries tells how many attempts to give the PIN are left.
	PINRetries(ctx context.Context) (PINRetries, error)
	// UVRetries tells how many attempts at built-in user verification are left; after that, the PIN is wanted.
	UVRetries(ctx context.Context) (uint, error)
	// Select waits for a touch, which changes nothing: by it a person chooses one of several keys (CTAP 2.2 §6.9).
	Select(ctx context.Context) error
	MakeCredential(ctx context.Context, r *MakeCredentialRequest) (*MakeCredentialResponse, error)
	// GetAssertion returns an assertion for every credential that matches, at least one.
	GetAssertion(ctx context.Context, r *GetAssertionRequest) ([]GetAssertionResponse, error)
	// Wink lets the key show itself; ctap.ErrInvalidCommand when it can't (CTAP 2.2 §11.2.9.2.1).
	Wink(ctx context.Context) error
	// SetPIN gives a key its first PIN (CTAP 2.2 §6.5.5.5), ChangePIN another one (§6.5.5.6).
	SetPIN(ctx context.Context, pin PIN) error
	ChangePIN(ctx context.Context, old, pin PIN) error
	// Configure changes how the key works (§6.11).
	Configure(ctx context.Context, r *ConfigRequest) error
	// Credentials lists the discoverable credentials (§6.8). Until the key is closed it remembers them, and that the
	// person was verified: the methods on credentials below come after it.
	Credentials(ctx context.Context, r *CredentialsRequest) (*Credentials, error)
	// UpdateUser changes the names of the account of a credential (§6.8.6).
	UpdateUser(ctx context.Context, id []byte, user ctap.PublicKeyCredentialUserEntity) error
	// DeleteCredential deletes a credential, and not its large blob (§6.8.5).
	DeleteCredential(ctx context.Context, id []byte) error
	// LargeBlob gives the large blob of a credential (§6.10); ErrLargeBlobMissing.
	LargeBlob(ctx context.Context, id []byte) ([]byte, error)
	// SetLargeBlob replaces it, nil for none. It can still be deleted after its credential was.
	SetLargeBlob(ctx context.Context, id, blob []byte) error
	Enroller
	// Reset brings the key back to how it was made: it erases all credentials, the PIN and the fingerprints (§6.6). The
	// key wants that right after it was plugged in, and a touch.
	Reset(ctx context.Context) error
	// Close lets go of the key; the methods return os.ErrClosed afterwards.
	Close() error
}

// PINRetries tells of attempts to give a PIN (CTAP 2.2 §6.5.5.2).
type PINRetries struct {
	Left       uint `cbor:"1,keyasint"` // until the key blocks its PIN for good
	PowerCycle bool `cbor:"2,keyasint"` // the key takes no PIN until it is plugged in anew
}

// MakeCredentialRequest says what authenticatorMakeCredential is asked for (CTAP 2.2 §6.1).
type MakeCredentialRequest struct {
	ClientDataHash []byte // SHA-256, 32 bytes
	RP             ctap.PublicKeyCredentialRpEntity
	User           ctap.PublicKeyCredentialUserEntity
	Algorithm      ctap.Algorithm
	ExcludeList    [][]byte // credential IDs
	RK             bool     // make a discoverable credential
	UV             bool     // use the key's built-in user verification
	PIN            PIN      // nil for none

	Extensions ctap.MakeCredentialExtensionInputs // but HMACSecretMC, which Salts makes
	// Salts are one or two of 32 bytes to evaluate hmac-secret with, by hmac-secret-mc; nil for none. They want a PIN or
	// UV.
	Salts Secret
	// EnterpriseAttestation is ctap.VendorFacilitated or PlatformManaged, 0 for none.
	EnterpriseAttestation uint
}

// MakeCredentialResponse is a new credential, and what extensions gave beside it. LargeBlobKey is left out: it stays
// with who talks to the key.
type MakeCredentialResponse struct {
	ctap.MakeCredentialResponse
	HMACSecret Secret // 32 bytes for each salt; nil where the key gave none
	LargeBlob  bool   // the credential may have a large blob
}

// ConfigRequest says what authenticatorConfig is asked for (CTAP 2.2 §6.11): one change. SetMinPINLength takes one of
// the three that go with it; the other subcommands take none.
type ConfigRequest struct {
	Subcommand   ctap.ConfigSubcommand
	MinPINLength uint     // in Unicode code points; it never becomes less
	RPIDs        []string // that may ask how long the PIN must be, with the extension minPinLength
	ForceChange  bool     // the PIN must be changed before it is taken again
	PIN          PIN      // nil for none: the key verifies the person itself, or nobody
}

// GetAssertionRequest says what authenticatorGetAssertion is asked for (CTAP 2.2 §6.2).
type GetAssertionRequest struct {
	RPID           string
	ClientDataHash []byte   // SHA-256, 32 bytes
	AllowList      [][]byte // credential IDs; none for any discoverable credential
	Silent         bool     // ask for no touch: the assertion only shows that the key has the credential, perhaps unsigned
	UV             bool     // use the key's built-in user verification
	PIN            PIN      // nil for none

	CredBlob bool   // ask for the credential's credBlob
	Salts    Secret // one or two of 32 bytes to evaluate hmac-secret with; nil for none
	// ReadLargeBlob asks for the large blob of each credential. WriteLargeBlob becomes that of the one credential which
	// AllowList names; nil for none, at most MaxLargeBlob bytes. One excludes the other.
	ReadLargeBlob  bool
	WriteLargeBlob []byte
}

// MaxLargeBlob is the longest large blob that we read or write, in bytes: in base64url, it fits into 64 KiB of JSON.
// Keys have room for a few KB, compressed.
const MaxLargeBlob = 40 << 10

// GetAssertionResponse is an assertion, and what extensions gave beside it. LargeBlobKey is left out, as of a new
// credential.
type GetAssertionResponse struct {
	ctap.GetAssertionResponse
	HMACSecret       Secret // 32 bytes for each salt; nil where the credential has no hmac-secret
	LargeBlob        []byte // nil where there is none, or none that can be read
	LargeBlobWritten bool
}
