package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"filippo.io/age"

	"fob/daemon/policy"
	"fob/daemon/session"
	"fob/daemon/store"
	"fob/ipc"
	"fob/ipc/varlink"
)

// storePerson knows passphrases and an identity, and notes what it is asked.
type storePerson struct {
	mu          sync.Mutex
	passphrases []string // given one after the other; the last one again and again
	identity    age.Identity
	err         error // given instead
	asked       []string
}

func (p *storePerson) Passphrase(_ context.Context, e ipc.StoreEvent) (ipc.Secret, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, fmt.Sprintf("%s wrong=%v backup=%v", e.Kind, e.Wrong, e.Backup))
	given := p.passphrases[0]
	if len(p.passphrases) > 1 {
		p.passphrases = p.passphrases[1:]
	}
	return ipc.Secret(given), p.err
}

func (p *storePerson) FileKey(_ context.Context, e ipc.StoreEvent) (ipc.Secret, error) {
	key, err := age.DecryptHeader([]byte(e.Header), p.identity)
	return ipc.Secret(key), err
}

func knows(passphrases ...string) *storePerson { return &storePerson{passphrases: passphrases} }

// storeDaemon serves a store in a folder.
func storeDaemon(t *testing.T, dir string) (*Daemon, *ipc.Client) {
	t.Helper()
	d := &Daemon{Source: &fakeSource{}}
	d.OpenStore(dir, "")
	t.Cleanup(func() { d.Store.Close() })
	c := serveDaemon(t, d)
	if _, err := c.StoreStatus(t.Context()); err != nil { // then it serves, and leaves its fields to us
		t.Fatal(err)
	}
	return d, c
}

func keep(t *testing.T, d *Daemon, name, value string) {
	t.Helper()
	if err := d.Store.Update(func(tx *store.Tx) error { return tx.Put("test", name, []byte(value)) }); err != nil {
		t.Fatal(err)
	}
}

