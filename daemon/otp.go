package daemon

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"sync/atomic"
	"time"

	"fob/daemon/consent"
	"fob/daemon/oathkey"
	"fob/daemon/otp"
	"fob/daemon/policy"
	"fob/daemon/tpm"
	"fob/fido"
	"fob/hotp"
	"fob/ipc"
	"fob/ipc/varlink"
)

// otpTime is how long a method of fob.OTP may take, with what a person does on the way; it does not end a watch.
const otpTime = 5 * time.Minute

// otpMethods are those of fob.OTP.
func (d *Daemon) otpMethods() map[string]varlink.Handler {
	return map[string]varlink.Handler{
		"List":      d.listOTP,
		"Add":       onToken(d, policy.Account, d.addOTP),
		"Code":      onToken(d, policy.Code, d.codeOTP),
		"Rename":    onToken(d, policy.Account, d.renameOTP),
		"Remove":    onToken(d, policy.Account, d.removeOTP),
		"Export":    onToken(d, policy.Provision, d.exportOTP),
		"Provision": onToken(d, policy.Provision, d.provisionOTP),
		"Clone":     onToken(d, policy.Provision, d.provisionOTP),
	}
}

// Tokens are those of one-time passwords that fobd keeps.
func (d *Daemon) Tokens() *otp.Tokens {
	all := &otp.Tokens{Store: d.Store, Keepers: map[string]otp.Keeper{tpm.InTPM: tpm.Keeper{TPM: d.theTPM()},
		oathkey.InKey: oathkey.Keeper{Store: d.Store}}}
	maps.Copy(all.Keepers, d.Keepers)
	return all
}

// otpCall is a call about a token and the person behind it.
type otpCall struct {
	*storeCall
	whenLocked atomic.Bool // it may go on while nobody is there
	pin        fido.Secret // that of a seed in the TPM, or the password of a key, which is watched; nil for none
	watches    bool
	remember   bool   // keep the password of a security key
	endless    func() // has it go on beyond otpTime
}

// onToken is a method that does something, for the policy a verb, with one token.
func onToken[In any](d *Daemon, verb policy.Verb, do func(context.Context, *otpCall, *In) (any, error)) varlink.Handler {
	return func(ctx context.Context, c *varlink.Call) (reply any, err error) {
		if !c.More {
			return nil, varlink.ExpectedMore{}
		}
		var in In
		if err := c.Bind(&in); err != nil {
			return nil, err
		}
		t := &otpCall{storeCall: d.storeCall(ctx, c, verb)}
		t.terminal = t.askTerminal
		ctx, end := d.begin(ctx, t.whenLocked.Load)
		defer end()
		ctx, stop := context.WithCancelCause(ctx)
		defer stop(nil)
		timer := time.AfterFunc(otpTime, func() { stop(ipc.TimedOut{}) })
		defer timer.Stop()
		t.endless = func() { timer.Stop() }
		defer func() { t.pin.Wipe() }()
		reply, err = do(ctx, t, &in)
		err = d.otpError(err, t.token)
		d.Log.Info("token", "method", c.Method, "token", t.token, "program", t.caller.String(), "result", result(err))
		return reply, err
	}
}

// askTerminal puts a question before who has called.
func (c *otpCall) askTerminal(q *consent.Question, token string) error {
	return c.call.Continue(ipc.OTPEventReply{Event: &ipc.OTPEvent{Kind: ipc.OTPConsent, Token: token, Name: c.token,
		Caller: wireCaller(c.caller), Verb: string(c.verb), Method: c.method, Remembered: q.Remembered}})
}

// askSeed asks for the seed of a token. The caller wipes it.
func (c *otpCall) askSeed(ctx context.Context) (hotp.Seed, error) {
	text, err := c.askSecret(ctx, ipc.OTPEvent{Kind: ipc.OTPSeed})
	defer text.Wipe()
	if err != nil {
		return nil, err
	}
	return hotp.ParseSeed(text)
}

// tokens are those of fobd, with keepers that can ask the person.
func (c *otpCall) tokens() *otp.Tokens {
	all := c.daemon.Tokens()
	all.Keepers[tpm.InTPM] = tpm.Keeper{TPM: c.daemon.theTPM(), PIN: c.askPIN}
	all.Keepers[oathkey.InKey] = c.securityKeys()
	return all
}

