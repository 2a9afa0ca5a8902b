package ipc

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"

	"fob/ipc/varlink"
)

// AccountInterface is the definition of fob.Account.
//
//go:embed fob.Account.varlink
var AccountInterface string

// Full names of the methods of fob.Account.
const (
	MethodRealms          = "fob.Account.Realms"
	MethodCreateRealm     = "fob.Account.CreateRealm"
	MethodRemoveRealm     = "fob.Account.RemoveRealm"
	MethodPrincipals      = "fob.Account.Principals"
	MethodAddPrincipal    = "fob.Account.AddPrincipal"
	MethodRemovePrincipal = "fob.Account.RemovePrincipal"
	MethodTokens          = "fob.Account.Tokens"
	MethodImportToken     = "fob.Account.ImportToken"
	MethodRemoveToken     = "fob.Account.RemoveToken"
	MethodBeginEnrol      = "fob.Account.BeginEnrol"
	MethodFinishEnrol     = "fob.Account.FinishEnrol"
	MethodDetach          = "fob.Account.Detach"
	MethodResync          = "fob.Account.Resync"
	MethodUnlockToken     = "fob.Account.Unlock"
	MethodIssueTicket     = "fob.Account.IssueTicket"
	MethodBeginSignIn     = "fob.Account.BeginSignIn"
	MethodFinishSignIn    = "fob.Account.FinishSignIn"
	MethodCheckSession    = "fob.Account.CheckSession"
	MethodEndSession      = "fob.Account.EndSession"
	MethodKeys            = "fob.Account.Keys"
)

// AccountRealm is fob.Account.AccountRealm.
type AccountRealm struct {
	Name             string   `json:"name"`
	Created          string   `json:"created"`
	RPID             string   `json:"rpId"`
	Origin           string   `json:"origin"`
	UserVerification string   `json:"userVerification"`
	AAGUIDs          []string `json:"aaguids,omitempty"`
	RemoveLast       bool     `json:"removeLast,omitempty"`
	Algorithm        string   `json:"algorithm"`
}

// AccountPrincipal is fob.Account.AccountPrincipal.
type AccountPrincipal struct {
	Name    string          `json:"name"`
	Created string          `json:"created"`
	Devices []AccountDevice `json:"devices"`
	Advice  []string        `json:"advice"`
}

// AccountDevice is fob.Account.AccountDevice.
type AccountDevice struct {
	Name           string `json:"name"`
	Kind           string `json:"kind"`
	Enrolled       string `json:"enrolled"`
	LastUsed       string `json:"lastUsed,omitempty"`
	Cloned         string `json:"cloned,omitempty"`
	AAGUID         string `json:"aaguid,omitempty"`
	BackupEligible bool   `json:"backupEligible,omitempty"`
	BackupState    bool   `json:"backupState,omitempty"`
	Serial         string `json:"serial,omitempty"`
	Holder         string `json:"holder,omitempty"`
	Failures       int    `json:"failures,omitempty"`
	Locked         bool   `json:"locked,omitempty"`
	Drift          int    `json:"drift,omitempty"`
}

// AccountToken is fob.Account.AccountToken.
type AccountToken struct {
	Serial    string `json:"serial"`
	Algorithm string `json:"algorithm"`
	Period    int    `json:"period"`
	Realm     string `json:"realm,omitempty"`
	Principal string `json:"principal,omitempty"`
	Device    string `json:"device,omitempty"`
}

// AccountEnrolment is fob.Account.AccountEnrolment.
type AccountEnrolment struct {
	ID        string          `json:"id"`
	Expires   string          `json:"expires"`
	Options   json.RawMessage `json:"options,omitempty"`
	Origin    string          `json:"origin,omitempty"`
	Algorithm string          `json:"algorithm,omitempty"`
	Digits    int             `json:"digits,omitempty"`
	Period    int             `json:"period,omitempty"`
}

// AccountChallenge is fob.Account.AccountChallenge.
type AccountChallenge struct {
	ID      string          `json:"id"`
	Expires string          `json:"expires"`
	Options json.RawMessage `json:"options,omitempty"`
	Origin  string          `json:"origin,omitempty"`
	Codes   bool            `json:"codes"`
}

