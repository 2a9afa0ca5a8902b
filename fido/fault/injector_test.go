package fault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/emulator"
	"fob/fido/softkey"
)

// makeCredential asks for a credential, in four packets. Signatures of Ed25519 all have one length.
var makeCredential = (&ctap.MakeCredentialRequest{
	ClientDataHash:   make([]byte, 32),
	RP:               &ctap.PublicKeyCredentialRpEntity{ID: "example.com", Name: "Example"},
	User:             &ctap.PublicKeyCredentialUserEntity{ID: []byte("alice"), DisplayName: strings.Repeat("A", 80)},
	PubKeyCredParams: []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: ctap.EdDSA}},
}).Encode()

var (
	getInfo       = []byte{byte(ctap.CommandGetInfo)}
	getPINRetries = (&ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetPINRetries}).Encode()
	u2fVersion    = (&ctap.U2FRequest{Instruction: ctap.U2FVersion}).Encode()
)

// outcome says in a few words what came of a request.
func outcome(reply []byte, err error) string {
	switch {
	case err != nil:
		return strings.NewReplacer("read report: ", "", "write report: ", "").Replace(err.Error())
	case reply[0] != 0:
		return ctap.StatusCode(reply[0]).Name()
	case len(reply) > 1 && ctap.CheckCanonical(reply[1:]) != nil:
		return fmt.Sprintf("success, and %d bytes of nonsense", len(reply)-1)
	}
	return "ok"
}

// TestFaults asks a key with a fault for getInfo, a credential and its PIN retries, on a channel each, for five seconds
// each, and wants the first three outcomes; nothing but ok of those that are left out.
func TestFaults(t *testing.T) {
	const (
		overdue  = "context deadline exceeded"
		silence  = "context deadline exceeded; the device does not answer a cancel: context deadline exceeded"
		mute     = "open: context deadline exceeded"
		gone     = "the key is gone"
		stayOut  = "open: the key is gone"
		sequence = "invalid packet sequence (CTAPHID 0x04)"
		busy     = "channel busy (CTAPHID 0x06)"
	)
	half := fmt.Sprintf("success, and %d bytes of nonsense", len(answerTo(t, getInfo))/2-1)
	for fault, want := range map[string][]string{
		"drop in packet 1":                                 {mute},
		"drop in packet 1+":                                {mute, mute, mute},
		"drop out packet 1":                                {mute},
		"drop out packet 2 of getInfo":                     {"bad reply from device: " + sequence},
		"drop out packet 1 of getInfo":                     {"bad reply from device: " + sequence},
		"drop in packet 2 of makeCredential":               {"ok", sequence},
		"drop in packet 4 of makeCredential":               {"ok", "message timed out (CTAPHID 0x05)"},
		"drop in packet 1+ of clientPIN 1+":                {"ok", "ok", silence},
		"drop out packet 1 of keepalive 1+":                {},
		"duplicate out packet 1 of getInfo":                {"bad reply from device: " + sequence},
		"duplicate out packet 3 of getInfo":                {"bad reply from device: " + sequence},
		"duplicate in packet 1 of makeCredential":          {"ok", sequence},
		"duplicate in packet 1 of init":                    {},
		"delay 3s in packet 1 of getInfo":                  {},
		"delay 7s out packet 1 of getInfo":                 {silence},
		"delay 600ms in packet 2 of makeCredential":        {"ok", "message timed out (CTAPHID 0x05)"},
		"corrupt cid out packet 1 of getInfo":              {"bad reply from device: " + sequence},
		"corrupt cid out packet 1 of init":                 {mute},
		"corrupt cid in packet 1 of getInfo":               {silence},
		"corrupt seq out packet 1":                         {"bad reply from device: " + sequence},
		"corrupt seq in packet 1 of makeCredential":        {"ok", sequence},
		"corrupt nonce out packet 1":                       {mute},
		"corrupt nonce in packet 2":                        {"ok", mute},
		"corrupt short out packet 1 of getInfo":            {half},
		"corrupt short in packet 1 of makeCredential":      {"ok", "INVALID_CBOR"},
		"corrupt long out packet 1 of getInfo":             {"bad reply from device: message timed out (CTAPHID 0x05)"},
		"corrupt long in packet 1 of makeCredential":       {"ok", "message timed out (CTAPHID 0x05)"},
		"corrupt huge out packet 1 of getInfo":             {"bad reply from device: invalid message length (CTAPHID 0x03)"},
		"corrupt huge in packet 1 of getInfo":              {"invalid message length (CTAPHID 0x03)"},
		"unplug in packet 1":                               {stayOut, stayOut, stayOut},
		"unplug out packet 2 of makeCredential":            {"ok", gone, stayOut},
		"unplug for 1s on makeCredential":                  {"ok", gone},
		"unplug for 1s after makeCredential":               {"ok", gone},
		"status PIN_BLOCKED on clientPIN":                  {"ok", "ok", "PIN_BLOCKED"},
		"status 0xee on any 1+":                            {"0xee", "0xee", "0xee"},
		"status NOT_ALLOWED after makeCredential":          {"ok", "NOT_ALLOWED"},
		"status SUCCESS on getInfo":                        {},
		"garbage on getInfo":                               {"success, and 199 bytes of nonsense"},
		"truncate on getInfo":                              {half},
		"oversize on getInfo":                              {"success, and 7608 bytes of nonsense"},
		"keepalives 3000 every 1s on getInfo":              {overdue},
		"keepalives 1000 every 1ms status 0xff on getInfo": {},
		"hang on getInfo":                                  {overdue},
		"hang after makeCredential":                        {"ok", overdue},
		"hang deaf on getInfo":                             {silence, busy, busy},
		"hang silent on makeCredential":                    {"ok", silence, mute},
		"slow 4s on makeCredential":                        {},
		"slow 6s on makeCredential":                        {"ok", overdue},
		"delay 4s on getInfo":                              {},
		"delay 7s on getInfo":                              {overdue},
		"clock 1h on getInfo":                              {},
	} {
		t.Run(fault, func(t *testing.T) {
			onBench(t, softkey.Options{}, 1, []string{fault}, func(b *bench) {
				for n, payload := range [][]byte{getInfo, makeCredential, getPINRetries} {
					got, wanted := b.ask(payload), "ok"
					if n < len(want) {
						wanted = want[n]
					}
					if got != wanted {
						b.Errorf("request %d: %s; want %s", n+1, got, wanted)
					}
				}
				if len(b.in.Injected()) == 0 {
					b.Error("the fault has not happened")
				}
			})
		})
	}
}

