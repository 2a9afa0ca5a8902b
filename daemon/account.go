package daemon

import (
	"context"
	"time"

	"fob/daemon/account"
	"fob/daemon/otp"
	"fob/daemon/policy"
	"fob/fido/webauthn"
	"fob/hotp"
	"fob/ipc"
	"fob/ipc/varlink"
)

// accountMethods are those of fob.Account.
func (d *Daemon) accountMethods() map[string]varlink.Handler {
	a := account.New(d.Store)
	return map[string]varlink.Handler{
		"Realms":     onAccount(d, a, listRealms),
		"Principals": onAccount(d, a, listPrincipals),
		"Tokens":     onAccount(d, a, listTokens),
		"Keys":       onAccount(d, a, accountKeys),

		"CreateRealm":     changing(d, a, createRealm),
		"RemoveRealm":     changing(d, a, removeRealm),
		"AddPrincipal":    changing(d, a, addPrincipal),
		"RemovePrincipal": changing(d, a, removePrincipal),
		"ImportToken":     changing(d, a, importToken),
		"RemoveToken":     changing(d, a, removeToken),
		"BeginEnrol":      changing(d, a, beginEnrol),
		"FinishEnrol":     onAccount(d, a, finishEnrol),
		"Detach":          changing(d, a, detach),
		"Resync":          onAccount(d, a, resync),
		"Unlock":          changing(d, a, unlockToken),
		"IssueTicket":     changing(d, a, issueTicket),

		"BeginSignIn":  onAccount(d, a, beginSignIn),
		"FinishSignIn": onAccount(d, a, finishSignIn),
		"CheckSession": onAccount(d, a, checkSession),
		"EndSession":   onAccount(d, a, endSession),
	}
}

// accountCall is a call of fob.Account. Without the person behind it, call is nil: nobody is asked.
type accountCall struct {
	*account.Accounts
	ctx  context.Context
	call *otpCall
}

// onAccount is a method that asks nobody.
func onAccount[In any](d *Daemon, a *account.Accounts, do func(*accountCall, *In) (any, error)) varlink.Handler {
	return func(ctx context.Context, c *varlink.Call) (any, error) {
		var in In
		if err := c.Bind(&in); err != nil {
			return nil, err
		}
		reply, err := do(&accountCall{Accounts: a, ctx: ctx}, &in)
		return reply, d.storeError(accountError(err))
	}
}

// changing is a method about which the policy is asked, and the person where it wants that.
func changing[In any](d *Daemon, a *account.Accounts, do func(*accountCall, *In) (any, error)) varlink.Handler {
	return onToken(d, policy.Account, func(ctx context.Context, c *otpCall, in *In) (any, error) {
		reply, err := do(&accountCall{a, ctx, c}, in)
		return reply, accountError(err)
	})
}

// about notes in the audit log what a call is about.
func (c *accountCall) about(name string) { entryOf(c.ctx).token(name) }

// admit has the policy, and the person, let a change of something go on.
func (c *accountCall) admit(name string) error {
	return c.call.admit(c.ctx, otp.Token{Name: name, Keeper: otp.InStore})
}

// of names a principal.
func of(principal, realm string) string { return principal + "@" + realm }

// by is by what right something is changed. Root of this computer is who says so and is it.
func (c *accountCall) by(in ipc.AccountBy) (account.Authority, error) {
	if in.Administrator && c.call.caller.UID != 0 {
		return account.Authority{}, account.ErrNeedsAdmin
	}
	return account.Authority{Session: in.Session, Administrator: in.Administrator}, nil
}

// change does something by a right, if it may.
func (c *accountCall) change(name string, in ipc.AccountBy, do func(account.Authority) error) (any, error) {
	by, err := c.by(in)
	if err == nil {
		err = c.admit(name)
	}
	if err == nil {
		err = do(by)
	}
	return nil, err
}

func createRealm(c *accountCall, in *ipc.CreateRealmRequest) (any, error) {
	return c.change(in.Name, ipc.AccountBy{}, func(account.Authority) error {
		_, err := c.CreateRealm(in.Name, account.Settings{
			RPID: in.RPID, Origin: in.Origin, AAGUIDs: in.AAGUIDs, RemoveLast: in.RemoveLast, Algorithm: in.Algorithm,
			UserVerification: webauthn.UserVerificationRequirement(in.UserVerification)})
		return err
	})
}

func removeRealm(c *accountCall, in *ipc.RemoveRealmRequest) (any, error) {
	return c.change(in.Name, in.AccountBy, func(by account.Authority) error { return c.RemoveRealm(in.Name, by) })
}

func addPrincipal(c *accountCall, in *ipc.PrincipalRequest) (any, error) {
	return c.change(of(in.Principal, in.Realm), in.AccountBy, func(by account.Authority) error {
		return c.CreatePrincipal(in.Realm, in.Principal, by)
	})
}

