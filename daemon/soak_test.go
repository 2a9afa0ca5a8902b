package daemon

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/emulator"
	"fob/fido/fault"
	"fob/fido/helper"
	"fob/fido/relyingparty"
	"fob/fido/softkey"
	"fob/fido/webauthn"
	"fob/ipc"
)

const (
	soakCeremonies = 200 // FOB_SOAK sets another number; "make soak" has 10,000
	soakSlots      = 5   // keys at once, at most
	soakClients    = 6
	soakLife       = 25 // ceremonies in the life of a key, about
)

// TestSoak has one fobd live through many ceremonies of several clients at once, with one to five keys of different
// models that fail at random, are pulled out, and are taken out for others; and with clients that hang up at random.
// Each ceremony ends with what the relying party verifies or with an error that has a name. In the end there are as
// many goroutines, descriptors and processes as there were in the beginning.
func TestSoak(t *testing.T) {
	n := soakCeremonies
	if text := os.Getenv("FOB_SOAK"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal("FOB_SOAK: ", err)
		}
	}
	t.Run("warm up", func(t *testing.T) { soak(t, 10) }) // what is made once for all counts as left over from now on
	before := leftovers(t)
	t.Run("soak", func(t *testing.T) {
		count := soak(t, n)
		t.Log(count)
		if count["ok"] < n/4 {
			t.Errorf("%d of %d ceremonies went well", count["ok"], n)
		}
	})
	nothingLeft(t, before)
}

// soak performs n ceremonies at a fobd of its own, and counts what came of them.
func soak(t *testing.T, n int) map[string]int {
	rack := newRack(t)
	source := &helper.Source{Path: helperPath, NoDiscovery: true, Extra: rack.infos, ExtraChanged: rack.follow}
	client := serve(t, source)
	ctx, stop := context.WithCancel(t.Context())
	var keeper, clients sync.WaitGroup
	keeper.Go(func() { source.Keep(ctx) })
	work, outcomes := make(chan uint64), make(chan string)
	for range soakClients {
		clients.Go(func() {
			c := &soakClient{newParty(t, client), t}
			for seed := range work {
				outcomes <- c.ceremony(seed)
			}
		})
	}
	go func() {
		for seed := range n {
			work <- uint64(seed)
		}
		close(work)
		clients.Wait()
		close(outcomes)
	}()
	count := make(map[string]int)
	done, last := 0, time.Now()
	for o := range outcomes {
		count[o]++
		if done++; time.Since(last) > time.Minute {
			last = time.Now()
			t.Logf("%d of %d: %v", done, n, count)
		}
		if done%(soakLife/soakSlots) == 0 {
			rack.renew(done)
		}
	}
	stop()
	keeper.Wait()
	rack.close()
	return count
}

// rack has slots for keys.
type rack struct {
	t *testing.T

	mu      sync.Mutex
	slots   [soakSlots]*softkey.Key
	faults  [soakSlots]*fault.Injector
	changed map[int]func()
	calls   int
}

func newRack(t *testing.T) *rack {
	r := &rack{t: t, changed: make(map[int]func())}
	for i := range soakSlots {
		r.plug(i, uint64(i))
	}
	return r
}

// soakFaults leave most ceremonies without one: there are more of those, and a key that has gone stays away.
var soakFaults = []fault.Fault{
	fault.MustParse("random in packet 0.3%"), fault.MustParse("random out packet 0.3%"),
	fault.MustParse("random on any 1%"), fault.MustParse("random after any 1%"),
}

// soakProfiles are models that differ in what they can and want.
var soakProfiles = []string{"fido2.1", "fido2.0", "fingerprint", "no-pin", "like-yubikey-5.4", "like-nitrokey-3", "fido2.2"}

func (r *rack) plug(slot int, seed uint64) {
	profile, err := emulator.LookupProfile(soakProfiles[seed%uint64(len(soakProfiles))])
	if err != nil {
		r.t.Error(err)
		return
	}
	in := fault.New(seed, soakFaults...)
	o := softkey.Options{Profile: profile}
	if seed%3 == 0 && profile.Name != "no-pin" {
		o.PIN = fido.PIN("1234")
	}
	key, err := softkey.Plug(context.Background(), in.Options(o))
	if err != nil {
		r.t.Error(err)
		return
	}
	r.mu.Lock()
	r.slots[slot], r.faults[slot] = key, in
	r.mu.Unlock()
	r.tell()
}