// askPIN asks for the PIN of a seed in the TPM. Who watches codes is asked once.
func (c *otpCall) askPIN(ctx context.Context, wrong error) (fido.Secret, error) {
	if wrong == nil && c.pin != nil {
		return bytes.Clone(c.pin), nil
	}
	pin, err := c.askSecret(ctx, ipc.OTPEvent{Kind: ipc.OTPPIN, Wrong: wrong != nil, Retries: retries(wrong), Name: c.token})
	if err == nil && c.watches {
		c.pin.Wipe()
		c.pin = bytes.Clone(pin)
	}
	return pin, err
}

// askNewPIN asks for the PIN of a new seed in the TPM.
func (c *otpCall) askNewPIN(ctx context.Context) (fido.Secret, error) {
	return c.askSecret(ctx, ipc.OTPEvent{Kind: ipc.OTPNewPIN, Name: c.token})
}

// askSecret sends an event and gives the secret that answers it. The caller wipes it.
func (c *otpCall) askSecret(ctx context.Context, e ipc.OTPEvent) (fido.Secret, error) {
	q := &prompt{uid: c.caller.UID, secret: true, pin: e.Kind == ipc.OTPNewPIN}
	a, err := c.daemon.prompts.ask(ctx, q, func(token string) error {
		e.Token = token
		return c.call.Continue(ipc.OTPEventReply{Event: &e})
	})
	return fido.Secret(a.Secret), err
}

// admit has the policy, and the person where it wants them to be asked, let the call go on. Rules may tell tokens from
// each other by their names.
func (c *otpCall) admit(ctx context.Context, token otp.Token) error {
	c.token, c.store = token.Name, token.Keeper == otp.InStore || token.Keeper == tpm.InTPM
	entryOf(ctx).token(token.Name)
	c.decision = c.policy.Decide(c.request(fido.DeviceInfo{}))
	c.whenLocked.Store(c.decision.WhenLocked)
	return c.storeCall.admit(ctx)
}

// find finds the token that a call is about, and asks whether the call may go on.
func (c *otpCall) find(ctx context.Context, name string) (otp.Token, error) {
	c.token = name
	token, err := c.daemon.Tokens().Find(name)
	if err != nil {
		return token, err
	}
	return token, c.admit(ctx, token)
}

// listOTP implements fob.OTP.List.
func (d *Daemon) listOTP(context.Context, *varlink.Call) (any, error) {
	tokens, err := d.Tokens().List()
	reply := ipc.OTPListReply{Tokens: []ipc.OTPToken{}}
	for i := range tokens {
		reply.Tokens = append(reply.Tokens, wireToken(&tokens[i]))
	}
	return reply, d.otpError(err, "")
}

func wireToken(t *otp.Token) ipc.OTPToken {
	out := ipc.OTPToken{
		Name: t.Name, Issuer: t.Issuer, Account: t.Account, Type: ipc.OTPType(t.Type.String()),
		Algorithm: ipc.OTPAlgorithm(t.Algorithm.String()), Digits: t.Digits, Period: t.Period, T0: int(t.T0),
		SeedSize: t.SeedSize, Keeper: t.Keeper, Created: t.Created.Format(time.RFC3339)}
	if t.Type == hotp.HOTP {
		counter := int(t.Counter)
		out.Counter = &counter
	}
	if !t.Used.IsZero() {
		out.Used = t.Used.Format(time.RFC3339)
	}
	return out
}

// addOTP implements fob.OTP.Add.
func (d *Daemon) addOTP(ctx context.Context, c *otpCall, in *ipc.OTPAddRequest) (any, error) {
	token, err := newToken(in)
	if err != nil {
		return nil, err
	}
	c.token = token.Name
	if err := d.Tokens().Check(token); err != nil { // before anybody is asked
		return nil, err
	}
	if err := c.admit(ctx, token); err != nil {
		return nil, err
	}
	c.remember = in.Remember
	if in.Wrapped != "" {
		token, err = c.addWrapped(ctx, token, in)
	} else {
		token, err = c.addSeed(ctx, token, in)
	}
	if err != nil {
		return nil, err
	}
	out := wireToken(&token)
	return ipc.OTPAddReply{Token: &out}, nil
}