func removePrincipal(c *accountCall, in *ipc.PrincipalRequest) (any, error) {
	return c.change(of(in.Principal, in.Realm), in.AccountBy, func(by account.Authority) error {
		return c.RemovePrincipal(in.Realm, in.Principal, by)
	})
}

func importToken(c *accountCall, in *ipc.ImportTokenRequest) (any, error) {
	t, err := newToken(&ipc.OTPAddRequest{
		Name: in.Serial, Algorithm: ipc.OTPAlgorithm(in.Algorithm), Period: in.Period})
	if err != nil {
		return nil, err
	}
	return c.change(in.Serial, ipc.AccountBy{}, func(account.Authority) error {
		seed, err := c.call.askSeed(c.ctx)
		defer seed.Wipe()
		if err != nil {
			return err
		}
		return c.ImportToken(in.Serial, t.Parameters, seed)
	})
}

func removeToken(c *accountCall, in *ipc.RemoveTokenRequest) (any, error) {
	return c.change(in.Serial, ipc.AccountBy{}, func(account.Authority) error { return c.RemoveToken(in.Serial) })
}

// beginEnrol implements fob.Account.BeginEnrol. No copy of the reply stays.
func beginEnrol(c *accountCall, in *ipc.BeginEnrolRequest) (reply any, err error) {
	kind, err := account.ParseKind(in.Kind) // before anybody is asked
	if err != nil {
		return nil, err
	}
	_, err = c.change(of(in.Principal, in.Realm), in.AccountBy, func(by account.Authority) error {
		by.Ticket = in.Ticket
		e, err := c.BeginEnrol(account.EnrolRequest{Realm: in.Realm, Principal: in.Principal, Name: in.Name, Kind: kind,
			Serial: in.Serial, Holder: in.Holder, By: by})
		if err != nil {
			return err
		}
		defer e.Seed.Wipe()
		reply, err = wireEnrolment(&e)
		return err
	})
	return reply, err
}

func wireEnrolment(e *account.Enrolment) (any, error) {
	out := ipc.BeginEnrolReply{Enrolment: &ipc.AccountEnrolment{
		ID: e.ID, Expires: e.Expires.Format(time.RFC3339), Options: e.Options, Origin: e.Origin}}
	if p := e.Parameters; p.Digits != 0 {
		out.Enrolment.Algorithm, out.Enrolment.Digits, out.Enrolment.Period = p.Algorithm.String(), p.Digits, p.Period
	}
	if e.Seed != nil {
		out.Seed = e.Seed.AppendBase32(make([]byte, 0, 2*hotp.MaxSeed))
		defer out.Seed.Wipe()
	}
	return out.JSON()
}

func finishEnrol(c *accountCall, in *ipc.FinishEnrolRequest) (any, error) {
	device, err := c.FinishEnrol(in.ID, account.Proof{Response: in.Response, Code: in.Code, Code2: in.Code2})
	c.about(device.Name)
	return ipc.FinishEnrolReply{Device: wireAccountDevice(&device, account.Condition{})}, err
}

func detach(c *accountCall, in *ipc.AccountDeviceRequest) (any, error) {
	return c.change(of(in.Principal, in.Realm), in.AccountBy, func(by account.Authority) error {
		return c.Detach(in.Realm, in.Principal, in.Device, by)
	})
}

func resync(c *accountCall, in *ipc.ResyncRequest) (any, error) {
	c.about(of(in.Principal, in.Realm))
	return nil, c.Resync(in.Realm, in.Principal, in.Device, in.Code, in.Code2)
}

func unlockToken(c *accountCall, in *ipc.AccountDeviceRequest) (any, error) {
	return c.change(of(in.Principal, in.Realm), in.AccountBy, func(by account.Authority) error {
		return c.Unlock(in.Realm, in.Principal, in.Device, by)
	})
}

func issueTicket(c *accountCall, in *ipc.IssueTicketRequest) (reply any, err error) {
	_, err = c.change(of(in.Principal, in.Realm), in.AccountBy, func(by account.Authority) error {
		t, err := c.IssueTicket(in.Realm, in.Principal, seconds(in.Seconds), by)
		reply = ipc.IssueTicketReply{Ticket: t.Ticket, Expires: t.Expires.Format(time.RFC3339)}
		return err
	})
	return reply, err
}

// seconds is a duration of so many seconds; one that no duration can have is too long for everything here.
func seconds(n int) time.Duration {
	return time.Duration(max(-1, min(n, int(365*24*time.Hour/time.Second)))) * time.Second
}

func beginSignIn(c *accountCall, in *ipc.BeginSignInRequest) (any, error) {
	challenge, err := c.BeginSignIn(account.SignInRequest{Realm: in.Realm, Principal: in.Principal, Nonce: in.Nonce,
		Audience: in.Audience, Lifetime: seconds(in.Seconds), Session: seconds(in.Session)})
	return ipc.BeginSignInReply{Challenge: ipc.AccountChallenge{
		ID: challenge.ID, Expires: challenge.Expires.Format(time.RFC3339), Options: challenge.Options,
		Origin: challenge.Origin, Codes: challenge.Codes}}, err
}

