package transcript_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/transcript"
)

const session = `# fob transcript 1
> cbor 00000001 04
< 00a0
> cbor 00000001 06a201010201
* processing
* up-needed
< 00a10308
> msg 00000001 00030000000000
< 5532465f56329000
> cbor 00000001 07
* up-needed
* cancel
< 2d
> cbor 00000001 0b
`

// TestPlayer plays a session to the end, to a client that differs where a client may.
func TestPlayer(t *testing.T) {
	p := transcript.NewPlayer(parse(t, session), transcript.Loose)
	says := func(r ctap.Request, want string) {
		t.Helper()
		if got := fmt.Sprintf("%x", p.ServeCTAP(t.Context(), r, quiet)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	says(ctap.Request{Channel: 99, Payload: []byte{4}}, "00a0")
	var told []ctap.KeepaliveStatus
	retries := ctap.ClientPINRequest{PINUVAuthProtocol: ctap.PINProtocolTwo, Subcommand: ctap.SubcommandGetPINRetries}
	p.ServeCTAP(t.Context(), request(retries.Encode()...), func(s ctap.KeepaliveStatus) { told = append(told, s) })
	if fmt.Sprint(told) != "[1 2]" {
		t.Errorf("keepalives %v", told)
	}
	says(ctap.Request{U2F: true, Payload: []byte{0, 3, 0, 0}}, "5532465f56329000")
	ctx, cancel := context.WithCancel(t.Context())
	resp := p.ServeCTAP(ctx, request(7), func(ctap.KeepaliveStatus) { cancel() }) // hangs without
	if ctap.StatusCode(resp[0]) != ctap.ErrKeepaliveCancel {
		t.Errorf("a cancelled request: %x", resp)
	}
	if n := p.Left(); n != 1 {
		t.Errorf("%d requests left", n)
	}
	says(request(11), "7f") // was never answered
	if p.Err() != nil || p.Left() != 0 {
		t.Errorf("%v, %d left", p.Err(), p.Left())
	}
	says(request(11), "7f")
	says(ctap.Request{U2F: true, Payload: []byte{0, 3, 0, 0}}, "6f00")
	if err := p.Err(); err == nil || err.Error() != "got authenticatorSelection after the end of the transcript" {
		t.Error(err)
	}
}

// TestPlayerMismatch tells what came and what should have come; the request that should have come may come later.
func TestPlayerMismatch(t *testing.T) {
	const instead = ", but request 2 of the transcript is authenticatorClientPIN getPINRetries"
	for _, test := range []struct {
		strictness transcript.Strictness
		payload    []byte
		want       string
	}{
		{transcript.Loose, []byte{0x55}, "got command 0x55" + instead},
		{transcript.Loose, []byte{6, 0xa2, 1, 1, 2, 2}, "got authenticatorClientPIN getKeyAgreement" + instead},
		{transcript.Loose, []byte{6, 0xa1, 2, 0x18, 99}, "got authenticatorClientPIN subCommand 99" + instead},
		{transcript.Loose, []byte{6, 0xa0}, "got authenticatorClientPIN without subCommand" + instead},
		{transcript.Loose, nil, "got empty request" + instead},
		{transcript.Loose, []byte{6, 0xa2, 1, 2, 2, 1}, ""},
		{transcript.Strict, []byte{6, 0xa2, 1, 2, 2, 1},
			"authenticatorClientPIN getPINRetries is not byte for byte request 2 of the transcript"},
		{transcript.Strict, []byte{6, 0xa2, 1, 1, 2, 1}, ""},
	} {
		p := transcript.NewPlayer(parse(t, session), test.strictness)
		p.ServeCTAP(t.Context(), request(4), quiet)
		resp := p.ServeCTAP(t.Context(), request(test.payload...), quiet)
		err := p.Err()
		if test.want == "" {
			if err != nil || resp[0] != 0 {
				t.Errorf("%x: %v, %x", test.payload, err, resp)
			}
			continue
		}
		var mismatch *transcript.MismatchError
		if !errors.As(err, &mismatch) || err.Error() != test.want || ctap.StatusCode(resp[0]) != ctap.ErrOther {
			t.Errorf("%x: %v, %x", test.payload, err, resp)
		}
		if resp := p.ServeCTAP(t.Context(), request(6, 0xa2, 1, 1, 2, 1), quiet); resp[0] != 0 {
			t.Errorf("the right request afterwards: %x", resp)
		}
		if p.Err() != err {
			t.Errorf("the first error is forgotten: %v", p.Err())
		}
	}
}

// TestReplayDifferences names what a key of another model answers otherwise.
func TestReplayDifferences(t *testing.T) {
	recorded := parse(t, recordedBy(t, newKey(t, emulator.Options{}), func(h ctap.Handler) {
		h.ServeCTAP(t.Context(), request(4), quiet)
		h.ServeCTAP(t.Context(), request(byte(ctap.CommandSelection)), quiet)
		h.ServeCTAP(t.Context(), ctap.Request{U2F: true, Payload: []byte{0, 3, 0, 0}}, quiet)
	}))
	same, err := transcript.Replay(t.Context(), recorded, newKey(t, emulator.Options{}), transcript.Strict)
	if err != nil || len(same) != 0 {
		t.Errorf("an equal key: %v, %v", same, err)
	}
	profile, err := emulator.LookupProfile("no-pin")
	if err != nil {
		t.Fatal(err)
	}
	other := newKey(t, emulator.Options{Profile: profile})
	got, err := transcript.Replay(t.Context(), recorded, other, transcript.Loose)
	if err != nil {
		t.Fatal(err)
	}
	said := make(map[string]bool)
	for _, d := range got {
		said[d.String()] = true
	}
	for _, want := range []string{
		"answer 1, authenticatorGetInfo: options.clientPin: recorded false, got nothing",
		"answer 1, authenticatorGetInfo: minPINLength: recorded 4, got nothing",
		"answer 3, U2F_VERSION: status: recorded 9000, got 6D00",
		"answer 3, U2F_VERSION: data: recorded true, got false",
	} {
		if !said[want] {
			t.Errorf("nothing says %q; got %v", want, got)
		}
	}
	deny := newKey(t, emulator.Options{Presence: emulator.Deny})
	refused, err := transcript.Replay(t.Context(), recorded, deny, transcript.Loose)
	const want = "[answer 2, authenticatorSelection: status: recorded success (CTAP 0x00), " +
		"got operation denied (CTAP 0x27)]"
	if err != nil || fmt.Sprint(refused) != want {
		t.Errorf("%v, %v", refused, err)
	}
}

// TestReplayAuthData looks into the authenticator data, where flags and extensions must not differ, while the
// signature counter, the credential ID and keys do.
func TestReplayAuthData(t *testing.T) {
	head := "# fob transcript 1\n> cbor 00000001 02a0\n< 00a1025825" + fmt.Sprintf("%064x", 1)
	recorded := parse(t, head+"0100000001\n")
	for flags, want := range map[string]string{
		"0100000009": "[]",
		"0500000001": "[answer 1, authenticatorGetAssertion: authData.flags: recorded 01 UP, got 05 UP UV]",
		"4100000001": "[answer 1, authenticatorGetAssertion: authData: recorded authenticator data, " +
			"got invalid length (CTAP 0x03)]",
	} {
		other := transcript.NewPlayer(parse(t, head+flags+"\n"), transcript.Loose)
		got, err := transcript.Replay(t.Context(), recorded, other, transcript.Loose)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s: %v, %v", flags, got, err)
		}
	}
}

// TestReplayEvents cancels and takes power away where the transcript does.
func TestReplayEvents(t *testing.T) {
	const events = `# fob transcript 1
> cbor 00000001 0b
* up-needed
* cancel
< 2d
> cbor 00000001 0b
* cancel
< 2d
* power-cycle
> cbor 00000001 07
* up-needed
* processing
< 00
`
	// The key waits for a touch but to be reset, so only a cancelled request ends. It has had power for too long to
	// be reset.
	reset, now := false, time.Now()
	key := newKey(t, emulator.Options{
		Presence: func(ctx context.Context, r emulator.PresenceRequest) error {
			if r.Command == ctap.CommandReset {
				reset = true
				return nil
			}
			return emulator.Wait(ctx, r)
		},
		Now: func() time.Time { return now },
	})
	now = now.Add(time.Minute)
	got, err := transcript.Replay(t.Context(), parse(t, events), key, transcript.Strict)
	if err != nil || len(got) != 0 || !reset {
		t.Errorf("%v, %v, reset %v", got, err, reset)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := transcript.Replay(ctx, parse(t, events), key, transcript.Loose); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	none := parse(t, "# fob transcript 1\n> packet 00000001\n")
	_, err = transcript.Replay(t.Context(), none, key, transcript.Loose)
	if !errors.Is(err, transcript.ErrNoRequests) {
		t.Error(err)
	}
}