func kept(t *testing.T, d *Daemon, name, want string) {
	t.Helper()
	err := d.Store.View(func(tx *store.Tx) error {
		v, err := tx.Get("test", name)
		if string(v) != want {
			t.Errorf("%s is %q, not %q", name, []byte(v), want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestStoreStatus(t *testing.T) {
	state := func(c *ipc.Client) *ipc.StoreStatus {
		t.Helper()
		s, err := c.StoreStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	none := serve(t, &fakeSource{})
	if s := state(none); s.State != ipc.StoreStateUnusable || s.Problem == "" || s.Path != "" {
		t.Errorf("%+v", s)
	}
	if err := none.ExportStore(t.Context(), nil, knows("sesame"), io.Discard); !errors.As(err, new(ipc.StoreUnusable)) {
		t.Error(err)
	}
	dir := filepath.Join(t.TempDir(), "fob")
	first, c := storeDaemon(t, dir)
	if s := state(c); s.State != ipc.StoreStateNew || *s.Records != 0 || s.Sealer != "keyfile" {
		t.Errorf("%+v", s)
	}
	keep(t, first, "alice", "one")
	if s := state(c); s.State != ipc.StoreStateReady || *s.Records != 1 || s.Path != filepath.Join(dir, "store.db") {
		t.Errorf("%+v", s)
	}
	_, second := storeDaemon(t, dir)
	us := fmt.Sprint("fobd (process ", os.Getpid(), ")")
	if s := state(second); s.State != ipc.StoreStateHeld || !strings.Contains(s.Problem, us) {
		t.Errorf("%+v", s)
	}
	if _, err := second.ResetStore(t.Context(), knows("")); err != (ipc.StoreHeld{PID: os.Getpid(), Program: "fobd"}) {
		t.Error(err)
	}
	first.Store.Close()
	if err := os.WriteFile(filepath.Join(dir, "store.db"), make([]byte, 20000), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := state(second); s.State != ipc.StoreStateCorrupt || s.Problem == "" {
		t.Errorf("%+v", s)
	}
	if err := second.ExportStore(t.Context(), nil, knows("sesame"), io.Discard); !errors.As(err, new(ipc.StoreCorrupt)) {
		t.Error(err)
	}
	aside, err := second.ResetStore(t.Context(), knows(""))
	if s := state(second); err != nil || s.State != ipc.StoreStateReady || len(s.Aside) != 1 || s.Aside[0] != aside {
		t.Errorf("%v, %+v", err, s)
	}
}

// A backup of one store comes into another, with a passphrase, also where it takes many parts.
func TestBackup(t *testing.T) {
	d, c := storeDaemon(t, t.TempDir())
	keep(t, d, "alice", strings.Repeat("one", 20000))
	keep(t, d, "bob", strings.Repeat("two", 20000))
	var backup bytes.Buffer
	p := knows("sesame")
	if err := c.ExportStore(t.Context(), nil, p, &backup); err != nil || backup.Len() < 2*ipc.MaxUpload {
		t.Fatal(err, backup.Len())
	}
	other, oc := storeDaemon(t, t.TempDir())
	q := knows("wrong", "sesame")
	records, aside, err := oc.ImportStore(t.Context(), backup.Bytes(), false, q)
	if records != 2 || aside != "" || err != nil {
		t.Error(records, aside, err)
	}
	kept(t, other, "alice", strings.Repeat("one", 20000))
	if got := fmt.Sprint(p.asked, q.asked); got != "[newPassphrase wrong=false backup=true] "+
		"[passphrase wrong=false backup=true passphrase wrong=true backup=true]" {
		t.Error(got)
	}

	if _, _, err := oc.ImportStore(t.Context(), backup.Bytes(), false, q); err != (ipc.StoreNotEmpty{}) {
		t.Error(err)
	}
	if _, _, err := oc.ImportStore(t.Context(), []byte("nothing"), true, q); !errors.As(err, new(ipc.BackupInvalid)) {
		t.Error(err)
	}
	if _, _, err := oc.ImportStore(t.Context(), nil, true, q); !errors.As(err, new(ipc.BackupInvalid)) {
		t.Error(err)
	}
	refuses := &storePerson{passphrases: []string{""}, err: ipc.ErrDeclined}
	if _, _, err := oc.ImportStore(t.Context(), backup.Bytes(), true, refuses); err != (ipc.Declined{}) {
		t.Error(err)
	}
	if _, aside, err = oc.ImportStore(t.Context(), backup.Bytes(), true, q); aside == "" || err != nil {
		t.Error(aside, err)
	}
}

const someSSHKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN alice@example.com"

// Who has the private key of a recipient needs no passphrase, and the file key alone comes to fobd.
func TestBackupToRecipients(t *testing.T) {
	d, c := storeDaemon(t, t.TempDir())
	keep(t, d, "alice", "one")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	var backup bytes.Buffer
	if err := c.ExportStore(t.Context(), []string{identity.Recipient().String(), someSSHKey}, knows(""), &backup); err != nil {
		t.Fatal(err)
	}
	other, oc := storeDaemon(t, t.TempDir())
	if _, _, err := oc.ImportStore(t.Context(), backup.Bytes(), false, &storePerson{identity: identity}); err != nil {
		t.Error(err)
	}
	kept(t, other, "alice", "one")
	for _, bad := range [][]string{{"age1"}, {"ssh-ed25519 AAAA"}, {""}, make([]string, maxRecipients+1)} {
		err := c.ExportStore(t.Context(), bad, knows(""), io.Discard)
		if err != (varlink.InvalidParameter{Parameter: "recipients"}) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A store with a passphrase starts locked, asks for it before it is sealed otherwise or handed out, and gives up after
// three wrong ones.
func TestStorePassphrase(t *testing.T) {
	dir := t.TempDir()
	d, c := storeDaemon(t, dir)
	keep(t, d, "alice", "one")
	if err := c.UnlockStore(t.Context(), knows("sesame")); err != (ipc.StoreNotLocked{}) {
		t.Error(err)
	}
	for _, to := range []string{"", "tpmpin", "Passphrase"} {
		if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: to}, knows("sesame")); err != (varlink.InvalidParameter{Parameter: "to"}) {
			t.Errorf("%q: %v", to, err)
		}
	}
	if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: "credential"}, knows("")); !errors.As(err, new(ipc.StoreUnusable)) {
		t.Error(err)
	}
	if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: "passphrase"}, knows("sesame")); err != nil {
		t.Fatal(err)
	}
	d.Store.Close()
	d, c = storeDaemon(t, dir)
	if err := d.Store.View(func(*store.Tx) error { return nil }); err != store.ErrLocked {
		t.Error(err)
	}
	if s, err := c.StoreStatus(t.Context()); err != nil || s.State != ipc.StoreStateLocked || s.Records != nil {
		t.Errorf("%+v, %v", s, err)
	}
	wrong := knows("wrong")
	if err := c.UnlockStore(t.Context(), wrong); err != (ipc.PassphraseWrong{}) || len(wrong.asked) != 3 {
		t.Error(err, wrong.asked)
	}
	if err := c.UnlockStore(t.Context(), knows("wrong", "sesame")); err != nil {
		t.Error(err)
	}
	kept(t, d, "alice", "one")
	if err := c.ExportStore(t.Context(), nil, knows("wrong"), io.Discard); err != (ipc.PassphraseWrong{}) {
		t.Error(err)
	}
	p := knows("sesame")
	if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: "keyfile"}, p); err != nil || len(p.asked) != 1 {
		t.Error(err, p.asked)
	}
	kept(t, d, "alice", "one")
}

// A credential seals a new store, and an older one where that is asked for; without it, such a store does not open.
func TestStoreCredential(t *testing.T) {
	credentials, dir := t.TempDir(), t.TempDir()
	d, c := storeDaemon(t, dir)
	keep(t, d, "alice", "one")
	d.Store.Close()
	if err := os.WriteFile(filepath.Join(credentials, "fob.store"), make([]byte, 32), 0o400); err != nil {
		t.Fatal(err)
	}
	d.OpenStore(dir, credentials)
	kept(t, d, "alice", "one")
	if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: "credential"}, knows("")); err != nil {
		t.Fatal(err)
	}
	d.Store.Close()
	d.OpenStore(dir, "")
	if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: "keyfile"}, knows("")); !errors.As(err, new(ipc.StoreWrongKey)) {
		t.Error(err)
	}
	if s, err := c.StoreStatus(t.Context()); err != nil || s.State != ipc.StoreStateWrongKey {
		t.Errorf("%+v, %v", s, err)
	}
	d.Store.Close()
	d.OpenStore(dir, credentials)
	kept(t, d, "alice", "one")
	if s := d.Store.Status(); s.Sealer != "credential" {
		t.Errorf("%+v", s)
	}
	d.Store.Close()
	d.OpenStore(t.TempDir(), credentials)
	if s := d.Store.Status(); s.Sealer != "credential" {
		t.Errorf("%+v", s)
	}
}