// ask sends a request on a channel of its own. A key that was pulled out is waited for first.
func (b *bench) ask(payload []byte) string {
	b.in.Wait()
	ctx, stop := context.WithTimeout(b.Context(), 5*time.Second)
	defer stop()
	c, err := b.open(ctx)
	if err != nil {
		return "open: " + last(err)
	}
	return outcome(c.CBOR(ctx, payload, nil))
}

// last is the cause of an error of reading or writing.
func last(err error) string {
	for errors.Unwrap(err) != nil {
		err = errors.Unwrap(err)
	}
	return err.Error()
}

// answerTo is what a key without faults answers.
func answerTo(t *testing.T, payload []byte) ctap.Response {
	t.Helper()
	key, err := emulator.New(emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return key.ServeCTAP(t.Context(), ctap.Request{Payload: payload}, func(ctap.KeepaliveStatus) {})
}

// client is one that must be let in.
func (b *bench) client() *ctaphid.Client {
	b.Helper()
	c, err := b.open(b.within(time.Second))
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// TestUnplugKeepsOrLoses: before a command the key has not performed it, after it, it has.
func TestUnplugKeepsOrLoses(t *testing.T) {
	resident := &ctap.MakeCredentialRequest{
		ClientDataHash: make([]byte, 32), RP: &ctap.PublicKeyCredentialRpEntity{ID: "example.com"},
		User:             &ctap.PublicKeyCredentialUserEntity{ID: []byte("alice")},
		PubKeyCredParams: []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: ctap.ES256}},
	}
	yes := true
	resident.Options.RK = &yes
	for fault, want := range map[string]int{
		"unplug for 1s in packet 1 of makeCredential":  0,
		"unplug for 1s on makeCredential":              0,
		"unplug for 1s after makeCredential":           1,
		"unplug for 1s out packet 1 of makeCredential": 1,
	} {
		onBench(t, softkey.Options{}, 1, []string{fault}, func(b *bench) {
			begin := time.Now()
			if got := b.ask(resident.Encode()); got != "the key is gone" {
				b.Errorf("%s: %s", fault, got)
			}
			b.in.Wait()
			if out := time.Since(begin); out != time.Second {
				b.Errorf("%s: out for %v", fault, out)
			}
			if n := len(b.key.Credentials()); n != want {
				b.Errorf("%s: %d credentials, want %d", fault, n, want)
			}
			if got := b.ask(getInfo); got != "ok" {
				b.Errorf("%s: afterwards %s", fault, got)
			}
		})
	}
}