func finishSignIn(c *accountCall, in *ipc.FinishSignInRequest) (any, error) {
	c.about(c.SignsIn(in.ID))
	s, err := c.FinishSignIn(in.ID, account.Proof{Response: in.Response, Code: in.Code, Device: in.Device})
	out := ipc.AccountSignIn{Realm: s.Realm, Principal: s.Principal, Device: s.Device.Name, Kind: string(s.Device.Kind),
		UserVerified: s.UserVerified, JWT: s.JWT, Expires: s.Expires.Format(time.RFC3339), Session: s.Session}
	if s.Session != "" {
		out.SessionExpires = s.SessionExpires.Format(time.RFC3339)
	}
	return ipc.FinishSignInReply{SignIn: out}, err
}

func checkSession(c *accountCall, in *ipc.SessionRequest) (any, error) {
	s, err := c.Session(in.Session)
	return ipc.SessionReply{Realm: s.Realm, Principal: s.Principal, Device: s.Device,
		AuthTime: s.AuthTime.Format(time.RFC3339), Expires: s.Expires.Format(time.RFC3339)}, err
}

func endSession(c *accountCall, in *ipc.SessionRequest) (any, error) {
	return nil, c.EndSession(in.Session)
}

func accountKeys(c *accountCall, in *ipc.WhichRealm) (any, error) {
	set, err := c.Keys(in.Realm)
	out := ipc.JWKS{Keys: []ipc.JWK{}}
	for _, k := range set.Keys {
		out.Keys = append(out.Keys, ipc.JWK(k))
	}
	return out, err
}

func listRealms(c *accountCall, _ *struct{}) (any, error) {
	realms, err := c.Realms()
	out := ipc.RealmsReply{Realms: []ipc.AccountRealm{}}
	for _, r := range realms {
		s := &r.Settings
		out.Realms = append(out.Realms, ipc.AccountRealm{Name: r.Name, Created: r.Created.Format(time.RFC3339), RPID: s.RPID,
			Origin: s.Origin, UserVerification: string(s.UserVerification), AAGUIDs: s.AAGUIDs,
			RemoveLast: s.RemoveLast, Algorithm: s.Algorithm})
	}
	return out, err
}

func listPrincipals(c *accountCall, in *ipc.WhichRealm) (any, error) {
	all, err := c.Principals(in.Realm)
	if err != nil {
		return nil, err
	}
	out := ipc.PrincipalsReply{Principals: []ipc.AccountPrincipal{}}
	for i := range all {
		p, err := wirePrincipal(c, &all[i])
		if err != nil {
			return nil, err
		}
		out.Principals = append(out.Principals, p)
	}
	return out, nil
}

func wirePrincipal(c *accountCall, p *account.Principal) (ipc.AccountPrincipal, error) {
	out := ipc.AccountPrincipal{
		Name: p.Name, Created: p.Created.Format(time.RFC3339), Devices: []ipc.AccountDevice{}, Advice: []string{}}
	conditions, err := c.Conditions(p.Realm, p.Name)
	for i := range p.Devices {
		out.Devices = append(out.Devices, wireAccountDevice(&p.Devices[i], conditions[p.Devices[i].Name]))
	}
	for _, advice := range p.Advise() {
		out.Advice = append(out.Advice, string(advice))
	}
	return out, err
}

func wireAccountDevice(d *account.Device, is account.Condition) ipc.AccountDevice {
	out := ipc.AccountDevice{Name: d.Name, Kind: string(d.Kind), Enrolled: d.Enrolled.Format(time.RFC3339), Holder: d.Holder,
		Failures: is.Failures, Locked: is.Locked, Drift: int(is.Drift)}
	if !d.LastUsed.IsZero() {
		out.LastUsed = d.LastUsed.Format(time.RFC3339)
	}
	if !d.Cloned.IsZero() {
		out.Cloned = d.Cloned.Format(time.RFC3339)
	}
	if d.Kind == account.HardwareTOTP {
		out.Serial = d.Serial
	}
	if d.Credential != nil {
		c := &d.Credential.Credential
		out.AAGUID, out.BackupEligible, out.BackupState = c.AAGUID, c.BackupEligible, c.BackupState
	}
	return out
}

func listTokens(c *accountCall, _ *struct{}) (any, error) {
	tokens, err := c.Accounts.Tokens()
	out := ipc.TokensReply{Tokens: []ipc.AccountToken{}}
	for _, t := range tokens {
		out.Tokens = append(out.Tokens, ipc.AccountToken{Serial: t.Serial, Algorithm: t.Parameters.Algorithm.String(),
			Period: t.Parameters.Period, Realm: t.Realm, Principal: t.Principal,
			Device: t.Device})
	}
	return out, err
}
