package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"fob/daemon/consent"
	"fob/daemon/policy"
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
		Extensions:       registerExtensions(options),
	}
	defer asked.Extensions.Salts.Wipe()
	for _, p := range options.PubKeyCredParams {
		asked.Algorithms = append(asked.Algorithms, p.Alg)
	}
	var response *webauthn.RegistrationResponseJSON
	var secrets fido.Secret
	about := &ceremony{
		errand: errand{verb: policy.Register, rpID: begun.RPID},
		daemon: d, call: c, mirror: in.Prompter, noWait: in.DoesNotWait()}
	err = d.onKeys(ctx, about, in.Device, timeout(options.Timeout),
		func(ctx context.Context, keys fido.Keys, p fido.Prompter) error {
			made, err := fido.Register(ctx, keys, p, asked)
			if err != nil {
				return err
			}
			secrets = made.HMACSecret
			response, err = begun.Finish(&made.MakeCredentialResponse.MakeCredentialResponse, made.Transports, made.Discoverable,
				webauthn.ExtensionOutputs{PRF: webauthn.Secret(made.HMACSecret), LargeBlobKey: made.LargeBlob})
			return err
		})
	defer func() { secrets.Wipe() }()
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
		Extensions:       signInExtensions(options),
	}
	defer wipeSalts(&asked.Extensions)
	var response *webauthn.AuthenticationResponseJSON
	var secrets fido.Secret
	about := &ceremony{
		errand: errand{verb: policy.SignIn, rpID: begun.RPID},
		daemon: d, call: c, mirror: in.Prompter, noWait: in.DoesNotWait()}
	err = d.onKeys(ctx, about, in.Device, timeout(options.Timeout),
		func(ctx context.Context, keys fido.Keys, p fido.Prompter) error {
			got, err := fido.SignIn(ctx, keys, p, asked)
			if err != nil {
				return err
			}
			secrets = got.HMACSecret
			response, err = begun.Finish(&got.GetAssertionResponse.GetAssertionResponse, webauthn.ExtensionOutputs{
				PRF: webauthn.Secret(got.HMACSecret), LargeBlob: got.LargeBlob, LargeBlobWritten: got.LargeBlobWritten})
			return err
		})
	defer func() { secrets.Wipe() }()
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
	errand
	daemon *Daemon
	call   *varlink.Call
	one    bool // it is for one key, which must be clear beforehand
	noWait bool // it does not wait for its turn, nor for a key to be plugged in

	verdicts map[fido.DeviceID]error // of keys that the policy, and the person, were asked about; nil: they may serve
	agreed   bool                    // the person was asked, and said yes
	unasked  bool                    // nobody could be asked
	// whenLocked lets it begin, and go on, while the screen is locked or another user has it.
	whenLocked atomic.Bool
	mirror     *bool       // whether prompters are told; nil where the caller has no terminal
	prompters  atomic.Bool // they were told
	notified   sync.Once   // the desktop was
	awaited    atomic.Bool // it is the person's turn, as far as we know, and not the key's
}

// holder tells others whose ceremony it is.
func (c *ceremony) holder() ipc.Holder {
	verb := ipc.Verb(c.verb)
	if verb == "" {
		verb = ipc.VerbLook
	}
	return ipc.Holder{
		Program:  cmp.Or(c.caller.Executable, c.caller.Name),
		PID:      int(c.caller.PID),
		Unit:     c.caller.Unit,
		Terminal: c.caller.Terminal,
		Verb:     verb,
		RPID:     c.rpID,
	}
}

// onKeys performs operation on the keys that id means, when it is this ceremony's turn, and closes them.
func (d *Daemon) onKeys(ctx context.Context, c *ceremony, id string, limit time.Duration, operation func(
	context.Context, fido.Keys, fido.Prompter) error) (err error) {

	var devices []fido.DeviceInfo
	var turn *ticket
	var joining *joining
	begin := time.Now()
	c.caller, c.id, c.method = callerOf(ctx), rand.Text(), c.call.Method
	if c.call.More {
		c.terminal = func(q *consent.Question, token string) error { return c.tell(consentEvent(q, token), asOne(q.Keys)) }
	}
	defer c.over()
	ctx, end := d.begin(ctx, c.goesOn)
	after := []func(){end} // done when the caller has the reply, the last one first
	defer func() { d.afterwards(turn, joining, after) }()
	ctx, stop := context.WithTimeoutCause(ctx, limit, ipc.TimedOut{})
	defer stop()
	defer func() {
		if err != nil && ctx.Err() != nil && !named(err) { // it broke because it was stopped
			err = context.Cause(ctx)
		}
		if err == (ipc.TimedOut{}) && !c.awaited.Load() {
			err = ipc.DeviceGone{}
		}
		if joining != nil {
			devices = append(devices, joining.devices()...)
		}
		entryOf(ctx).about(c.rpID, devices)
		problem := ""
		if err != nil {
			problem = err.Error()
		}
		d.Log.Info("ceremony", "method", c.call.Method, "rp", c.rpID, "keys", deviceIDs(devices), "program", c.caller.String(),
			"took", time.Since(begin).Round(time.Millisecond), "result", result(err), "problem", problem)
	}()

	if devices, turn, err = d.take(ctx, c, id); err != nil {
		return err
	}
	after = append(after, turn.leave)
	opened, err := d.open(ctx, c, devices)
	if err != nil {
		return err
	}
	after = append(after, func() { closeAll(opened) })
	var keys fido.Keys
	if !c.one && id == "" {
		joining = newJoining(c, devices)
		after = append(after, joining.close)
		keys.Next = joining.next
	}
	for _, k := range opened {
		k.joining = joining
		keys.Now = append(keys.Now, k.candidate())
	}
	if err = operation(ctx, keys, c); len(opened) == 1 {
		err = busyCard(keys.Now[0].Info, err)
	}
	return err
}

