package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fob/daemon/audit"
	"fob/daemon/policy"
	"fob/fido"
	"fob/fido/ctap"
	"fob/ipc"
	"fob/ipc/varlink"
)

// keepLog gives a log in a folder of its own.
func keepLog(t *testing.T) *audit.Log {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state", "audit")
	l := &audit.Log{Dir: dir, Key: audit.KeyFile(filepath.Join(filepath.Dir(dir), "audit.key"))}
	t.Cleanup(func() { l.Close() })
	return l
}

func calls(t *testing.T, c *ipc.Client, f *ipc.AuditFilter) []ipc.AuditRecord {
	t.Helper()
	reply, err := c.Audit(t.Context(), ipc.AuditQuery{Filter: f})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(reply.Records, func(r ipc.AuditRecord) bool { return r.Kind != ipc.AuditCall })
}

// TestAudit: each call leaves a record that is there before its last reply.
func TestAudit(t *testing.T) {
	k := &fakeKey{assert: func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		return []fido.GetAssertionResponse{assertion("alice")}, nil
	}}
	client := serveDaemon(t, &Daemon{Source: oneKey(k), Audit: keepLog(t)})
	if _, err := client.SignIn(t.Context(), signInRequest(), &person{}); err != nil {
		t.Fatal(err)
	}
	list := calls(t, client, nil)
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	r := list[0]
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if r.Verb != "sign-in" || r.Method != ipc.MethodSignIn || r.RPID != "example.com" || r.Result != ipc.AuditDone ||
		r.TookUsec == 0 || !slices.Equal(r.Keys, []ipc.AuditKey{{ID: "k1", Product: "Test Key"}}) ||
		r.Caller == nil || r.Caller.PID != os.Getpid() || r.Caller.Executable != self || r.Decision != nil {
		t.Errorf("%+v, %+v", r, r.Caller)
	}
	if took := time.Duration(r.TookUsec) * time.Microsecond; took > time.Minute {
		t.Errorf("took %v", took)
	}
}

