package ipc

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"fob/ipc/varlink"
)

// OTPInterface is the definition of fob.OTP.
//
//go:embed fob.OTP.varlink
var OTPInterface string

// Full names of the methods of fob.OTP.
const (
	MethodOTPList   = "fob.OTP.List"
	MethodOTPAdd    = "fob.OTP.Add"
	MethodOTPCode   = "fob.OTP.Code"
	MethodOTPRename = "fob.OTP.Rename"
	MethodOTPRemove = "fob.OTP.Remove"
	MethodOTPExport = "fob.OTP.Export"

	MethodOTPProvision = "fob.OTP.Provision"
	MethodOTPClone     = "fob.OTP.Clone"
)

// OTPType is what moves the codes of a token on.
type OTPType string

// The types of tokens.
const (
	OTPTypeHOTP OTPType = "hotp"
	OTPTypeTOTP OTPType = "totp"
)

// OTPAlgorithm is the hash function of a token.
type OTPAlgorithm string

// The hash functions.
const (
	OTPAlgorithmSHA1   OTPAlgorithm = "SHA1"
	OTPAlgorithmSHA256 OTPAlgorithm = "SHA256"
	OTPAlgorithmSHA512 OTPAlgorithm = "SHA512"
)

// OTPToken is fob.OTP.OTPToken.
type OTPToken struct {
	Name      string       `json:"name"`
	Issuer    string       `json:"issuer,omitempty"`
	Account   string       `json:"account,omitempty"`
	Type      OTPType      `json:"type"`
	Algorithm OTPAlgorithm `json:"algorithm"`
	Digits    int          `json:"digits"`
	Period    int          `json:"period,omitempty"`
	T0        int          `json:"t0,omitempty"`
	Counter   *int         `json:"counter,omitempty"`
	SeedSize  int          `json:"seedSize"`
	Keeper    string       `json:"keeper"`
	Created   string       `json:"created"`
	Used      string       `json:"used,omitempty"`
}

// OTPCode is fob.OTP.OTPCode.
type OTPCode struct {
	Code    string `json:"code"`
	Left    int    `json:"left,omitempty"`
	Begin   int    `json:"begin,omitempty"`
	End     int    `json:"end,omitempty"`
	Counter *int   `json:"counter,omitempty"`
}

// OTPEventKind says what a method of fob.OTP is waiting for.
type OTPEventKind string

// The kinds of fob.OTP.OTPEvent.
const (
	OTPConsent    OTPEventKind = "consent"
	OTPSeed       OTPEventKind = "seed"
	OTPPassphrase OTPEventKind = "passphrase"
	OTPPIN        OTPEventKind = "pin"
	OTPNewPIN     OTPEventKind = "newPin"

	OTPKeyPassword OTPEventKind = "keyPassword"
	OTPTouch       OTPEventKind = "touch"
)

// OTPEvent is fob.OTP.OTPEvent.
type OTPEvent struct {
	Kind  OTPEventKind `json:"kind"`
	Token string       `json:"token"`
	Wrong bool         `json:"wrong,omitempty"`
	// TPMPIN says that it is about the PIN that the TPM wants, and Retries how many more wrong ones it takes; nil where that
	// is not known.
	TPMPIN     bool    `json:"pin,omitempty"`
	Retries    *int    `json:"retries,omitempty"`
	Name       string  `json:"name,omitempty"`
	Key        string  `json:"key,omitempty"`
	Caller     *Caller `json:"caller,omitempty"`
	Verb       string  `json:"verb,omitempty"`
	Method     string  `json:"method,omitempty"`
	Remembered bool    `json:"remembered,omitempty"`
}

// OTPListReply is what fob.OTP.List returns.
type OTPListReply struct {
	Tokens []OTPToken `json:"tokens"`
}

// OTPAddRequest holds the parameters of fob.OTP.Add. Zero fields are left out.
type OTPAddRequest struct {
	Name      string       `json:"name,omitempty"`
	Issuer    string       `json:"issuer,omitempty"`
	Account   string       `json:"account,omitempty"`
	Type      OTPType      `json:"type,omitempty"`
	Algorithm OTPAlgorithm `json:"algorithm,omitempty"`
	Digits    int          `json:"digits,omitempty"`
	Period    int          `json:"period,omitempty"`
	T0        int          `json:"t0,omitempty"`
	Counter   int          `json:"counter,omitempty"`
	Keeper    string       `json:"keeper,omitempty"`
	PIN       bool         `json:"pin,omitempty"`
	Wrapped   string       `json:"wrapped,omitempty"`
	SeedSize  int          `json:"seedSize,omitempty"`
	Touch     bool         `json:"touch,omitempty"`
	Remember  bool         `json:"remember,omitempty"`
}