func closeAll(keys []*openKey) {
	for _, k := range keys {
		k.close()
	}
}

// afterwards ends a ceremony whose keys are dark. Helpers take a moment to end: who called need not wait for them, but
// who comes next on these keys does.
func (d *Daemon) afterwards(turn *ticket, joining *joining, after []func()) {
	if turn != nil {
		turn.end()
	}
	if joining != nil {
		joining.end()
	}
	d.ending.Go(func() {
		for _, f := range slices.Backward(after) {
			f()
		}
	})
}

// named reports whether an error says by itself what the caller should hear.
func named(err error) bool {
	return errors.As(err, new(ipc.Error)) || errors.As(err, new(*fido.CardLostError)) || errors.As(err, new(*fido.OrphanError))
}

// open opens keys, all at once, and says which it can't; its error is that of the last one when there is none.
func (d *Daemon) open(ctx context.Context, c *ceremony, devices []fido.DeviceInfo) (keys []*openKey, err error) {
	opened, errs := make([]*openKey, len(devices)), make([]error, len(devices))
	var all sync.WaitGroup
	for i, dev := range devices {
		all.Go(func() { opened[i], errs[i] = d.openKey(ctx, c, dev) })
	}
	all.Wait()
	keys = slices.DeleteFunc(opened, func(k *openKey) bool { return k == nil })
	if len(keys) == 0 {
		return nil, errs[len(errs)-1]
	}
	for i, dev := range devices {
		if errs[i] != nil && err == nil {
			err = c.Passed(ctx, dev, errs[i])
		}
	}
	if err != nil {
		closeAll(keys)
		return nil, err
	}
	return keys, nil
}

// send tells the caller, and the prompters where they may answer for it.
func (c *ceremony) send(dev fido.DeviceInfo, e ipc.Event) error {
	if c.mirrored() {
		about := c.about(e, dev)
		c.prompters.Store(true)
		c.daemon.prompters.tell(c.caller.UID, ipc.PromptReply{Ceremony: c.id, Event: &about})
	}
	return c.tell(e, dev)
}

// tell tells the caller alone.
func (c *ceremony) tell(e ipc.Event, dev fido.DeviceInfo) error {
	if !c.call.More { // a look at a key that needs nobody
		return nil
	}
	c.daemon.Metrics.Count("events." + string(e.Kind))
	switch e.Kind {
	case ipc.EventChosen:
		c.awaited.Store(false)
	case ipc.EventWaiting, ipc.EventPlug, ipc.EventPassed:
	default:
		c.awaited.Store(true)
	}
	e = c.about(e, dev)
	return c.call.Continue(ipc.CeremonyReply{Event: &e})
}

// mirrored reports whether prompters are told of the ceremony's events.
func (c *ceremony) mirrored() bool {
	if c.mirror != nil {
		return *c.mirror
	}
	return c.verb != "" && c.caller.Terminal == ""
}

// over tells prompters that nothing is asked any more.
func (c *ceremony) over() {
	if c.prompters.Load() {
		c.daemon.prompters.tell(c.caller.UID, ipc.PromptReply{Ceremony: c.id, Over: true})
	}
}

// ask asks the person by an event. Once they have answered, it is the key's turn.
func (c *ceremony) ask(ctx context.Context, q *prompt, dev fido.DeviceInfo, e ipc.Event) (ipc.Answer, error) {
	q.uid = c.caller.UID
	over := func() {}
	a, err := c.daemon.prompts.ask(ctx, q, func(token string) error {
		e.Token = token
		there, done, unable := c.prompted(ctx)
		e.Prompter = unable == nil
		err := c.send(dev, e)
		if e.Prompter {
			over = c.alone(there, done, dev, e)
		}
		return err
	})
	over()
	if err == nil {
		c.awaited.Store(false)
	}
	return a, err
}

