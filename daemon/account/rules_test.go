package account

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fob/hotp"
)

var admin = Authority{Administrator: true}

// TestRules has a test for each rule of the model, by its words.
func TestRules(t *testing.T) {
	for _, rule := range []struct {
		words string
		test  func(*testing.T, *world)
	}{
		{"a principal is an account root user or an IAM user; each has its own, independent set of MFA devices", independent},
		{"enabling MFA on root affects root alone", rootAlone},
		{"up to 8 MFA devices per principal, of any mix of the supported types", eight},
		{"one device is enough to sign in", oneIsEnough},
		{"a device's name is unique in the account", uniqueNames},
		{"names are of letters, digits and +=,.@-_", names},
		{"each TOTP device is assigned to exactly one user", oneUser},
		{"a code from another user's device never authenticates", foreignCode},
		{"one FIDO security key may serve many root users and IAM users at the same time", oneKey},
		{"to enable or disable further devices, a user must authenticate with an existing MFA device", existingDevice},
		{"the first device takes the administrator, or the owner on first use", firstUse},
		{"the last device is not removed by its user without an administrator", lastDevice},
		{"a lost device: sign in with a remaining one, detach the lost one, no account recovery needed", lost},
		{"passkeys and security keys: device-bound and synced ones", passkeys},
		{"virtual authenticator apps: several tokens on one device, each unique to a user", virtualApps},
		{"hardware TOTP tokens: 6-digit time-based codes from a device bound to one user", hardware},
		{"a hardware-held TOTP seed", kept},
		{"SMS is no longer supported: a user is told to switch", sms},
		{"the seed is shown once", seedOnce},
		{"EnableMFADevice: two consecutive 6-digit codes", consecutive},
		{"ResyncMFADevice: two consecutive codes; repairs clock drift", resync},
		{"DeactivateMFADevice, DeleteVirtualMFADevice: detach, then delete", deactivate},
		{"ListMFADevices: the inventory of a user, with last use", inventory},
		{"GetSessionToken: DurationSeconds 900 to 129600", durations},
		{"a code is accepted once", once},
		{"codes are throttled, and the token is locked in the end", throttled},
		{"recovery by a ticket: time-limited, single-use", tickets},
		{"signature counters are checked, clones flagged", clones},
		{"a nonce is not accepted twice", nonceTwice},
		{"advice: a second device; a security key instead of a TOTP token", advice},
		{"models of security keys by policy", models},
	} {
		t.Run(rule.words, func(t *testing.T) { rule.test(t, newWorld(t)) })
	}
}

func want(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, and not %v", err, want)
	}
}

func independent(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "app-a", Authority{}))
	w.must(w.enrolTOTP("bob", "app-b", Authority{}))
	if got := append(w.devices("alice"), w.devices("bob")...); !slices.Equal(got, []string{"app-a", "app-b"}) {
		t.Error(got)
	}
	want(t, w.Detach("home", "alice", "app-b", w.session("alice", "app-a")), ErrNoDevice)
	want(t, w.Detach("home", "bob", "app-b", w.session("alice", "app-a")), ErrNeedsDevice)
}

func rootAlone(t *testing.T, w *world) {
	w.must(w.enrolTOTP(Root, "safe", Authority{}))
	if len(w.devices("alice"))+len(w.devices("bob")) != 0 || len(w.devices(Root)) != 1 {
		t.Error("others have devices")
	}
	_, err := w.BeginSignIn(SignInRequest{Realm: "home", Principal: "alice"})
	want(t, err, ErrNoDevices)
}

func eight(t *testing.T, w *world) {
	for i := range MaxDevices {
		name := fmt.Sprint("d", i)
		var err error
		switch i % 4 {
		case 0:
			_, err = w.enrolKey(newSoftKey(false), "alice", name, admin)
		case 1:
			_, err = w.enrolKey(newSoftKey(true), "alice", name, admin)
		case 2:
			err = w.enrolTOTP("alice", name, admin)
		case 3:
			seed := hotp.NewSeed(20)
			w.must(w.ImportToken("serial-"+name, hotp.DefaultTOTP, seed))
			err = w.enrolCodes(EnrolRequest{Realm: "home", Principal: "alice", Name: name, Kind: HardwareTOTP,
				Serial: "serial-" + name, By: admin}, seed)
		}
		w.must(err)
	}
	want(t, w.enrolTOTP("alice", "ninth", admin), ErrTooManyMFA)
	_, err := w.enrolKey(newSoftKey(false), "alice", "ninth", admin)
	want(t, err, ErrTooManyMFA)
	w.must(w.enrolTOTP("bob", "ninth", admin))
	w.must(w.Detach("home", "alice", "d3", admin))
	w.must(w.enrolTOTP("alice", "another", admin))
}

