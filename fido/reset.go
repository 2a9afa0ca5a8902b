package fido

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"fob/fido/ctap"
)

// FollowedSource is a Source whose keys can be followed when they are unplugged and plugged in again.
type FollowedSource interface {
	Source
	Watcher
}

// ResetRounds is how many times the person may plug a key in again until it is reset in time.
const ResetRounds = 3

// Errors of Reset.
var (
	ErrUnrecognizable = Unsupported("to be recognized when it is plugged in again, so that no other is reset in its place")
	ErrResetLate      = errors.New("the key was never reset in time after it was plugged in")
	ErrStillPIN       = errors.New("the key says that it is reset, and has a PIN all the same")
	ErrWatchEnded     = errors.New("the system does not tell any more what is plugged in and out")
)

// NotTheSameKeyError says why it is not certain which key would be reset. Nothing was.
type NotTheSameKeyError struct{ Problem string }

func (e *NotTheSameKeyError) Error() string { return "not the same key: " + e.Problem }

// Reset erases a key (CTAP 2.2 §6.6), once the person has unplugged it and plugged it in again: that is sent to no
// other key, and to none that was not plugged in since. What else is plugged in must stay as it is meanwhile. Reset
// closes key.Key; others of s it opens and closes itself.
func Reset(ctx context.Context, s FollowedSource, key Candidate, p Prompter) error {
	ctx, stop := context.WithCancel(ctx)
	r := &reset{source: s, prompt: p, before: key.Info}
	defer r.end()
	defer stop()
	if err := r.begin(ctx, key); err != nil {
		return err
	}
	for round := range ResetRounds {
		ask := ReplugPrompt{Device: r.device, Late: round > 0, LongTouch: r.info.LongTouchForReset}
		if err := p.Replug(ctx, ask); err != nil {
			return err
		}
		if err := r.replugged(ctx); err != nil {
			return err
		}
		if err := r.erase(ctx); !isStatus(err, ctap.ErrNotAllowed) {
			return err
		}
	}
	return ErrResetLate
}

// reset is one call of Reset.
type reset struct {
	source FollowedSource
	prompt Prompter
	before DeviceInfo            // the key as it was at first
	info   *ctap.GetInfoResponse // what it said then
	device DeviceInfo            // the key as it is plugged in now
	events <-chan Event          // nil before they are watched
}

func (r *reset) begin(ctx context.Context, key Candidate) (err error) {
	r.device = r.before
	defer key.Key.Close() // it is about to be unplugged
	if r.before.Mark == "" {
		return ErrUnrecognizable
	}
	if r.info, err = key.Key.GetInfo(ctx); err != nil {
		return err
	}
	if slices.Equal(r.info.Versions, []string{ctap.VersionU2F}) {
		return Unsupported("to be reset") // CTAP1 has no such command
	}
	if via := r.info.TransportsForReset; len(via) > 0 && !slices.Contains(via, "usb") {
		return Unsupported("to be reset over USB, but over " + strings.Join(via, ", "))
	}
	now, events, err := r.source.Watch(ctx)
	if err != nil {
		return errors.Join(ErrWatchEnded, err)
	}
	r.events = events
	for _, d := range now {
		if d.ID == r.before.ID && d.Path == r.before.Path {
			return nil
		}
	}
	return ErrDeviceGone
}

// end waits until nothing of the watch is left; its context has ended.
func (r *reset) end() {
	if r.events == nil {
		return
	}
	for range r.events {
	}
}

// replugged waits until the key was unplugged and plugged in again.
func (r *reset) replugged(ctx context.Context) error {
	for out := false; ; {
		select {
		case e, ok := <-r.events:
			if !ok {
				return ErrWatchEnded
			}
			back, err := r.take(e, &out)
			if back || err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// take looks at an event: whether the key is back. Any other key that comes or goes ends the reset.
func (r *reset) take(e Event, out *bool) (back bool, err error) {
	ours := e.Device.ID == r.device.ID && e.Device.Path == r.device.Path
	switch {
	case e.Kind == Removed && ours && !*out:
		*out = true
		return false, nil
	case e.Kind == Removed:
		return false, &NotTheSameKeyError{"another key was unplugged"}
	case e.Kind == Added && !*out:
		return false, &NotTheSameKeyError{"another key was plugged in"}
	case e.Kind == Added && !sameKey(r.before, e.Device):
		return false, &NotTheSameKeyError{"another one was plugged in, or at another place"}
	case e.Kind == Added:
		r.device = e.Device
		return true, nil
	}
	return false, nil
}

// sameKey reports whether now is before, plugged in again, as far as that shows without opening it.
func sameKey(before, now DeviceInfo) bool {
	now.ID, now.Path, before.ID, before.Path = "", "", "", ""
	return before.Mark != "" && now == before
}

// erase resets the key that was plugged in again, if it is the same.
func (r *reset) erase(ctx context.Context) error {
	key, err := r.source.Open(ctx, r.device.ID)
	if err != nil {
		return err
	}
	defer key.Close()
	info, err := key.GetInfo(ctx)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(lasting(r.info), lasting(info)) {
		return &NotTheSameKeyError{"what it says of itself has changed"}
	}
	c := &ceremony{key: key, device: r.device, prompt: r.prompt}
	if err := c.prompting(ctx, TouchPrompt{}, key.Reset); err != nil {
		return err
	}
	if info, err := key.GetInfo(ctx); err == nil && info.Options[ctap.OptionClientPIN] {
		return ErrStillPIN
	}
	return nil // though a key may go away by itself after a reset
}

// lasting is what a key says of itself again after a replug: all but what is encrypted anew each time, or counts.
func lasting(info *ctap.GetInfoResponse) ctap.GetInfoResponse {
	l := *info
	l.EncIdentifier, l.EncCredStoreState, l.UVCountSinceLastPINEntry = nil, nil, nil
	return l
}
