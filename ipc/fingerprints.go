package ipc

import (
	"context"
	"fmt"
)

// Sensor is fob.Device.Sensor.
type Sensor struct {
	Kind          SensorKind `json:"kind,omitempty"`
	Samples       int        `json:"samples"`
	MaxNameLength int        `json:"maxNameLength,omitempty"`
}

// SensorKind says how a finger is put on a sensor.
type SensorKind string

// The kinds of fob.Device.Sensor.
const (
	SensorTouch SensorKind = "touch"
	SensorSwipe SensorKind = "swipe"
)

// Fingerprint is fob.Device.Fingerprint.
type Fingerprint struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// AddFingerprintRequest holds the parameters of fob.Device.AddFingerprint.
type AddFingerprintRequest struct {
	Turn
	Device string `json:"device,omitempty"`
	Name   string `json:"name,omitempty"`
}

// RenameFingerprintRequest holds the parameters of fob.Device.RenameFingerprint.
type RenameFingerprintRequest struct {
	Turn
	Device      string `json:"device,omitempty"`
	Fingerprint string `json:"fingerprint"`
	Name        string `json:"name"`
}

// RemoveFingerprintRequest holds the parameters of fob.Device.RemoveFingerprint.
type RemoveFingerprintRequest struct {
	Turn
	Device      string `json:"device,omitempty"`
	Fingerprint string `json:"fingerprint"`
}

// FingerprintsReply is one reply to fob.Device.ListFingerprints: an event, or in the last one what is enrolled.
type FingerprintsReply struct {
	Event        *Event        `json:"event,omitempty"`
	Sensor       *Sensor       `json:"sensor,omitempty"`
	Fingerprints []Fingerprint `json:"fingerprints,omitzero"` // nil in events
}

// FingerprintReply is one reply to the methods about one fingerprint: an event, or in the last one that fingerprint.
type FingerprintReply struct {
	Event       *Event       `json:"event,omitempty"`
	Fingerprint *Fingerprint `json:"fingerprint,omitempty"`
}

// ListFingerprints performs fob.Device.ListFingerprints.
func (c *Client) ListFingerprints(ctx context.Context, device string, p Prompter) (*FingerprintsReply, error) {
	in := &WhichDevice{Device: device}
	return last(ctx, c, MethodListFingerprints, in, p, func(r *FingerprintsReply) *FingerprintsReply {
		if r.Sensor == nil {
			return nil
		}
		return r
	})
}

// AddFingerprint performs fob.Device.AddFingerprint. When ctx ends, nothing is enrolled.
func (c *Client) AddFingerprint(ctx context.Context, r AddFingerprintRequest, p Prompter) (*Fingerprint, error) {
	return c.fingerprint(ctx, MethodAddFingerprint, &r, p)
}

// RenameFingerprint performs fob.Device.RenameFingerprint.
func (c *Client) RenameFingerprint(ctx context.Context, r RenameFingerprintRequest, p Prompter) (*Fingerprint, error) {
	return c.fingerprint(ctx, MethodRenameFingerprint, &r, p)
}

// RemoveFingerprint performs fob.Device.RemoveFingerprint.
func (c *Client) RemoveFingerprint(ctx context.Context, r RemoveFingerprintRequest, p Prompter) (*Fingerprint, error) {
	return c.fingerprint(ctx, MethodRemoveFingerprint, &r, p)
}

func (c *Client) fingerprint(ctx context.Context, method string, in request, p Prompter) (*Fingerprint, error) {
	return last(ctx, c, method, in, p, func(r *FingerprintReply) *Fingerprint { return r.Fingerprint })
}

// The errors about fingerprints.

func (UnknownFingerprint) VarlinkError() string     { return "fob.Device.UnknownFingerprint" }
func (SeveralFingerprints) VarlinkError() string    { return "fob.Device.SeveralFingerprints" }
func (FingerprintNameTooLong) VarlinkError() string { return "fob.Device.FingerprintNameTooLong" }
func (FingerprintsFull) VarlinkError() string       { return "fob.Device.FingerprintsFull" }
func (FingerprintNotTaken) VarlinkError() string    { return "fob.Device.FingerprintNotTaken" }

func (e UnknownFingerprint) Error() string {
	return fmt.Sprintf("no fingerprint %q is enrolled", e.Fingerprint)
}
func (e SeveralFingerprints) Error() string {
	return fmt.Sprintf("%q may mean %d fingerprints", e.Fingerprint, len(e.Fingerprints))
}
func (e FingerprintNameTooLong) Error() string {
	return fmt.Sprintf("the name of a fingerprint has %d bytes at most on this key", e.Length)
}
func (FingerprintsFull) Error() string    { return "the key has no room for another fingerprint" }
func (FingerprintNotTaken) Error() string { return "the sensor got too few good samples of the finger" }

func (UnknownFingerprint) Hint() string { return "'fob key fingerprint list' shows those that are" }
func (SeveralFingerprints) Hint() string {
	return "name it by more of its id; 'fob key fingerprint list' shows it"
}
func (FingerprintNameTooLong) Hint() string { return "" }
func (FingerprintsFull) Hint() string       { return "remove one with 'fob key fingerprint remove'" }
func (FingerprintNotTaken) Hint() string {
	return "wipe the sensor and the finger, or use another finger"
}