// Who hangs up, or is cancelled, while the person thinks lets the next one in.
func TestStoreCallIsCancelled(t *testing.T) {
	d, c := storeDaemon(t, t.TempDir())
	keep(t, d, "alice", "one")
	ctx, cancel := context.WithCancel(t.Context())
	p := &asking{asked: make(chan struct{}, 1)}
	ended := make(chan error)
	go func() { ended <- c.ExportStore(ctx, nil, p, io.Discard) }()
	<-p.asked
	if err := c.ExportStore(t.Context(), nil, knows("sesame"), io.Discard); err != (ipc.StoreBusy{}) {
		t.Error(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	d.Interrupt(t.Context(), "to wait until the call has ended")

	go func() { ended <- c.ExportStore(t.Context(), nil, p, io.Discard) }()
	<-p.asked
	d.Interrupt(t.Context(), "the screen was locked")
	if err := <-ended; err != (ipc.Interrupted{Reason: "the screen was locked"}) {
		t.Error(err)
	}
}

// asking tells that it is asked, and answers nothing.
type asking struct{ asked chan struct{} }

func (a *asking) Passphrase(ctx context.Context, _ ipc.StoreEvent) (ipc.Secret, error) {
	a.asked <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (a *asking) FileKey(ctx context.Context, e ipc.StoreEvent) (ipc.Secret, error) {
	return a.Passphrase(ctx, e)
}

// TestUploads: parts come for the token that is waited for, within bounds, and none too late.
func TestUploads(t *testing.T) {
	var u uploads
	if err := u.add("", nil, true); err != (ipc.UnknownToken{}) {
		t.Error(err)
	}
	u.token, u.done = "token", make(chan struct{})
	if err := u.add("other", nil, true); err != (ipc.UnknownToken{}) {
		t.Error(err)
	}
	if err := errors.Join(u.add("token", []byte("one"), false), u.add("token", []byte("two"), true)); err != nil {
		t.Error(err)
	}
	<-u.done
	if err := u.add("token", nil, true); err != (ipc.UnknownToken{}) || string(u.data) != "onetwo" {
		t.Errorf("%v, %q", err, u.data)
	}
	u.token, u.data = "token", make([]byte, store.MaxBackup)
	if err := u.add("token", []byte("x"), false); err != (varlink.InvalidParameter{Parameter: "data"}) {
		t.Error(err)
	}
}

// Secrets answer the prompts that ask for them, and no others.
func TestSecretsAndPINs(t *testing.T) {
	choice := 0
	for _, c := range []struct {
		prompt prompt
		answer ipc.Answer
		good   bool
	}{
		{prompt{secret: true}, ipc.Answer{Secret: ipc.Secret("x")}, true},
		{prompt{secret: true}, ipc.Answer{Decline: true}, true},
		{prompt{secret: true}, ipc.Answer{PIN: ipc.Secret("1234")}, false},
		{prompt{secret: true}, ipc.Answer{Choice: &choice}, false},
		{prompt{secret: true}, ipc.Answer{Secret: ipc.Secret("")}, false},
		{prompt{secret: true}, ipc.Answer{Secret: ipc.Secret("\xff")}, false},
		{prompt{secret: true}, ipc.Answer{Secret: make(ipc.Secret, 1025)}, false},
		{prompt{secret: true}, ipc.Answer{Secret: ipc.Secret("x"), PIN: ipc.Secret("1234")}, false},
		{prompt{kind: ipc.EventPIN}, ipc.Answer{Secret: ipc.Secret("1234")}, false},
		{prompt{kind: ipc.EventChoose, choices: 1}, ipc.Answer{Secret: ipc.Secret("1234")}, false},
	} {
		if err := c.prompt.accepts(c.answer); c.good != (err == nil) {
			t.Errorf("%+v, %+v: %v", c.prompt, c.answer, err)
		}
	}
}

func TestStateFolder(t *testing.T) {
	t.Setenv("HOME", "/home/alice")
	for env, want := range map[[2]string]string{
		{"", ""}: "/home/alice/.local/state/fob", {"", "relative"}: "/home/alice/.local/state/fob",
		{"", "/state"}:             "/state/fob",
		{"/var/lib/fob", "/state"}: "/var/lib/fob", {"/var/lib/fob:/var/lib/other", ""}: "/var/lib/fob",
	} {
		t.Setenv("STATE_DIRECTORY", env[0])
		t.Setenv("XDG_STATE_HOME", env[1])
		if got := StateFolder(); got != want {
			t.Errorf("%q: %s", env, got)
		}
	}
	t.Setenv("STATE_DIRECTORY", "")
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "")
	if got := StateFolder(); got != "" {
		t.Errorf("%q without a home", got)
	}
}

// guardedStore serves a store with a policy and an audit log.
func guardedStore(t *testing.T, text string) (*Daemon, *ipc.Client) {
	t.Helper()
	d := &Daemon{Source: &fakeSource{}, Policy: rules(t, text), Audit: keepLog(t)}
	d.OpenStore(t.TempDir(), "")
	t.Cleanup(func() { d.Store.Close() })
	return d, serveDaemon(t, d)
}

// storeMethods are those of fob.Store that the policy knows, and what they are to it. They do what they say, in turns.
var storeMethods = []struct {
	method string
	verb   policy.Verb
	call   func(ctx context.Context, c *ipc.Client) error
}{
	{ipc.MethodExport, policy.Manage, func(ctx context.Context, c *ipc.Client) error {
		return c.ExportStore(ctx, []string{someSSHKey}, knows("sesame"), io.Discard)
	}},
	{ipc.MethodImport, policy.Manage, func(ctx context.Context, c *ipc.Client) error {
		_, _, err := c.ImportStore(ctx, []byte("none"), true, knows("sesame"))
		if errors.As(err, new(ipc.BackupInvalid)) { // as far as the policy is concerned, that is all right
			err = nil
		}
		return err
	}},
	{ipc.MethodSeal, policy.Manage, func(ctx context.Context, c *ipc.Client) error {
		_, err := c.SealStore(ctx, ipc.SealRequest{To: "keyfile"}, knows("sesame"))
		return err
	}},
	{ipc.MethodStoreReset, policy.Reset, func(ctx context.Context, c *ipc.Client) error {
		_, err := c.ResetStore(ctx, knows("sesame"))
		return err
	}},
}

// TestStorePolicy: each method asks the policy for its verb, a rule about keys says nothing of the store, and each call
// leaves a record, with what was decided.
func TestStorePolicy(t *testing.T) {
	for _, m := range storeMethods {
		t.Run(m.method, func(t *testing.T) {
			about := func(members string) string {
				return "[[rule]]\nverbs = ['" + string(m.verb) + "']\n" + members
			}
			for text, want := range map[string]string{
				about("action = 'allow'"):                                               ipc.AuditDone,
				about("store = true\naction = 'allow'"):                                 ipc.AuditDone,
				about("store = false\naction = 'allow'"):                                "fob.Ceremony.Refused",
				about("emulated = false\naction = 'allow'"):                             "fob.Ceremony.Refused",
				about("transport = ['usb']\naction='allow'"):                            "fob.Ceremony.Refused",
				about("rp = ['*']\naction = 'allow'"):                                   "fob.Ceremony.Refused",
				about("action = 'deny'"):                                                "fob.Ceremony.Refused",
				"[[rule]]\nverbs = ['code']\naction='allow'":                            "fob.Ceremony.Refused",
				"ask-by = ['prompter']\n" + about("action = 'ask'\nheadless = 'allow'"): ipc.AuditDone,
				"ask-by = ['prompter']\n" + about("action = 'ask'"):                     "fob.Ceremony.Refused",
			} {
				_, c := guardedStore(t, text)
				err := m.call(t.Context(), c)
				if refused := errors.As(err, new(ipc.Refused)); refused != (want != ipc.AuditDone) || err != nil && !refused {
					t.Errorf("%s: %v", text, err)
				}
				storeRecord(t, c, m.method, string(m.verb), want)
			}
		})
	}
}

// storeRecord checks the one record that there is.
func storeRecord(t *testing.T, c *ipc.Client, method, verb, result string) {
	t.Helper()
	list := calls(t, c, nil)
	if len(list) != 1 {
		t.Fatalf("%d records", len(list))
	}
	r := list[0]
	if method == ipc.MethodImport && result == ipc.AuditDone {
		result = "fob.Store.BackupInvalid"
	}
	if r.Method != method || r.Verb != verb || r.Result != result || r.Caller.PID != os.Getpid() || len(r.Keys) > 0 {
		t.Errorf("%+v", r)
	}
	if result != "fob.Ceremony.Refused" && (r.Decision == nil || !strings.HasPrefix(r.Decision.Rule, "rule 1")) {
		t.Errorf("%+v", r.Decision)
	}
}

// TestStoreConsent: a prompter is asked about the store, once where the policy says so.
func TestStoreConsent(t *testing.T) {
	d, c := guardedStore(t, "ask-by = ['prompter']\nprompters = ['/**']\n"+
		"[[rule]]\nverbs = ['manage']\naction = 'ask-once'\n"+
		"[[rule]]\nverbs = ['reset']\naction = 'ask'")
	keep(t, d, "alice", "one")
	a := newAgent(t, c)
	for _, yes := range []bool{false, true} {
		result := make(chan error, 1)
		go func() { result <- c.ExportStore(t.Context(), []string{someSSHKey}, knows(""), io.Discard) }()
		e := a.hears(ipc.EventConsent).Event
		if e.Method != ipc.MethodExport || e.Verb != "manage" || e.Device != "" || e.Caller.PID != os.Getpid() ||
			!e.Remembered {
			t.Errorf("%+v", e)
		}
		if err := a.says(e.Token, yes); err != nil {
			t.Fatal(err)
		}
		a.hears("")
		if err := <-result; yes != (err == nil) {
			t.Error(err)
		} else if !yes {
			refusal(t, err, ipc.ByPerson)
		}
	}
	if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: "keyfile"}, knows("")); err != nil { // as agreed
		t.Error(err)
	}
	d.Interrupt(t.Context(), "the screen was locked") // which forgets it
	for range 2 {
		result := make(chan error, 1)
		go func() { _, err := c.ResetStore(t.Context(), knows("")); result <- err }()
		e := a.hears(ipc.EventConsent).Event
		if e.Method != ipc.MethodStoreReset || e.Verb != "reset" || e.Remembered {
			t.Errorf("%+v", e)
		}
		if err := a.says(e.Token, true); err != nil {
			t.Fatal(err)
		}
		a.hears("")
		if err := <-result; err != nil {
			t.Error(err)
		}
	}
}