// prompted begins a question of which prompters are told, if any may answer; see prompters.ask.
func (c *ceremony) prompted(ctx context.Context) (there context.Context, done func(), err error) {
	if !c.mirrored() {
		return nil, nil, consent.ErrUnable
	}
	return c.daemon.prompters.ask(context.WithoutCancel(ctx), c.caller.UID)
}

// alone tells the caller of a prompt again when the last prompter has left that was told of it, until over.
func (c *ceremony) alone(there context.Context, done func(), dev fido.DeviceInfo, e ipc.Event) (over func()) {
	told := make(chan struct{})
	stop := context.AfterFunc(there, func() {
		defer close(told)
		e.Prompter = false
		_ = c.tell(e, dev) // else the caller has hung up, which ends the ceremony
	})
	return func() {
		if !stop() {
			<-told
		}
		done()
	}
}

// PIN implements fido.Prompter.
func (c *ceremony) PIN(ctx context.Context, p fido.PINPrompt) (fido.PIN, error) {
	a, err := c.ask(ctx, &prompt{kind: ipc.EventPIN, reserve: p.Reserved}, p.Device, ipc.Event{
		Kind: ipc.EventPIN, Retries: int(p.Retries), Wrong: p.Wrong, Reserved: p.Reserved, Other: p.Other})
	return fido.PIN(a.PIN), err
}

// NewPIN implements fido.Prompter.
func (c *ceremony) NewPIN(ctx context.Context, p fido.NewPINPrompt) (fido.PIN, error) {
	q := &prompt{kind: ipc.EventNewPIN, minLength: int(p.MinLength)}
	a, err := c.ask(ctx, q, p.Device, ipc.Event{
		Kind: ipc.EventNewPIN, MinLength: int(p.MinLength), Replaces: p.Replaces, Refused: p.Refused})
	return fido.PIN(a.PIN), err
}

// Touch implements fido.Prompter.
func (c *ceremony) Touch(ctx context.Context, p fido.TouchPrompt) error {
	c.notified.Do(func() { c.daemon.notify(ctx, c, p.Device) })
	return c.send(p.Device, ipc.Event{Kind: ipc.EventTouch, Finger: p.Finger, Retries: int(p.Retries), Wrong: p.Wrong})
}

// Passed implements fido.Prompter.
func (c *ceremony) Passed(_ context.Context, dev fido.DeviceInfo, why error) error {
	problem := wireError(busyCard(dev, why))
	return c.send(dev, ipc.Event{Kind: ipc.EventPassed, Error: problem.VarlinkError(), Problem: problem.Error()})
}

// Tap implements fido.Prompter.
func (c *ceremony) Tap(_ context.Context, dev fido.DeviceInfo, made bool) error {
	return c.send(dev, ipc.Event{Kind: ipc.EventTap, Made: made})
}

// Chosen implements fido.Prompter.
func (c *ceremony) Chosen(ctx context.Context, dev fido.DeviceInfo) error {
	entryOf(ctx).choose(dev)
	return c.send(dev, ipc.Event{Kind: ipc.EventChosen})
}

// Sampled implements fido.Prompter.
func (c *ceremony) Sampled(_ context.Context, dev fido.DeviceInfo, s fido.Sample) error {
	remaining := int(s.Remaining)
	return c.send(dev, ipc.Event{Kind: ipc.EventSample, Sample: strings.ToLower(s.Status.String()), Remaining: &remaining})
}

// Replug implements fido.Prompter.
func (c *ceremony) Replug(_ context.Context, p fido.ReplugPrompt) error {
	return c.send(p.Device, ipc.Event{Kind: ipc.EventReplug, Late: p.Late, LongTouch: p.LongTouch})
}

// Choose implements fido.Prompter.
func (c *ceremony) Choose(ctx context.Context, dev fido.DeviceInfo, users []ctap.PublicKeyCredentialUserEntity) (int, error) {
	accounts := make([]ipc.Account, len(users))
	for i, u := range users {
		accounts[i] = ipc.Account{
			ID: base64.RawURLEncoding.EncodeToString(u.ID), Name: u.Name, DisplayName: u.DisplayName}
	}
	a, err := c.ask(ctx, &prompt{kind: ipc.EventChoose, choices: len(users)}, dev,
		ipc.Event{Kind: ipc.EventChoose, Accounts: accounts})
	if err != nil {
		return 0, err
	}
	return *a.Choice, nil
}