// TestKeepalives counts those of a storm, and waits for the true answer behind it.
func TestKeepalives(t *testing.T) {
	onBench(t, softkey.Options{}, 1, []string{"keepalives 1234 every 5ms status 0x07 on getInfo"}, func(b *bench) {
		told, begin := 0, time.Now()
		reply, err := b.client().CBOR(b.Context(), getInfo, func(s ctap.KeepaliveStatus) {
			if s == 7 {
				told++
			}
		})
		if got := outcome(reply, err); got != "ok" || told < 1234 {
			b.Errorf("%s after %d keepalives", got, told)
		}
		if took := time.Since(begin); took != 1234*5*time.Millisecond {
			b.Errorf("it took %v", took)
		}
	})
}

// TestHang: how soon each kind obeys a cancel. Closing the key, which the bench does, ends them all.
func TestHang(t *testing.T) {
	for fault, want := range map[string]time.Duration{
		"hang on getInfo":        0,
		"hang deaf on getInfo":   time.Second, // all that a client waits
		"hang silent on getInfo": time.Second,
	} {
		onBench(t, softkey.Options{}, 1, []string{fault}, func(b *bench) {
			ctx := b.within(time.Minute)
			heard := 0
			_, err := b.client().CBOR(ctx, getInfo, func(ctap.KeepaliveStatus) { heard++ })
			if !errors.Is(err, context.DeadlineExceeded) {
				b.Errorf("%s: %v", fault, err)
			}
			deadline, _ := ctx.Deadline()
			if took := time.Since(deadline); took != want {
				b.Errorf("%s: obeyed after %v, want %v", fault, took, want)
			}
			if silent := strings.Contains(fault, "silent"); silent != (heard == 0) {
				b.Errorf("%s: %d keepalives", fault, heard)
			}
		})
	}
}

// TestU2F: faults of U2F have status words, and those of CTAP2 leave it alone.
func TestU2F(t *testing.T) {
	faults := []string{
		"status PIN_BLOCKED on any 1+", "status 0x6a80 on u2fVersion 2", "garbage on u2f 3", "truncate on u2f 4",
		"oversize on u2fVersion 5", "hang on u2f 6",
	}
	onBench(t, softkey.Options{}, 1, faults, func(b *bench) {
		c := b.client()
		var got []string
		for range 7 {
			reply, err := c.Msg(b.within(time.Second), u2fVersion)
			if err != nil {
				got = append(got, last(err))
				continue
			}
			got = append(got, fmt.Sprintf("%d bytes, %x", len(reply), reply[max(0, len(reply)-2):]))
		}
		want := []string{"8 bytes, 9000", "2 bytes, 6a80", "202 bytes, 9000", "4 bytes, 465f", "7609 bytes, 9000",
			"context deadline exceeded", "8 bytes, 9000"}
		if !slices.Equal(got, want) {
			b.Errorf("got %q, want %q", got, want)
		}
	})
}

// retries asks for the attempts that are left for the PIN, whether it is blocked until power-up, and for the finger.
func (b *bench) retries() string {
	b.Helper()
	c := b.client()
	ask := func(s ctap.Subcommand) *ctap.ClientPINResponse {
		reply, err := c.CBOR(b.Context(), (&ctap.ClientPINRequest{Subcommand: s}).Encode(), nil)
		if got := outcome(reply, err); got != "ok" {
			b.Fatal(got)
		}
		r, err := ctap.ParseClientPINResponse(reply[1:])
		if err != nil {
			b.Fatal(err)
		}
		return r
	}
	pin, uv := ask(ctap.SubcommandGetPINRetries), ask(ctap.SubcommandGetUVRetries)
	return fmt.Sprintf("%d %v %d", *pin.PINRetries, *pin.PowerCycle, *uv.UVRetries)
}