func oneIsEnough(t *testing.T, w *world) {
	key := newSoftKey(false)
	w.must(w.enrolTOTP("alice", "app", admin))
	_, err := w.enrolKey(key, "alice", "key", admin)
	w.must(err)
	in, err := w.signInKey(key, "alice")
	w.must(err)
	if in.Device.Name != "key" || in.Principal != "alice" || !in.UserVerified || in.Session == "" {
		t.Errorf("%+v", in)
	}
	in, err = w.signInCode("alice", w.code(w.seeds["app"], 0))
	w.must(err)
	if in.Device.Name != "app" || in.UserVerified {
		t.Errorf("%+v", in)
	}
}

func uniqueNames(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "phone", Authority{}))
	for _, principal := range []string{"alice", "bob", Root} {
		want(t, w.enrolTOTP(principal, "Phone", admin), ErrExists)
	}
	w.realm("work", Settings{})
	_, err := w.BeginEnrol(EnrolRequest{Realm: "work", Principal: Root, Name: "phone", Kind: VirtualTOTP})
	w.must(err)
	_, err = w.CreateRealm("HOME", Settings{})
	want(t, err, ErrExists)
	want(t, w.CreatePrincipal("home", "Alice", Authority{}), ErrExists)
	// Two that begin with one name: the second to finish has lost.
	first, err := w.BeginEnrol(EnrolRequest{Realm: "home", Principal: "bob", Name: "new", Kind: VirtualTOTP})
	w.must(err)
	w.must(w.enrolTOTP("bob", "new", Authority{}))
	_, err = w.FinishEnrol(first.ID, Proof{Code: w.code(first.Seed, 0), Code2: w.code(first.Seed, 1)})
	want(t, err, ErrNeedsDevice)
}

func names(t *testing.T, w *world) {
	for _, good := range []string{"a", "A_1+=,.@-", strings.Repeat("n", maxDeviceName)} {
		if err := checkName("device", good, maxDeviceName); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "a b", "a/b", "a:b", "ä", "a\x00", "x\x00x", strings.Repeat("n", maxDeviceName+1)} {
		if err := w.enrolTOTP("alice", bad, Authority{}); !errors.As(err, new(*NameError)) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := w.CreatePrincipal("home", bad, Authority{}); !errors.As(err, new(*NameError)) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func oneUser(t *testing.T, w *world) {
	seed := hotp.NewSeed(20)
	w.must(w.ImportToken("GA-0001", hotp.DefaultTOTP, seed))
	want(t, w.ImportToken("ga-0001", hotp.DefaultTOTP, hotp.NewSeed(20)), ErrExists)
	want(t, w.ImportToken("GA-0002", hotp.DefaultTOTP, seed), ErrSeedTwice)
	forAlice := EnrolRequest{Realm: "home", Principal: "alice", Name: "a", Kind: HardwareTOTP, Serial: "GA-0001"}
	forBob := EnrolRequest{Realm: "home", Principal: "bob", Name: "b", Kind: HardwareTOTP, Serial: "GA-0001"}
	both, err := w.BeginEnrol(forBob)
	w.must(err)
	w.must(w.enrolCodes(forAlice, seed))
	_, err = w.FinishEnrol(both.ID, Proof{Code: w.code(seed, 0), Code2: w.code(seed, 1)})
	want(t, err, ErrAssigned)
	want(t, w.enrolCodes(forBob, seed), ErrAssigned)
	want(t, w.RemoveToken("GA-0001"), ErrAssigned)
	w.must(w.Detach("home", "alice", "a", admin))
	w.must(w.enrolCodes(forBob, seed))
}

func foreignCode(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "app-a", Authority{}))
	w.must(w.enrolTOTP("bob", "app-b", Authority{}))
	c := w.begin("bob")
	_, err := w.FinishSignIn(c.ID, Proof{Code: w.code(w.seeds["app-a"], 0)})
	want(t, err, hotp.ErrWrongCode)
	_, err = w.FinishSignIn(c.ID, Proof{Code: w.code(w.seeds["app-a"], 0), Device: "app-a"})
	want(t, err, ErrNotOTP)
	if in, err := w.signInCode("alice", w.code(w.seeds["app-a"], 0)); err != nil || in.Principal != "alice" {
		t.Error(in, err)
	}
}

