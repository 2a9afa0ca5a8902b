package transcript_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/emulator"
	"fob/fido/transcript"
)

// keyFunc is a key that a function plays.
type keyFunc func(context.Context, ctap.Request, func(ctap.KeepaliveStatus)) ctap.Response

func (f keyFunc) ServeCTAP(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	return f(ctx, r, keepalive)
}

// answers is a key that always says the same.
func answers(b ...byte) keyFunc {
	return func(context.Context, ctap.Request, func(ctap.KeepaliveStatus)) ctap.Response { return b }
}

func quiet(ctap.KeepaliveStatus) {}

func newKey(t *testing.T, o emulator.Options) *emulator.Authenticator {
	t.Helper()
	key, err := emulator.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// recordedBy gives what a Recorder writes of what f does to a key.
func recordedBy(t *testing.T, h ctap.Handler, f func(h ctap.Handler)) string {
	t.Helper()
	var b bytes.Buffer
	r := transcript.NewRecorder(&b)
	r.SetKey("fido2.1")
	f(r.Wrap(h))
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func parse(t *testing.T, s string) *transcript.Transcript {
	t.Helper()
	parsed, err := transcript.Parse(strings.NewReader(s))
	if err != nil {
		t.Fatalf("%v in\n%s", err, s)
	}
	return parsed
}

func request(payload ...byte) ctap.Request { return ctap.Request{Channel: 1, Payload: payload} }

// TestRecorder shows all that a transcript of requests has.
func TestRecorder(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	key := keyFunc(func(_ context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
		switch {
		case r.U2F:
			return ctap.Response("U2F_V2\x90\x00")
		case r.Transport == ctap.TransportNFC:
			return ctap.Response{0, 0xa1, 0x03, 0x08}
		}
		keepalive(ctap.KeepaliveProcessing)
		keepalive(ctap.KeepaliveUPNeeded)
		keepalive(7)
		cancel()
		return ctap.Response{byte(ctap.ErrKeepaliveCancel)}
	})
	got := recordedBy(t, key, func(h ctap.Handler) {
		version := ctap.U2FRequest{Instruction: ctap.U2FVersion}
		h.ServeCTAP(ctx, ctap.Request{Channel: 0xfedc, U2F: true, Payload: version.Encode()}, quiet)
		var told []ctap.KeepaliveStatus
		h.ServeCTAP(ctx, request(byte(ctap.CommandSelection)), func(s ctap.KeepaliveStatus) { told = append(told, s) })
		if len(told) != 3 || told[1] != ctap.KeepaliveUPNeeded {
			t.Errorf("keepalives %v", told)
		}
		h.(ctap.PowerCycler).PowerCycle()
		h.ServeCTAP(t.Context(), ctap.Request{Transport: ctap.TransportNFC,
			Payload: (&ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetPINRetries}).Encode()}, quiet)
	})
	const want = `# fob transcript 1
* key fido2.1

> msg 0000fedc 00030000000000
# U2F_VERSION
< 5532465f56329000
# success (SW 9000)
#   version: "U2F_V2"

> cbor 00000001 0b
# authenticatorSelection
* processing
* up-needed
* keepalive 07
* cancel
< 2d
# keepalive cancel (CTAP 0x2d)

* power-cycle

> nfc-cbor 00000000 06a10201
# authenticatorClientPIN getPINRetries
#   2 subCommand: 1
< 00a10308
# success (CTAP 0x00)
#   3 pinRetries: 8
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPackets records what two ends of CTAPHID say.
func TestPackets(t *testing.T) {
	var b bytes.Buffer
	r := transcript.NewRecorder(&b)
	device, host := ctaphid.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error)
	go func() {
		d := ctaphid.Device{Handler: r.Wrap(answers(0)), Link: r.Link}
		served <- d.Serve(ctx, device)
	}()
	client, err := ctaphid.Open(ctx, host)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Wink(ctx); !errors.Is(err, ctaphid.ErrInvalidCmd) {
		t.Error(err)
	}
	if _, err := client.CBOR(ctx, make([]byte, 58), quiet); err != nil {
		t.Error(err)
	}
	cancel()
	<-served
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"> packet ffffffff860008", "# CTAPHID_INIT, 8 bytes",
		"< packet ffffffff860011", "# CTAPHID_INIT, 17 bytes",
		"> packet 0000000188", "# CTAPHID_WINK, 0 bytes",
		"< packet 00000001bf000101", "# CTAPHID_ERROR: invalid command (CTAPHID 0x01)",
		"> packet 0000000190003a", "# CTAPHID_CBOR, 58 bytes",
		"> packet 00000001", "# continuation 0",
		"> cbor 00000001 000000", "# command 0x00", "#   not well-formed CBOR",
		"< 00", "# success",
		"< packet 000000019000", "# CTAPHID_CBOR, 1 bytes",
	}
	var got []string
	for line := range strings.Lines(b.String()) {
		if line != "\n" {
			got = append(got, line)
		}
	}
	if len(got) != len(want)+1 {
		t.Fatalf("%d lines, want %d:\n%s", len(got), len(want)+1, b.String())
	}
	for i, w := range want {
		if !strings.HasPrefix(got[i+1], w) {
			t.Errorf("line %q, want %q", got[i+1], w)
		}
	}
	parse(t, b.String())
}

// TestWords registers and signs in, and looks for what a person wants to know.
func TestWords(t *testing.T) {
	rpID := "example.com"
	yes := true
	got := recordedBy(t, newKey(t, emulator.Options{Attestation: emulator.BasicAttestation}), func(h ctap.Handler) {
		resp := h.ServeCTAP(t.Context(), request((&ctap.MakeCredentialRequest{
			ClientDataHash:   make([]byte, 32),
			RP:               &ctap.PublicKeyCredentialRpEntity{ID: rpID},
			User:             &ctap.PublicKeyCredentialUserEntity{ID: []byte("alice"), Name: "al\nice\u202e"},
			PubKeyCredParams: []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: ctap.EdDSA}},
			Extensions:       map[string]ctap.RawMessage{"credProtect": {1}},
			Options:          ctap.Options{RK: &yes},
		}).Encode()...), quiet)
		if resp[0] != 0 {
			t.Fatal(ctap.StatusCode(resp[0]))
		}
		signIn := ctap.GetAssertionRequest{RPID: &rpID, ClientDataHash: make([]byte, 32)}
		h.ServeCTAP(t.Context(), request(signIn.Encode()...), quiet)
		var get, offset uint = 100, 0
		h.ServeCTAP(t.Context(), request((&ctap.LargeBlobsRequest{Get: &get, Offset: &offset}).Encode()...), quiet)
	})
	for _, want := range []string{
		"# authenticatorMakeCredential\n",
		`#   3 user: {"id": h'616c696365', "name": "al\nice\u202e"}` + "\n",
		`#   6 extensions: {"credProtect": 1}` + "\n",
		`#     rpIdHash: a379a6f6eeafb9a55e378c118034e2751e682fab9f2d30ab13d2125586ce1947 "example.com"` + "\n",
		"#     flags: c1 UP AT ED\n",
		"#     aaguid: d396e0337ac2eae2b28caca9555fbca0\n",
		"#     credentialId: ",
		"#     credentialPublicKey: EdDSA {1: 1, 3: -8, -1: 6, ",
		`#     extensions: {"credProtect": 1}` + "\n",
		`#   3 attStmt: {"alg": -7, "sig": h'`,
		`"x5c": [h'3082`,
		"# authenticatorGetAssertion\n#   1 rpId: \"example.com\"\n",
		"#     flags: 01 UP\n#     signCount: 2\n",
		"# authenticatorLargeBlobs get\n#   1 get: 100\n",
		"#   1 config:\n#     large-blob array: []\n#     its hash: 76be8b528d0075f7aae98d6fa57a6d3c\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for line := range strings.Lines(got) {
		if line[0] == '#' && len(line) > 121 {
			t.Errorf("comment of %d columns: %s", len(line)-1, line)
		}
	}
}