// TestLockOut: attempts that are left from the beginning, or as soon as something was asked for.
func TestLockOut(t *testing.T) {
	profile, err := emulator.LookupProfile("fingerprint")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		faults []string
		want   string
	}{
		{nil, "8 false 3"},
		{[]string{"pin-retries 0"}, "0 false 3"},
		{[]string{"pin-retries 3", "uv-retries 0"}, "3 false 0"},
		{[]string{"pin-auth-blocked"}, "8 true 3"},
		{[]string{"pin-retries 1 on getPINRetries"}, "1 false 3"},
		{[]string{"pin-retries 1 after getPINRetries"}, "8 false 3"},
		{[]string{"uv-retries 1 after getPINRetries", "pin-auth-blocked on any"}, "8 true 1"},
	} {
		onBench(t, softkey.Options{Profile: profile, PIN: fido.PIN("1234")}, 1, test.faults, func(b *bench) {
			if got := b.retries(); got != test.want {
				b.Errorf("%q: %s, want %s", test.faults, got, test.want)
			}
		})
	}
}

// TestFaultsThatAKeyCannotHave are errors of Plug.
func TestFaultsThatAKeyCannotHave(t *testing.T) {
	for fault, want := range map[string]error{
		"pin-retries 1":    ctap.ErrPINNotSet,
		"pin-auth-blocked": ctap.ErrPINNotSet,
		"uv-retries 1":     ctap.ErrInvalidCommand,
	} {
		key, err := softkey.Plug(t.Context(), New(1, MustParse(fault)).Options(softkey.Options{}))
		if unsuitable := new(*UnsuitableError); !errors.As(err, unsuitable) || !errors.Is(err, want) || key != nil {
			t.Errorf("%s: %v, want %v", fault, err, want)
		}
	}
}

// TestClock lets the window close in which a key may be reset, eleven seconds before it is time.
func TestClock(t *testing.T) {
	reset := []byte{byte(ctap.CommandReset)}
	for _, test := range []struct{ fault, want string }{
		{"clock 1s on reset", "ok"},
		{"clock 11s on reset", "NOT_ALLOWED"},
		{"clock -11s on reset", "ok"},
		{"clock 11s", "NOT_ALLOWED"},
	} {
		onBench(t, softkey.Options{}, 1, []string{test.fault}, func(b *bench) {
			if got := b.ask(reset); got != test.want {
				b.Errorf("%s: %s, want %s", test.fault, got, test.want)
			}
		})
	}
}

// TestSlow: a touch that comes later, and one that comes too late for the key.
func TestSlow(t *testing.T) {
	for fault, want := range map[string]string{
		"slow 29s on makeCredential": "ok",
		"slow 31s on makeCredential": "OPERATION_DENIED",
	} {
		onBench(t, softkey.Options{}, 1, []string{fault}, func(b *bench) {
			begin, c := time.Now(), b.client()
			if got := outcome(c.CBOR(b.Context(), makeCredential, nil)); got != want {
				b.Errorf("%s: %s, want %s", fault, got, want)
			}
			if took := time.Since(begin); took < 29*time.Second {
				b.Errorf("%s: after %v", fault, took)
			}
			if got := outcome(c.CBOR(b.within(time.Second), makeCredential, nil)); got != "ok" {
				b.Errorf("the next touch: %s", got)
			}
		})
	}
}

// TestSeveralFaults happen in the order in which they stand, and are written down.
func TestSeveralFaults(t *testing.T) {
	faults := []string{
		"delay 2s on getInfo", "status NOT_ALLOWED on getInfo", "garbage on getInfo 2+", "duplicate in packet 1 of init"}
	onBench(t, softkey.Options{}, 1, faults, func(b *bench) {
		if got := b.ask(getInfo); got != "NOT_ALLOWED" {
			b.Error(got)
		}
		if got := b.ask(getInfo); got != "success, and 199 bytes of nonsense" {
			b.Error(got)
		}
		want := []Injection{
			{MustParse(faults[3]), "duplicate", "in packet 1 of init"},
			{MustParse(faults[0]), "delay 2s", "on getInfo"},
			{MustParse(faults[1]), "status NOT_ALLOWED", "on getInfo"},
			{MustParse(faults[2]), "garbage", "on getInfo"},
		}
		if got := b.in.Injected(); !slices.Equal(got, want) {
			b.Errorf("injected %v, want %v", got, want)
		}
	})
}

