// Package ipc is the contract between fobd and the programs that use it: the Varlink interfaces, their Go types and
// errors, and a client.
//
// The .varlink files in this folder are the contract and document every method, field and error; a test holds the Go
// types to them. ipc/varlink is the protocol below.
package ipc

import (
	_ "embed"
	"encoding/json"
)

// Interface definitions, for a server to register.
var (
	//go:embed fob.Device.varlink
	DeviceInterface string
	//go:embed fob.Ceremony.varlink
	CeremonyInterface string
	//go:embed fob.Prompt.varlink
	PromptInterface string
)

// Full names of the methods.
const (
	MethodList                        = "fob.Device.List"
	MethodDeviceWatch                 = "fob.Device.Watch"
	MethodGetInfo                     = "fob.Device.GetInfo"
	MethodWink                        = "fob.Device.Wink"
	MethodSetPIN                      = "fob.Device.SetPIN"
	MethodChangePIN                   = "fob.Device.ChangePIN"
	MethodForcePINChange              = "fob.Device.ForcePINChange"
	MethodSetMinPINLength             = "fob.Device.SetMinPINLength"
	MethodSetMinPINLengthRPIDs        = "fob.Device.SetMinPINLengthRPIDs"
	MethodSetAlwaysUV                 = "fob.Device.SetAlwaysUV"
	MethodEnableEnterpriseAttestation = "fob.Device.EnableEnterpriseAttestation"
	MethodListCredentials             = "fob.Device.ListCredentials"
	MethodRenameCredential            = "fob.Device.RenameCredential"
	MethodDeleteCredential            = "fob.Device.DeleteCredential"
	MethodListLargeBlobs              = "fob.Device.ListLargeBlobs"
	MethodGetLargeBlob                = "fob.Device.GetLargeBlob"
	MethodSetLargeBlob                = "fob.Device.SetLargeBlob"
	MethodDeleteLargeBlob             = "fob.Device.DeleteLargeBlob"
	MethodListFingerprints            = "fob.Device.ListFingerprints"
	MethodAddFingerprint              = "fob.Device.AddFingerprint"
	MethodRenameFingerprint           = "fob.Device.RenameFingerprint"
	MethodRemoveFingerprint           = "fob.Device.RemoveFingerprint"
	MethodReset                       = "fob.Device.Reset"
	MethodRegister                    = "fob.Ceremony.Register"
	MethodSignIn                      = "fob.Ceremony.SignIn"
	MethodAnswer                      = "fob.Prompt.Answer"
	MethodRegisterPrompter            = "fob.Prompt.Register"
)

// Device is fob.Device.Device.
type Device struct {
	ID           string `json:"id"`
	Path         string `json:"path"`
	Manufacturer string `json:"manufacturer"`
	Product      string `json:"product"`
	VendorID     int    `json:"vendorId"`
	ProductID    int    `json:"productId"`
	Emulated     bool   `json:"emulated"`
	Transport    string `json:"transport"`
	Reader       string `json:"reader,omitempty"`
}

// ListReply is what fob.Device.List returns.
type ListReply struct {
	Devices []Device `json:"devices"`
}

// DeviceEventKind says what has happened to a key.
type DeviceEventKind string

// The kinds of fob.Device.DeviceEvent.
const (
	DeviceAdded   DeviceEventKind = "added"
	DeviceRemoved DeviceEventKind = "removed"
	DeviceOpened  DeviceEventKind = "opened"
)

// DeviceEvent is fob.Device.DeviceEvent.
type DeviceEvent struct {
	Kind     DeviceEventKind `json:"kind"`
	Device   Device          `json:"device"`
	Programs []Program       `json:"programs,omitempty"`
}

// Program is fob.Device.Program.
type Program struct {
	PID  int    `json:"pid"`
	Name string `json:"name"`
}

// DeviceWatchReply is one reply to fob.Device.Watch: the keys, then events.
type DeviceWatchReply struct {
	Devices []Device     `json:"devices,omitempty"`
	Event   *DeviceEvent `json:"event,omitempty"`
}

// EventKind says what a ceremony is waiting for.
type EventKind string

// The kinds of fob.Ceremony.Event.
const (
	EventConsent EventKind = "consent"
	EventWaiting EventKind = "waiting"
	EventPlug    EventKind = "plug"
	EventPIN     EventKind = "pin"
	EventNewPIN  EventKind = "newPin"
	EventTouch   EventKind = "touch"
	EventTap     EventKind = "tap"
	EventPassed  EventKind = "passed"
	EventChosen  EventKind = "chosen"
	EventChoose  EventKind = "choose"
	EventConfirm EventKind = "confirm"
	EventSample  EventKind = "sample" // of fob.Device alone, as the next
	EventReplug  EventKind = "replug"
)

