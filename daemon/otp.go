package daemon

import (
	"cmp"
	"context"
	"errors"
	"sync/atomic"
	"time"

	"fob/daemon/consent"
	"fob/daemon/otp"
	"fob/daemon/policy"
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
		"List":   d.listOTP,
		"Add":    onToken(d, policy.Account, d.addOTP),
		"Code":   onToken(d, policy.Code, d.codeOTP),
		"Rename": onToken(d, policy.Account, d.renameOTP),
		"Remove": onToken(d, policy.Account, d.removeOTP),
		"Export": onToken(d, policy.Provision, d.exportOTP),
	}
}

// Tokens are those of one-time passwords that fobd keeps.
func (d *Daemon) Tokens() *otp.Tokens { return &otp.Tokens{Store: d.Store, Keepers: d.Keepers} }

// otpCall is a call about a token and the person behind it.
type otpCall struct {
	*storeCall
	whenLocked atomic.Bool // it may go on while nobody is there
	endless    func()      // has it go on beyond otpTime
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
	a, err := c.daemon.prompts.ask(ctx, &prompt{uid: c.caller.UID, secret: true}, func(token string) error {
		return c.call.Continue(ipc.OTPEventReply{Event: &ipc.OTPEvent{Kind: ipc.OTPSeed, Token: token}})
	})
	defer a.Wipe()
	if err != nil {
		return nil, err
	}
	return hotp.ParseSeed(a.Secret)
}

// admit has the policy, and the person where it wants them to be asked, let the call go on. Rules may tell tokens from
// each other by their names.
func (c *otpCall) admit(ctx context.Context, token otp.Token) error {
	c.token, c.store = token.Name, token.Keeper == otp.InStore
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
	seed, err := c.askSeed(ctx)
	defer seed.Wipe()
	if err != nil {
		return nil, err
	}
	if token, err = d.Tokens().Add(ctx, token, seed); err != nil {
		return nil, err
	}
	out := wireToken(&token)
	return ipc.OTPAddReply{Token: &out}, nil
}

// newToken is what a request asks for.
func newToken(in *ipc.OTPAddRequest) (otp.Token, error) {
	t := otp.Token{
		Name: cmp.Or(in.Name, otp.NameFor(in.Issuer, in.Account)), Issuer: in.Issuer, Account: in.Account,
		Keeper: otp.InStore, Parameters: hotp.DefaultTOTP}
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
		return nil, notYet(token, d.Tokens().Watch(ctx, in.Name, func(code otp.Code) error {
			return c.call.Continue(wireCode(&code))
		}))
	}
	code, err := d.Tokens().Code(ctx, in.Name, time.Now())
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
	return nil, d.Tokens().Remove(ctx, in.Name)
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
		return d.storeError(err)
	}
}