func oneKey(t *testing.T, w *world) {
	key := newSoftKey(false)
	for i, principal := range []string{Root, "alice", "bob"} {
		_, err := w.enrolKey(key, principal, fmt.Sprint("key", i), admin)
		w.must(err)
	}
	for _, principal := range []string{Root, "alice", "bob"} {
		if in, err := w.signInKey(key, principal); err != nil || in.Principal != principal {
			t.Error(in, err)
		}
	}
	// A response for one of them proves nothing of another.
	c := w.begin("alice")
	_, err := w.FinishSignIn(w.begin("bob").ID, Proof{Response: key.signIn(t, c)})
	if err == nil {
		t.Error("alice's response signs bob in")
	}
	if _, err := w.enrolKey(key, "alice", "again", admin); !errors.Is(err, ErrNoProof) {
		t.Errorf("the same key serves alice twice: %v", err)
	}
}

func existingDevice(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	w.must(w.enrolTOTP("bob", "other", Authority{}))
	want(t, w.enrolTOTP("alice", "second", Authority{}), ErrNeedsDevice)
	want(t, w.Detach("home", "alice", "app", Authority{}), ErrNeedsDevice)
	want(t, w.enrolTOTP("alice", "second", w.session("bob", "other")), ErrNeedsDevice)
	want(t, w.enrolTOTP("alice", "second", Authority{Session: "guess"}), ErrSession)
	by := w.session("alice", "app")
	w.must(w.enrolTOTP("alice", "second", by))
	w.clock = w.clock.Add(Fresh)
	want(t, w.enrolTOTP("alice", "third", by), ErrSession) // it had 15 minutes
	c, err := w.BeginSignIn(SignInRequest{Realm: "home", Principal: "alice", Session: MaxSession})
	w.must(err)
	in, err := w.FinishSignIn(c.ID, Proof{Code: w.code(w.seeds["app"], 0)})
	w.must(err)
	w.clock = w.clock.Add(Fresh + time.Second)
	want(t, w.enrolTOTP("alice", "third", Authority{Session: in.Session}), ErrNotFresh)
}

func firstUse(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "first", Authority{}))
	w.must(w.enrolTOTP(Root, "safe", Authority{})) // the realm is claimed
	want(t, w.enrolTOTP("bob", "phone", Authority{}), ErrNeedsAdmin)
	want(t, w.CreatePrincipal("home", "carol", Authority{}), ErrNeedsAdmin)
	want(t, w.CreatePrincipal("home", "carol", w.session("alice", "first")), ErrNeedsAdmin)
	w.must(w.enrolTOTP("bob", "phone", w.session(Root, "safe")))
	w.must(w.CreatePrincipal("home", "carol", w.session(Root, "safe")))
	// It is the first use once.
	w.must(w.Detach("home", "alice", "first", admin))
	want(t, w.enrolTOTP("alice", "again", Authority{}), ErrNeedsAdmin)
}

func lastDevice(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	want(t, w.Detach("home", "alice", "app", w.session("alice", "app")), ErrLastDevice)
	w.must(w.enrolTOTP(Root, "safe", Authority{}))
	want(t, w.Detach("home", Root, "safe", w.session(Root, "safe")), ErrLastDevice)
	w.must(w.Detach("home", "alice", "app", w.session(Root, "safe")))
	w.realm("lax", Settings{RemoveLast: true})
	e, err := w.BeginEnrol(EnrolRequest{Realm: "lax", Principal: Root, Name: "app", Kind: VirtualTOTP})
	w.must(err)
	_, err = w.FinishEnrol(e.ID, Proof{Code: w.code(e.Seed, 0), Code2: w.code(e.Seed, 1)})
	w.must(err)
	w.later()
	c, err := w.BeginSignIn(SignInRequest{Realm: "lax", Principal: Root, Session: MinSession})
	w.must(err)
	in, err := w.FinishSignIn(c.ID, Proof{Code: w.code(e.Seed, 0)})
	w.must(err)
	want(t, w.Detach("home", Root, "safe", Authority{Session: in.Session}), ErrSession) // of another realm
	w.must(w.Detach("lax", Root, "app", Authority{Session: in.Session}))
}

