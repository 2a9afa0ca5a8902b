package daemon

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"fob/fido"
	"fob/fido/emulator"
	"fob/fido/softkey"
	"fob/ipc"
)

// ring is a fobd with several emulated keys, which nobody touches until a test says so.
type ring struct {
	*party
	t     *testing.T
	shelf *shelf
	keys  []*ringKey
}

// ringKey is an emulated key, and the person who holds it.
type ringKey struct {
	*softkey.Key
	person *emulator.Person
	mark   string
	id     string // of the fido.DeviceInfo

	mu     sync.Mutex
	asked  int           // how often it has begun to wait for the person
	waits  int           // how many requests wait now
	change chan struct{} // closed when that changes
}

func newRing(t *testing.T) *ring {
	s := newShelf(t)
	return &ring{party: newParty(t, serve(t, s)), t: t, shelf: s}
}

// hold gives a key to somebody who does not touch it.
func hold() (*ringKey, softkey.Options) {
	never, _ := emulator.ParsePolicy("never", nil)
	k := &ringKey{person: emulator.NewPerson(never), change: make(chan struct{})}
	k.person.Asked = func(emulator.Question) { k.count(1) }
	k.person.Answered = func(emulator.Question, error) { k.count(-1) }
	return k, softkey.Options{Presence: k.person.Ask}
}

func (k *ringKey) count(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.waits += n
	k.asked += max(n, 0)
	close(k.change)
	k.change = make(chan struct{})
}

// times is how often the key has been lit.
func (k *ringKey) times() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.asked
}

// await waits until the key is lit or dark.
func (k *ringKey) await(ctx context.Context, lit bool) error {
	for {
		k.mu.Lock()
		waits, change := k.waits, k.change
		k.mu.Unlock()
		if waits > 0 == lit {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// touched has the key be touched from now on, or not any more.
func (k *ringKey) touched(yes bool) {
	name := "never"
	if yes {
		name = "auto"
	}
	policy, _ := emulator.ParsePolicy(name, nil)
	k.person.SetPolicy(policy)
}

// plug adds a key of a profile: with the PIN 1234 where it takes one and pin says so, and with a finger enrolled where
// it has a sensor.
func (r *ring) plug(profile string, pin bool, change func(softkey.Options) softkey.Options) *ringKey {
	r.t.Helper()
	k, o := hold()
	var err error
	if o.Profile, err = emulator.LookupProfile(profile); err != nil {
		r.t.Fatal(err)
	}
	sensor := o.Profile.MaxFingerprints > 0
	if pin && o.Profile.PIN || sensor || o.Profile.AlwaysUV {
		o.PIN = fido.PIN("1234")
	}
	if change != nil {
		o = change(o)
	}
	k.mark = fmt.Sprint(len(r.keys))
	if k.Key = r.shelf.plug(k.mark, o); k.Key == nil {
		r.t.FailNow()
	}
	r.add(k, k.Path())
	if sensor && k.Status().Fingerprints == 0 {
		k.touched(true)
		_, err := r.client.AddFingerprint(r.t.Context(), ipc.AddFingerprintRequest{Name: "left", Device: k.id},
			&person{pin: "1234"})
		if err != nil {
			r.t.Fatal(err)
		}
		k.touched(false)
	}
	return k
}

// add learns the ID of a key that is plugged in.
func (r *ring) add(k *ringKey, path string) {
	r.t.Helper()
	devices, err := r.shelf.Devices(r.t.Context())
	i := slices.IndexFunc(devices, func(d fido.DeviceInfo) bool { return d.Path == path })
	if err != nil || i < 0 {
		r.t.Fatalf("%s is not in %+v, %v", path, devices, err)
	}
	k.id = string(devices[i].ID)
	r.keys = append(r.keys, k)
}

// touch touches one of the keys as soon as all of lit wait for it, during what do does. Afterwards no key is lit any
// more, and lit are those that ever were.
func (r *ring) touch(chosen *ringKey, lit []*ringKey, do func(ctx context.Context, who *person) error) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), faultBound)
	defer cancel()
	before := make(map[*ringKey]int)
	for _, k := range r.keys {
		before[k] = k.times()
	}
	var touching sync.WaitGroup
	touching.Go(func() {
		for _, k := range lit {
			if err := k.await(ctx, true); err != nil {
				r.t.Errorf("%s (%s) is not lit: %v", k.id, k.Name, err)
			}
		}
		chosen.touched(true)
	})
	who := &person{pin: "1234", saw: func(e ipc.Event) {
		if e.Kind == ipc.EventChosen && e.Device != chosen.id || e.Kind == ipc.EventPassed {
			r.t.Errorf("%+v, want the key %s (%s)", e, chosen.id, chosen.Name)
		}
	}}
	if err := do(ctx, who); err != nil {
		r.t.Errorf("%s (%s): %v", chosen.id, chosen.Name, err)
	}
	cancel()
	touching.Wait()
	chosen.touched(false)
	if chosen := slices.Contains(who.seen, ipc.EventChosen); chosen != (len(lit) > 1) {
		r.t.Errorf("%d keys were lit; the person saw %v", len(lit), who.seen)
	}
	for _, k := range r.keys {
		if asked := k.times() > before[k]; asked != slices.Contains(lit, k) {
			r.t.Errorf("%s (%s) was lit: %v", k.id, k.Name, asked)
		}
	}
	r.dark()
}

// dark waits until no key is lit. One that speaks U2F alone stays so for a second, since nobody can cancel it.
func (r *ring) dark() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), faultBound)
	defer cancel()
	for _, k := range r.keys {
		if err := k.await(ctx, false); err != nil {
			r.t.Errorf("%s (%s) is still lit", k.id, k.Name)
		}
	}
}
