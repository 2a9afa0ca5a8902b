package emulator

import (
	"errors"
	"sync/atomic"
	"time"
)

// Clock is a key's clock that can be put forward; its Now is for Options. The zero value shows the right time.
type Clock struct{ ahead atomic.Int64 } // nanoseconds

// MaxAhead is how far a Clock may be ahead.
const MaxAhead = 100 * 365 * 24 * time.Hour

// ErrClock is a Clock that was to go back, or beyond MaxAhead.
var ErrClock = errors.New("a key's clock goes forward, by no more than a hundred years")

// Now gives the time that the clock shows.
func (c *Clock) Now() time.Time { return time.Now().Add(c.Ahead()) }

// Ahead says how far the clock is ahead.
func (c *Clock) Ahead() time.Duration { return time.Duration(c.ahead.Load()) }

// Advance puts the clock forward and says how far it is ahead then; ErrClock leaves it as it is.
func (c *Clock) Advance(d time.Duration) (ahead time.Duration, err error) {
	for {
		old := c.Ahead()
		if d < 0 || d > MaxAhead-old {
			return old, ErrClock
		}
		if c.ahead.CompareAndSwap(int64(old), int64(old+d)) {
			return old + d, nil
		}
	}
}