func lost(t *testing.T, w *world) {
	stolen := newSoftKey(false)
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	_, err := w.enrolKey(stolen, "alice", "lost", w.session("alice", "app"))
	w.must(err)
	thief, err := w.signInKey(stolen, "alice")
	w.must(err)
	begun := w.begin("alice")
	w.must(w.Detach("home", "alice", "lost", w.session("alice", "app")))
	if _, err := w.FinishSignIn(begun.ID, Proof{Response: stolen.signIn(t, begun)}); err == nil {
		t.Error("a key signs in that was detached meanwhile")
	}
	_, err = w.Session(thief.Session)
	want(t, err, ErrSession)
	if response := stolen.signIn(t, withKey(t, w)); response != nil {
		t.Error("the credential of the lost key is still asked for")
	}
}

// withKey gives alice another key, so that there are options to answer.
func withKey(t *testing.T, w *world) Challenge {
	t.Helper()
	_, err := w.enrolKey(newSoftKey(false), "alice", "spare", w.session("alice", "app"))
	w.must(err)
	return w.begin("alice")
}

func passkeys(t *testing.T, w *world) {
	bound, err := w.enrolKey(newSoftKey(false), "alice", "yubikey", admin)
	w.must(err)
	synced, err := w.enrolKey(newSoftKey(true), "alice", "manager", admin)
	w.must(err)
	if bound.Kind != SecurityKey || bound.Credential.Credential.BackupEligible {
		t.Errorf("%+v", bound)
	}
	if c := synced.Credential.Credential; synced.Kind != Passkey || !c.BackupEligible || !c.BackupState {
		t.Errorf("%+v", synced)
	}
}

func virtualApps(t *testing.T, w *world) {
	for _, principal := range []string{"alice", "bob"} {
		for _, app := range []string{"1", "2"} {
			w.must(w.enrolTOTP(principal, principal+app, admin))
		}
	}
	for _, principal := range []string{"alice", "bob"} {
		for _, app := range []string{"1", "2"} {
			if in, err := w.signInCode(principal, w.code(w.seeds[principal+app], 0)); err != nil ||
				in.Device.Name != principal+app {
				t.Error(in, err)
			}
		}
	}
}

func hardware(t *testing.T, w *world) {
	eight := hotp.DefaultTOTP
	eight.Digits = 8
	for _, p := range []hotp.Parameters{eight, hotp.DefaultHOTP} {
		if err := w.ImportToken("S1", p, hotp.NewSeed(20)); err == nil {
			t.Errorf("%+v", p)
		}
	}
	seed := hotp.NewSeed(20)
	w.must(w.ImportToken("S1", hotp.DefaultTOTP, seed))
	in := EnrolRequest{Realm: "home", Principal: "alice", Name: "token", Kind: HardwareTOTP, Serial: "S2"}
	want(t, w.enrolCodes(in, seed), ErrNoToken)
	in.Serial = "s1"
	w.must(w.enrolCodes(in, seed))
	tokens, err := w.Tokens()
	if err != nil || len(tokens) != 1 || tokens[0].Principal != "alice" || tokens[0].Serial != "S1" {
		t.Errorf("%+v, %v", tokens, err)
	}
	// A code that was used stays so when the token is given back and goes to somebody else.
	used := w.code(seed, 0)
	_, err = w.signInCode("alice", used)
	w.must(err)
	w.must(w.Detach("home", "alice", "token", admin))
	e, err := w.BeginEnrol(EnrolRequest{Realm: "home", Principal: "bob", Name: "token", Kind: HardwareTOTP, Serial: "S1"})
	w.must(err)
	_, err = w.FinishEnrol(e.ID, Proof{Code: used, Code2: w.code(seed, 1)})
	want(t, err, hotp.ErrUsed)
}

func kept(t *testing.T, w *world) {
	w.must(w.enrolCodes(EnrolRequest{
		Realm: "home", Principal: "alice", Name: "tpm", Kind: KeptTOTP, Holder: "home:alice"}, nil))
	in, err := w.signInCode("alice", w.code(w.seeds["tpm"], 0))
	if err != nil || in.Device.Kind != KeptTOTP || in.Device.Holder != "home:alice" {
		t.Errorf("%+v, %v", in, err)
	}
}