// AccountSignIn is fob.Account.AccountSignIn.
type AccountSignIn struct {
	Realm          string `json:"realm"`
	Principal      string `json:"principal"`
	Device         string `json:"device"`
	Kind           string `json:"kind"`
	UserVerified   bool   `json:"userVerified,omitempty"`
	JWT            string `json:"jwt"`
	Expires        string `json:"expires"`
	Session        string `json:"session,omitempty"`
	SessionExpires string `json:"sessionExpires,omitempty"`
}

// JWK is fob.Account.JWK.
type JWK struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y,omitempty"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	ID        string `json:"kid,omitempty"`
}

// AccountBy is by what right something is changed.
type AccountBy struct {
	Session       string `json:"session,omitempty"`
	Administrator bool   `json:"administrator,omitempty"`
}

// RealmsReply is what fob.Account.Realms returns.
type RealmsReply struct {
	Realms []AccountRealm `json:"realms"`
}

// CreateRealmRequest holds the parameters of fob.Account.CreateRealm. Zero fields are left out.
type CreateRealmRequest struct {
	Name             string   `json:"name"`
	RPID             string   `json:"rpId,omitempty"`
	Origin           string   `json:"origin,omitempty"`
	UserVerification string   `json:"userVerification,omitempty"`
	AAGUIDs          []string `json:"aaguids,omitempty"`
	RemoveLast       bool     `json:"removeLast,omitempty"`
	Algorithm        string   `json:"algorithm,omitempty"`
}

// RemoveRealmRequest holds the parameters of fob.Account.RemoveRealm.
type RemoveRealmRequest struct {
	Name string `json:"name"`
	AccountBy
}

// WhichRealm holds the parameters of fob.Account.Principals and Keys.
type WhichRealm struct {
	Realm string `json:"realm"`
}

// PrincipalsReply is what fob.Account.Principals returns.
type PrincipalsReply struct {
	Principals []AccountPrincipal `json:"principals"`
}

// PrincipalRequest holds the parameters of fob.Account.AddPrincipal and RemovePrincipal.
type PrincipalRequest struct {
	Realm     string `json:"realm"`
	Principal string `json:"principal"`
	AccountBy
}

// TokensReply is what fob.Account.Tokens returns.
type TokensReply struct {
	Tokens []AccountToken `json:"tokens"`
}

// ImportTokenRequest holds the parameters of fob.Account.ImportToken.
type ImportTokenRequest struct {
	Serial    string `json:"serial"`
	Algorithm string `json:"algorithm,omitempty"`
	Period    int    `json:"period,omitempty"`
}

// RemoveTokenRequest holds the parameters of fob.Account.RemoveToken.
type RemoveTokenRequest struct {
	Serial string `json:"serial"`
}

// BeginEnrolRequest holds the parameters of fob.Account.BeginEnrol.
type BeginEnrolRequest struct {
	Realm     string `json:"realm"`
	Principal string `json:"principal"`
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Serial    string `json:"serial,omitempty"`
	Holder    string `json:"holder,omitempty"`
	Ticket    string `json:"ticket,omitempty"`
	AccountBy
}

// BeginEnrolReply is a reply of fob.Account.BeginEnrol.
type BeginEnrolReply struct {
	Event     *OTPEvent         `json:"event,omitempty"`
	Enrolment *AccountEnrolment `json:"enrolment,omitempty"`
	Seed      Secret            `json:"seed,omitempty"`
}

// JSON gives the reply that may have a seed, for a server to send, which wipes it: there is no other copy.
func (r BeginEnrolReply) JSON() (json.RawMessage, error) {
	enrolment, err := json.Marshal(r.Enrolment)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, len(enrolment)+r.Seed.maxJSON()+32), `{"enrolment":`...)
	b = append(b, enrolment...)
	if r.Seed != nil {
		b = r.Seed.AppendJSON(append(b, `,"seed":`...))
	}
	return append(b, '}'), nil
}

// FinishEnrolRequest holds the parameters of fob.Account.FinishEnrol.
type FinishEnrolRequest struct {
	ID       string          `json:"id"`
	Response json.RawMessage `json:"response,omitempty"`
	Code     string          `json:"code,omitempty"`
	Code2    string          `json:"code2,omitempty"`
}

// FinishEnrolReply is what fob.Account.FinishEnrol returns.
type FinishEnrolReply struct {
	Device AccountDevice `json:"device"`
}

