package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/agessh"

	"fob/daemon/consent"
	"fob/daemon/policy"
	"fob/daemon/seal"
	"fob/daemon/store"
	"fob/daemon/tpm"
	"fob/fido"
	"fob/ipc"
	"fob/ipc/varlink"
)

// storeTime is how long a method of fob.Store may take, with a passphrase that a person thinks of on the way.
const storeTime = 5 * time.Minute

// storeMethods are those of fob.Store.
func (d *Daemon) storeMethods() map[string]varlink.Handler {
	return map[string]varlink.Handler{
		"Status": d.storeStatus,
		"Unlock": onStore(d, "", d.unlockStore), // the passphrase is consent enough
		"Seal":   onStore(d, policy.Manage, d.sealStore),
		"Export": onStore(d, policy.Manage, d.exportStore),
		"Import": onStore(d, policy.Manage, d.importStore),
		"Upload": d.upload,
		"Reset":  onStore(d, policy.Reset, d.resetStore),
	}
}

// OpenStore opens the store in a state folder. The data key of a new one is sealed by the credential in the folder of
// credentials, where that has one: somebody wants that. Else it is sealed by the TPM, where we may open it, and else by a
// key file beside the store. Either folder may be empty, for none.
func (d *Daemon) OpenStore(dir, credentials string) {
	var sealers []seal.Sealer
	if c := (seal.Credential{Dir: credentials}); c.Given() {
		sealers = append(sealers, c)
	}
	sealers = append(sealers, seal.KeyFile{Path: filepath.Join(dir, store.KeyName)})
	at := len(sealers)
	if d.theTPM().Check() == nil {
		at--
	}
	sealers = slices.Insert(sealers, at, seal.Sealer(seal.TPM{TPM: d.theTPM()}))
	d.Store = store.Open(store.Options{Dir: dir, Sealers: sealers, TPM: d.theTPM(), Program: "fobd", Log: d.Log})
}