func sms(t *testing.T, w *world) {
	for _, kind := range []Kind{"sms", "email", "push", ""} {
		_, err := w.BeginEnrol(EnrolRequest{Realm: "home", Principal: "alice", Name: "phone", Kind: kind})
		if !errors.As(err, new(*UnsupportedError)) || !strings.Contains(err.Error(), "switch to a passkey") {
			t.Errorf("%q: %v", kind, err)
		}
	}
}

func seedOnce(t *testing.T, w *world) {
	in := EnrolRequest{Realm: "home", Principal: "alice", Name: "app", Kind: VirtualTOTP}
	first, err := w.BeginEnrol(in)
	w.must(err)
	second, err := w.BeginEnrol(in)
	w.must(err)
	if first.Seed.Equal(second.Seed) || len(first.Seed) != 20 {
		t.Error("the same seed twice")
	}
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	all, err := w.Tokens()
	if err != nil || len(all) != 0 {
		t.Error("an app's token is listed", all, err)
	}
}

func consecutive(t *testing.T, w *world) {
	e, err := w.BeginEnrol(EnrolRequest{Realm: "home", Principal: "alice", Name: "app", Kind: VirtualTOTP})
	w.must(err)
	_, err = w.FinishEnrol(e.ID, Proof{Code: w.code(e.Seed, 0)})
	if !errors.As(err, new(*hotp.CodeError)) {
		t.Error(err)
	}
	_, err = w.FinishEnrol(e.ID, Proof{Code: w.code(e.Seed, 0), Code2: w.code(e.Seed, 0)})
	want(t, err, hotp.ErrSameCode)
	_, err = w.FinishEnrol(e.ID, Proof{Code: w.code(e.Seed, 0), Code2: w.code(e.Seed, 2)})
	want(t, err, hotp.ErrWrongCode)
	if n := len(w.devices("alice")); n != 0 {
		t.Errorf("%d devices", n)
	}
	w.clock = w.clock.Add(time.Minute)
	code, code2 := w.code(e.Seed, 0), w.code(e.Seed, 1)
	_, err = w.FinishEnrol(e.ID, Proof{Code: code, Code2: code2})
	w.must(err)
	_, err = w.FinishEnrol(e.ID, Proof{Code: code, Code2: code2})
	want(t, err, ErrNothingBegun)
	_, err = w.signInCode("alice", code2)
	want(t, err, hotp.ErrUsed)
}

func resync(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	seed := w.seeds["app"]
	const off = 60 // steps
	_, err := w.signInCode("alice", w.code(seed, off))
	want(t, err, hotp.ErrWrongCode)
	w.clock = w.clock.Add(time.Minute)
	want(t, w.Resync("home", "alice", "app", w.code(seed, off), w.code(seed, off+2)), hotp.ErrWrongCode)
	w.clock = w.clock.Add(time.Minute)
	w.must(w.Resync("home", "alice", "app", w.code(seed, off), w.code(seed, off+1)))
	w.clock = w.clock.Add(2 * time.Minute)
	_, err = w.signInCode("alice", w.code(seed, off))
	w.must(err)
	all, err := w.Conditions("home", "alice")
	if err != nil || all["app"] != (Condition{Drift: off}) {
		t.Errorf("%+v, %v", all, err)
	}
	_, err = w.enrolKey(newSoftKey(false), "bob", "key", Authority{})
	w.must(err)
	want(t, w.Resync("home", "bob", "key", "123456", "654321"), ErrNotOTP)
}

func deactivate(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	old := w.seeds["app"]
	w.must(w.Detach("home", "alice", "app", admin))
	w.must(w.enrolTOTP("alice", "app", admin)) // its name is free
	_, err := w.signInCode("alice", w.code(old, 0))
	want(t, err, hotp.ErrWrongCode)
	want(t, w.Detach("home", "alice", "none", admin), ErrNoDevice)
}

func inventory(t *testing.T, w *world) {
	key := newSoftKey(false)
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	_, err := w.enrolKey(key, "alice", "key", admin)
	w.must(err)
	w.later()
	_, err = w.signInKey(key, "alice")
	w.must(err)
	p, err := w.Principal("home", "alice")
	if err != nil || len(p.Devices) != 2 || !p.Devices[0].LastUsed.IsZero() || !p.Devices[1].LastUsed.Equal(w.clock) {
		t.Errorf("%+v, %v", p, err)
	}
	all, err := w.Principals("home")
	if err != nil || len(all) != 3 {
		t.Errorf("%+v, %v", all, err)
	}
}

