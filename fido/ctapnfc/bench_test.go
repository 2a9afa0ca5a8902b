package ctapnfc

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

type handlerFunc func(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response

func (f handlerFunc) ServeCTAP(ctx context.Context, r ctap.Request, k func(ctap.KeepaliveStatus)) ctap.Response {
	return f(ctx, r, k)
}

// bench is a card in a synctest bubble.
type bench struct {
	t       *testing.T
	card    *Card
	touch   chan struct{} // ends the request of the touching handler
	calls   int           // of the handler
	running int
}

// touching answers "\x00ok" to CBOR command 1 after a touch, and the payload behind a zero to others. It answers a U2F
// command by its own bytes.
func (b *bench) touching(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	b.calls++
	b.running++
	defer func() { b.running-- }()
	if b.running > 1 {
		b.t.Error("handler called while it runs")
	}
	switch {
	case r.U2F:
		return append(r.Payload, 0x90, 0x00)
	case r.Payload[0] != 1:
		return append(ctap.Response{0}, r.Payload...)
	}
	keepalive(ctap.KeepaliveUPNeeded)
	select {
	case <-b.touch:
		return ctap.Response("\x00ok")
	case <-ctx.Done():
		return ctap.Response{byte(ctap.ErrKeepaliveCancel)}
	}
}

// onBench runs test against a card, and fails unless Reset ends everything that the card has started.
func onBench(t *testing.T, k Card, test func(b *bench)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, card: &k, touch: make(chan struct{})}
		if k.Handler == nil {
			k.Handler = handlerFunc(b.touching)
		}
		defer func() {
			b.card.Reset()
			dark(b)
		}()
		test(b)
	})
}

func (b *bench) exchange(command []byte) []byte { return b.card.Exchange(b.t.Context(), command) }

// A step is one line of a table.
type step func(b *bench)

// x is an exchange, in hexadecimal.
func x(command, response string) step {
	return func(b *bench) {
		b.t.Helper()
		got, want := b.exchange(unhex(command)), unhex(response)
		if !bytes.Equal(got, want) {
			b.t.Fatalf("%.40s answered % x, want % x", command, got, want)
		}
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// within is a step that must take exactly d.
func within(d time.Duration, s step) step {
	return func(b *bench) {
		b.t.Helper()
		started := time.Now()
		s(b)
		if took := time.Since(started); took != d {
			b.t.Fatalf("took %v, want %v", took, d)
		}
	}
}

func touch(b *bench) { b.touch <- struct{}{}; synctest.Wait() }

func touchAfter(d time.Duration) step {
	return func(b *bench) {
		go func() {
			time.Sleep(d)
			b.touch <- struct{}{}
		}()
	}
}

func calls(n int) step {
	return func(b *bench) {
		b.t.Helper()
		if synctest.Wait(); b.calls != n {
			b.t.Fatalf("handler called %d times, want %d", b.calls, n)
		}
	}
}

func dark(b *bench) {
	b.t.Helper()
	if synctest.Wait(); b.running != 0 {
		b.t.Fatal("handler still runs")
	}
}

func lit(b *bench) {
	b.t.Helper()
	if synctest.Wait(); b.running != 1 {
		b.t.Fatal("handler does not run")
	}
}

func reset(b *bench) { b.card.Reset() }

func do(b *bench, steps ...step) {
	b.t.Helper()
	for i, s := range steps {
		s(b)
		if b.t.Failed() {
			b.t.Fatalf("in step %d", i)
		}
	}
}

func join(first []step, rest ...step) []step { return append(first[:len(first):len(first)], rest...) }

// count returns n bytes that tell their places apart, the first one not being the command that waits for a touch.
func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i%251) + 2
	}
	return b
}

func hexCount(n int) string { return hex.EncodeToString(count(n)) }
