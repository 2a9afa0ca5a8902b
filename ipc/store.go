package ipc

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"fob/ipc/varlink"
)

// StoreInterface is the definition of fob.Store.
//
//go:embed fob.Store.varlink
var StoreInterface string

// Full names of the methods of fob.Store.
const (
	MethodStoreStatus = "fob.Store.Status"
	MethodUnlock      = "fob.Store.Unlock"
	MethodSeal        = "fob.Store.Seal"
	MethodExport      = "fob.Store.Export"
	MethodImport      = "fob.Store.Import"
	MethodUpload      = "fob.Store.Upload"
	MethodStoreReset  = "fob.Store.Reset"
)

// MaxUpload is how many bytes a part of a backup has at most.
const MaxUpload = 64 << 10

// StoreState says how the store is.
type StoreState string

// The states of fob.Store.Status.
const (
	StoreStateReady    StoreState = "ready"
	StoreStateNew      StoreState = "new"
	StoreStateReadOnly StoreState = "readOnly"
	StoreStateLocked   StoreState = "locked"
	StoreStateHeld     StoreState = "held"
	StoreStateCorrupt  StoreState = "corrupt"
	StoreStateWrongKey StoreState = "wrongKey"
	StoreStateNewer    StoreState = "newer"
	StoreStateUnusable StoreState = "unusable"
)

// StoreStatus is what fob.Store.Status returns.
type StoreStatus struct {
	State   StoreState `json:"state"`
	Path    string     `json:"path,omitempty"`
	Sealer  string     `json:"sealer,omitempty"`
	Records *int       `json:"records,omitempty"`
	Size    int        `json:"size,omitempty"`
	Problem string     `json:"problem,omitempty"`
	Aside   []string   `json:"aside,omitempty"`
}

// StoreEventKind says what a method of fob.Store is waiting for.
type StoreEventKind string

// The kinds of fob.Store.StoreEvent.
const (
	StoreConsent       StoreEventKind = "consent"
	StorePassphrase    StoreEventKind = "passphrase"
	StoreNewPassphrase StoreEventKind = "newPassphrase"
	StoreFileKey       StoreEventKind = "fileKey"
	StoreUpload        StoreEventKind = "upload"
)

// StoreEvent is fob.Store.StoreEvent.
type StoreEvent struct {
	Kind   StoreEventKind `json:"kind"`
	Token  string         `json:"token"`
	Wrong  bool           `json:"wrong,omitempty"`
	Backup bool           `json:"backup,omitempty"`
	Header string         `json:"header,omitempty"`
	Caller *Caller        `json:"caller,omitempty"`
	Verb   string         `json:"verb,omitempty"`
	Method string         `json:"method,omitempty"`
	// Remembered says that a yes holds for the session.
	Remembered bool `json:"remembered,omitempty"`
	// TPMPIN says that it is about the PIN that the TPM wants.
	TPMPIN bool `json:"pin,omitempty"`
	// Retries is how many more wrong PINs the TPM takes; nil where that is not known.
	Retries *int `json:"retries,omitempty"`
}

// StoreEventReply is a reply of fob.Store that tells of an event.
type StoreEventReply struct {
	Event *StoreEvent `json:"event,omitempty"`
}

// SealRequest holds the parameters of fob.Store.Seal.
type SealRequest struct {
	To   string `json:"to"`
	PIN  bool   `json:"pin,omitempty"`
	PCRs []int  `json:"pcrs,omitempty"`
}

// SealReply is a reply of fob.Store.Seal.
type SealReply struct {
	Event *StoreEvent `json:"event,omitempty"`
	Aside []string    `json:"aside,omitempty"`
}

// ExportRequest holds the parameters of fob.Store.Export.
type ExportRequest struct {
	Recipients []string `json:"recipients,omitempty"`
}

// ExportReply is a reply of fob.Store.Export.
type ExportReply struct {
	Event *StoreEvent `json:"event,omitempty"`
	Data  string      `json:"data,omitempty"`
}