// TestAuditRefused: what fails before a key is asked leaves a record too, and what asks for nothing leaves none.
func TestAuditRefused(t *testing.T) {
	client := serveDaemon(t, &Daemon{Source: &fakeSource{}, Audit: keepLog(t)})
	client.NoWait = true
	ctx, p := t.Context(), &person{}
	request := signInRequest()
	_, _ = client.SignIn(ctx, request, p)
	request.Origin = "https://evil.example"
	_, _ = client.SignIn(ctx, request, p)
	_, _ = client.Register(ctx, request, p)
	_ = client.SetPIN(ctx, "k1", p)
	_ = client.Reset(ctx, ipc.ResetRequest{Device: "k1", Name: "x"}, p)
	_ = client.SetMinPINLength(ctx, ipc.MinPINLengthRequest{Length: 4}, p)
	_, _ = client.Devices(ctx)
	_, _ = client.GetInfo(ctx, "")
	conn, err := varlink.Dial(ctx, client.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Call(ctx, ipc.MethodSignIn, request, nil); !errors.Is(err, varlink.ExpectedMore{}) {
		t.Error(err)
	}
	var got []string
	for _, r := range calls(t, client, nil) {
		got = append(got, r.Verb+" "+r.Result)
	}
	want := []string{"sign-in fob.Device.NoDevice", "sign-in fob.Ceremony.OriginRefused",
		"register fob.Ceremony.OptionsInvalid", "manage fob.Device.UnknownDevice",
		"reset fob.Device.UnknownDevice", "manage fob.Device.NoDevice",
		"look fob.Device.NoDevice"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAuditOfThePolicy: what the policy said is in the record, whether the call went on or not.
func TestAuditOfThePolicy(t *testing.T) {
	for action, want := range map[string]string{"allow": ipc.AuditDone, "deny": "fob.Ceremony.Refused"} {
		path := filepath.Join(t.TempDir(), "policy.toml")
		text := "[[rule]]\nname = \"test\"\nverbs = [\"sign-in\"]\naction = \"" + action + "\"\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		rules, err := policy.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		k := &fakeKey{assert: func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
			return []fido.GetAssertionResponse{assertion("alice")}, nil
		}}
		client := serveDaemon(t, &Daemon{Source: oneKey(k), Policy: rules, Audit: keepLog(t)})
		_, _ = client.SignIn(t.Context(), signInRequest(), &person{})
		list := calls(t, client, nil)
		if len(list) != 1 || list[0].Result != want || list[0].Decision == nil || list[0].Decision.Answer != action ||
			!strings.Contains(list[0].Decision.Rule, "test") {
			t.Errorf("%s: %+v", action, list)
		}
	}
}

// failingLog is one that can't be written until it is mended.
func failingLog(t *testing.T) (l *audit.Log, mend func()) {
	t.Helper()
	l = keepLog(t)
	parent := filepath.Dir(l.Dir)
	if err := os.WriteFile(parent, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return l, func() {
		if err := os.Remove(parent); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAuditLost: by default a disk that takes no records stops nobody, and is told.
func TestAuditLost(t *testing.T) {
	k := &fakeKey{assert: func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		return nil, ctap.ErrNoCredentials
	}}
	l, mend := failingLog(t)
	source := oneKey(k)
	client := serveDaemon(t, &Daemon{Source: source, Audit: l})
	for range 2 {
		k.closed = make(chan struct{})
		if _, err := client.SignIn(t.Context(), signInRequest(), &person{}); !errors.Is(err, ipc.NotRegistered{}) {
			t.Error(err)
		}
		<-k.closed
	}
	if _, err := client.Audit(t.Context(), ipc.AuditQuery{}); !errors.As(err, new(ipc.AuditUnreadable)) {
		t.Error(err)
	}
	mend()
	k.closed = make(chan struct{})
	_, _ = client.SignIn(t.Context(), signInRequest(), &person{})
	reply, err := client.Audit(t.Context(), ipc.AuditQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if r := reply.Records; len(r) != 3 || r[1].Kind != ipc.AuditGap || r[1].Lost != 2 || reply.Lost != 0 {
		t.Errorf("%+v", reply)
	}
}

// TestAuditRequired: where a log is required, no key is asked for anything that leaves no record.
func TestAuditRequired(t *testing.T) {
	l, mend := failingLog(t)
	k := &fakeKey{}
	client := serveDaemon(t, &Daemon{Source: oneKey(k), Audit: l, AuditRequired: true})
	var unavailable ipc.AuditUnavailable
	_, err := client.SignIn(t.Context(), signInRequest(), &person{})
	if !errors.As(err, &unavailable) || !strings.Contains(unavailable.Problem, "not a directory") {
		t.Errorf("%v", err)
	}
	mend()
	k.assert = func(context.Context, *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
		l.Close() // and it breaks again in the middle
		if err := errors.Join(os.RemoveAll(l.Dir), os.WriteFile(l.Dir, nil, 0o600)); err != nil {
			t.Error(err)
		}
		return []fido.GetAssertionResponse{assertion("alice")}, nil
	}
	response, err := client.SignIn(t.Context(), signInRequest(), &person{})
	if !errors.As(err, &unavailable) || response != nil {
		t.Errorf("%s, %v", response, err)
	}
	if list := l.Status(); list.Lost != 2 {
		t.Errorf("%+v", list)
	}
}

func TestAuditChosen(t *testing.T) {
	e := &entry{}
	ctx := context.WithValue(t.Context(), entryKey{}, e)
	one, two := fido.DeviceInfo{ID: "k1"}, fido.DeviceInfo{ID: "k2"}
	entryOf(ctx).about("example.com", []fido.DeviceInfo{one, two})
	if len(e.record.Keys) != 2 {
		t.Errorf("%+v", e.record)
	}
	entryOf(ctx).choose(two)
	entryOf(ctx).about("", []fido.DeviceInfo{one, two})
	if r := e.record; len(r.Keys) != 1 || r.Keys[0].ID != "k2" || r.RPID != "example.com" {
		t.Errorf("%+v", r)
	}
	entryOf(t.Context()).choose(one) // of a call that leaves no record
	entryOf(t.Context()).decide("allow", "")
}

// TestAuditPages: a client gets all records in pieces, and those that its filter takes alone.
func TestAuditPages(t *testing.T) {
	l := keepLog(t)
	for i := range 250 {
		r := audit.Record{Verb: "sign-in", RPID: "a.example", Result: audit.Done, Caller: &audit.Caller{Executable: "/bin/a"}}
		if i%10 == 0 {
			r = audit.Record{Verb: "register", RPID: "b.example", Result: "fob.Ceremony.TimedOut",
				Decision: &audit.Decision{Answer: "allow"}}
		}
		if err := l.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	client := serveDaemon(t, &Daemon{Source: &fakeSource{}, Audit: l})
	seen := 251
	for before := 0; ; {
		reply, err := client.Audit(t.Context(), ipc.AuditQuery{Before: before})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range slices.Backward(reply.Records) {
			if r.Seq != seen {
				t.Fatalf("record %d, want %d", r.Seq, seen)
			}
			seen--
		}
		if before = reply.Next; before == 0 {
			break
		}
	}
	if seen != 0 {
		t.Errorf("%d records are missing", seen)
	}
	now := time.Now()
	before, behind := now.Add(-time.Hour).Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339)
	for _, test := range []struct {
		filter ipc.AuditFilter
		want   int
	}{
		{ipc.AuditFilter{Verb: "register"}, 25},
		{ipc.AuditFilter{RPID: "b.example", Verb: "sign-in"}, 0},
		{ipc.AuditFilter{Result: "TimedOut"}, 25},
		{ipc.AuditFilter{Result: "fob.Ceremony.TimedOut"}, 25},
		{ipc.AuditFilter{Executable: "/bin/b"}, 0},
		{ipc.AuditFilter{Verb: "register", Since: before, Until: behind}, 25},
		{ipc.AuditFilter{Since: behind}, 0},
		{ipc.AuditFilter{Until: before}, 0},
	} {
		if got := calls(t, client, &test.filter); len(got) != test.want {
			t.Errorf("%+v: %d records, want %d", test.filter, len(got), test.want)
		}
	}
}

// TestAuditFollow: who follows gets what there was, and what comes, once and in order.
func TestAuditFollow(t *testing.T) {
	l := keepLog(t)
	ours := func(i int) { _ = l.Append(audit.Record{Verb: "sign-in", Took: int64(i)}) }
	for i := range 40 {
		ours(i + 2)
	}
	client := serveDaemon(t, &Daemon{Source: &fakeSource{}, Audit: l})
	enough, after := errors.New("enough"), 0
	next, replies := 1, 0
	err := client.FollowAudit(t.Context(), ipc.AuditFollow{After: &after}, func(list []ipc.AuditRecord) error {
		replies++
		for _, r := range list {
			if r.Seq != next || r.Seq > 1 && r.TookUsec != next {
				t.Errorf("record %+v, want %d", r, next)
			}
			next++
		}
		switch {
		case next > 60:
			return enough
		case next > 41 && replies > 3:
			ours(next)
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	err = client.FollowAudit(ctx, ipc.AuditFollow{}, func(list []ipc.AuditRecord) error {
		if len(list) > 0 {
			t.Errorf("%+v", list)
		}
		stop()
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestAuditParameters(t *testing.T) {
	client := serveDaemon(t, &Daemon{Source: &fakeSource{}, Audit: keepLog(t)})
	ctx := t.Context()
	for parameter, call := range map[string]func() error{
		"limit":  func() error { _, err := client.Audit(ctx, ipc.AuditQuery{Limit: 101}); return err },
		"before": func() error { _, err := client.Audit(ctx, ipc.AuditQuery{Before: -1}); return err },
		"since": func() error {
			_, err := client.Audit(ctx, ipc.AuditQuery{Filter: &ipc.AuditFilter{Since: "noon"}})
			return err
		},
		"known[0]": func() error {
			_, err := client.VerifyAudit(ctx, ipc.AuditVerify{Known: []ipc.KnownRecord{{Seq: 1, MAC: "x"}}})
			return err
		},
		"known": func() error {
			_, err := client.VerifyAudit(ctx, ipc.AuditVerify{Known: make([]ipc.KnownRecord, 1001)})
			return err
		},
	} {
		if err := call(); !errors.Is(err, varlink.InvalidParameter{Parameter: parameter}) {
			t.Errorf("%s: %v", parameter, err)
		}
	}
	client = serveDaemon(t, &Daemon{Source: &fakeSource{}})
	for name, call := range map[string]func() error{
		"Query":  func() error { _, err := client.Audit(ctx, ipc.AuditQuery{}); return err },
		"Follow": func() error { return client.FollowAudit(ctx, ipc.AuditFollow{}, nil) },
		"Verify": func() error { _, err := client.VerifyAudit(ctx, ipc.AuditVerify{}); return err },
	} {
		if err := call(); !errors.Is(err, ipc.AuditNotKept{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAuditVerify: what is wrong comes to the client, with its place.
func TestAuditVerify(t *testing.T) {
	l := keepLog(t)
	for range 5 {
		if err := l.Append(audit.Record{Verb: "sign-in", Result: audit.Done}); err != nil {
			t.Fatal(err)
		}
	}
	client := serveDaemon(t, &Daemon{Source: &fakeSource{}, Audit: l})
	newest := calls(t, client, nil)[4]
	known := ipc.KnownRecord{Log: l.Status().Log, Seq: newest.Seq, MAC: newest.MAC}
	r, err := client.VerifyAudit(t.Context(), ipc.AuditVerify{Known: []ipc.KnownRecord{known}})
	if err != nil || r.Found != 0 || len(r.Findings) != 0 || r.Records != 6 || r.Last != 6 || r.Compared != 1 ||
		r.Log != known.Log {
		t.Errorf("%+v, %v", r, err)
	}
	known.Seq = 7
	r, err = client.VerifyAudit(t.Context(), ipc.AuditVerify{Known: []ipc.KnownRecord{known}})
	if err != nil || r.Found != 1 || r.Findings[0].Seq != 7 {
		t.Errorf("%+v, %v", r, err)
	}
	entries, err := filepath.Glob(filepath.Join(l.Dir, "audit-*"))
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	b, err := os.ReadFile(entries[0])
	if err != nil {
		t.Fatal(err)
	}
	b = []byte(strings.Replace(string(b), `"seq":3`, `"seq":8`, 1))
	if err := os.WriteFile(entries[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err = client.VerifyAudit(t.Context(), ipc.AuditVerify{})
	if err != nil || r.Found == 0 || r.Findings[0].Line != 3 || r.Findings[0].File != filepath.Base(entries[0]) {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestSignalled: what a signal asks for leaves a record that names no program, or is not done where it can leave none.
func TestSignalled(t *testing.T) {
	gone := errors.New("gone")
	done := 0
	do := func(context.Context) error { done++; return gone }
	if err := (&Daemon{}).Signalled(t.Context(), "SIGHUP", "reload", do); err != gone || done != 1 {
		t.Error("without a log: ", err)
	}
	d := &Daemon{Source: &fakeSource{}, Audit: keepLog(t)}
	client := serveDaemon(t, d)
	if err := d.Signalled(t.Context(), "SIGHUP", "reload", do); err != gone || done != 2 {
		t.Error(err)
	}
	list := calls(t, client, nil)
	if len(list) != 1 || list[0].Method != "SIGHUP" || list[0].Verb != "reload" || list[0].Caller != nil ||
		list[0].Result != "fob.Ceremony.Failed" {
		t.Errorf("%+v", list)
	}
	l, _ := failingLog(t)
	required := &Daemon{Audit: l, AuditRequired: true}
	err := required.Signalled(t.Context(), "SIGHUP", "reload", do)
	if !errors.As(err, new(ipc.AuditUnavailable)) || done != 2 {
		t.Error(err)
	}
}