// StateFolder is where the store is: fobd's own folder of $STATE_DIRECTORY, which systemd sets (systemd.exec(5),
// StateDirectory=), or fob in $XDG_STATE_HOME, or in ~/.local/state; empty where there is none.
func StateFolder() string {
	if dir, _, _ := strings.Cut(os.Getenv("STATE_DIRECTORY"), ":"); filepath.IsAbs(dir) {
		return dir
	}
	dir := os.Getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(dir) { // the XDG Base Directory Specification says to ignore others
		home, err := os.UserHomeDir()
		if err != nil || !filepath.IsAbs(home) {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "fob")
}

// onStore is a method that may ask for passphrases, and is for the policy a verb. One that has been there without
// events can be called without "more".
func onStore[In any](
	d *Daemon, verb policy.Verb, do func(context.Context, *storeCall, *In) (any, error),
) varlink.Handler {
	return func(ctx context.Context, c *varlink.Call) (reply any, err error) {
		if !c.More && c.Method != ipc.MethodStoreReset {
			return nil, varlink.ExpectedMore{}
		}
		var in In
		if err := c.Bind(&in); err != nil {
			return nil, err
		}
		s := d.storeCall(ctx, c, verb)
		ctx, end := d.begin(ctx, func() bool { return s.decision.WhenLocked })
		defer end()
		ctx, stop := context.WithTimeoutCause(ctx, storeTime, ipc.TimedOut{})
		defer stop()
		reply, err = do(ctx, s, &in)
		err = d.storeError(err)
		d.Log.Info("store", "method", c.Method, "program", s.caller.String(), "result", result(err))
		return reply, err
	}
}

// moving is what one call at a time may do with the store: make or take a backup, seal it anew, begin anew. The zero
// value is ready.
type moving struct {
	once  sync.Once
	place chan struct{}
}

// busyTime is within what fobd notices, on any machine, that the caller before has hung up.
const busyTime = time.Second

// enter returns when nobody else is there. Who calls waits for no more than one that is about to end.
func (m *moving) enter(ctx context.Context) (leave func(), err error) {
	m.once.Do(func() { m.place = make(chan struct{}, 1) })
	patience := time.NewTimer(busyTime)
	defer patience.Stop()
	select {
	case m.place <- struct{}{}:
		return func() { <-m.place }, nil
	case <-patience.C:
		return nil, ipc.StoreBusy{}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// storeCall is a call and the person behind it.
type storeCall struct {
	errand
	daemon   *Daemon
	call     *varlink.Call
	decision policy.Decision // about it
}

func (d *Daemon) storeCall(ctx context.Context, c *varlink.Call, verb policy.Verb) *storeCall {
	s := &storeCall{daemon: d, call: c, errand: errand{
		caller: callerOf(ctx), verb: verb, method: c.Method, store: true, policy: d.Policy.Policy(), id: rand.Text()}}
	if c.More {
		s.terminal = s.askTerminal
	}
	if verb != "" {
		s.decision = s.policy.Decide(s.request(fido.DeviceInfo{}))
	}
	return s
}

// admit has the policy, and the person where it wants them to be asked, let the call go on.
func (c *storeCall) admit(ctx context.Context) error {
	if rule := c.decision.Rule; rule != nil {
		entryOf(ctx).decide(string(c.decision.Action), rule.String())
	}
	if err := c.daemon.present(ctx, c.decision.WhenLocked); err != nil {
		return err
	}
	return c.daemon.permit(ctx, &c.errand, c.decision)
}

// askTerminal puts a question before who has called.
func (c *storeCall) askTerminal(q *consent.Question, token string) error {
	return c.call.Continue(ipc.StoreEventReply{Event: &ipc.StoreEvent{Kind: ipc.StoreConsent, Token: token,
		Caller: wireCaller(c.caller), Verb: string(c.verb), Method: c.method, Remembered: q.Remembered}})
}

// ask sends an event and gives the secret that answers it. The caller wipes it.
func (c *storeCall) ask(ctx context.Context, e ipc.StoreEvent) (fido.Secret, error) {
	q := &prompt{uid: c.caller.UID, secret: true, pin: e.TPMPIN && e.Kind == ipc.StoreNewPassphrase}
	a, err := c.daemon.prompts.ask(ctx, q, func(token string) error {
		e.Token = token
		return c.call.Continue(ipc.StoreEventReply{Event: &e})
	})
	return fido.Secret(a.Secret), err
}

// attempts is how often a person may try a secret.
const attempts = 3

// untilRight asks for a secret until try takes it.
func (c *storeCall) untilRight(ctx context.Context, e ipc.StoreEvent, try func(fido.Secret) error) error {
	for range attempts {
		secret, err := c.ask(ctx, e)
		if err != nil {
			return err
		}
		err = try(secret)
		secret.Wipe()
		debug.FreeOSMemory() // what a passphrase is stretched in is large, and need not stay
		if !errors.Is(err, store.ErrWrongKey) {
			return err
		}
		e.Wrong, e.Retries = true, retries(err)
	}
	return ipc.PassphraseWrong{}
}

// retries are how many more wrong PINs the TPM takes; nil where that is not known.
func retries(err error) *int {
	var wrong *tpm.PINError
	if !errors.As(err, &wrong) || wrong.Left < 0 {
		return nil
	}
	return &wrong.Left
}

// authorize asks for the passphrase, or the PIN, of a store that has one: who only found the computer unlocked knows it
// not.
func (c *storeCall) authorize(ctx context.Context) error {
	kind := c.daemon.Store.Status().Sealer
	if !kind.NeedsPerson() {
		return nil
	}
	e := ipc.StoreEvent{Kind: ipc.StorePassphrase, TPMPIN: kind == seal.KindTPMPIN}
	return c.untilRight(ctx, e, c.daemon.Store.Unlock)
}

// storeStatus implements fob.Store.Status.
func (d *Daemon) storeStatus(context.Context, *varlink.Call) (any, error) {
	s := d.Store.Status()
	reply := ipc.StoreStatus{
		State: storeState(&s), Path: s.Path, Sealer: string(s.Sealer), Size: int(s.Size), Aside: s.Aside}
	if s.Problem == nil {
		reply.Records = &s.Records
	} else {
		reply.Problem = s.Problem.Error()
	}
	return reply, nil
}

func storeState(s *store.Status) ipc.StoreState {
	switch {
	case s.Problem == nil && !s.Exists:
		return ipc.StoreStateNew
	case s.Problem == nil && s.ReadOnly:
		return ipc.StoreStateReadOnly
	case s.Problem == nil:
		return ipc.StoreStateReady
	case errors.As(s.Problem, new(*store.UnsealError)):
		return ipc.StoreStateWrongKey
	}
	for problem, state := range map[error]ipc.StoreState{
		store.ErrLocked: ipc.StoreStateLocked, store.ErrHeld: ipc.StoreStateHeld, store.ErrCorrupt: ipc.StoreStateCorrupt,
		store.ErrNewer: ipc.StoreStateNewer,
	} {
		if errors.Is(s.Problem, problem) {
			return state
		}
	}
	return ipc.StoreStateUnusable
}

// unlockStore implements fob.Store.Unlock.
func (d *Daemon) unlockStore(ctx context.Context, c *storeCall, _ *struct{}) (any, error) {
	switch s := d.Store.Status(); {
	case s.Problem != nil && !errors.Is(s.Problem, store.ErrLocked):
		return nil, s.Problem
	case !s.Sealer.NeedsPerson():
		return nil, store.ErrNotLocked
	}
	return nil, c.authorize(ctx)
}

// sealStore implements fob.Store.Seal.
func (d *Daemon) sealStore(ctx context.Context, c *storeCall, in *ipc.SealRequest) (any, error) {
	by, err := d.sealer(in)
	if err != nil {
		return nil, err
	}
	if err := c.admit(ctx); err != nil {
		return nil, err
	}
	leave, err := d.moving.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := c.authorize(ctx); err != nil {
		return nil, err
	}
	if by == nil {
		said, err := c.ask(ctx, ipc.StoreEvent{Kind: ipc.StoreNewPassphrase, TPMPIN: in.PIN})
		if err != nil {
			return nil, err
		}
		defer said.Wipe()
		defer debug.FreeOSMemory()
		by = seal.Passphrase{Passphrase: said}
		if in.PIN {
			by = seal.TPM{TPM: d.theTPM(), Lock: tpm.Lock{PIN: said, PCRs: pcrs(in)}}
		}
	}
	aside, err := d.Store.Seal(by)
	return ipc.SealReply{Aside: aside}, err
}

// pcrs are those of a request, in order.
func pcrs(in *ipc.SealRequest) tpm.PCRs {
	var list tpm.PCRs
	for _, n := range in.PCRs {
		list = append(list, uint(n)) // a negative one is too large then
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// sealer is what a request wants; nil for one for which somebody must be asked.
func (d *Daemon) sealer(in *ipc.SealRequest) (seal.Sealer, error) {
	kind := in.To
	switch list := pcrs(in); {
	case in.PIN && kind != string(seal.KindTPM):
		return nil, varlink.InvalidParameter{Parameter: "pin"}
	case len(list) > 0 && kind != string(seal.KindTPM), !list.Valid():
		return nil, varlink.InvalidParameter{Parameter: "pcrs"}
	case kind == string(seal.KindPassphrase), in.PIN:
		return nil, nil
	case kind == string(seal.KindTPM):
		return seal.TPM{TPM: d.theTPM(), Lock: tpm.Lock{PCRs: list}}, nil
	}
	for _, s := range d.Store.Sealers() {
		if string(s.Kind()) == kind {
			return s, nil
		}
	}
	if kind == string(seal.KindCredential) {
		return nil, ipc.StoreUnusable{Problem: "fobd has got no credential " + seal.CredentialName}
	}
	return nil, varlink.InvalidParameter{Parameter: "to"}
}

// maxRecipients is how many a backup may have.
const maxRecipients = 20

// exportStore implements fob.Store.Export.
func (d *Daemon) exportStore(ctx context.Context, c *storeCall, in *ipc.ExportRequest) (any, error) {
	recipients, err := parseRecipients(in.Recipients)
	if err != nil {
		return nil, err
	}
	if s := d.Store.Status(); s.Problem != nil && !errors.Is(s.Problem, store.ErrLocked) {
		return nil, s.Problem // before anybody is asked for anything
	}
	if err := c.admit(ctx); err != nil {
		return nil, err
	}
	leave, err := d.moving.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	if err := c.authorize(ctx); err != nil {
		return nil, err
	}
	if len(recipients) == 0 {
		passphrase, err := c.ask(ctx, ipc.StoreEvent{Kind: ipc.StoreNewPassphrase, Backup: true})
		if err != nil {
			return nil, err
		}
		defer debug.FreeOSMemory()
		recipient, err := store.PassphraseRecipient(passphrase)
		passphrase.Wipe()
		if err != nil {
			return nil, err
		}
		recipients = []age.Recipient{recipient}
	}
	var backup bytes.Buffer
	if err := d.Store.Export(&backup, recipients...); err != nil {
		return nil, err
	}
	for backup.Len() > ipc.MaxUpload {
		if err := c.call.Continue(exported(backup.Next(ipc.MaxUpload))); err != nil {
			return nil, err
		}
	}
	return exported(backup.Bytes()), ctx.Err()
}

func exported(part []byte) ipc.ExportReply {
	return ipc.ExportReply{Data: base64.RawURLEncoding.EncodeToString(part)}
}

// parseRecipients reads public keys of age or OpenSSH.
func parseRecipients(texts []string) (recipients []age.Recipient, err error) {
	if len(texts) > maxRecipients {
		return nil, varlink.InvalidParameter{Parameter: "recipients"}
	}
	for _, text := range texts {
		var one []age.Recipient
		if strings.HasPrefix(text, "ssh-") {
			var r age.Recipient
			r, err = agessh.ParseRecipient(text)
			one = []age.Recipient{r}
		} else {
			one, err = age.ParseRecipients(strings.NewReader(text))
		}
		if err != nil {
			return nil, varlink.InvalidParameter{Parameter: "recipients"}
		}
		recipients = append(recipients, one...)
	}
	return recipients, nil
}

// importStore implements fob.Store.Import.
func (d *Daemon) importStore(ctx context.Context, c *storeCall, in *ipc.ImportRequest) (any, error) {
	if s := d.Store.Status(); s.Problem != nil && !in.Replace {
		return nil, s.Problem
	} else if s.Records > 0 && !in.Replace { // before anybody is asked for anything
		return nil, store.ErrNotEmpty
	}
	if err := c.admit(ctx); err != nil {
		return nil, err
	}
	leave, err := d.moving.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	backup, err := d.receive(ctx, c)
	if err != nil {
		return nil, err
	}
	records, err := c.openBackup(ctx, backup)
	defer store.WipeRecords(records)
	if err != nil {
		return nil, err
	}
	aside, err := d.Store.Import(records, in.Replace)
	if err != nil {
		return nil, err
	}
	count := len(records)
	return ipc.ImportReply{Records: &count, Aside: aside}, nil
}

// openBackup asks for what opens a backup.
func (c *storeCall) openBackup(ctx context.Context, backup []byte) (records []store.Record, err error) {
	header, err := age.ExtractHeader(bytes.NewReader(backup))
	if err != nil || len(header) > maxHeader {
		return nil, fmt.Errorf("%w: it is no age file", store.ErrBackup)
	}
	e := ipc.StoreEvent{Kind: ipc.StoreFileKey, Header: string(header), Backup: true}
	identity := fileKey
	if bytes.HasPrefix(header, []byte("age-encryption.org/v1\n-> scrypt ")) {
		e, identity = ipc.StoreEvent{Kind: ipc.StorePassphrase, Backup: true}, store.PassphraseIdentity
	}
	err = c.untilRight(ctx, e, func(secret fido.Secret) error {
		by, err := identity(secret)
		if err == nil {
			records, err = store.ReadBackup(bytes.NewReader(backup), by)
		}
		return err
	})
	return records, err
}

// maxHeader is how long the header of a backup may be, in bytes; it goes out in an event.
const maxHeader = 64 << 10

// fileKey is an identity that knows the file key already.
func fileKey(text fido.Secret) (age.Identity, error) {
	key := make(fido.Secret, base64.RawURLEncoding.DecodedLen(len(text)))
	n, err := base64.RawURLEncoding.Decode(key, text)
	if err != nil || n != 16 {
		return nil, store.ErrWrongKey
	}
	return age.NewInjectedFileKeyIdentity(key), nil
}

// resetStore implements fob.Store.Reset.
func (d *Daemon) resetStore(ctx context.Context, c *storeCall, _ *struct{}) (any, error) {
	if err := c.admit(ctx); err != nil {
		return nil, err
	}
	leave, err := d.moving.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	aside, err := d.Store.Reset()
	return ipc.StoreResetReply{Aside: aside}, err
}

// fits says what is wrong with a secret that answers a prompt.
func fits(secret ipc.Secret) string {
	if len(secret) == 0 || len(secret) > seal.MaxPassphraseLength || !utf8.Valid(secret) {
		return fmt.Sprintf("a secret has 1 to %d bytes of UTF-8", seal.MaxPassphraseLength)
	}
	return ""
}

// storeError gives the errors of the store the names under which they leave fobd.
func (d *Daemon) storeError(err error) error {
	var held *store.HeldError
	var unseal *store.UnsealError
	switch {
	case err == nil, errors.As(err, new(varlink.Named)):
		return err
	case errors.As(err, &held):
		return ipc.StoreHeld{PID: held.PID, Program: held.Program}
	case tpmReason(err) != "":
		return tpmError(err)
	case errors.As(err, &unseal):
		return ipc.StoreWrongKey{Sealer: string(unseal.Kind), Problem: err.Error()}
	case errors.Is(err, store.ErrLocked):
		return ipc.StoreLocked{}
	case errors.Is(err, store.ErrNotLocked):
		return ipc.StoreNotLocked{}
	case errors.Is(err, store.ErrNotEmpty):
		return ipc.StoreNotEmpty{}
	case errors.Is(err, store.ErrCorrupt):
		return ipc.StoreCorrupt{Path: d.Store.Status().Path, Problem: err.Error()}
	case errors.Is(err, store.ErrReadOnly):
		return ipc.StoreReadOnly{Problem: err.Error()}
	case errors.Is(err, store.ErrFull):
		return ipc.StoreFull{Problem: err.Error()}
	case errors.Is(err, store.ErrNewer):
		return ipc.StoreNewer{Problem: err.Error()}
	case errors.Is(err, store.ErrBackup):
		return ipc.BackupInvalid{Problem: err.Error()}
	case errors.Is(err, context.Canceled), errors.Is(err, fido.ErrDeclined):
		return err
	default:
		return ipc.StoreUnusable{Problem: err.Error()}
	}
}