// TestTimes has times in comments, and only there.
func TestTimes(t *testing.T) {
	var b bytes.Buffer
	r := transcript.NewRecorder(&b)
	r.SetTimes(true)
	r.Wrap(answers(0)).ServeCTAP(t.Context(), request(4), quiet)
	if got := strings.Count(b.String(), " s\n"); got != 2 {
		t.Errorf("%d times in\n%s", got, b.String())
	}
	if n := len(parse(t, b.String()).Events); n != 2 {
		t.Errorf("%d events", n)
	}
}

// full is a disk without room.
type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	if f.room -= len(b); f.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

var errFull = errors.New("no room")

// TestRecorderFails has the key work on when nothing can be recorded any more.
func TestRecorderFails(t *testing.T) {
	for name, test := range map[string]struct {
		key     string
		room    int
		request ctap.Request
		want    error
	}{
		"disk":      {"", 40, request(4), errFull},
		"too large": {"", 1 << 20, request(make([]byte, transcript.MaxPayload+1)...), transcript.ErrTooLarge},
		"transport": {"", 1 << 20, ctap.Request{Transport: 7, Payload: []byte{4}}, transcript.ErrSyntax},
		"key":       {"two words", 1 << 20, request(4), transcript.ErrSyntax},
	} {
		t.Run(name, func(t *testing.T) {
			r := transcript.NewRecorder(&full{test.room})
			r.SetKey(test.key)
			h := r.Wrap(answers(0))
			for range 3 {
				if resp := h.ServeCTAP(t.Context(), test.request, quiet); len(resp) != 1 || resp[0] != 0 {
					t.Errorf("the key says %x", resp)
				}
			}
			if err := r.Err(); !errors.Is(err, test.want) {
				t.Errorf("Err: %v", err)
			}
			if err := r.Close(); !errors.Is(err, test.want) {
				t.Errorf("Close: %v", err)
			}
			if err := r.Close(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("second Close: %v", err)
			}
			if resp := h.ServeCTAP(t.Context(), test.request, quiet); len(resp) != 1 {
				t.Errorf("the key says %x", resp)
			}
		})
	}
}

