package fault

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"fob/fido/ctap"
	"fob/fido/softkey"
)

// insertTime is how long putting a key in again may take; pcscd and udev may be slow.
const insertTime = 20 * time.Second

// stay is one time that the key is plugged in.
type stay struct {
	injector *Injector
	over     chan struct{} // closed when it has ended
	ended    sync.Once
	pulled   sync.Once
	silent   atomic.Bool // no packet leaves the key any more
}

func (s *stay) end() { s.ended.Do(func() { close(s.over) }) }

// unplug pulls the key out, and returns when nothing can reach it any more.
func (s *stay) unplug(ctx context.Context, out time.Duration) {
	s.pulled.Do(func() { s.injector.pull(out) })
	s.await(ctx)
}

// await waits for the end of the stay, and for ctx to have heard of it: an answer would still leave the key before.
func (s *stay) await(ctx context.Context) {
	<-s.over
	<-ctx.Done()
}

// pull takes the key out in a goroutine, since taking it out waits for the request and the packets in progress. It ends
// when the key is out, or in again where that was asked for, and soon after Key.Close; Wait waits for it.
func (i *Injector) pull(out time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	before, done := i.moving, make(chan struct{})
	i.moving = done
	go func() {
		defer close(done)
		if before != nil { // it is about to end: it has put the key in
			<-before
		}
		if err := i.move(out); err != nil && !errors.Is(err, os.ErrClosed) {
			i.log.Error("the key is not put in again", "err", err)
		}
	}()
}

func (i *Injector) move(out time.Duration) error {
	err := i.key.Remove()
	if errors.Is(err, softkey.ErrRemoved) || out == forever {
		return nil
	}
	timer := time.NewTimer(out)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-i.key.Lost():
		return os.ErrClosed
	}
	ctx, stop := context.WithTimeout(context.Background(), insertTime)
	defer stop()
	err = i.key.Insert(ctx)
	if errors.Is(err, softkey.ErrInserted) { // somebody was faster
		return nil
	}
	if err != nil {
		return err
	}
	i.log.Info("the key is put in again", "path", i.key.Path())
	return nil
}

// Wait returns when the key is out, or in again, where a fault has begun to pull it out. It waits for none that is
// still to come. After Key.Close nothing is left of the Injector when it returns.
func (i *Injector) Wait() {
	i.mu.Lock()
	moving := i.moving
	i.mu.Unlock()
	if moving != nil {
		<-moving
	}
}

// place plugs a key in where p does, and learns when that begins and ends.
func (i *Injector) place(p softkey.Place) softkey.Place {
	if p == nil {
		p = softkey.PTY
	}
	return func(ctx context.Context, k *softkey.Key) (softkey.Endpoint, error) {
		if err := i.meet(ctx, k); err != nil {
			return nil, err
		}
		e, err := p(ctx, k)
		if err != nil {
			return nil, err
		}
		return &endpoint{e, i}, nil
	}
}

// UnsuitableError is a fault that a key can't have, such as PIN retries where there is no PIN. It unwraps to the error
// of the emulator.
type UnsuitableError struct {
	Fault Fault
	Err   error
}

func (e *UnsuitableError) Error() string {
	return fmt.Sprintf("fault %q does not suit this key: %v", e.Fault, e.Err)
}
func (e *UnsuitableError) Unwrap() error { return e.Err }

// meet learns to know the key, and changes it as the faults without a trigger say.
func (i *Injector) meet(ctx context.Context, k *softkey.Key) error {
	if i.key != nil {
		return nil
	}
	i.key = k
	for _, a := range i.faults {
		if a.when.place != plugging {
			continue
		}
		if err := a.effect.(keyEffect).change(ctx, i); err != nil {
			return &UnsuitableError{a.Fault, err}
		}
		i.mu.Lock()
		i.note(Injection{a.Fault, a.effect.String(), "plugged in"})
		i.mu.Unlock()
	}
	return nil
}

// endpoint is where the key is plugged in.
type endpoint struct {
	softkey.Endpoint
	injector *Injector
}

// Serve begins a stay, which ends with ctx at the latest.
func (e *endpoint) Serve(ctx context.Context, h ctap.Handler) error {
	s := &stay{injector: e.injector, over: make(chan struct{})}
	e.injector.mu.Lock()
	e.injector.stay = s
	e.injector.mu.Unlock()
	defer s.end()
	defer context.AfterFunc(ctx, s.end)()
	return e.Endpoint.Serve(ctx, h)
}

// present gives the stay of the moment.
func (i *Injector) present() *stay {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.stay
}