// OTPAddReply is a reply of fob.OTP.Add.
type OTPAddReply struct {
	Event *OTPEvent `json:"event,omitempty"`
	Token *OTPToken `json:"token,omitempty"`
}

// OTPCodeRequest holds the parameters of fob.OTP.Code.
type OTPCodeRequest struct {
	Name  string `json:"name"`
	Watch bool   `json:"watch,omitempty"`
}

// OTPCodeReply is a reply of fob.OTP.Code.
type OTPCodeReply struct {
	Event *OTPEvent `json:"event,omitempty"`
	Code  *OTPCode  `json:"code,omitempty"`
}

// OTPRenameRequest holds the parameters of fob.OTP.Rename.
type OTPRenameRequest struct {
	Name    string `json:"name"`
	NewName string `json:"newName"`
}

// OTPRequest holds the parameters of fob.OTP.Remove and Export.
type OTPRequest struct {
	Name string `json:"name"`
}

// OTPEventReply is a reply of fob.OTP that tells of an event.
type OTPEventReply struct {
	Event *OTPEvent `json:"event,omitempty"`
}

// OTPExportReply is a reply of fob.OTP.Export.
type OTPExportReply struct {
	Event *OTPEvent `json:"event,omitempty"`
	Token *OTPToken `json:"token,omitempty"`
	Seed  Secret    `json:"seed,omitempty"`
}

// JSON gives the reply that has the seed, for a server to send, which wipes it: there is no other copy.
func (r OTPExportReply) JSON() (json.RawMessage, error) {
	token, err := json.Marshal(r.Token)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, len(token)+r.Seed.maxJSON()+32), `{"token":`...)
	b = append(append(b, token...), `,"seed":`...)
	return append(r.Seed.AppendJSON(b), '}'), nil
}

// OTPPrompter is the person behind a method of fob.OTP. Methods are called one at a time, and their ctx ends when the
// answer is not needed any more. ErrDeclined tells fobd that the person refused; the client wipes what it gets.
type OTPPrompter interface {
	// Consent asks whether e.Caller may do this; ErrDeclined when not.
	Consent(ctx context.Context, e OTPEvent) error
	// Seed gives the seed of the token that is added, in Base32.
	Seed(ctx context.Context, e OTPEvent) (Secret, error)
	// Passphrase asks for that of the store, or for its PIN.
	Passphrase(ctx context.Context, e OTPEvent) (Secret, error)
	// PIN asks for the PIN that the TPM wants before it uses a seed, or for a new one.
	PIN(ctx context.Context, e OTPEvent) (Secret, error)
	// KeyPassword asks for the password of the security key e.Key.
	KeyPassword(ctx context.Context, e OTPEvent) (Secret, error)
	// Touch tells the person that the security key e.Key waits for a touch.
	Touch(ctx context.Context, e OTPEvent) error
}

// OTPTokens performs fob.OTP.List.
func (c *Client) OTPTokens(ctx context.Context) ([]OTPToken, error) {
	var reply OTPListReply
	err := c.call(ctx, MethodOTPList, nil, &reply)
	return reply.Tokens, err
}

// AddOTP performs fob.OTP.Add.
func (c *Client) AddOTP(ctx context.Context, r OTPAddRequest, p OTPPrompter) (*OTPToken, error) {
	var reply OTPAddReply
	err := c.followOTP(ctx, MethodOTPAdd, r, p, func(r varlink.Reply) error { return r.Bind(&reply) })
	if err == nil && reply.Token == nil {
		err = fmt.Errorf("fobd gave no result of %s", MethodOTPAdd)
	}
	return reply.Token, err
}