// TestStoreWhileLocked: the store is not for who finds the screen locked, unless the policy says so; Unlock is.
func TestStoreWhileLocked(t *testing.T) {
	for text, allowed := range map[string]bool{"": false, "when-locked = 'allow'": true} {
		d := &Daemon{Source: &fakeSource{}, Present: func(context.Context) error { return session.Lock },
			Policy: rules(t, "[[rule]]\nverbs = ['manage', 'reset']\naction = 'allow'\n"+text)}
		d.OpenStore(t.TempDir(), "")
		t.Cleanup(func() { d.Store.Close() })
		c := serveDaemon(t, d)
		for _, m := range storeMethods {
			if err := m.call(t.Context(), c); errors.As(err, new(ipc.SessionLocked)) == allowed {
				t.Errorf("%s: %v", m.method, err)
			}
		}
		if err := c.UnlockStore(t.Context(), knows("sesame")); errors.As(err, new(ipc.SessionLocked)) {
			t.Error(err)
		}
	}
}

// TestOldReset: a program from before there was consent calls Reset without "more", and is not kept from it.
func TestOldReset(t *testing.T) {
	_, c := guardedStore(t, "[[rule]]\nverbs = ['reset']\naction = 'allow'")
	conn, err := varlink.Dial(t.Context(), c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Call(t.Context(), ipc.MethodStoreReset, nil, nil); err != nil {
		t.Error(err)
	}
}

// TestUnlockIsRecorded: a wrong passphrase is worth a record, without the passphrase.
func TestUnlockIsRecorded(t *testing.T) {
	d, c := guardedStore(t, "[[rule]]\nverbs = ['manage']\naction = 'allow'")
	keep(t, d, "alice", "one")
	if _, err := c.SealStore(t.Context(), ipc.SealRequest{To: "passphrase"}, knows("sesame")); err != nil {
		t.Fatal(err)
	}
	if err := c.UnlockStore(t.Context(), knows("swordfish")); err != (ipc.PassphraseWrong{}) {
		t.Error(err)
	}
	list := calls(t, c, nil)
	if r := list[len(list)-1]; len(list) != 2 || r.Method != ipc.MethodUnlock || r.Result != "fob.Store.PassphraseWrong" {
		t.Errorf("%+v", list)
	}
	if text := fmt.Sprintf("%+v", list); strings.Contains(text, "sesame") || strings.Contains(text, "swordfish") {
		t.Error(text)
	}
}
