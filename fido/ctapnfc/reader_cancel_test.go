package ctapnfc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

func TestReaderCancels(t *testing.T) {
	withReader(t, Card{}, func(w *wire, r *Reader) {
		for range 3 {
			ctx, cancel := context.WithCancel(w.t.Context())
			reply, err := r.CBOR(ctx, []byte{1}, func(ctap.KeepaliveStatus) { cancel() })
			if reply != nil || err != context.Canceled {
				w.t.Errorf("reply %q, %v", reply, err)
			}
			dark(w.bench)
			if got := w.sent(); !strings.HasSuffix(got, "801111*1") || strings.Contains(got, "00a4") {
				w.t.Errorf("sent %s", got)
			}
		}
	})
}

// The answer that was under way when the caller gave up is not lost: a credential may have been made.
func TestCancelComesTooLate(t *testing.T) {
	h := func(ctx context.Context, _ ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
		keepalive(ctap.KeepaliveUPNeeded)
		<-ctx.Done()
		return append(ctap.Response("\x00made"), count(300)...)
	}
	withReader(t, Card{Handler: handlerFunc(h)}, func(w *wire, r *Reader) {
		ctx, cancel := context.WithCancel(w.t.Context())
		reply, err := r.CBOR(ctx, []byte{1}, func(ctap.KeepaliveStatus) { cancel() })
		if string(reply) != "\x00made"+string(count(300)) || err != nil {
			w.t.Errorf("reply %q, %v", reply, err)
		}
	})
}

// A card that has stopped answering keeps the caller for a second, and is selected anew before the next request.
func TestCardHangs(t *testing.T) {
	for _, hangs := range []byte{insMsg, insCTAPGetResponse} {
		synctest.Test(t, func(t *testing.T) {
			var log []string
			hung := false
			r, err := Select(t.Context(), transceiver(func(ctx context.Context, command []byte) ([]byte, error) {
				log = append(log, fmt.Sprintf("%x", command[1]))
				switch {
				case command[1] == insSelect:
					return unhex(u2fV2), nil
				case command[1] == hangs && !hung:
					hung = true
					<-ctx.Done()
					return nil, ctx.Err()
				case command[1] == insMsg && !hung:
					return unhex("01 9100"), nil
				}
				return unhex("00 9000"), nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			defer stop()
			started := time.Now()
			reply, err := r.CBOR(ctx, []byte{1}, nil)
			took := time.Since(started)
			if reply != nil || !errors.Is(err, context.DeadlineExceeded) || took != time.Minute+cancelTimeout {
				t.Errorf("after %v: reply %q, %v", took, reply, err)
			}
			if reply, err := r.CBOR(t.Context(), []byte{1}, nil); string(reply) != "\x00" || err != nil {
				t.Errorf("reply %q, %v", reply, err)
			}
			if got := strings.Join(log, " "); !strings.HasSuffix(got, "a4 10") {
				t.Errorf("sent %s", got)
			}
		})
	}
}

// A card without NFCCTAP_GETRESPONSE can't be cancelled between commands; whatever it says counts as cancelled.
func TestCancelIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := scripted(t, func(command []byte) string {
			if command[2] == pollCancels {
				return "6d00"
			}
			return "01 9100"
		})
		ctx, cancel := context.WithCancel(t.Context())
		reply, err := r.CBOR(ctx, []byte{1}, func(ctap.KeepaliveStatus) { cancel() })
		if reply != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("reply %q, %v", reply, err)
		}
	})
}

// A card that cancels by itself, at a button say, has answered.
func TestCancelledByCard(t *testing.T) {
	r := scripted(t, func([]byte) string { return cancelled })
	if reply, err := r.CBOR(t.Context(), []byte{1}, nil); string(reply) != "\x2d" || err != nil {
		t.Errorf("reply % x, %v", reply, err)
	}
}

func TestMsgIsLeftBehind(t *testing.T) {
	gone := errors.New("card removed")
	var log []string
	r, err := Select(t.Context(), transceiver(func(_ context.Context, command []byte) ([]byte, error) {
		log = append(log, fmt.Sprintf("%x", command[1]))
		switch {
		case command[1] == insSelect:
			return unhex(u2fV2), nil
		case len(log) == 2:
			return nil, gone
		}
		return unhex("6985"), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Msg(t.Context(), unhex("00030000")); !errors.Is(err, gone) {
		t.Error(err)
	}
	if reply, err := r.Msg(t.Context(), unhex("00030000")); string(reply) != "\x69\x85" || err != nil {
		t.Errorf("reply % x, %v", reply, err)
	}
	if got := strings.Join(log, " "); got != "a4 3 a4 3" {
		t.Errorf("sent %s", got)
	}
}

func TestHostileReplies(t *testing.T) {
	var bad *BadReplyError
	isBad := func(err error) bool { return errors.As(err, &bad) }
	is := func(sw StatusWord) func(error) bool { return func(err error) bool { return err == sw } }
	for name, test := range map[string]struct {
		replies []string // the last one for ever
		check   func(error) bool
	}{
		"no status word":        {[]string{"90"}, isBad},
		"nothing":               {[]string{""}, isBad},
		"no data":               {[]string{"9000"}, isBad},
		"more than Le":          {[]string{hexCount(257) + "9000"}, isBad},
		"more than asked for":   {[]string{"00 6102", "010203 9000"}, isBad},
		"available for ever":    {[]string{"00 6100", hexCount(256) + "6100"}, isBad},
		"available, one a time": {[]string{"00 6101"}, isBad},
		"available, but none":   {[]string{"00 6101", "6101"}, isBad},
		"available, then gone":  {[]string{"00 6101", "6985"}, is(SWConditionsNotSatisfied)},
		"available, then busy":  {[]string{"00 6101", "01 9100"}, isBad},
		"update of nothing":     {[]string{"9100"}, isBad},
		"update of two":         {[]string{"0102 9100"}, isBad},
		"update, then nothing":  {[]string{"01 9100", "9000"}, isBad},
		"update, then error":    {[]string{"01 9100", "6f00"}, is(SWNoPreciseDiagnosis)},
		"error":                 {[]string{"6e00"}, is(SWClassNotSupported)},
		"unknown":               {[]string{"1234"}, is(0x1234)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				r := scripted(t, func([]byte) string {
					n++
					return test.replies[min(n, len(test.replies))-1]
				})
				if reply, err := r.CBOR(t.Context(), []byte{4}, nil); reply != nil || !test.check(err) {
					t.Errorf("reply of %d bytes, %v", len(reply), err)
				}
				if n > MaxPayload+1 {
					t.Errorf("%d commands", n)
				}
			})
		})
	}
}

func TestRefusedChain(t *testing.T) {
	for reply, want := range map[string]error{"6884": SWChainingNotSupported, "6a84": SWNotEnoughMemory} {
		n := 0
		r := scripted(t, func([]byte) string { n++; return reply })
		r.ShortOnly = true
		if _, err := r.CBOR(t.Context(), count(600), nil); err != want || n != 1 {
			t.Errorf("%v after %d commands", err, n)
		}
	}
}