// AccountDeviceRequest holds the parameters of fob.Account.Detach and Unlock.
type AccountDeviceRequest struct {
	Realm     string `json:"realm"`
	Principal string `json:"principal"`
	Device    string `json:"device"`
	AccountBy
}

// ResyncRequest holds the parameters of fob.Account.Resync.
type ResyncRequest struct {
	Realm     string `json:"realm"`
	Principal string `json:"principal"`
	Device    string `json:"device"`
	Code      string `json:"code"`
	Code2     string `json:"code2"`
}

// IssueTicketRequest holds the parameters of fob.Account.IssueTicket.
type IssueTicketRequest struct {
	Realm     string `json:"realm"`
	Principal string `json:"principal"`
	Seconds   int    `json:"seconds,omitempty"`
	AccountBy
}

// IssueTicketReply is a reply of fob.Account.IssueTicket.
type IssueTicketReply struct {
	Event   *OTPEvent `json:"event,omitempty"`
	Ticket  string    `json:"ticket,omitempty"`
	Expires string    `json:"expires,omitempty"`
}

// BeginSignInRequest holds the parameters of fob.Account.BeginSignIn. Zero fields are left out.
type BeginSignInRequest struct {
	Realm     string `json:"realm"`
	Principal string `json:"principal"`
	Nonce     string `json:"nonce,omitempty"`
	Audience  string `json:"audience,omitempty"`
	Seconds   int    `json:"seconds,omitempty"`
	Session   int    `json:"session,omitempty"`
}

// BeginSignInReply is what fob.Account.BeginSignIn returns.
type BeginSignInReply struct {
	Challenge AccountChallenge `json:"challenge"`
}

// FinishSignInRequest holds the parameters of fob.Account.FinishSignIn.
type FinishSignInRequest struct {
	ID       string          `json:"id"`
	Response json.RawMessage `json:"response,omitempty"`
	Code     string          `json:"code,omitempty"`
	Device   string          `json:"device,omitempty"`
}

// FinishSignInReply is what fob.Account.FinishSignIn returns.
type FinishSignInReply struct {
	SignIn AccountSignIn `json:"signIn"`
}

// SessionRequest holds the parameters of fob.Account.CheckSession and EndSession.
type SessionRequest struct {
	Session string `json:"session"`
}

// SessionReply is what fob.Account.CheckSession returns.
type SessionReply struct {
	Realm     string `json:"realm"`
	Principal string `json:"principal"`
	Device    string `json:"device"`
	AuthTime  string `json:"authTime"`
	Expires   string `json:"expires"`
}

// JWKS is what fob.Account.Keys returns: a JWK Set (RFC 7517 §5).
type JWKS struct {
	Keys []JWK `json:"keys"`
}

// change performs a method of fob.Account that asks whether it may, and gives nothing.
func (c *Client) change(ctx context.Context, method string, in any, p OTPPrompter) error {
	return c.followOTP(ctx, method, in, p, func(varlink.Reply) error { return nil })
}

// Realms performs fob.Account.Realms.
func (c *Client) Realms(ctx context.Context) ([]AccountRealm, error) {
	var reply RealmsReply
	err := c.call(ctx, MethodRealms, nil, &reply)
	return reply.Realms, err
}

// CreateRealm performs fob.Account.CreateRealm.
func (c *Client) CreateRealm(ctx context.Context, r CreateRealmRequest, p OTPPrompter) error {
	return c.change(ctx, MethodCreateRealm, r, p)
}

// RemoveRealm performs fob.Account.RemoveRealm.
func (c *Client) RemoveRealm(ctx context.Context, r RemoveRealmRequest, p OTPPrompter) error {
	return c.change(ctx, MethodRemoveRealm, r, p)
}

// Principals performs fob.Account.Principals.
func (c *Client) Principals(ctx context.Context, realm string) ([]AccountPrincipal, error) {
	var reply PrincipalsReply
	err := c.call(ctx, MethodPrincipals, WhichRealm{realm}, &reply)
	return reply.Principals, err
}

// AddPrincipal performs fob.Account.AddPrincipal.
func (c *Client) AddPrincipal(ctx context.Context, r PrincipalRequest, p OTPPrompter) error {
	return c.change(ctx, MethodAddPrincipal, r, p)
}

// RemovePrincipal performs fob.Account.RemovePrincipal.
func (c *Client) RemovePrincipal(ctx context.Context, r PrincipalRequest, p OTPPrompter) error {
	return c.change(ctx, MethodRemovePrincipal, r, p)
}