// TestRecorderTakesTurns asks from several channels at once: the transcript has one exchange after the other, and
// each answer below its question.
func TestRecorderTakesTurns(t *testing.T) {
	echo := keyFunc(func(_ context.Context, r ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
		return r.Payload
	})
	const clients, requests = 4, 50
	got := parse(t, recordedBy(t, echo, func(h ctap.Handler) {
		var all sync.WaitGroup
		for c := range clients {
			all.Go(func() {
				for i := range requests {
					h.ServeCTAP(t.Context(), ctap.Request{Channel: uint32(c), Payload: []byte{byte(c), byte(i)}}, quiet)
				}
			})
		}
		all.Wait()
	}))
	if len(got.Events) != 2*clients*requests {
		t.Fatalf("%d events", len(got.Events))
	}
	for i := 0; i < len(got.Events); i += 2 {
		q, a := got.Events[i].(transcript.Request), got.Events[i+1].(transcript.Response)
		if !bytes.Equal(q.Payload, a) || q.Channel != uint32(a[0]) {
			t.Errorf("%v is answered %x", q, a)
		}
	}
}

// TestCancelledBeforeItsTurn leaves no trace of a request that did not reach the key.
func TestCancelledBeforeItsTurn(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	slow := keyFunc(func(context.Context, ctap.Request, func(ctap.KeepaliveStatus)) ctap.Response {
		close(begun)
		<-end
		return ctap.Response{0}
	})
	got := recordedBy(t, slow, func(h ctap.Handler) {
		first := make(chan ctap.Response)
		go func() { first <- h.ServeCTAP(t.Context(), request(4), quiet) }()
		<-begun
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if resp := h.ServeCTAP(ctx, request(7), quiet); ctap.StatusCode(resp[0]) != ctap.ErrKeepaliveCancel {
			t.Errorf("a cancelled request: %x", resp)
		}
		close(end)
		<-first
	})
	if n := len(parse(t, got).Events); n != 2 {
		t.Errorf("%d events in\n%s", n, got)
	}
}

// TestCreate makes a private file, and none where there is something.
func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session")
	r, err := transcript.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if got, err := transcript.ReadFile(path); err != nil || len(got.Events) != 0 {
		t.Errorf("a session in which nothing happened: %v, %v", got, err)
	}
	if _, err := transcript.Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second one: %v", err)
	}
}