// Event is fob.Ceremony.Event, and fob.Device.Event.
type Event struct {
	Kind      EventKind `json:"kind"`
	Device    string    `json:"device"`
	Product   string    `json:"product"`
	RPID      string    `json:"rpId,omitempty"`
	Reader    string    `json:"reader,omitempty"`
	Made      bool      `json:"made,omitempty"`
	Position  int       `json:"position,omitempty"`
	Token     string    `json:"token,omitempty"`
	Retries   int       `json:"retries,omitempty"`
	Wrong     bool      `json:"wrong,omitempty"`
	Finger    bool      `json:"finger,omitempty"`
	Reserved  bool      `json:"reserved,omitempty"`
	Other     bool      `json:"other,omitempty"`
	MinLength int       `json:"minLength,omitempty"`
	Replaces  bool      `json:"replaces,omitempty"`
	Refused   bool      `json:"refused,omitempty"`
	Accounts  []Account `json:"accounts,omitempty"`
	Error     string    `json:"error,omitempty"`
	Problem   string    `json:"problem,omitempty"`
	Caller    *Caller   `json:"caller,omitempty"`
	Verb      string    `json:"verb,omitempty"`
	Method    string    `json:"method,omitempty"`
	// Remembered says that a yes holds for the session.
	Remembered bool `json:"remembered,omitempty"`
	// Prompter says of an event with a token that registered prompters were told, too, and may answer: see ErrLeft.
	Prompter bool `json:"prompter,omitempty"`

	Sample    string `json:"sample,omitempty"`
	Remaining *int   `json:"remaining,omitempty"`
	Late      bool   `json:"late,omitempty"`
	LongTouch bool   `json:"longTouch,omitempty"`
}

// Caller is fob.Ceremony.Caller.
type Caller struct {
	PID        int    `json:"pid"`
	Executable string `json:"executable,omitempty"`
	Unit       string `json:"unit,omitempty"`
	Terminal   string `json:"terminal,omitempty"`
	Name       string `json:"name,omitempty"`
}

// Account is fob.Ceremony.Account.
type Account struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	DisplayName string `json:"displayName,omitempty"`
}

// Turn is in the parameters of all methods that use a key.
type Turn struct {
	// Wait is whether to wait for ceremonies that hold the key, and for a key to be plugged in; nil for true.
	Wait *bool `json:"wait,omitempty"`
}

func (t *Turn) turn() *Turn { return t }

// DoesNotWait reports whether Wait is false.
func (t *Turn) DoesNotWait() bool { return t.Wait != nil && !*t.Wait }

// CeremonyRequest holds the parameters of fob.Ceremony.Register and SignIn.
type CeremonyRequest struct {
	Turn
	Options json.RawMessage `json:"options"`
	Origin  string          `json:"origin"`
	Device  string          `json:"device,omitempty"`
	// Prompter says whether registered prompters may answer for the caller; nil where it has no terminal.
	Prompter *bool `json:"prompter,omitempty"`
}

// WhichDevice holds the parameters of methods that need to know the key alone.
type WhichDevice struct {
	Turn
	Device string `json:"device,omitempty"`
}

// MinPINLengthRequest holds the parameters of fob.Device.SetMinPINLength.
type MinPINLengthRequest struct {
	Turn
	Device string `json:"device,omitempty"`
	Length int    `json:"length"`
}

// MinPINLengthRPIDsRequest holds the parameters of fob.Device.SetMinPINLengthRPIDs.
type MinPINLengthRPIDsRequest struct {
	Turn
	Device string   `json:"device,omitempty"`
	RPIDs  []string `json:"rpIds"`
}

// AlwaysUVRequest holds the parameters of fob.Device.SetAlwaysUV.
type AlwaysUVRequest struct {
	Turn
	Device string `json:"device,omitempty"`
	On     bool   `json:"on"`
}

// CeremonyReply is one reply to fob.Ceremony.Register or SignIn: an event, or in the last one the response.
type CeremonyReply struct {
	Event    *Event          `json:"event,omitempty"`
	Response json.RawMessage `json:"response,omitempty"`
}

// EventReply is a reply that tells of an event.
type EventReply struct {
	Event *Event `json:"event,omitempty"`
}

// Answer holds the parameters of fob.Prompt.Answer, as a server reads them.
type Answer struct {
	Token   string `json:"token"`
	PIN     Secret `json:"pin,omitempty"`
	Spend   bool   `json:"spend,omitempty"`
	Secret  Secret `json:"secret,omitempty"`
	Choice  *int   `json:"choice,omitempty"`
	Decline bool   `json:"decline,omitempty"`
}

// Wipe overwrites the secrets.
func (a *Answer) Wipe() {
	a.PIN.Wipe()
	a.Secret.Wipe()
}