// ImportRequest holds the parameters of fob.Store.Import.
type ImportRequest struct {
	Replace bool `json:"replace,omitempty"`
}

// ImportReply is a reply of fob.Store.Import.
type ImportReply struct {
	Event   *StoreEvent `json:"event,omitempty"`
	Records *int        `json:"records,omitempty"`
	Aside   string      `json:"aside,omitempty"`
}

// UploadRequest holds the parameters of fob.Store.Upload.
type UploadRequest struct {
	Token string `json:"token"`
	Data  string `json:"data"`
	Last  bool   `json:"last,omitempty"`
}

// StoreResetReply is a reply of fob.Store.Reset.
type StoreResetReply struct {
	Event *StoreEvent `json:"event,omitempty"`
	Aside string      `json:"aside,omitempty"`
}

// StorePrompter is the person behind the store. Methods are called one at a time, and their ctx ends when the answer is
// not needed any more. ErrDeclined tells fobd that the person refused; the client wipes what it gets.
type StorePrompter interface {
	// Passphrase asks for a passphrase, or for a new one.
	Passphrase(ctx context.Context, e StoreEvent) (Secret, error)
	// FileKey gives what e.Header has for an identity of the person's: 16 bytes.
	FileKey(ctx context.Context, e StoreEvent) (Secret, error)
}

// StoreConsenter is a StorePrompter that can be asked whether the program may do what it calls for.
type StoreConsenter interface {
	StorePrompter
	// Consent asks whether e.Caller may do this; ErrDeclined when not.
	Consent(ctx context.Context, e StoreEvent) error
}

// StoreStatus performs fob.Store.Status.
func (c *Client) StoreStatus(ctx context.Context) (*StoreStatus, error) {
	var reply StoreStatus
	if err := c.call(ctx, MethodStoreStatus, nil, &reply); err != nil {
		return nil, err
	}
	return &reply, nil
}

// UnlockStore performs fob.Store.Unlock.
func (c *Client) UnlockStore(ctx context.Context, p StorePrompter) error {
	return c.followStore(ctx, MethodUnlock, nil, storePerson{c, p, nil}, func(varlink.Reply) error { return nil })
}

// SealStore performs fob.Store.Seal, and gives the files that were kept aside.
func (c *Client) SealStore(ctx context.Context, in SealRequest, p StorePrompter) (aside []string, err error) {
	var reply SealReply
	err = c.followStore(ctx, MethodSeal, in, storePerson{c, p, nil},
		func(r varlink.Reply) error { return r.Bind(&reply) })
	return reply.Aside, err
}

// ExportStore performs fob.Store.Export and writes the backup to w.
func (c *Client) ExportStore(ctx context.Context, recipients []string, p StorePrompter, w io.Writer) error {
	return c.followStore(ctx, MethodExport, ExportRequest{recipients}, storePerson{c, p, nil},
		func(r varlink.Reply) error {
			var reply ExportReply
			if err := r.Bind(&reply); err != nil {
				return err
			}
			b, err := base64.RawURLEncoding.DecodeString(reply.Data)
			if err != nil {
				return err
			}
			_, err = w.Write(b)
			return err
		})
}

// ImportStore performs fob.Store.Import of a backup.
func (c *Client) ImportStore(
	ctx context.Context, backup []byte, replace bool, p StorePrompter,
) (records int, aside string, err error) {
	var reply ImportReply
	err = c.followStore(ctx, MethodImport, ImportRequest{replace}, storePerson{c, p, backup},
		func(r varlink.Reply) error { return r.Bind(&reply) })
	if err == nil && reply.Records == nil {
		err = fmt.Errorf("fobd gave no result of %s", MethodImport)
	}
	if err != nil {
		return 0, "", err
	}
	return *reply.Records, reply.Aside, nil
}

