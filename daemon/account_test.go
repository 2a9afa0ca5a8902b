package daemon

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"fob/hotp"
	"fob/ipc"
)

// accountCodes are codes of a seed in Base32, so many steps from now.
func accountCodes(t *testing.T, seed string, steps ...int) (codes []string) {
	t.Helper()
	s, err := hotp.ParseSeed([]byte(seed))
	succeeds(t, err)
	now, err := hotp.DefaultTOTP.Step(time.Now())
	succeeds(t, err)
	for _, n := range steps {
		code, err := hotp.DefaultTOTP.Code(s, now+uint64(n))
		succeeds(t, err)
		codes = append(codes, code)
	}
	return codes
}

func succeeds(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// homeRealm has alice, and her authenticator app, whose seed it gives. Its codes so far are of the past, so that the one of
// now is good.
func homeRealm(t *testing.T, c *ipc.Client) (seed string) {
	t.Helper()
	ctx, p := t.Context(), seeded{}
	succeeds(t, c.CreateRealm(ctx, ipc.CreateRealmRequest{Name: "home"}, p))
	succeeds(t, c.AddPrincipal(ctx, ipc.PrincipalRequest{Realm: "home", Principal: "alice"}, p))
	e, secret, err := c.BeginEnrol(ctx, ipc.BeginEnrolRequest{
		Realm: "home", Principal: "alice", Name: "app", Kind: "virtual-totp"}, p)
	succeeds(t, err)
	seed = string(secret)
	codes := accountCodes(t, seed, -3, -2)
	device, err := c.FinishEnrol(ctx, ipc.FinishEnrolRequest{ID: e.ID, Code: codes[0], Code2: codes[1]})
	succeeds(t, err)
	if device.Name != "app" || device.Kind != "virtual-totp" || e.Digits != 6 || e.Period != 30 || e.Algorithm != "SHA1" {
		t.Errorf("%+v, %+v", device, e)
	}
	return seed
}

func TestAccount(t *testing.T) {
	_, c := storeDaemon(t, t.TempDir())
	ctx, p := t.Context(), seeded{seed: rfcSeed}
	seed := homeRealm(t, c)
	challenge, err := c.BeginSignIn(ctx, ipc.BeginSignInRequest{Realm: "home", Principal: "alice", Nonce: "n", Session: 900})
	succeeds(t, err)
	if !challenge.Codes || challenge.Options != nil {
		t.Errorf("%+v", challenge)
	}
	in, err := c.FinishSignIn(ctx, ipc.FinishSignInRequest{ID: challenge.ID, Code: accountCodes(t, seed, -1)[0]})
	succeeds(t, err)
	keys, err := c.AccountKeys(ctx, "home")
	if err != nil || len(keys.Keys) != 1 || strings.Count(in.JWT, ".") != 2 || in.Principal != "alice" || in.Device != "app" {
		t.Errorf("%+v, %+v, %v", in, keys, err)
	}
	s, err := c.CheckSession(ctx, in.Session)
	if err != nil || s.Principal != "alice" || s.Realm != "home" || s.Expires != in.SessionExpires {
		t.Errorf("%+v, %v", s, err)
	}
	succeeds(t, c.ImportToken(ctx, ipc.ImportTokenRequest{Serial: "GA-1"}, p))
	by := ipc.AccountBy{Session: in.Session}
	e, _, err := c.BeginEnrol(ctx, ipc.BeginEnrolRequest{Realm: "home", Principal: "alice", Name: "token",
		Kind: "hardware-totp", Serial: "GA-1", AccountBy: by}, p)
	succeeds(t, err)
	codes := accountCodes(t, rfcSeed, -2, -1)
	_, err = c.FinishEnrol(ctx, ipc.FinishEnrolRequest{ID: e.ID, Code: codes[0], Code2: codes[1]})
	succeeds(t, err)
	tokens, err := c.HardwareTokens(ctx)
	if want := (ipc.AccountToken{Serial: "GA-1", Algorithm: "SHA1", Period: 30, Realm: "home", Principal: "alice",
		Device: "token"}); err != nil || !slices.Equal(tokens, []ipc.AccountToken{want}) {
		t.Errorf("%+v, %v", tokens, err)
	}
	all, err := c.Principals(ctx, "home")
	if err != nil || len(all) != 2 || len(all[0].Devices) != 2 || all[0].Devices[0].LastUsed == "" ||
		!slices.Equal(all[0].Advice, []string{"security-key"}) || all[1].Name != "root" {
		t.Errorf("%+v, %v", all, err)
	}
	ticket, err := c.IssueTicket(ctx, ipc.IssueTicketRequest{Realm: "home", Principal: "alice", AccountBy: by}, p)
	if allowance(err) != ipc.AccountNeedsAdministrator {
		t.Errorf("%+v, %v", ticket, err)
	}
	succeeds(t, c.Detach(ctx, ipc.AccountDeviceRequest{
		Realm: "home", Principal: "alice", Device: "token", AccountBy: by}, p))
	err = c.Detach(ctx, ipc.AccountDeviceRequest{Realm: "home", Principal: "alice", Device: "app", AccountBy: by}, p)
	if allowance(err) != ipc.AccountLastDevice {
		t.Error(err)
	}
	succeeds(t, c.RemoveToken(ctx, "GA-1", p))
	succeeds(t, c.EndSession(ctx, in.Session))
	if _, err = c.CheckSession(ctx, in.Session); allowance(err) != ipc.AccountSessionOver {
		t.Error(err)
	}
}

func allowance(err error) ipc.AccountReason {
	var e ipc.AccountNotAllowed
	errors.As(err, &e)
	return e.Reason
}

// TestAccountAdministrator: root of this computer may say so; nobody else.
func TestAccountAdministrator(t *testing.T) {
	_, c := storeDaemon(t, t.TempDir())
	homeRealm(t, c)
	in := ipc.IssueTicketRequest{Realm: "home", Principal: "alice", AccountBy: ipc.AccountBy{Administrator: true}}
	ticket, err := c.IssueTicket(t.Context(), in, seeded{})
	if os.Getuid() != 0 {
		if allowance(err) != ipc.AccountNeedsAdministrator {
			t.Error(err)
		}
		return
	}
	succeeds(t, err)
	_, seed, err := c.BeginEnrol(t.Context(), ipc.BeginEnrolRequest{
		Realm: "home", Principal: "alice", Name: "new", Kind: "virtual-totp", Ticket: ticket.Ticket}, seeded{})
	if err != nil || len(seed) != 32 {
		t.Error(err)
	}
}

func TestAccountErrors(t *testing.T) {
	_, c := storeDaemon(t, t.TempDir())
	ctx, p := t.Context(), seeded{seed: rfcSeed}
	seed := homeRealm(t, c)
	is := func(err error, want string) {
		t.Helper()
		var e ipc.Error
		if !errors.As(err, &e) || e.VarlinkError() != "fob.Account."+want {
			t.Errorf("%v, and not %s", err, want)
		}
	}
	enrol := ipc.BeginEnrolRequest{Realm: "home", Principal: "alice", Name: "phone", Kind: "sms"}
	_, _, err := c.BeginEnrol(ctx, enrol, p)
	is(err, "Unsupported")
	enrol.Kind = "virtual-totp"
	_, _, err = c.BeginEnrol(ctx, enrol, p)
	is(err, "NotAllowed")
	is(c.CreateRealm(ctx, ipc.CreateRealmRequest{Name: "Home"}, p), "Exists")
	is(c.CreateRealm(ctx, ipc.CreateRealmRequest{Name: "a b"}, p), "ParameterWrong")
	_, err = c.BeginSignIn(ctx, ipc.BeginSignInRequest{Realm: "none", Principal: "alice"})
	is(err, "NotFound")
	_, err = c.BeginSignIn(ctx, ipc.BeginSignInRequest{Realm: "home", Principal: "root"})
	is(err, "NoDevices")
	_, err = c.BeginSignIn(ctx, ipc.BeginSignInRequest{Realm: "home", Principal: "alice", Session: 1 << 40})
	is(err, "ParameterWrong")
	_, err = c.FinishSignIn(ctx, ipc.FinishSignInRequest{ID: "none", Code: "123456"})
	is(err, "NotBegun")
	challenge, err := c.BeginSignIn(ctx, ipc.BeginSignInRequest{Realm: "home", Principal: "alice"})
	succeeds(t, err)
	_, err = c.FinishSignIn(ctx, ipc.FinishSignInRequest{ID: challenge.ID, Response: []byte("{}")})
	is(err, "ParameterWrong")
	_, err = c.FinishSignIn(ctx, ipc.FinishSignInRequest{ID: challenge.ID, Code: "12345"})
	is(err, "CodeRefused")
	_, err = c.FinishSignIn(ctx, ipc.FinishSignInRequest{ID: challenge.ID, Code: accountCodes(t, seed, -2)[0]})
	is(err, "CodeRefused")
	succeeds(t, c.ImportToken(ctx, ipc.ImportTokenRequest{Serial: "GA-1"}, p))
	is(c.ImportToken(ctx, ipc.ImportTokenRequest{Serial: "GA-2"}, p), "Assigned")
	is(c.Resync(ctx, ipc.ResyncRequest{Realm: "home", Principal: "alice", Device: "x", Code: "1", Code2: "2"}), "NotFound")
}

// TestAccountPolicy: what changes asks the policy about accounts; that and a sign-in leave records.
func TestAccountPolicy(t *testing.T) {
	const rule = "[[rule]]\nverbs = ['account']\ntoken = ['home', 'alice@home']\naction = 'allow'"
	_, c := guardedStore(t, rule)
	seed := homeRealm(t, c)
	refusal(t, c.AddPrincipal(t.Context(), ipc.PrincipalRequest{Realm: "home", Principal: "bob"}, seeded{}), ipc.ByPolicy)
	challenge, err := c.BeginSignIn(t.Context(), ipc.BeginSignInRequest{Realm: "home", Principal: "alice"})
	succeeds(t, err)
	_, err = c.FinishSignIn(t.Context(), ipc.FinishSignInRequest{ID: challenge.ID, Code: accountCodes(t, seed, -1)[0]})
	succeeds(t, err)
	var got []string
	for _, r := range calls(t, c, nil) {
		got = append(got, strings.TrimPrefix(r.Method, "fob.Account.")+" "+r.Verb+" "+r.Token+" "+r.Result)
	}
	want := []string{"CreateRealm account home done", "AddPrincipal account alice@home done",
		"BeginEnrol account alice@home done", "FinishEnrol account app done",
		"AddPrincipal account bob@home fob.Ceremony.Refused", "FinishSignIn sign-in alice@home done"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