func durations(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	for _, d := range []time.Duration{899 * time.Second, 129601 * time.Second, -1} {
		_, err := w.BeginSignIn(SignInRequest{Realm: "home", Principal: "alice", Session: d})
		if !errors.As(err, new(*ParameterError)) {
			t.Errorf("%v: %v", d, err)
		}
	}
	for _, d := range []time.Duration{900 * time.Second, 129600 * time.Second} {
		w.later()
		c, err := w.BeginSignIn(SignInRequest{Realm: "home", Principal: "alice", Session: d})
		w.must(err)
		in, err := w.FinishSignIn(c.ID, Proof{Code: w.code(w.seeds["app"], 0)})
		w.must(err)
		w.clock = w.clock.Add(d - time.Second)
		s, err := w.Session(in.Session)
		if err != nil || s.Principal != "alice" || s.Device != "app" {
			t.Error(s, err)
		}
		w.clock = w.clock.Add(time.Second)
		_, err = w.Session(in.Session)
		want(t, err, ErrSession)
	}
	by := w.session("alice", "app")
	w.must(w.EndSession(by.Session))
	_, err := w.Session(by.Session)
	want(t, err, ErrSession)
}

func once(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	code := w.code(w.seeds["app"], 0)
	var all sync.WaitGroup
	results := make(chan error, 20)
	for range cap(results) {
		id := w.begin("alice").ID
		all.Go(func() {
			_, err := w.FinishSignIn(id, Proof{Code: code})
			results <- err
		})
	}
	all.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, hotp.ErrUsed) && !errors.As(err, new(*hotp.ThrottledError)) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d were let in by one code", won, cap(results))
	}
}

func throttled(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	c := w.begin("alice")
	_, err := w.FinishSignIn(c.ID, Proof{Code: "000000"})
	want(t, err, hotp.ErrWrongCode)
	_, err = w.FinishSignIn(c.ID, Proof{Code: w.code(w.seeds["app"], 0)})
	if !errors.As(err, new(*hotp.ThrottledError)) {
		t.Error(err)
	}
	for range w.Codes.MaxFailures - 1 {
		w.later()
		_, err = w.signInCode("alice", "000000")
		want(t, err, hotp.ErrWrongCode)
	}
	w.later()
	_, err = w.signInCode("alice", w.code(w.seeds["app"], 0))
	want(t, err, hotp.ErrLocked)
	want(t, w.Unlock("home", "alice", "app", Authority{}), ErrNeedsAdmin)
	w.must(w.Unlock("home", "alice", "app", admin))
	_, err = w.signInCode("alice", w.code(w.seeds["app"], 0))
	w.must(err)
}

func tickets(t *testing.T, w *world) {
	w.must(w.enrolTOTP(Root, "safe", Authority{}))
	w.must(w.enrolTOTP("alice", "lost", admin))
	_, err := w.IssueTicket("home", "alice", 0, Authority{})
	want(t, err, ErrNeedsAdmin)
	_, err = w.IssueTicket("home", "alice", 0, w.session("alice", "lost"))
	want(t, err, ErrNeedsAdmin)
	_, err = w.IssueTicket("home", Root, 0, w.session(Root, "safe"))
	want(t, err, ErrTicketForRoot)
	_, err = w.IssueTicket("home", Root, MinTicket, admin)
	w.must(err)
	for _, d := range []time.Duration{time.Second, MaxTicket + 1, -1} {
		if _, err := w.IssueTicket("home", "alice", d, admin); !errors.As(err, new(*ParameterError)) {
			t.Errorf("%v: %v", d, err)
		}
	}
	issued, err := w.IssueTicket("home", "alice", time.Hour, w.session(Root, "safe"))
	w.must(err)
	by := Authority{Ticket: issued.Ticket}
	want(t, w.enrolTOTP("bob", "new", by), ErrTicket)
	want(t, w.Detach("home", "alice", "lost", by), ErrNeedsDevice)
	second, err := w.BeginEnrol(EnrolRequest{Realm: "home", Principal: "alice", Name: "second", Kind: VirtualTOTP, By: by})
	w.must(err)
	w.must(w.enrolTOTP("alice", "new", by))
	_, err = w.FinishEnrol(second.ID, Proof{Code: w.code(second.Seed, 0), Code2: w.code(second.Seed, 1)})
	want(t, err, ErrTicket)
	want(t, w.enrolTOTP("alice", "third", by), ErrTicket)
	w.must(w.Detach("home", "alice", "lost", w.session("alice", "new")))
	late, err := w.IssueTicket("home", "alice", time.Hour, admin)
	w.must(err)
	w.later()
	want(t, w.enrolTOTP("alice", "late", Authority{Ticket: late.Ticket}), ErrTicket)
}

