package daemon

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"fob/daemon/caller"
	"fob/fido"
	"fob/ipc"
	"fob/ipc/varlink"
)

// tray is where fake keys are plugged in and out. They wait until they are touched.
type tray struct {
	*fakeWatcher
	t      *testing.T
	client *ipc.Client
	daemon *Daemon
	touch  map[fido.DeviceID]chan struct{}

	lock sync.Mutex
	now  []fido.DeviceInfo
	late []fido.DeviceInfo // that came after Devices was asked, and before Watch; nil for none
}

func newTray(t *testing.T, ids ...fido.DeviceID) *tray {
	r := &tray{fakeWatcher: newFakeWatcher(), t: t, touch: make(map[fido.DeviceID]chan struct{})}
	for _, id := range []fido.DeviceID{"k1", "k2", "k3"} {
		r.touch[id] = make(chan struct{})
	}
	for _, id := range ids {
		r.now = append(r.now, event(fido.Added, id).Device)
	}
	r.open = func(id fido.DeviceID) (fido.Authenticator, error) {
		k := &fakeKey{closed: make(chan struct{})}
		k.assert = func(ctx context.Context, _ *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
			select {
			case <-r.touch[id]:
				return []fido.GetAssertionResponse{assertion("alice")}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return k, nil
	}
	r.daemon = &Daemon{Source: r}
	r.client = serveDaemon(t, r.daemon)
	return r
}

func (r *tray) Devices(context.Context) ([]fido.DeviceInfo, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	return r.now, nil
}

func (r *tray) Watch(ctx context.Context) ([]fido.DeviceInfo, <-chan fido.Event, error) {
	r.lock.Lock()
	defer r.lock.Unlock()
	_, events, err := r.fakeWatcher.Watch(ctx)
	if r.late != nil {
		return r.late, events, err
	}
	return r.now, events, err
}

// plug plugs a key in, while somebody watches.
func (r *tray) plug(id fido.DeviceID) {
	e := event(fido.Added, id)
	r.lock.Lock()
	r.now = append(slices.Clone(r.now), e.Device)
	r.lock.Unlock()
	r.events <- e
}

// unplug takes a key out, while somebody watches.
func (r *tray) unplug(id fido.DeviceID) {
	e := event(fido.Removed, id)
	r.lock.Lock()
	r.now = slices.DeleteFunc(slices.Clone(r.now), func(d fido.DeviceInfo) bool { return d.ID == id })
	r.lock.Unlock()
	r.events <- e
}

// call is a ceremony that goes on.
type call struct {
	*tray
	saw    chan ipc.Event
	end    chan error
	hangUp context.CancelFunc
}

func (r *tray) signIn(device string) *call {
	ctx, hangUp := context.WithCancel(r.t.Context())
	c := &call{r, make(chan ipc.Event, 64), make(chan error, 1), hangUp}
	in := signInRequest()
	in.Device = device
	go func() {
		_, err := r.client.SignIn(ctx, in, &person{saw: func(e ipc.Event) { c.saw <- e }})
		c.end <- err
	}()
	return c
}

// sees checks the next event.
func (c *call) sees(kind ipc.EventKind, device string, position int) ipc.Event {
	c.t.Helper()
	select {
	case e := <-c.saw:
		if e.Kind != kind || e.Device != device || e.Position != position {
			c.t.Fatalf("saw %s %s %d, want %s %s %d", e.Kind, e.Device, e.Position, kind, device, position)
		}
		return e
	case err := <-c.end:
		c.t.Fatalf("ended (%v) before %s %s", err, kind, device)
		return ipc.Event{}
	}
}

// isTouched touches the key of a ceremony, which ends.
func (c *call) isTouched(id fido.DeviceID) {
	c.t.Helper()
	c.touch[id] <- struct{}{}
	if err := <-c.end; err != nil {
		c.t.Fatal(err)
	}
}

// TestFirstFreeKey: a ceremony for any key waits for the one that comes free first, and says of the others who has
// them.
func TestFirstFreeKey(t *testing.T) {
	r := newTray(t, "k1", "k2")
	one, two := r.signIn("k1"), r.signIn("k2")
	one.sees(ipc.EventTouch, "k1", 0)
	two.sees(ipc.EventTouch, "k2", 0)
	any := r.signIn("")
	any.sees(ipc.EventWaiting, "k1", 1)
	two.isTouched("k2")
	if e := any.sees(ipc.EventPassed, "k1", 0); e.Error != "fob.Device.DeviceBusy" {
		t.Errorf("%+v", e)
	}
	any.sees(ipc.EventTouch, "k2", 0)
	any.isTouched("k2")
	one.isTouched("k1")
}

// TestKeyJoins: a key that is plugged in while a ceremony waits for others serves it, unless it is for another one.
func TestKeyJoins(t *testing.T) {
	r := newTray(t, "k1")
	one := r.signIn("k1")
	one.sees(ipc.EventTouch, "k1", 0)
	named := r.signIn("k1")
	named.sees(ipc.EventWaiting, "k1", 1)
	any := r.signIn("")
	any.sees(ipc.EventWaiting, "k1", 2)
	r.plug("k2")
	any.sees(ipc.EventPassed, "k1", 0)
	any.sees(ipc.EventTouch, "k2", 0)
	any.isTouched("k2")
	one.isTouched("k1")
	named.sees(ipc.EventTouch, "k1", 0)
	named.isTouched("k1")
}

// TestPlug: without a key, a ceremony waits for one; and again when that is taken out before it could be used.
func TestPlug(t *testing.T) {
	r := newTray(t)
	first := r.signIn("")
	first.sees(ipc.EventPlug, "", 0)
	r.plug("k1")
	first.sees(ipc.EventTouch, "k1", 0)
	second := r.signIn("")
	second.sees(ipc.EventWaiting, "k1", 1)
	r.unplug("k1")
	second.sees(ipc.EventPlug, "", 0)
	r.plug("k2")
	second.sees(ipc.EventTouch, "k2", 0)
	second.isTouched("k2")
	first.isTouched("k1")
}

// TestUnpluggedWhileWaiting: who waits for one key hears that it is gone.
func TestUnpluggedWhileWaiting(t *testing.T) {
	r := newTray(t, "k1")
	first := r.signIn("")
	first.sees(ipc.EventTouch, "k1", 0)
	second := r.signIn("k1")
	second.sees(ipc.EventWaiting, "k1", 1)
	r.unplug("k1")
	if err := <-second.end; !errors.Is(err, ipc.DeviceGone{}) {
		t.Error(err)
	}
	first.isTouched("k1")
}

// TestPlugSeveral: what manages a key does not choose one of several that come at once.
func TestPlugSeveral(t *testing.T) {
	r := newTray(t)
	r.late = []fido.DeviceInfo{{ID: "k1"}, {ID: "k2"}}
	p := &person{}
	err := r.client.SetPIN(t.Context(), "", p)
	if several := new(ipc.SeveralDevices); !errors.As(err, several) || len(several.Devices) != 2 || len(p.seen) != 1 {
		t.Error(err, p.seen)
	}
}

// TestNoWait: who does not wait hears who has the key.
func TestNoWait(t *testing.T) {
	r := newTray(t, "k1")
	impatient := *r.client
	impatient.NoWait = true
	try := func() error {
		_, err := impatient.SignIn(t.Context(), signInRequest(), &person{saw: func(e ipc.Event) { t.Errorf("%+v", e) }})
		return err
	}
	first := r.signIn("")
	first.sees(ipc.EventTouch, "k1", 0)
	for _, err := range []error{try(), impatient.SetPIN(t.Context(), "k1", &person{}), impatient.Wink(t.Context(), "")} {
		busy := new(ipc.DeviceBusy)
		if !errors.As(err, busy) || busy.Holder == nil || busy.Holder.PID != os.Getpid() || busy.Holder.Program == "" ||
			busy.Holder.Verb != ipc.VerbSignIn || busy.Holder.RPID != "example.com" {
			t.Errorf("%v: %+v", err, busy)
		}
	}
	first.isTouched("k1")
	r.lock.Lock()
	r.now = nil
	r.lock.Unlock()
	if err := try(); !errors.Is(err, ipc.NoDevice{}) {
		t.Error(err)
	}
}

// TestPatienceEnds: the timeout ends what was never a turn.
func TestPatienceEnds(t *testing.T) {
	r := newTray(t, "k1")
	first := r.signIn("")
	first.sees(ipc.EventTouch, "k1", 0)
	in := signInRequest()
	in.Options = bytes.Replace(requestOptions, []byte("{"), []byte(`{"timeout":1,`), 1) // becomes the shortest, a second
	_, err := r.client.SignIn(t.Context(), in, &person{})
	if busy := new(ipc.DeviceBusy); !errors.As(err, busy) || busy.Holder == nil {
		t.Error(err)
	}
	first.isTouched("k1")
	r.lock.Lock()
	r.now = nil
	r.lock.Unlock()
	p := &person{}
	if _, err := r.client.SignIn(t.Context(), in, p); !errors.Is(err, ipc.NoDevice{}) || len(p.seen) != 1 {
		t.Error(err, p.seen)
	}
	r.fails = errors.New("no netlink")
	p = &person{}
	if _, err := r.client.SignIn(t.Context(), in, p); !errors.Is(err, ipc.NoDevice{}) || len(p.seen) != 0 {
		t.Error(err, p.seen)
	}
}

// TestTakeAtRandom has many clients come, wait, give up and go, over several keys: no key is two ceremonies' at a time,
// nobody is woken too late or never, which would leave the bubble with nobody to go on, and nothing is left.
func TestTakeAtRandom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &Daemon{Source: &fakeSource{devices: []fido.DeviceInfo{{ID: "k1"}, {ID: "k2"}, {ID: "k3"}}}}
		var held sync.Map
		var all sync.WaitGroup
		var taken, spare atomic.Int32
		for n := range 600 {
			random := rand.New(rand.NewPCG(uint64(n), 7))
			some := func(milliseconds int) time.Duration {
				return time.Duration(random.IntN(milliseconds)) * time.Millisecond
			}
			c := &ceremony{daemon: d, call: &varlink.Call{}, noWait: random.IntN(8) == 0}
			c.caller = caller.Caller{PID: int32(random.IntN(6))}
			id := []string{"", "", "k1", "k2", "k3"}[random.IntN(5)]
			begin, patience, busy := some(20000), some(4000), some(100)
			all.Go(func() {
				time.Sleep(begin)
				ctx, stop := context.WithTimeoutCause(t.Context(), patience, ipc.TimedOut{})
				defer stop()
				devices, turn, err := d.take(ctx, c, id)
				if err != nil {
					if !errors.As(err, new(ipc.DeviceBusy)) {
						t.Error(err)
					}
					return
				}
				taken.Add(1)
				for _, dev := range devices {
					if _, other := held.LoadOrStore(dev.ID, true); other {
						t.Errorf("%s is used by two at once", dev.ID)
					}
				}
				more := d.turns.enterSpare(clientOf(c.caller), c.holder())
				time.Sleep(busy)
				joined := more.seek(without(turnsOf(devices), "k1", "k2", "k3"))
				for _, name := range joined {
					if _, other := held.LoadOrStore(fido.DeviceID(name), true); other {
						t.Errorf("%s is used by two at once", name)
					}
				}
				spare.Add(int32(len(joined)))
				time.Sleep(busy)
				turn.end()
				more.end()
				for _, dev := range devices {
					held.Delete(dev.ID)
				}
				for _, name := range joined {
					held.Delete(fido.DeviceID(name))
				}
				time.Sleep(time.Millisecond)
				more.leave()
				turn.leave()
			})
		}
		all.Wait()
		if len(d.turns.queues)+len(d.turns.waiting)+len(d.turns.spares) != 0 || taken.Load() < 300 || spare.Load() < 10 {
			t.Errorf("%d had their turn, and %d more; left: %v, %v", taken.Load(), spare.Load(), d.turns.queues, d.turns.waiting)
		}
	})
}

// without gives those of all that are not among some.
func without(some []turn, all ...turn) []turn {
	return slices.DeleteFunc(all, func(n turn) bool { return slices.Contains(some, n) })
}
