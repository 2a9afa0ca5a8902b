package account

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"fob/hotp"
)

// reference is the model in few words: whose devices are which, and which codes were let in.
type reference struct {
	owner map[string]string // by device
	codes map[string]bool   // device, step
}

func (r *reference) count(principal string) (n int) {
	for _, owner := range r.owner {
		if owner == principal {
			n++
		}
	}
	return n
}

// TestHistories lives through random histories and compares them with the reference: never more than eight devices, no
// name twice, none left without a device by themselves, nobody let in by a code that is used or somebody else's, and
// everybody by the code of a device of theirs.
func TestHistories(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			w, r := newWorld(t), &reference{make(map[string]string), make(map[string]bool)}
			for range 250 {
				w.clock = w.clock.Add(time.Duration(random.IntN(90)) * time.Minute / 10)
				if err := step(w, r, random); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func step(w *world, r *reference, random *rand.Rand) error {
	principal := []string{"alice", "bob"}[random.IntN(2)]
	device := fmt.Sprint("d", random.IntN(12))
	var by Authority
	switch random.IntN(4) {
	case 0:
		by = admin
	case 1, 2:
		by, _ = r.authenticate(w, principal, random)
	}
	switch random.IntN(8) {
	case 0, 1, 2, 3:
		return r.enrol(w, principal, device, by)
	case 4:
		return r.detach(w, principal, device, by)
	default:
		return r.signIn(w, principal, device, random)
	}
}

// authenticate signs a principal in by one of its devices, where it has one.
func (r *reference) authenticate(w *world, principal string, random *rand.Rand) (Authority, string) {
	for device, owner := range r.owner {
		if owner != principal || random.IntN(2) == 0 {
			continue
		}
		w.clock = w.clock.Add(2 * time.Minute)
		in, err := w.signInCode(principal, w.code(w.seeds[device], 0))
		if err == nil {
			r.use(w, device)
			return Authority{Session: in.Session}, device
		}
	}
	return Authority{}, ""
}

func (r *reference) use(w *world, device string) (before bool) {
	step, _ := hotp.DefaultTOTP.Step(w.clock)
	name := fmt.Sprint(device, " ", step)
	before, r.codes[name] = r.codes[name], true
	return before
}

func (r *reference) enrol(w *world, principal, device string, by Authority) error {
	old := w.seeds[device]
	err := w.enrolTOTP(principal, device, by)
	if old != nil && err != nil {
		w.seeds[device] = old // it was for another one that has not come
	}
	_, taken := r.owner[device]
	switch n := r.count(principal); {
	case err == nil && (taken || n >= MaxDevices):
		return fmt.Errorf("%s has %d devices, and %s more", principal, n, device)
	case err == nil && n > 0 && by == (Authority{}):
		return fmt.Errorf("%s got %s without another device", principal, device)
	case err != nil && !taken && n < MaxDevices && by != (Authority{}):
		return fmt.Errorf("%s did not get %s: %w", principal, device, err)
	case err == nil:
		r.owner[device] = principal
	}
	if got := len(w.devices(principal)); got != r.count(principal) {
		return fmt.Errorf("%s has %d devices, and not %d", principal, got, r.count(principal))
	}
	return nil
}

func (r *reference) detach(w *world, principal, device string, by Authority) error {
	err := w.Detach("home", principal, device, by)
	has := r.owner[device] == principal
	last := r.count(principal) == 1 && !by.Administrator
	switch {
	case err == nil && (!has || last || by == (Authority{})):
		return fmt.Errorf("%s has detached %s", principal, device)
	case err != nil && has && !last && by != (Authority{}):
		return fmt.Errorf("%s can't detach %s: %w", principal, device, err)
	case err == nil:
		delete(r.owner, device)
	}
	return nil
}

// signIn tries the code of a device, whosever it is.
func (r *reference) signIn(w *world, principal, device string, random *rand.Rand) error {
	seed := w.seeds[device]
	if seed == nil || r.count(principal) == 0 {
		return nil
	}
	w.clock = w.clock.Add(time.Hour) // no failure of before throttles it
	code := w.code(seed, 0)
	in, err := w.signInCode(principal, code)
	if has := r.owner[device] == principal; has != (err == nil) {
		return fmt.Errorf("%s, by the code of %s, which is %q's: %v", principal, device, r.owner[device], err)
	}
	if err != nil {
		return nil
	}
	if r.use(w, device) || in.Device.Name != device {
		return fmt.Errorf("%s came in again by %s, as %s", principal, device, in.Device.Name)
	}
	w.clock = w.clock.Add(time.Duration(random.IntN(30)) * time.Second)
	if _, err := w.signInCode(principal, code); !errors.Is(err, hotp.ErrUsed) && !errors.Is(err, hotp.ErrWrongCode) {
		return fmt.Errorf("the code of %s is accepted again: %v", device, err)
	}
	return nil
}
