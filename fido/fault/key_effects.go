package fault

import (
	"context"
	"fmt"
	"time"

	"fob/fido/ctap"
	"fob/fido/emulator"
)

// slow makes the person slow to touch the key.
type slow struct{ time.Duration }

func parseSlow(w *words) (effect, error) {
	d, err := w.duration(0, maxDuration)
	return slow{d}, err
}

func (s slow) String() string { return "slow " + s.Duration.String() }

func (s slow) change(_ context.Context, i *Injector) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.slow = s.Duration
	return nil
}

// clock makes the key's clock jump.
type clock struct{ time.Duration }

func parseClock(w *words) (effect, error) {
	d, err := w.duration(-maxJump, maxJump)
	return clock{d}, err
}

func (c clock) String() string { return "clock " + c.Duration.String() }

func (c clock) change(_ context.Context, i *Injector) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.jumped += c.Duration
	return nil
}

// pinRetries leaves so many attempts for the PIN.
type pinRetries uint

func parsePINRetries(w *words) (effect, error) {
	n, err := w.number(0, 8)
	return pinRetries(n), err
}

func (n pinRetries) String() string { return fmt.Sprintf("pin-retries %d", uint(n)) }

func (n pinRetries) change(ctx context.Context, i *Injector) error {
	retries := uint(n)
	return i.lockOut(ctx, emulator.Retries{PIN: &retries})
}

// pinAuthBlocked is a key that has seen three wrong PINs in a row.
type pinAuthBlocked struct{}

func (pinAuthBlocked) String() string { return "pin-auth-blocked" }

func (pinAuthBlocked) change(ctx context.Context, i *Injector) error {
	blocked := true
	return i.lockOut(ctx, emulator.Retries{AuthBlocked: &blocked})
}

// uvRetries leaves so many attempts for the finger.
type uvRetries uint

func parseUVRetries(w *words) (effect, error) {
	n, err := w.number(0, 3)
	return uvRetries(n), err
}

func (n uvRetries) String() string { return fmt.Sprintf("uv-retries %d", uint(n)) }

func (n uvRetries) change(ctx context.Context, i *Injector) error {
	retries := uint(n)
	return i.key.SetRetries(ctx, emulator.Retries{UV: &retries})
}

// lockOut changes what is left for the PIN, which there must be.
func (i *Injector) lockOut(ctx context.Context, r emulator.Retries) error {
	if i.key.PIN && !i.key.Status().PINSet {
		return ctap.ErrPINNotSet
	}
	return i.key.SetRetries(ctx, r)
}