// addSeed adds a token by its seed, with a new PIN for it where that is wanted.
func (c *otpCall) addSeed(ctx context.Context, token otp.Token, in *ipc.OTPAddRequest) (otp.Token, error) {
	all := c.tokens()
	if in.PIN {
		all.Keepers[tpm.InTPM] = tpm.Keeper{TPM: c.daemon.theTPM(), NewPIN: c.askNewPIN}
	}
	if key, found := keyOf(token.Keeper); found {
		k, err := c.chooseKey(ctx, key, &token, in.Touch, nil)
		if err != nil {
			return token, err
		}
		all.Keepers[oathkey.InKey] = k
	}
	seed, err := c.askSeed(ctx)
	defer seed.Wipe()
	if err != nil {
		return token, err
	}
	return all.Add(ctx, token, seed)
}

// addWrapped adds a token whose seed was wrapped to the TPM.
func (c *otpCall) addWrapped(ctx context.Context, token otp.Token, in *ipc.OTPAddRequest) (otp.Token, error) {
	b, err := base64.RawURLEncoding.DecodeString(in.Wrapped)
	if err != nil || in.SeedSize < 1 || in.SeedSize > hotp.MaxSeed {
		return token, varlink.InvalidParameter{Parameter: "wrapped"}
	}
	w, err := tpm.ParseWrapped(b)
	if err != nil {
		return token, err
	}
	if a, ok := w.Algorithm(); !ok || a != token.Algorithm {
		return token, varlink.InvalidParameter{Parameter: "algorithm"}
	}
	o, err := c.daemon.theTPM().Import(ctx, w)
	if err != nil {
		return token, err
	}
	token.SeedSize = in.SeedSize
	return c.tokens().AddKept(token, o.Encode())
}

// newToken is what a request asks for.
func newToken(in *ipc.OTPAddRequest) (otp.Token, error) {
	t := otp.Token{
		Name: cmp.Or(in.Name, otp.NameFor(in.Issuer, in.Account)), Issuer: in.Issuer, Account: in.Account,
		Keeper: cmp.Or(in.Keeper, otp.InStore), Parameters: hotp.DefaultTOTP}
	_, inKey := keyOf(t.Keeper)
	switch {
	case in.Touch && !inKey:
		return t, varlink.InvalidParameter{Parameter: "touch"}
	case in.PIN && (t.Keeper != tpm.InTPM || in.Wrapped != ""):
		return t, varlink.InvalidParameter{Parameter: "pin"}
	case in.Wrapped != "" && t.Keeper != tpm.InTPM:
		return t, varlink.InvalidParameter{Parameter: "wrapped"}
	}
	switch in.Type {
	case ipc.OTPTypeHOTP:
		t.Parameters = hotp.DefaultHOTP
	case ipc.OTPTypeTOTP, "":
	default:
		return t, varlink.InvalidParameter{Parameter: "type"}
	}
	switch in.Algorithm {
	case ipc.OTPAlgorithmSHA1, "":
	case ipc.OTPAlgorithmSHA256:
		t.Algorithm = hotp.SHA256
	case ipc.OTPAlgorithmSHA512:
		t.Algorithm = hotp.SHA512
	default:
		return t, varlink.InvalidParameter{Parameter: "algorithm"}
	}
	if in.Counter < 0 {
		return t, varlink.InvalidParameter{Parameter: "counter"}
	}
	t.Digits, t.Period = cmp.Or(in.Digits, t.Digits), cmp.Or(in.Period, t.Period)
	t.T0, t.Counter = int64(in.T0), uint64(in.Counter)
	return t, nil
}

