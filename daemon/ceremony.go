package daemon

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/webauthn"
	"fob/ipc"
	"fob/ipc/varlink"
)

// How long a ceremony may take; a relying party may ask for more or less within bounds.
const (
	defaultTimeout  = 2 * time.Minute
	shortestTimeout = time.Second
	longestTimeout  = 10 * time.Minute
)

// register implements fob.Ceremony.Register.
func (d *Daemon) register(ctx context.Context, c *varlink.Call) (any, error) {
	in, err := ceremonyRequest(c)
	if err != nil {
		return nil, err
	}
	options, err := webauthn.ParseCreationOptions(in.Options)
	if err != nil {
		return nil, err
	}
	begun, err := webauthn.BeginRegistration(options, in.Origin)
	if err != nil {
		return nil, err
	}
	if options.AuthenticatorSelection.AuthenticatorAttachment == webauthn.AttachmentPlatform {
		return nil, ipc.Unsupported{What: "an authenticator that is part of this computer"}
	}
	hash := begun.ClientDataJSON.Hash()
	asked := &fido.RegisterOptions{
		ClientDataHash: hash[:],
		RP:             ctap.PublicKeyCredentialRpEntity{ID: begun.RPID, Name: options.RP.Name},
		User: ctap.PublicKeyCredentialUserEntity{
			ID: ctap.Bytes(options.User.ID), Name: options.User.Name, DisplayName: options.User.DisplayName},
		ExcludeList:      webauthn.IDs(options.ExcludeCredentials),
		ResidentKey:      requirement(string(options.AuthenticatorSelection.ResidentKey)),
		UserVerification: requirement(string(options.AuthenticatorSelection.UserVerification)),
	}
	for _, p := range options.PubKeyCredParams {
		asked.Algorithms = append(asked.Algorithms, p.Alg)
	}
	var response *webauthn.RegistrationResponseJSON
	err = d.onKey(ctx, &ceremony{d, c, begun.RPID}, in.Device, options.Timeout,
		func(ctx context.Context, key fido.Authenticator, dev fido.DeviceInfo, p fido.Prompter) error {
			made, err := fido.Register(ctx, key, dev, p, asked)
			if err == nil {
				response, err = begun.Finish(made.MakeCredentialResponse, made.Transports, made.Discoverable)
			}
			return err
		})
	return finish(response, err)
}

// signIn implements fob.Ceremony.SignIn.
func (d *Daemon) signIn(ctx context.Context, c *varlink.Call) (any, error) {
	in, err := ceremonyRequest(c)
	if err != nil {
		return nil, err
	}
	options, err := webauthn.ParseRequestOptions(in.Options)
	if err != nil {
		return nil, err
	}
	begun, err := webauthn.BeginAuthentication(options, in.Origin)
	if err != nil {
		return nil, err
	}
	hash := begun.ClientDataJSON.Hash()
	asked := &fido.SignInOptions{
		ClientDataHash:   hash[:],
		RPID:             begun.RPID,
		AllowList:        webauthn.IDs(options.AllowCredentials),
		UserVerification: requirement(string(options.UserVerification)),
	}
	var response *webauthn.AuthenticationResponseJSON
	err = d.onKey(ctx, &ceremony{d, c, begun.RPID}, in.Device, options.Timeout,
		func(ctx context.Context, key fido.Authenticator, dev fido.DeviceInfo, p fido.Prompter) error {
			got, err := fido.SignIn(ctx, key, dev, p, asked)
			if err == nil {
				response, err = begun.Finish(got)
			}
			return err
		})
	return finish(response, err)
}

func ceremonyRequest(c *varlink.Call) (*ipc.CeremonyRequest, error) {
	if !c.More {
		return nil, varlink.ExpectedMore{}
	}
	var in ipc.CeremonyRequest
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if in.Options == nil {
		return nil, varlink.InvalidParameter{Parameter: "options"}
	}
	return &in, nil
}

// finish makes the last reply.
func finish[T any](response *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(response)
	if err != nil {
		return nil, err
	}
	return ipc.CeremonyReply{Response: b}, nil
}

