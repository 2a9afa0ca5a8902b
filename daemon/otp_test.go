package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fob/daemon/otp"
	"fob/daemon/policy"
	"fob/daemon/session"
	"fob/daemon/store"
	"fob/hotp"
	"fob/ipc"
	"fob/ipc/varlink"
)

// The seed of the vectors of RFC 4226, appendix D.
const rfcSeed = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"

// seeded knows a seed and a passphrase, and says yes or no.
type seeded struct {
	seed, passphrase string
	no               bool
}

func (p seeded) Consent(context.Context, ipc.OTPEvent) error {
	if p.no {
		return ipc.ErrDeclined
	}
	return nil
}

func (p seeded) Seed(context.Context, ipc.OTPEvent) (ipc.Secret, error) {
	if p.seed == "" {
		return nil, ipc.ErrDeclined
	}
	return ipc.Secret(p.seed), nil
}

func (p seeded) KeyPassword(context.Context, ipc.OTPEvent) (ipc.Secret, error) {
	return nil, ipc.ErrDeclined
}
func (p seeded) Touch(context.Context, ipc.OTPEvent) error             { return nil }
func (p seeded) PIN(context.Context, ipc.OTPEvent) (ipc.Secret, error) { return nil, ipc.ErrDeclined }

func (p seeded) Passphrase(context.Context, ipc.OTPEvent) (ipc.Secret, error) {
	return ipc.Secret(p.passphrase), nil
}

func addOTP(t *testing.T, c *ipc.Client, r ipc.OTPAddRequest) *ipc.OTPToken {
	t.Helper()
	token, err := c.AddOTP(t.Context(), r, seeded{seed: rfcSeed})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestOTP(t *testing.T) {
	_, c := storeDaemon(t, t.TempDir())
	ctx, p := t.Context(), seeded{}
	if list, err := c.OTPTokens(ctx); err != nil || list == nil || len(list) != 0 {
		t.Error(list, err)
	}
	begin := time.Now().UTC().Format(time.RFC3339)
	made := addOTP(t, c, ipc.OTPAddRequest{Issuer: "ACME", Account: "alice", Type: ipc.OTPTypeHOTP, Digits: 8, Counter: 1})
	if made.Name != "ACME:alice" || made.Digits != 8 || *made.Counter != 1 || made.Algorithm != "SHA1" || made.Period != 0 ||
		made.SeedSize != 20 || made.Keeper != otp.InStore || made.Created < begin || made.Used != "" {
		t.Errorf("%+v", made)
	}
	for i, want := range []string{"94287082", "37359152"} {
		code, err := c.OTPCode(ctx, "ACME:alice", p)
		if err != nil || code.Code != want || *code.Counter != i+1 || code.Left != 0 {
			t.Errorf("%+v, %v", code, err)
		}
	}
	clock := addOTP(t, c, ipc.OTPAddRequest{Name: "vpn", Algorithm: "SHA256", Period: 60, T0: 5})
	code, err := c.OTPCode(ctx, "vpn", p)
	parameters := hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA256, Digits: 6, Period: 60, T0: 5}
	want, _ := parameters.Code(hotp.Seed("12345678901234567890"), uint64((code.Begin-5)/60))
	if err != nil || code.Code != want || code.Left < 1 || code.Left > 60 || code.End-code.Begin != 60 ||
		(code.Begin-5)%60 != 0 {
		t.Errorf("%+v, %v", code, err)
	}
	if err := c.RenameOTP(ctx, "vpn", "work", p); err != nil {
		t.Error(err)
	}
	list, err := c.OTPTokens(ctx)
	if err != nil || len(list) != 2 || list[0].Name != "ACME:alice" || *list[0].Counter != 3 || list[0].Used < begin ||
		list[1].Name != "work" || list[1].T0 != clock.T0 {
		t.Errorf("%+v, %v", list, err)
	}
	token, seed, err := c.ExportOTP(ctx, "work", p)
	if err != nil || string(seed) != rfcSeed || token.Name != "work" || token.Period != 60 {
		t.Errorf("%+v, %v", token, err)
	}
	if err := errors.Join(c.RemoveOTP(ctx, "work", p), c.RemoveOTP(ctx, "ACME:alice", p)); err != nil {
		t.Error(err)
	}
	if list, err := c.OTPTokens(ctx); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
}