// HardwareTokens performs fob.Account.Tokens.
func (c *Client) HardwareTokens(ctx context.Context) ([]AccountToken, error) {
	var reply TokensReply
	err := c.call(ctx, MethodTokens, nil, &reply)
	return reply.Tokens, err
}

// ImportToken performs fob.Account.ImportToken; p gives the seed.
func (c *Client) ImportToken(ctx context.Context, r ImportTokenRequest, p OTPPrompter) error {
	return c.change(ctx, MethodImportToken, r, p)
}

// RemoveToken performs fob.Account.RemoveToken.
func (c *Client) RemoveToken(ctx context.Context, serial string, p OTPPrompter) error {
	return c.change(ctx, MethodRemoveToken, RemoveTokenRequest{serial}, p)
}

// BeginEnrol performs fob.Account.BeginEnrol. The caller wipes the seed, which is in Base32.
func (c *Client) BeginEnrol(ctx context.Context, r BeginEnrolRequest, p OTPPrompter) (*AccountEnrolment, Secret, error) {
	var got BeginEnrolReply
	err := c.followOTP(ctx, MethodBeginEnrol, r, p, func(r varlink.Reply) error { return r.Bind(&got) })
	if err == nil && got.Enrolment == nil {
		err = fmt.Errorf("fobd gave no result of %s", MethodBeginEnrol)
	}
	if err != nil {
		got.Seed.Wipe()
		return nil, nil, err
	}
	return got.Enrolment, got.Seed, nil
}

// FinishEnrol performs fob.Account.FinishEnrol.
func (c *Client) FinishEnrol(ctx context.Context, r FinishEnrolRequest) (AccountDevice, error) {
	var reply FinishEnrolReply
	err := c.call(ctx, MethodFinishEnrol, r, &reply)
	return reply.Device, err
}

// Detach performs fob.Account.Detach.
func (c *Client) Detach(ctx context.Context, r AccountDeviceRequest, p OTPPrompter) error {
	return c.change(ctx, MethodDetach, r, p)
}

// Resync performs fob.Account.Resync.
func (c *Client) Resync(ctx context.Context, r ResyncRequest) error {
	return c.call(ctx, MethodResync, r, nil)
}

// UnlockToken performs fob.Account.Unlock.
func (c *Client) UnlockToken(ctx context.Context, r AccountDeviceRequest, p OTPPrompter) error {
	return c.change(ctx, MethodUnlockToken, r, p)
}

// IssueTicket performs fob.Account.IssueTicket.
func (c *Client) IssueTicket(ctx context.Context, r IssueTicketRequest, p OTPPrompter) (IssueTicketReply, error) {
	var reply IssueTicketReply
	err := c.followOTP(ctx, MethodIssueTicket, r, p, func(r varlink.Reply) error { return r.Bind(&reply) })
	if err == nil && reply.Ticket == "" {
		err = fmt.Errorf("fobd gave no result of %s", MethodIssueTicket)
	}
	return reply, err
}

// BeginSignIn performs fob.Account.BeginSignIn.
func (c *Client) BeginSignIn(ctx context.Context, r BeginSignInRequest) (AccountChallenge, error) {
	var reply BeginSignInReply
	err := c.call(ctx, MethodBeginSignIn, r, &reply)
	return reply.Challenge, err
}

// FinishSignIn performs fob.Account.FinishSignIn.
func (c *Client) FinishSignIn(ctx context.Context, r FinishSignInRequest) (AccountSignIn, error) {
	var reply FinishSignInReply
	err := c.call(ctx, MethodFinishSignIn, r, &reply)
	return reply.SignIn, err
}

// CheckSession performs fob.Account.CheckSession.
func (c *Client) CheckSession(ctx context.Context, session string) (reply SessionReply, err error) {
	err = c.call(ctx, MethodCheckSession, SessionRequest{session}, &reply)
	return reply, err
}

// EndSession performs fob.Account.EndSession.
func (c *Client) EndSession(ctx context.Context, session string) error {
	return c.call(ctx, MethodEndSession, SessionRequest{session}, nil)
}

// AccountKeys performs fob.Account.Keys.
func (c *Client) AccountKeys(ctx context.Context, realm string) (set JWKS, err error) {
	err = c.call(ctx, MethodKeys, WhichRealm{realm}, &set)
	return set, err
}