// TestSameSeedSameFaults asks keys the same with the same seed, and with another one. In which order the last packet of
// an answer and the first one of the next request are written down, is left to chance.
func TestSameSeedSameFaults(t *testing.T) {
	traffic := func(seed uint64) (injected []string) {
		faults := []string{"drop out packet 3%", "corrupt bit out packet 3%", "delay 10ms in packet 5%",
			"status NOT_ALLOWED on any 5%", "garbage after any 5%", "drop out packet 1+ of getInfo 10%"}
		onBench(t, softkey.Options{PIN: fido.PIN("1234")}, seed, faults, func(b *bench) {
			for n := range 60 {
				b.ask([][]byte{getInfo, makeCredential, getPINRetries}[n%3])
			}
			for _, i := range b.in.Injected() {
				injected = append(injected, fmt.Sprint(i))
			}
		})
		slices.Sort(injected)
		return injected
	}
	for seed := range uint64(10) {
		first, again, other := traffic(seed), traffic(seed), traffic(seed+1000)
		if len(first) == 0 || !slices.Equal(first, again) {
			t.Errorf("seed %d: first %v, then %v", seed, first, again)
		}
		if slices.Equal(first, other) {
			t.Errorf("seeds %d and %d: %v", seed, seed+1000, first)
		}
	}
}

// TestCrossingPackets: of two packets that cross it does not matter which is seen first.
func TestCrossingPackets(t *testing.T) {
	happen := func(order ...place) map[place][]Injection {
		in, got := New(7, Random(10)...), make(map[place][]Injection)
		for n := range 1000 {
			p := order[n%len(order)]
			in.happen(event{place: p, names: names{"ping"}, where: placeWords[p], suits: func(effect) bool { return true }})
		}
		for _, i := range in.Injected() {
			got[i.Fault.when.place] = append(got[i.Fault.when.place], i)
		}
		return got
	}
	first := happen(packetIn, packetOut, before, after)
	again := happen(after, packetOut, packetIn, before)
	if len(first) != 4 || !maps.EqualFunc(first, again, slices.Equal[[]Injection]) {
		t.Errorf("first %v, then %v", first, again)
	}
}

// TestRandomFaults has every effect happen. Whatever happens, the key can be closed.
func TestRandomFaults(t *testing.T) {
	var seen []string
	for seed := range uint64(60) {
		faults := []string{"random in packet 2%", "random out packet 2%", "random on any 5%", "random after any 5%"}
		onBench(t, softkey.Options{PIN: fido.PIN("1234")}, seed, faults, func(b *bench) {
			for n := range 30 {
				b.ask([][]byte{getInfo, makeCredential, getPINRetries}[n%3])
			}
			for _, n := range b.in.Injected() {
				seen = append(seen, strings.Fields(n.Effect)[0])
			}
		})
	}
	for _, effect := range []string{"drop", "duplicate", "delay", "corrupt", "unplug", "status", "garbage", "truncate",
		"oversize", "keepalives", "hang", "slow", "clock"} {
		if !slices.Contains(seen, effect) {
			t.Errorf("of %d random faults none was %s", len(seen), effect)
		}
	}
}

// TestOthersOnTheLine: what stands there already sees what the host sees.
func TestOthersOnTheLine(t *testing.T) {
	var packets, answers []byte
	o := softkey.Options{
		Link: func(c ctaphid.Conn) ctaphid.Conn { return watched{c, &packets} },
		Wrap: func(h ctap.Handler) ctap.Handler { return watchedHandler{h, &answers} },
	}
	onBench(t, o, 1, []string{"duplicate out packet 1", "status NOT_ALLOWED on getInfo"}, func(b *bench) {
		if got := b.ask(getInfo); got != "NOT_ALLOWED" {
			b.Error(got)
		}
	})
	if string(packets) != "\x86\x86\x90" || string(answers) != "\x30" {
		t.Errorf("packets %x, answers %x", packets, answers)
	}
}

// watched notes the commands of packets from the key.
type watched struct {
	ctaphid.Conn
	seen *[]byte
}

func (w watched) WriteReport(ctx context.Context, r ctaphid.Report) error {
	*w.seen = append(*w.seen, r[4])
	return w.Conn.WriteReport(ctx, r)
}

// watchedHandler notes the first bytes of answers.
type watchedHandler struct {
	ctap.Handler
	seen *[]byte
}

func (w watchedHandler) ServeCTAP(ctx context.Context, r ctap.Request, k func(ctap.KeepaliveStatus)) ctap.Response {
	resp := w.Handler.ServeCTAP(ctx, r, k)
	*w.seen = append(*w.seen, resp[0])
	return resp
}