func clones(t *testing.T, w *world) {
	key := newSoftKey(false)
	_, err := w.enrolKey(key, "alice", "key", admin)
	w.must(err)
	w.must(w.enrolTOTP("alice", "app", admin))
	key.count = 100
	in, err := w.signInKey(key, "alice")
	w.must(err)
	key.count = 50
	_, err = w.signInKey(key, "alice")
	want(t, err, ErrCloned)
	_, err = w.Session(in.Session)
	want(t, err, ErrSession)
	p, err := w.Principal("home", "alice")
	if err != nil || !p.Devices[0].Cloned.Equal(w.clock) || !slices.Contains(p.Advise(), AdviseCloned) {
		t.Errorf("%+v, %v", p, err)
	}
	if c := w.begin("alice"); c.Options != nil || !c.Codes {
		t.Error("the key may still sign in")
	}
	w.must(w.Detach("home", "alice", "app", admin))
	_, err = w.BeginSignIn(SignInRequest{Realm: "home", Principal: "alice"})
	want(t, err, ErrCloned)
}

func nonceTwice(t *testing.T, w *world) {
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	in := SignInRequest{Realm: "home", Principal: "alice", Nonce: "deploy 1"}
	first, err := w.BeginSignIn(in)
	w.must(err)
	second, err := w.BeginSignIn(in)
	w.must(err)
	_, err = w.FinishSignIn(first.ID, Proof{Code: w.code(w.seeds["app"], 0)})
	w.must(err)
	w.clock = w.clock.Add(time.Minute)
	_, err = w.FinishSignIn(second.ID, Proof{Code: w.code(w.seeds["app"], 0)})
	want(t, err, ErrNonce)
	_, err = w.BeginSignIn(in)
	want(t, err, ErrNonce)
	if _, err := w.signInCode("alice", w.code(w.seeds["app"], 0)); err != nil {
		t.Errorf("a refused nonce has consumed the code: %v", err)
	}
	w.clock = w.clock.Add(nonceLifetime)
	_, err = w.BeginSignIn(in)
	w.must(err)
	in.Nonce = strings.Repeat("n", maxNonceLength+1)
	if _, err := w.BeginSignIn(in); !errors.As(err, new(*ParameterError)) {
		t.Error(err)
	}
}

func advice(t *testing.T, w *world) {
	is := func(list ...Advice) {
		t.Helper()
		p, err := w.Principal("home", "alice")
		if got := p.Advise(); err != nil || !slices.Equal(got, list) {
			t.Errorf("%v, %v", got, err)
		}
	}
	is(AdviseFirst)
	w.must(w.enrolTOTP("alice", "app", admin))
	is(AdviseSecond, AdviseSecurityKey)
	w.must(w.enrolTOTP("alice", "app2", admin))
	is(AdviseSecurityKey)
	_, err := w.enrolKey(newSoftKey(false), "alice", "key", admin)
	w.must(err)
	is()
}

func models(t *testing.T, w *world) {
	const model = "01020300-0000-0000-0000-000000000000"
	w.realm("strict", Settings{AAGUIDs: []string{model}})
	for _, one := range []struct {
		first byte
		fits  bool
	}{{1, true}, {9, false}} {
		key := newSoftKey(false)
		key.model[0] = one.first
		e, err := w.BeginEnrol(EnrolRequest{Realm: "strict", Principal: Root, Name: "k", Kind: SecurityKey, By: admin})
		w.must(err)
		_, err = w.FinishEnrol(e.ID, Proof{Response: key.register(t, e)})
		if refused := errors.As(err, new(*ModelError)); refused == one.fits || one.fits && err != nil {
			t.Errorf("%v: %v", one, err)
		}
		if one.fits {
			w.must(w.Detach("strict", Root, "k", admin))
		}
	}
	for _, bad := range []Settings{{AAGUIDs: []string{"yubikey"}}, {Algorithm: "HS256"}, {UserVerification: "maybe"},
		{RPID: "example.com", Origin: "https://example.org"}, {Origin: "http://example.org"}} {
		if _, err := w.CreateRealm("bad", bad); !errors.As(err, new(*ParameterError)) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
