package fault

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/softkey"
)

// errGone is what the host of a pipe hears when the key is out.
var errGone = errors.New("the key is gone")

// bench is a key in memory, in a synctest bubble, and its host.
type bench struct {
	*testing.T
	in   *Injector
	link func(ctaphid.Conn) ctaphid.Conn
	key  *softkey.Key

	mu   sync.Mutex
	plug *pipe
}

// onBench runs test with a key that has these faults.
func onBench(t *testing.T, o softkey.Options, seed uint64, faults []string, test func(b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var parsed []Fault
		for _, text := range faults {
			parsed = append(parsed, MustParse(text))
		}
		b := &bench{T: t, in: New(seed, parsed...)}
		o.Place = b.place
		o = b.in.Options(o)
		b.link = o.Link
		key, err := softkey.Plug(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		b.key = key
		test(b)
		if err := key.Close(); err != nil {
			t.Error(err)
		}
		b.in.Wait()
	})
}

// place is a softkey.Place.
func (b *bench) place(_ context.Context, k *softkey.Key) (softkey.Endpoint, error) {
	p := &pipe{link: b.link, gone: make(chan struct{})}
	p.device, p.host = ctaphid.Pipe()
	b.mu.Lock()
	b.plug = p
	b.mu.Unlock()
	return p, nil
}

// pipe is a softkey.Endpoint in memory, and the host's end of it.
type pipe struct {
	device, host ctaphid.Conn
	link         func(ctaphid.Conn) ctaphid.Conn
	gone         chan struct{}
}

func (p *pipe) Path() string { return "a pipe" }
func (p *pipe) Close() error { close(p.gone); return nil }

func (p *pipe) Serve(ctx context.Context, h ctap.Handler) error {
	d := ctaphid.Device{Handler: h, Link: p.link}
	return d.Serve(ctx, p.device)
}

// until ends with the stay of the key.
func (p *pipe) until(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-p.gone:
			cancel(errGone)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

func (p *pipe) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	ctx, stop := p.until(ctx)
	defer stop()
	r, err := p.host.ReadReport(ctx)
	if err != nil {
		return r, context.Cause(ctx)
	}
	return r, nil
}

func (p *pipe) WriteReport(ctx context.Context, r ctaphid.Report) error {
	ctx, stop := p.until(ctx)
	defer stop()
	if err := p.host.WriteReport(ctx, r); err != nil {
		return context.Cause(ctx)
	}
	return nil
}

// open is a client of the key.
func (b *bench) open(ctx context.Context) (*ctaphid.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return ctaphid.Open(ctx, b.plug)
}

// within is how long the requests of the tests may take; the clock is that of the bubble.
func (b *bench) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), d)
	b.Cleanup(cancel)
	return ctx
}