// TestOTPErrors: what goes wrong has a name.
func TestOTPErrors(t *testing.T) {
	d, c := storeDaemon(t, t.TempDir())
	ctx, p := t.Context(), seeded{seed: rfcSeed}
	addOTP(t, c, ipc.OTPAddRequest{Name: "a"})
	addOTP(t, c, ipc.OTPAddRequest{Name: "b", Type: ipc.OTPTypeHOTP})
	addOTP(t, c, ipc.OTPAddRequest{Name: "late", T0: 1 << 37})
	add := func(r ipc.OTPAddRequest) error { return second(c.AddOTP(ctx, r, p)) }
	wrong := func(parameter, problem string) error {
		return ipc.OTPParameterWrong{Parameter: parameter, Problem: problem}
	}
	for want, err := range map[error]error{
		ipc.OTPExists{Name: "a"}:                         add(ipc.OTPAddRequest{Name: "a"}),
		ipc.OTPExists{Name: "b"}:                         c.RenameOTP(ctx, "a", "b", p),
		ipc.OTPNotFound{Name: "c"}:                       c.RenameOTP(ctx, "c", "b", p),
		ipc.OTPNotFound{Name: "d"}:                       c.RemoveOTP(ctx, "d", p),
		ipc.OTPNotFound{Name: ""}:                        second(c.OTPCode(ctx, "", p)),
		ipc.OTPNotYet{T0: 1 << 37}:                       second(c.OTPCode(ctx, "late", p)),
		ipc.Declined{}:                                   second(c.AddOTP(ctx, ipc.OTPAddRequest{Name: "x"}, seeded{})),
		wrong("name", "is missing"):                      add(ipc.OTPAddRequest{}),
		wrong("name", "begins or ends with a space"):     c.RenameOTP(ctx, "a", " a", p),
		wrong("watch", "is for totp alone"):              c.WatchOTP(ctx, "b", p, nil),
		wrong("period", "is for totp alone"):             add(ipc.OTPAddRequest{Name: "x", Type: ipc.OTPTypeHOTP, Period: 30}),
		wrong("digits", "must be 6 to 10, and not 99"):   add(ipc.OTPAddRequest{Name: "x", Digits: 99}),
		varlink.InvalidParameter{Parameter: "algorithm"}: add(ipc.OTPAddRequest{Name: "x", Algorithm: "HMAC-SHA256"}),
		varlink.InvalidParameter{Parameter: "type"}:      add(ipc.OTPAddRequest{Name: "x", Type: "steam"}),
		varlink.InvalidParameter{Parameter: "counter"}:   add(ipc.OTPAddRequest{Name: "x", Counter: -1}),
	} {
		if !errors.Is(err, want) {
			t.Errorf("%T %v, want %T %v", err, err, want, want)
		}
	}
	for _, bad := range []string{"GEZDGNB1", "====", strings.Repeat("A", 512)} {
		_, err := c.AddOTP(ctx, ipc.OTPAddRequest{Name: "x"}, seeded{seed: bad})
		if !errors.As(err, new(ipc.OTPSeedInvalid)) || strings.Contains(fmt.Sprintf("%+v", err), bad) {
			t.Errorf("%v", err)
		}
	}
	keepRecord := func(value string) {
		t.Helper()
		if err := d.Store.Update(func(tx *store.Tx) error { return tx.Put("otp", "odd", []byte(value)) }); err != nil {
			t.Fatal(err)
		}
	}
	keepRecord("{\"version\":2}\n")
	if _, err := c.OTPTokens(ctx); !errors.As(err, new(ipc.StoreNewer)) {
		t.Error(err)
	}
	keepRecord("odd")
	if _, err := c.OTPTokens(ctx); !errors.As(err, new(ipc.StoreCorrupt)) {
		t.Error(err)
	}
	if err := c.RemoveOTP(ctx, "odd", p); err != nil {
		t.Error(err)
	}
	if list, err := c.OTPTokens(ctx); err != nil || len(list) != 3 {
		t.Error(list, err)
	}
}