// renew takes a key out for good, and puts another in its place, or none for a while.
func (r *rack) renew(done int) {
	slot := done / (soakLife / soakSlots) % soakSlots
	r.mu.Lock()
	key, in := r.slots[slot], r.faults[slot]
	r.slots[slot], r.faults[slot] = nil, nil
	r.mu.Unlock()
	if key != nil {
		key.Close() // one that has failed says so
		in.Wait()
		r.tell()
	}
	if slot == 0 || done%3 > 0 {
		r.plug(slot, uint64(done))
	}
}

func (r *rack) close() {
	for i := range soakSlots {
		r.mu.Lock()
		key, in := r.slots[i], r.faults[i]
		r.slots[i] = nil
		r.mu.Unlock()
		if key != nil {
			key.Close()
			in.Wait()
		}
	}
}

func (r *rack) infos() (list []fido.DeviceInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range r.slots {
		if key == nil {
			continue
		}
		if info := key.Info(); info.Path != "" {
			list = append(list, info)
		}
	}
	return list
}

// follow is helper.Source.ExtraChanged.
func (r *rack) follow(changed func()) (stop func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	id := r.calls
	r.changed[id] = changed
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.changed, id)
	}
}

func (r *rack) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, changed := range r.changed {
		changed()
	}
}

// soakClient is a relying party and its client, with the records of credentials of which the keys may be gone.
type soakClient struct {
	*party
	t *testing.T
}

// ceremony registers or signs in, with all keys or one, and hangs up in one of ten. It gives what came of it.
func (c *soakClient) ceremony(seed uint64) string {
	random := rand.New(rand.NewPCG(seed, 1))
	ctx, cancel := context.WithTimeout(c.t.Context(), faultBound)
	defer cancel()
	who := &person{pin: "1234"}
	hangsUp := random.IntN(10) == 0
	if hangsUp {
		who.saw = func(e ipc.Event) {
			if e.Kind != ipc.EventWaiting {
				cancel()
			}
		}
	}
	device := ""
	if devices, err := c.client.Devices(ctx); err == nil && len(devices) > 0 && random.IntN(2) == 0 {
		device = devices[random.IntN(len(devices))].ID
	}
	verification := webauthn.UserVerificationPreferred
	if random.IntN(4) == 0 {
		verification = webauthn.UserVerificationDiscouraged
	}
	do := c.signIn
	if len(c.records) == 0 || random.IntN(3) == 0 {
		do = c.register
	}
	err := do(ctx, who, device, verification)
	var named ipc.Error
	switch {
	case err == nil:
		return "ok"
	case hangsUp && errors.Is(ctx.Err(), context.Canceled): // whatever came first
		return "hung up"
	case ctx.Err() != nil:
		c.t.Errorf("ceremony %d: no end after %v", seed, faultBound)
	case errors.Is(err, relyingparty.ErrNotVerified): // bits were wrong on the way, against which CTAPHID has no checksum
		return "not verified"
	case !errors.As(err, &named), errors.As(err, new(ipc.HelperFailed)):
		c.t.Errorf("ceremony %d: %T: %v", seed, err, err)
	default:
		if errors.Is(err, ipc.NotRegistered{}) {
			c.records = nil // of keys that are gone
		}
		if errors.As(err, new(ipc.Failed)) {
			c.t.Logf("ceremony %d: %v", seed, err)
		}
		return named.VarlinkError()
	}
	return "wrong"
}

func (c *soakClient) register(
	ctx context.Context, who *person, device string, v webauthn.UserVerificationRequirement,
) error {
	err := c.party.register(ctx, who, device, relyingparty.RegistrationChoices{
		UserVerification: v, Attestation: webauthn.AttestationDirect, Timeout: faultTimeout})
	if len(c.records) > 8 { // of keys that are gone by now
		c.records = c.records[1:]
	}
	return err
}

func (c *soakClient) signIn(
	ctx context.Context, who *person, device string, v webauthn.UserVerificationRequirement,
) error {
	return c.party.signIn(ctx, who, device, relyingparty.SignInChoices{UserVerification: v, Timeout: faultTimeout})
}