// OTPCode performs fob.OTP.Code for one code.
func (c *Client) OTPCode(ctx context.Context, name string, p OTPPrompter) (code OTPCode, err error) {
	given := false
	err = c.otpCodes(ctx, OTPCodeRequest{Name: name}, p, func(one OTPCode) error {
		code, given = one, true
		return nil
	})
	if err == nil && !given {
		err = fmt.Errorf("fobd gave no result of %s", MethodOTPCode)
	}
	return code, err
}

// WatchOTP performs fob.OTP.Code and has take take each code as its time comes, until ctx ends, take fails, or fobd goes
// away, and gives the error.
func (c *Client) WatchOTP(ctx context.Context, name string, p OTPPrompter, take func(OTPCode) error) error {
	return c.otpCodes(ctx, OTPCodeRequest{name, true}, p, take)
}

func (c *Client) otpCodes(ctx context.Context, in OTPCodeRequest, p OTPPrompter, take func(OTPCode) error) error {
	return c.followOTP(ctx, MethodOTPCode, in, p, func(r varlink.Reply) error {
		var reply OTPCodeReply
		if err := r.Bind(&reply); err != nil || reply.Code == nil {
			return err
		}
		return take(*reply.Code)
	})
}

// RenameOTP performs fob.OTP.Rename.
func (c *Client) RenameOTP(ctx context.Context, name, newName string, p OTPPrompter) error {
	return c.followOTP(ctx, MethodOTPRename, OTPRenameRequest{name, newName}, p, func(varlink.Reply) error { return nil })
}

// RemoveOTP performs fob.OTP.Remove.
func (c *Client) RemoveOTP(ctx context.Context, name string, p OTPPrompter) error {
	return c.followOTP(ctx, MethodOTPRemove, OTPRequest{name}, p, func(varlink.Reply) error { return nil })
}

// ExportOTP performs fob.OTP.Export. The caller wipes the seed, which is in Base32.
func (c *Client) ExportOTP(ctx context.Context, name string, p OTPPrompter) (*OTPToken, Secret, error) {
	var got OTPExportReply
	err := c.followOTP(ctx, MethodOTPExport, OTPRequest{name}, p, func(r varlink.Reply) error {
		var reply OTPExportReply
		if err := r.Bind(&reply); err != nil || reply.Token == nil {
			return err
		}
		got.Seed.Wipe()
		got = reply
		return nil
	})
	if err == nil && (got.Token == nil || got.Seed == nil) {
		err = fmt.Errorf("fobd gave no result of %s", MethodOTPExport)
	}
	if err != nil {
		got.Seed.Wipe()
		return nil, nil, err
	}
	return got.Token, got.Seed, nil
}

// followOTP answers the events of a method, and has take take each other reply. Events are answered beside the stream,
// so that the end of the call ends them.
func (c *Client) followOTP(
	ctx context.Context, method string, in any, p OTPPrompter, take func(varlink.Reply) error,
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
		var r OTPEventReply
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
			if err := c.answerOTP(ctx, *r.Event, p); err != nil {
				cancel(err)
			}
		})
	}
	return nil
}

func (c *Client) answerOTP(ctx context.Context, e OTPEvent, p OTPPrompter) error {
	var secret Secret
	var err error
	switch e.Kind {
	case OTPConsent:
		return c.agree(ctx, e.Token, p.Consent(ctx, e))
	case OTPSeed:
		secret, err = p.Seed(ctx, e)
	case OTPPassphrase:
		secret, err = p.Passphrase(ctx, e)
	case OTPPIN, OTPNewPIN:
		secret, err = p.PIN(ctx, e)
	case OTPKeyPassword:
		secret, err = p.KeyPassword(ctx, e)
	case OTPTouch:
		return p.Touch(ctx, e)
	default: // of a newer fobd
		return nil
	}
	defer secret.Wipe()
	if err != nil && !errors.Is(err, ErrDeclined) {
		return err
	}
	return c.giveSecret(ctx, e.Token, secret, err != nil)
}

// agree answers a question with yes, or with no where said is ErrDeclined.
func (c *Client) agree(ctx context.Context, token string, said error) error {
	a := Answer{Token: token, Choice: new(int)}
	if errors.Is(said, ErrDeclined) {
		a = Answer{Token: token, Decline: true}
	} else if said != nil {
		return said
	}
	err := c.call(ctx, MethodAnswer, a, nil)
	if errors.Is(err, UnknownToken{}) { // too late; the call itself tells what became of it
		return nil
	}
	return err
}
