// Package workbench keeps emulated keys and lets other programs control them: it answers fob.Emulator of package ipc.
package workbench

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"fob/fido/emulator"
	"fob/fido/fault"
	"fob/fido/helper"
	"fob/fido/softkey"
	"fob/ipc"
)

// Workbench is a set of emulated keys. The zero value has none.
type Workbench struct {
	Version string
	Log     *slog.Logger // nil for none
	// Lost, where it is not nil, is told of each key that went away by itself, and why. Set it before the first Plug.
	Lost func(k *Key, err error)

	events    hub
	plugs     plugs
	followers sync.WaitGroup

	mu     sync.Mutex
	ids    map[string]bool // of keys, also of those that are being plugged in
	keys   []*Key
	closed bool
}

// Options say what key to plug in. Presence and Now of softkey.Options are the workbench's own.
type Options struct {
	softkey.Options
	ID       string            // empty for the one that fobd will give it, or a new one where fobd can't reach it
	Endpoint string            // what the Place is called: pty, uhid, vpcd, unix, udp
	Policy   emulator.Policy   // who touches it; the zero value is auto
	Ask      emulator.Presence // for the policy ask; nil where nobody can be asked
	Faults   *fault.Injector   // nil for a key that is well
}

// Key is a key of a workbench.
type Key struct {
	*softkey.Key
	ID, Endpoint string

	person   *emulator.Person
	ask      emulator.Presence
	clock    *emulator.Clock
	gone     context.Context // ends when the key is lost or closed
	plugging sync.Mutex      // held by who removes or inserts it
}

// Errors of Plug.
var (
	ErrIDTaken = errors.New("another key has this ID")
	ErrClosed  = errors.New("the workbench is closed")
)

// Plug plugs a key in until Close. The errors are those of softkey.Plug, ErrIDTaken and ErrClosed.
func (w *Workbench) Plug(ctx context.Context, o Options) (*Key, error) {
	if o.Policy.Presence == nil {
		o.Policy = emulator.Policy{Name: "auto", Presence: emulator.Approve}
	}
	if o.Endpoint == "" {
		o.Endpoint = "pty"
	}
	k := &Key{
		ID: o.ID, Endpoint: o.Endpoint, person: emulator.NewPerson(o.Policy), ask: o.Ask, clock: new(emulator.Clock)}
	if err := w.reserve(k.ID); err != nil {
		return nil, err
	}
	w.observe(k, &o.Options)
	if o.Faults != nil {
		o.Options = o.Faults.Options(o.Options)
	}
	if err := w.plug(ctx, k, o.Options); err != nil {
		w.release(k.ID)
		return nil, err
	}
	return k, nil
}

func (w *Workbench) plug(ctx context.Context, k *Key, o softkey.Options) (err error) {
	if k.Key, err = softkey.Plug(ctx, o); err != nil {
		return err
	}
	var lose context.CancelFunc
	k.gone, lose = context.WithCancel(context.Background())
	if err := w.add(k); err != nil {
		lose()
		return errors.Join(err, k.Close())
	}
	w.followers.Go(func() {
		<-k.Lost()
		lose()
		w.lost(k)
	})
	return nil
}

// named gives the key its ID, before anybody can reach it.
func (w *Workbench) named(k *Key, place softkey.Place) softkey.Place {
	if place == nil {
		place = softkey.PTY
	}
	return func(ctx context.Context, key *softkey.Key) (softkey.Endpoint, error) {
		e, err := place(ctx, key)
		if err != nil || k.ID != "" {
			return e, err
		}
		for id := deviceID(e.Path()); k.ID == ""; id = NewID() {
			if id != "" && w.reserve(id) == nil {
				k.ID = id
			}
		}
		return e, nil
	}
}

// reserve takes an ID, unless it is empty.
func (w *Workbench) reserve(id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ids[id]:
		return ErrIDTaken
	case id == "":
		return nil
	case w.ids == nil:
		w.ids = make(map[string]bool)
	}
	w.ids[id] = true
	return nil
}

func (w *Workbench) release(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.ids, id)
}

func (w *Workbench) add(k *Key) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return ErrClosed
	}
	w.keys = append(w.keys, k)
	return nil
}

// NewID makes an ID for a key.
func NewID() string { return strings.ToLower(rand.Text()[:8]) }

// deviceID is the ID that fobd gives the key; empty where fobd can't reach it.
func deviceID(path string) string {
	id, _ := helper.DeviceID(path)
	return string(id)
}

// lost tells of a key that nobody has closed.
func (w *Workbench) lost(k *Key) {
	w.mu.Lock()
	closed := w.closed
	w.mu.Unlock()
	if closed {
		return
	}
	err := k.Close()
	w.plugs.tell()
	e := ipc.KeyEvent{Kind: ipc.KeyWasLost, Key: k.ID}
	if err != nil {
		e.Problem = err.Error()
	}
	w.events.emit(e)
	if w.Lost != nil {
		w.Lost(k, err)
	}
}

// Close unplugs all keys, and returns when nothing of them is left.
func (w *Workbench) Close() error {
	w.mu.Lock()
	w.closed = true
	keys := slices.Clone(w.keys)
	w.mu.Unlock()
	var errs []error
	for _, k := range keys {
		if k.gone.Err() == nil { // those that are lost were told of
			errs = append(errs, k.Close())
		}
	}
	w.followers.Wait()
	return errors.Join(errs...)
}

// all lists the keys.
func (w *Workbench) all() []*Key {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.keys)
}

// find gives the key of an ID or path, or the only one that is not lost.
func (w *Workbench) find(name string) (*Key, error) {
	keys := w.all()
	if name != "" {
		i := slices.IndexFunc(keys, func(k *Key) bool { return k.ID == name })
		if i < 0 {
			i = slices.IndexFunc(keys, func(k *Key) bool { return k.Path() == name })
		}
		if i < 0 {
			return nil, ipc.UnknownKey{Key: cut(name, maxName)}
		}
		return keys[i], nil
	}
	if len(keys) > 1 {
		keys = slices.DeleteFunc(keys, func(k *Key) bool { return k.gone.Err() != nil })
	}
	switch len(keys) {
	case 0:
		return nil, ipc.NoKey{}
	case 1:
		return keys[0], nil
	}
	several := ipc.SeveralKeys{Count: len(keys)}
	for _, k := range keys[:min(len(keys), 100)] {
		several.Keys = append(several.Keys, k.ID)
	}
	return nil, several
}

// alive is find for what a lost key can't do.
func (w *Workbench) alive(name string) (*Key, error) {
	k, err := w.find(name)
	if err == nil && k.gone.Err() != nil {
		return nil, lostKey(k)
	}
	return k, err
}

func lostKey(k *Key) error {
	e := ipc.KeyLost{Key: k.ID}
	if err := k.Close(); err != nil {
		e.Problem = err.Error()
	}
	return e
}