// requirement translates the words of WebAuthn; what is none of them is "discouraged", as the defaults were filled in.
func requirement(word string) fido.Requirement {
	switch word {
	case "required":
		return fido.Required
	case "preferred":
		return fido.Preferred
	default:
		return fido.Discouraged
	}
}

// timeout is how long a ceremony may take when the relying party asks for so many milliseconds.
func timeout(milliseconds uint32) time.Duration {
	if milliseconds == 0 {
		return defaultTimeout
	}
	return min(max(time.Duration(milliseconds)*time.Millisecond, shortestTimeout), longestTimeout)
}

// ceremony is one call, and the person behind it: it sends them events and takes their answers.
type ceremony struct {
	daemon *Daemon
	call   *varlink.Call
	rpID   string
}

// onKey performs operation on the key that id means, when it is this ceremony's turn, and closes the key.
func (d *Daemon) onKey(ctx context.Context, c *ceremony, id string, milliseconds uint32, operation func(
	context.Context, fido.Authenticator, fido.DeviceInfo, fido.Prompter) error) (err error) {

	begin := time.Now()
	ctx, stop := context.WithTimeoutCause(ctx, timeout(milliseconds), ipc.TimedOut{})
	defer stop()
	var dev fido.DeviceInfo
	defer func() {
		if err != nil && ctx.Err() != nil && !errors.As(err, new(ipc.Error)) { // it broke because it was stopped
			err = context.Cause(ctx)
		}
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		d.Log.Info("ceremony", "method", c.call.Method, "rp", c.rpID, "key", dev.ID, "pid", c.call.Peer.PID,
			"took", time.Since(begin).Round(time.Millisecond), "result", result(err), "problem", problem)
	}()

	if dev, err = d.pick(ctx, id); err != nil {
		return err
	}
	done, err := d.turns.wait(ctx, dev.ID, func(n int) error {
		return c.send(dev, ipc.Event{Kind: ipc.EventWaiting, Position: n})
	})
	if errors.Is(err, ipc.TimedOut{}) { // nobody was asked for anything
		return ipc.DeviceBusy{}
	}
	if err != nil {
		return err
	}
	defer done()
	key, err := d.Source.Open(ctx, dev.ID)
	if err != nil {
		return err
	}
	defer key.Close()
	return operation(ctx, key, dev, c)
}

func (c *ceremony) send(dev fido.DeviceInfo, e ipc.Event) error {
	e.Device, e.Product, e.RPID = string(dev.ID), dev.Product, c.rpID
	return c.call.Continue(ipc.CeremonyReply{Event: &e})
}

// PIN implements fido.Prompter.
func (c *ceremony) PIN(ctx context.Context, p fido.PINPrompt) (fido.PIN, error) {
	a, err := c.daemon.prompts.ask(ctx, &prompt{kind: ipc.EventPIN}, func(token string) error {
		return c.send(p.Device, ipc.Event{Kind: ipc.EventPIN, Token: token, Retries: int(p.Retries), Wrong: p.Wrong})
	})
	return fido.PIN(a.PIN), err
}

// Touch implements fido.Prompter.
func (c *ceremony) Touch(_ context.Context, dev fido.DeviceInfo) error {
	return c.send(dev, ipc.Event{Kind: ipc.EventTouch})
}

// Choose implements fido.Prompter.
func (c *ceremony) Choose(ctx context.Context, dev fido.DeviceInfo, users []ctap.PublicKeyCredentialUserEntity) (int, error) {
	accounts := make([]ipc.Account, len(users))
	for i, u := range users {
		accounts[i] = ipc.Account{
			ID: base64.RawURLEncoding.EncodeToString(u.ID), Name: u.Name, DisplayName: u.DisplayName}
	}
	a, err := c.daemon.prompts.ask(ctx, &prompt{kind: ipc.EventChoose, choices: len(users)}, func(token string) error {
		return c.send(dev, ipc.Event{Kind: ipc.EventChoose, Token: token, Accounts: accounts})
	})
	if err != nil {
		return 0, err
	}
	return *a.Choice, nil
}
