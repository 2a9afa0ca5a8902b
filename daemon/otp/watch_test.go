package otp

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/hotp"
)

var errEnough = errors.New("enough")

// Each code comes when its time does: the first at once, whenever that is.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newTokens(t)
		add(t, all, named("a", hotp.DefaultTOTP))
		time.Sleep(7*time.Second + 300*time.Millisecond)
		begun := time.Now()
		var came []string
		err := all.Watch(t.Context(), "a", func(c Code) error {
			if want := code(t, all, "a", time.Now()); c.Code != want.Code || c.End != want.End {
				t.Errorf("%+v, want %+v", c, want)
			}
			came = append(came, fmt.Sprint(time.Since(begun), " to ", c.End.Sub(begun)))
			if len(came) == 4 {
				return errEnough
			}
			return nil
		})
		want := "0s to 22.7s, 22.7s to 52.7s, 52.7s to 1m22.7s, 1m22.7s to 1m52.7s"
		if got := strings.Join(came, ", "); err != errEnough || got != want {
			t.Errorf("%v: %s", err, got)
		}
	})
}

func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newTokens(t)
		add(t, all, named("a", hotp.DefaultTOTP))
		ctx, stop := context.WithCancelCause(t.Context())
		codes := 0
		time.AfterFunc(40*time.Second, func() { stop(errEnough) })
		begun := time.Now()
		err := all.Watch(ctx, "a", func(Code) error { codes++; return nil })
		if err != errEnough || codes != 2 || time.Since(begun) != 40*time.Second {
			t.Error(err, codes, time.Since(begun))
		}
		if err := all.Watch(t.Context(), "b", func(Code) error { return nil }); err != ErrNotFound {
			t.Error(err)
		}
	})
}

// A clock that is set to before the code has begun does not leave it standing.
func TestClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now().Add(time.Hour)
		if err := outlast(t.Context(), begin, begin.Add(30*time.Second)); err != nil || time.Now().After(begin) {
			t.Error(err, time.Now())
		}
	})
}
