package transcript_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/emulator"
	"fob/fido/transcript"
)

// serve has a device answer until the test ends, and gives the host's end.
func serve(t *testing.T, d ctaphid.Device) (host ctaphid.Conn, stop func()) {
	t.Helper()
	device, host := ctaphid.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan struct{})
	go func() {
		d.Serve(ctx, device)
		close(served)
	}()
	stop = func() {
		cancel()
		<-served
	}
	t.Cleanup(stop)
	return host, stop
}

// recordPackets records what a host does that is none of the best.
func recordPackets(t *testing.T) *transcript.Transcript {
	t.Helper()
	var text bytes.Buffer
	r := transcript.NewRecorder(&text)
	host, stop := serve(t, ctaphid.Device{Handler: newKey(t, emulator.Options{Presence: emulator.Wait}), Link: r.Link})
	client, err := ctaphid.Open(t.Context(), host)
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context(), make([]byte, 1000)); err != nil {
		t.Error(err)
	}
	if err := client.Wink(t.Context()); !errors.Is(err, ctaphid.ErrInvalidCmd) {
		t.Error(err)
	}
	if _, err := client.CBOR(t.Context(), []byte{byte(ctap.CommandGetInfo)}, nil); err != nil {
		t.Error(err)
	}
	if _, err := client.Msg(t.Context(), []byte{0, 3, 0, 0}); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err = client.CBOR(ctx, []byte{byte(ctap.CommandSelection)}, func(ctap.KeepaliveStatus) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	stop()
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return parse(t, text.String())
}

// TestReplayPackets sends packets again: to a device of the same kind, to one that allocates other channels, and to
// one of another model.
func TestReplayPackets(t *testing.T) {
	recorded := recordPackets(t)
	key := newKey(t, emulator.Options{Presence: emulator.Wait})
	replay := func(host ctaphid.Conn, s transcript.Strictness) string {
		t.Helper()
		differences, err := transcript.ReplayPackets(t.Context(), recorded, host, s)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(differences)
	}
	host, _ := serve(t, ctaphid.Device{Handler: key})
	if got := replay(host, transcript.Strict); got != "[]" {
		t.Errorf("an equal device: %s", got)
	}
	if got := replay(host, transcript.Loose); got != "[]" {
		t.Errorf("on another channel: %s", got)
	}
	other, _ := serve(t, ctaphid.Device{
		Handler: answers(1), Capabilities: ctaphid.CapCBOR | ctaphid.CapNMSG, Wink: func() {}})
	const want = "[answer 3, CTAPHID_ERROR: command: recorded CTAPHID_ERROR, got CTAPHID_WINK " +
		"answer 4, CTAPHID_CBOR: status: recorded success (CTAP 0x00), got invalid command (CTAP 0x01) " +
		"answer 5, CTAPHID_MSG: command: recorded CTAPHID_MSG, got CTAPHID_ERROR"
	// The last request is cancelled by the next packet, perhaps before the other device has refused it.
	const late = " answer 6, CTAPHID_CBOR: status: recorded keepalive cancel (CTAP 0x2d), got invalid command (CTAP 0x01)"
	if got := replay(other, transcript.Loose); got != want+"]" && got != want+late+"]" {
		t.Errorf("another device: %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := transcript.ReplayPackets(ctx, recorded, host, transcript.Loose); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	_, err := transcript.ReplayPackets(t.Context(), parse(t, session), host, transcript.Loose)
	if !errors.Is(err, transcript.ErrNoRequests) {
		t.Error(err)
	}
}

// script is a device that says what a transcript has said, whatever it is told.
type script struct{ reports []ctaphid.Report }

func (s *script) ReadReport(context.Context) (ctaphid.Report, error) {
	if len(s.reports) == 0 {
		return ctaphid.Report{}, errFull
	}
	r := s.reports[0]
	s.reports = s.reports[1:]
	return r, nil
}

func (s *script) WriteReport(context.Context, ctaphid.Report) error { return nil }

// FuzzReplayPackets replays any packets at a device that says others: it comes to an end.
func FuzzReplayPackets(f *testing.F) {
	f.Add([]byte("\x00\xff\xff\xff\xff\x86\x00\x08"), []byte("\x00\xff\xff\xff\xff\x86\x00\x11"))
	f.Add([]byte("\x01\x00\x00\x00\x01\x90\xff\xff"), []byte("\x00\x00\x00\x01\x90\x00\x01"))
	f.Fuzz(func(t *testing.T, recorded, answered []byte) {
		it := &transcript.Transcript{}
		for ; len(recorded) > 0; recorded = recorded[min(len(recorded), 65):] {
			p := transcript.Packet{ToKey: recorded[0]&1 == 0}
			copy(p.Report[:], recorded[1:])
			it.Events = append(it.Events, p)
		}
		device := &script{}
		for ; len(answered) > 0; answered = answered[min(len(answered), 64):] {
			var r ctaphid.Report
			copy(r[:], answered)
			device.reports = append(device.reports, r)
		}
		_, err := transcript.ReplayPackets(t.Context(), it, device, transcript.Loose)
		if err != nil && !errors.Is(err, errFull) && !errors.Is(err, transcript.ErrNoRequests) {
			t.Fatal(err)
		}
	})
}
