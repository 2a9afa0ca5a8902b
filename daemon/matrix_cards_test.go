package daemon

import (
	"context"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/nfcbridge"
	"fob/fido/pcsc/pcscdtest"
	"fob/fido/relyingparty"
	"fob/fido/softkey"
	"fob/fido/webauthn"
)

// cardFaults are those of a card that signs in: as a command fails, and an APDU. pcscd takes a second or two to see a
// card come and leave, so not all fail everywhere. Those of the first APDUs would be of a card that is no key.
var cardFaults = []string{
	"garbage on getInfo 2", "truncate after getAssertion 1", "oversize after getAssertion 2",
	"hang on getAssertion 2", "keepalives 9 on getPinToken", "delay 20ms on getPinToken", "status OTHER on getPinToken",
	"unplug for 20ms on getPinToken", "unplug after getAssertion 2",
	"delay 20ms in apdu 9", "corrupt bit in apdu 6", "corrupt bit out apdu 9", "status 0x6f00 in apdu 5",
	"status 0x6985 out apdu 9", "unplug in apdu 9", "unplug for 20ms out apdu 6",
}

// readCards follows the virtual reader until the test ends.
func readCards(t *testing.T, o nfcbridge.Options) *nfcbridge.Watcher {
	pcscdtest.Start(t)
	w := &nfcbridge.Watcher{Options: o}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Follow(ctx, func(nfcbridge.Event) {}) }()
	t.Cleanup(func() { stop(); <-done })
	return w
}

// cardWork has the key that fails be a card, in the one virtual reader, and the other one at a pseudo-terminal.
func cardWork(t *testing.T, states map[string]matrixState) (all []work) {
	w := readCards(t, nfcbridge.Options{})
	for _, words := range cardFaults {
		all = append(all, work{"card/" + words, func(t *testing.T) {
			r := &matrixRun{ring: newRing(t), words: words}
			r.healthy = r.plug("fido2.0", false, states["fido2.0"].put(r, ""))
			r.failing = r.plugCard(w, states["fido2.1"].put(r, words))
			r.ceremony(false)
		}})
	}
	return all
}

// plugCard holds a key to the reader, until the test ends.
func (r *ring) plugCard(w *nfcbridge.Watcher, change func(softkey.Options) softkey.Options) *ringKey {
	r.t.Helper()
	return r.layCard(w, r.addReader(w), change)
}

// addReader has fobd see cards in the reader. It gives what gets a value when they change.
func (r *ring) addReader(w *nfcbridge.Watcher) <-chan struct{} {
	changed := make(chan struct{}, 1)
	r.shelf.Extra = func() []fido.DeviceInfo { return append(r.shelf.extra(), w.Devices()...) }
	r.shelf.ExtraChanged = func(changed func()) (stop func()) {
		stops := []func(){r.shelf.watch(changed), w.Changed(changed)}
		return func() {
			for _, stop := range stops {
				stop()
			}
		}
	}
	r.t.Cleanup(w.Changed(func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}))
	return changed
}

func (r *ring) layCard(
	w *nfcbridge.Watcher, changed <-chan struct{}, change func(softkey.Options) softkey.Options,
) *ringKey {
	r.t.Helper()
	k, o := hold()
	o.Place = softkey.VPCD
	r.t.Cleanup(func() { awaitReader(r.t, w, changed, false) })
	var err error
	if k.Key, err = softkey.Plug(r.t.Context(), change(o)); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { k.Close() })
	r.add(k, awaitReader(r.t, w, changed, true))
	return k
}

// awaitReader waits until there is a card, or none, and tells its path.
func awaitReader(t *testing.T, w *nfcbridge.Watcher, changed <-chan struct{}, there bool) (path string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), faultBound)
	defer cancel()
	for {
		if devices := w.Devices(); len(devices) > 0 == there {
			if there {
				path = devices[0].Path
			}
			return path
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("a card in the reader: not %v", there)
		}
	}
}

// TestCardAmongKeys has a card and keys at once: holding the card to the reader is the first touch, and it is a key
// like the others then.
func TestCardAmongKeys(t *testing.T) {
	// Nobody lets go of the card between two ceremonies: to be powered up anew would be another tap.
	w := readCards(t, nfcbridge.Options{Idle: time.Hour})
	r := newRing(t)
	card := r.plugCard(w, func(o softkey.Options) softkey.Options { return o })
	for _, profile := range []string{"fido2.0", "u2f", "like-nitrokey-3"} {
		r.plug(profile, true, nil)
	}
	choices := relyingparty.RegistrationChoices{UserVerification: webauthn.UserVerificationPreferred}
	if err := r.register(t.Context(), &person{}, "", choices); err != nil || card.times() > 0 {
		t.Fatal(err, "the card asked ", card.times(), " times")
	}
	r.dark()
	r.records = nil
	r.eachServes()
}