// TestOTPWithPassphrase: the store's passphrase guards the seed though it is open, and while it is locked nothing goes.
func TestOTPWithPassphrase(t *testing.T) {
	dir := t.TempDir()
	d, c := storeDaemon(t, dir)
	ctx := t.Context()
	addOTP(t, c, ipc.OTPAddRequest{Name: "a"})
	if _, err := c.SealStore(ctx, ipc.SealRequest{To: "passphrase"}, knows("sesame")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.OTPCode(ctx, "a", seeded{}); err != nil {
		t.Error(err)
	}
	if _, _, err := c.ExportOTP(ctx, "a", seeded{passphrase: "swordfish"}); err != (ipc.PassphraseWrong{}) {
		t.Error(err)
	}
	if _, seed, err := c.ExportOTP(ctx, "a", seeded{passphrase: "sesame"}); err != nil || string(seed) != rfcSeed {
		t.Error(err)
	}
	d.Store.Close()
	_, c = storeDaemon(t, dir)
	p := seeded{seed: rfcSeed, passphrase: "sesame"}
	for _, err := range []error{
		second(c.OTPTokens(ctx)), second(c.OTPCode(ctx, "a", p)), second(c.AddOTP(ctx, ipc.OTPAddRequest{Name: "b"}, p)),
		c.RenameOTP(ctx, "a", "b", p), c.RemoveOTP(ctx, "a", p),
	} {
		if err != (ipc.StoreLocked{}) {
			t.Error(err)
		}
	}
	if err := c.UnlockStore(ctx, knows("sesame")); err != nil {
		t.Error(err)
	}
	if _, err := c.OTPCode(ctx, "a", p); err != nil {
		t.Error(err)
	}
}

// otpMethods are those of fob.OTP that the policy knows, and what they are to it. There are tokens "a" and "vpn".
var otpMethods = map[string]struct {
	verb policy.Verb
	call func(ctx context.Context, c *ipc.Client, p ipc.OTPPrompter) error
}{
	ipc.MethodOTPAdd: {policy.Account, func(ctx context.Context, c *ipc.Client, p ipc.OTPPrompter) error {
		return second(c.AddOTP(ctx, ipc.OTPAddRequest{Name: "vpn2"}, p))
	}},
	ipc.MethodOTPCode: {policy.Code, func(ctx context.Context, c *ipc.Client, p ipc.OTPPrompter) error {
		return second(c.OTPCode(ctx, "vpn", p))
	}},
	ipc.MethodOTPRename: {policy.Account, func(ctx context.Context, c *ipc.Client, p ipc.OTPPrompter) error {
		return c.RenameOTP(ctx, "vpn", "vpn3", p)
	}},
	ipc.MethodOTPRemove: {policy.Account, func(ctx context.Context, c *ipc.Client, p ipc.OTPPrompter) error {
		return c.RemoveOTP(ctx, "vpn", p)
	}},
	ipc.MethodOTPExport: {policy.Provision, func(ctx context.Context, c *ipc.Client, p ipc.OTPPrompter) error {
		_, _, err := c.ExportOTP(ctx, "vpn", p)
		return err
	}},
}

// guardedOTP serves tokens with a policy and an audit log.
func guardedOTP(t *testing.T, text string) (*Daemon, *ipc.Client) {
	t.Helper()
	d, c := guardedStore(t, text)
	twoTokens(t, d)
	return d, c
}

// twoTokens adds the tokens "a" and "vpn".
func twoTokens(t *testing.T, d *Daemon) {
	t.Helper()
	for _, name := range []string{"a", "vpn"} {
		token := otp.Token{Name: name, Parameters: hotp.DefaultTOTP, Keeper: otp.InStore}
		if _, err := (&otp.Tokens{Store: d.Store}).Add(t.Context(), token, hotp.Seed("12345678901234567890")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOTPPolicy: each method asks the policy for its verb, and may be allowed for one token alone; each call leaves a
// record, without the seed.
func TestOTPPolicy(t *testing.T) {
	for method, m := range otpMethods {
		t.Run(method, func(t *testing.T) {
			about := func(members string) string { return "[[rule]]\nverbs = ['" + string(m.verb) + "']\n" + members }
			others := slices.DeleteFunc(policy.Verbs(), func(v policy.Verb) bool { return v == m.verb })
			otherVerbs := strings.ReplaceAll(fmt.Sprintf("[[rule]]\nverbs = %q\naction = 'allow'", others), `" "`, `", "`)
			for text, want := range map[string]string{
				about("action = 'allow'"):                           ipc.AuditDone,
				about("store = true\naction = 'allow'"):             ipc.AuditDone,
				about("token = ['vpn*']\naction = 'allow'"):         ipc.AuditDone,
				about("token = ['a']\naction = 'allow'"):            "fob.Ceremony.Refused",
				about("transport = ['usb']\naction = 'allow'"):      "fob.Ceremony.Refused",
				about("action = 'deny'"):                            "fob.Ceremony.Refused",
				"ask-by = ['prompter']\n" + about("action = 'ask'"): "fob.Ceremony.Refused",
				otherVerbs: "fob.Ceremony.Refused",
			} {
				_, c := guardedOTP(t, text)
				err := m.call(t.Context(), c, seeded{seed: rfcSeed})
				if refused := errors.As(err, new(ipc.Refused)); refused != (want != ipc.AuditDone) || err != nil && !refused {
					t.Errorf("%s: %v", text, err)
				}
				list := calls(t, c, nil)
				if len(list) != 1 || list[0].Method != method || list[0].Verb != string(m.verb) || list[0].Result != want ||
					!strings.HasPrefix(list[0].Token, "vpn") || list[0].Caller.PID != os.Getpid() {
					t.Errorf("%+v", list)
				}
				if strings.Contains(fmt.Sprintf("%+v", list), rfcSeed) {
					t.Error("the record has the seed")
				}
			}
		})
	}
}

// TestOTPConsent: a prompter is asked about each token by itself, and a yes for one is none for another.
func TestOTPConsent(t *testing.T) {
	d, c := guardedOTP(t, "ask-by = ['prompter']\nprompters = ['/**']\n[[rule]]\nverbs = ['code']\naction = 'ask-once'")
	a := newAgent(t, c)
	ask := func(name string, yes bool) error {
		t.Helper()
		result := make(chan error, 1)
		go func() { result <- second(c.OTPCode(t.Context(), name, seeded{})) }()
		e := a.hears(ipc.EventConsent).Event
		if e.Method != ipc.MethodOTPCode || e.Verb != "code" || e.Device != name || e.Product != "" || !e.Remembered {
			t.Errorf("%+v", e)
		}
		if err := a.says(e.Token, yes); err != nil {
			t.Fatal(err)
		}
		a.hears("")
		return <-result
	}
	refusal(t, ask("a", false), ipc.ByPerson)
	if err := ask("a", true); err != nil {
		t.Error(err)
	}
	if _, err := c.OTPCode(t.Context(), "a", seeded{}); err != nil { // as agreed
		t.Error(err)
	}
	if err := ask("vpn", true); err != nil {
		t.Error(err)
	}
	d.Interrupt(t.Context(), "the screen was locked") // which forgets it
	if err := ask("a", true); err != nil {
		t.Error(err)
	}
	if _, err := c.OTPCode(t.Context(), "none", seeded{}); err != (ipc.OTPNotFound{Name: "none"}) { // and nobody is asked
		t.Error(err)
	}
}

// TestOTPWhileLocked: there are no codes while the screen is locked, and a watch ends then, unless the policy says so.
func TestOTPWhileLocked(t *testing.T) {
	for text, allowed := range map[string]bool{"": false, "when-locked = 'allow'": true} {
		var mu sync.Mutex
		var locked error
		present := func(context.Context) error {
			mu.Lock()
			defer mu.Unlock()
			return locked
		}
		d := &Daemon{Source: &fakeSource{}, Present: present,
			Policy: rules(t, "[[rule]]\nverbs = ['code']\naction = 'allow'\n"+text)}
		d.OpenStore(t.TempDir(), "")
		t.Cleanup(func() { d.Store.Close() })
		twoTokens(t, d)
		c := serveDaemon(t, d)
		watched, shown := make(chan error, 1), make(chan struct{}, 16)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() {
			watched <- c.WatchOTP(ctx, "vpn", seeded{}, func(ipc.OTPCode) error { shown <- struct{}{}; return nil })
		}()
		<-shown
		mu.Lock()
		locked = session.Lock
		mu.Unlock()
		d.Interrupt(t.Context(), session.Lock)
		if !allowed {
			if err := <-watched; !errors.As(err, new(ipc.Interrupted)) {
				t.Error(err)
			}
		}
		if _, err := c.OTPCode(t.Context(), "vpn", seeded{}); errors.As(err, new(ipc.SessionLocked)) == allowed {
			t.Error(err)
		}
		stop()
		if allowed {
			if err := <-watched; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	}
}

// TestOTPSeedStays: a seed that is kept elsewhere makes codes, and can't be exported.
func TestOTPSeedStays(t *testing.T) {
	d := &Daemon{Source: &fakeSource{}, Keepers: map[string]otp.Keeper{"safe": safe{}}}
	d.OpenStore(t.TempDir(), "")
	t.Cleanup(func() { d.Store.Close() })
	token := otp.Token{Name: "a", Parameters: hotp.DefaultHOTP, Keeper: "safe"}
	if _, err := d.Tokens().Add(t.Context(), token, hotp.Seed("x")); err != nil {
		t.Fatal(err)
	}
	c := serveDaemon(t, d)
	if code, err := c.OTPCode(t.Context(), "a", seeded{}); err != nil || code.Code != "000000" {
		t.Error(code, err)
	}
	if _, _, err := c.ExportOTP(t.Context(), "a", seeded{}); err != (ipc.OTPSeedStays{Keeper: "safe"}) {
		t.Error(err)
	}
	if list, err := c.OTPTokens(t.Context()); err != nil || list[0].Keeper != "safe" {
		t.Error(list, err)
	}
}

// safe is a place for seeds that gives none out.
type safe struct{}

func (safe) Put(context.Context, string, hotp.Parameters, hotp.Seed) (otp.Handle, error) {
	return otp.Handle("handle"), nil
}
func (safe) Code(_ context.Context, _ otp.Handle, p hotp.Parameters, movingFactor uint64) (string, error) {
	return fmt.Sprintf("%0*d", p.Digits, movingFactor), nil
}
func (safe) Delete(context.Context, otp.Handle) error { return nil }

// TestOTPSeedIsNowhere: neither the log nor the audit log has a seed that came and went.
func TestOTPSeedIsNowhere(t *testing.T) {
	var log said
	d := &Daemon{Source: &fakeSource{}, Audit: keepLog(t), Log: slog.New(slog.NewTextHandler(&log, nil))}
	d.OpenStore(t.TempDir(), "")
	t.Cleanup(func() { d.Store.Close() })
	c := serveDaemon(t, d)
	addOTP(t, c, ipc.OTPAddRequest{Name: "vpn"})
	if _, _, err := c.ExportOTP(t.Context(), "vpn", seeded{}); err != nil {
		t.Error(err)
	}
	if _, err := c.AddOTP(t.Context(), ipc.OTPAddRequest{Name: "b"}, seeded{seed: rfcSeed + "1"}); err == nil {
		t.Error("no seed, and no error")
	}
	all := fmt.Sprintf("%s%+v", log.text(), calls(t, c, nil))
	if !strings.Contains(log.text(), "vpn") {
		t.Error("nothing was said")
	}
	for _, seed := range []string{rfcSeed, rfcSeed[:16], "12345678901234567890"} {
		if strings.Contains(all, seed) {
			t.Error(all)
		}
	}
}

// said is what a log has got.
type said struct {
	mu sync.Mutex
	b  []byte
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b = append(s.b, b...)
	return len(b), nil
}

func (s *said) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.b)
}