// ResetStore performs fob.Store.Reset, and gives the path of the old file.
func (c *Client) ResetStore(ctx context.Context, p StorePrompter) (aside string, err error) {
	var reply StoreResetReply
	err = c.followStore(ctx, MethodStoreReset, nil, storePerson{c, p, nil},
		func(r varlink.Reply) error { return r.Bind(&reply) })
	return reply.Aside, err
}

// storePerson answers the events of a call.
type storePerson struct {
	client *Client
	StorePrompter
	backup []byte // for an upload
}

// followStore answers the events of a method, and has take take each other reply. Events are answered beside the
// stream, so that the end of the call ends them.
func (c *Client) followStore(
	ctx context.Context, method string, in any, p storePerson, take func(varlink.Reply) error,
) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var prompts sync.WaitGroup
	defer prompts.Wait()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for reply, err := range conn.Stream(ctx, method, in) {
		if err != nil {
			return typed(err)
		}
		var r StoreEventReply
		if err := reply.Bind(&r); err != nil {
			return err
		}
		if r.Event == nil {
			if err := take(reply); err != nil {
				return err
			}
			continue
		}
		prompts.Go(func() {
			if err := p.answer(ctx, *r.Event); err != nil {
				cancel(err)
			}
		})
	}
	return nil
}

func (p storePerson) answer(ctx context.Context, e StoreEvent) error {
	var secret Secret
	var err error
	switch e.Kind {
	case StoreConsent:
		asked := Event{Kind: EventConsent, Token: e.Token}
		return p.client.Answer(ctx, asked, storeConsent{StoreEvent: e, by: p.StorePrompter})
	case StorePassphrase, StoreNewPassphrase:
		secret, err = p.Passphrase(ctx, e)
	case StoreFileKey:
		var key Secret
		if key, err = p.FileKey(ctx, e); err == nil {
			secret = base64.RawURLEncoding.AppendEncode(nil, key)
			key.Wipe()
		}
	case StoreUpload:
		return p.upload(ctx, e.Token)
	default: // of a newer fobd
		return nil
	}
	defer secret.Wipe()
	if err != nil && !errors.Is(err, ErrDeclined) {
		return err
	}
	return p.client.giveSecret(ctx, e.Token, secret, err != nil)
}

// storeConsent asks who answers for a store. One who can't be asked has not agreed.
type storeConsent struct {
	Decliner
	StoreEvent
	by StorePrompter
}

// Consent implements Consenter.
func (s storeConsent) Consent(ctx context.Context, _ Event) error {
	who, can := s.by.(StoreConsenter)
	if !can {
		return ErrDeclined
	}
	return who.Consent(ctx, s.StoreEvent)
}

// giveSecret answers a prompt, without a copy of the secret that is not wiped.
func (c *Client) giveSecret(ctx context.Context, token string, secret Secret, decline bool) error {
	quoted, err := json.Marshal(token)
	if err != nil {
		return err
	}
	b := append(make([]byte, 0, len(quoted)+secret.maxJSON()+32), `{"token":`...)
	defer func() { clear(b[:cap(b)]) }()
	b = append(b, quoted...)
	if decline {
		b = append(b, `,"decline":true}`...)
	} else {
		b = append(secret.AppendJSON(append(b, `,"secret":`...)), '}')
	}
	err = c.call(ctx, MethodAnswer, json.RawMessage(b), nil)
	if errors.Is(err, UnknownToken{}) { // too late; the call itself tells what became of it
		return nil
	}
	return err
}

// upload hands the backup over, part by part.
func (p storePerson) upload(ctx context.Context, token string) error {
	for rest := bytes.NewReader(p.backup); ; {
		part := make([]byte, min(rest.Len(), MaxUpload))
		rest.Read(part)
		in := UploadRequest{token, base64.RawURLEncoding.EncodeToString(part), rest.Len() == 0}
		if err := p.client.call(ctx, MethodUpload, in, nil); err != nil || in.Last {
			if errors.Is(err, UnknownToken{}) {
				return nil
			}
			return err
		}
	}
}