// codeOTP implements fob.OTP.Code.
func (d *Daemon) codeOTP(ctx context.Context, c *otpCall, in *ipc.OTPCodeRequest) (any, error) {
	token, err := c.find(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if in.Watch && token.Type != hotp.TOTP {
		return nil, ipc.OTPParameterWrong{Parameter: "watch", Problem: "is for totp alone"}
	}
	if in.Watch {
		c.endless()
		c.watches = true
		return nil, notYet(token, c.tokens().Watch(ctx, in.Name, func(code otp.Code) error {
			return c.call.Continue(wireCode(&code))
		}))
	}
	code, err := c.tokens().Code(ctx, in.Name, time.Now())
	if err != nil {
		return nil, notYet(token, err)
	}
	return wireCode(&code), nil
}

// notYet is the error of a token whose time has not begun.
func notYet(t otp.Token, err error) error {
	if errors.As(err, new(*hotp.ClockError)) {
		return ipc.OTPNotYet{T0: int(t.T0)}
	}
	return err
}

func wireCode(c *otp.Code) ipc.OTPCodeReply {
	out := &ipc.OTPCode{Code: c.Code}
	if c.Token.Type == hotp.HOTP {
		counter := int(c.Token.Counter)
		out.Counter = &counter
		return ipc.OTPCodeReply{Code: out}
	}
	left := (time.Until(c.End) + time.Second - 1) / time.Second
	out.Left, out.Begin, out.End = max(1, int(left)), int(c.Begin.Unix()), int(c.End.Unix())
	return ipc.OTPCodeReply{Code: out}
}

// renameOTP implements fob.OTP.Rename.
func (d *Daemon) renameOTP(ctx context.Context, c *otpCall, in *ipc.OTPRenameRequest) (any, error) {
	if _, err := c.find(ctx, in.Name); err != nil {
		return nil, err
	}
	err := d.Tokens().Rename(in.Name, in.NewName)
	if errors.Is(err, otp.ErrExists) {
		return nil, ipc.OTPExists{Name: in.NewName}
	}
	return nil, err
}

// removeOTP implements fob.OTP.Remove.
func (d *Daemon) removeOTP(ctx context.Context, c *otpCall, in *ipc.OTPRequest) (any, error) {
	_, err := c.find(ctx, in.Name)
	if errors.Is(err, otp.ErrDamaged) { // it can be removed all the same
		err = c.admit(ctx, otp.Token{Name: in.Name, Keeper: otp.InStore})
	}
	if err != nil {
		return nil, err
	}
	return nil, c.tokens().Remove(ctx, in.Name)
}

// exportOTP implements fob.OTP.Export. No copy of the reply stays.
func (d *Daemon) exportOTP(ctx context.Context, c *otpCall, in *ipc.OTPRequest) (any, error) {
	token, err := c.find(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if err := c.authorize(ctx); err != nil {
		return nil, err
	}
	_, seed, err := d.Tokens().Reveal(ctx, in.Name)
	defer seed.Wipe()
	if errors.Is(err, otp.ErrStays) {
		return nil, ipc.OTPSeedStays{Keeper: token.Keeper}
	}
	if err != nil {
		return nil, err
	}
	text := ipc.Secret(seed.AppendBase32(make([]byte, 0, 2*hotp.MaxSeed)))
	defer text.Wipe()
	out := wireToken(&token)
	return ipc.OTPExportReply{Token: &out, Seed: text}.JSON()
}

// otpError gives the errors of a token the names under which they leave fobd.
func (d *Daemon) otpError(err error, name string) error {
	var text *otp.TextError
	var parameter *hotp.ParameterError
	var seed *hotp.SeedError
	switch {
	case errors.As(err, new(varlink.Named)):
		return err
	case errors.As(err, &text):
		return ipc.OTPParameterWrong{Parameter: text.Field, Problem: text.Problem}
	case errors.As(err, &parameter):
		return ipc.OTPParameterWrong{Parameter: parameter.Parameter, Problem: parameter.Problem}
	case errors.As(err, &seed):
		return ipc.OTPSeedInvalid{Problem: seed.Error()}
	case errors.Is(err, tpm.ErrPIN), errors.Is(err, tpm.ErrPINUnfit):
		return ipc.PassphraseWrong{}
	case errors.Is(err, otp.ErrNotFound):
		return ipc.OTPNotFound{Name: name}
	case errors.Is(err, otp.ErrExists):
		return ipc.OTPExists{Name: name}
	case errors.Is(err, otp.ErrTooMany):
		return ipc.OTPTooMany{}
	case errors.Is(err, otp.ErrExhausted):
		return ipc.OTPExhausted{}
	case errors.Is(err, otp.ErrNoKeeper):
		return ipc.OTPKeeperMissing{Problem: err.Error()}
	case errors.Is(err, otp.ErrNewer):
		return ipc.StoreNewer{Problem: err.Error()}
	case errors.Is(err, otp.ErrDamaged):
		return ipc.StoreCorrupt{Path: d.Store.Status().Path, Problem: err.Error()}
	default:
		if named := keyError(err); named != nil {
			return named
		}
		return d.storeError(err)
	}
}
