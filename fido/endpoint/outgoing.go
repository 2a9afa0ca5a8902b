package endpoint

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctaphid"
)

// writeTimeout is how long hosts may take to make room for a report.
const writeTimeout = time.Second

// outgoing is the direction towards the hosts.
type outgoing struct {
	mu sync.Mutex
	// pending has not been written: a whole report, or the rest of one. Hosts read in steps of 64 bytes, so a report
	// that was written in part must be completed before the next one.
	pending []byte
	stalled bool // no host made room in time
}

// WriteReport gives hosts a second to make room. Then it returns ErrDropped, and does so at once for the reports that
// follow, until there is room again. After a hang-up it drops reports until the Device has been told, lest a new host
// reads the answers to the old ones.
func (c *conn) WriteReport(ctx context.Context, r ctaphid.Report) error {
	hungUp, anyone, err := c.hosts.peek()
	if err != nil {
		return err
	}
	if hungUp || !anyone {
		return ctaphid.ErrDropped
	}
	deadline := time.Now().Add(c.out.add(r))
	defer c.out.drop()
	for ctx.Err() == nil {
		wait := max(0, time.Until(deadline))
		revents, err := poll(wait, pollFD(c.master, unix.POLLOUT), pollFD(c.wake, unix.POLLIN))
		switch {
		case err != nil:
			return err
		case revents[0]&unix.POLLHUP != 0: // nobody has the terminal open
			return ctaphid.ErrDropped
		case revents[0]&unix.POLLOUT != 0:
			if done, err := c.out.write(c.master); done || err != nil {
				return err
			}
		case time.Now().After(deadline):
			c.out.stall()
			return ctaphid.ErrDropped
		}
	}
	return ctx.Err()
}

// add puts a report after the rest of the one before, and returns how long to wait for room.
func (o *outgoing) add(r ctaphid.Report) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = append(o.pending, r[:]...)
	if o.stalled {
		return 0
	}
	return writeTimeout
}

// drop forgets a report of which nothing was written.
func (o *outgoing) drop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = o.pending[:len(o.pending)%ctaphid.ReportSize]
}

func (o *outgoing) stall() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stalled = true
}

// write writes what there is room for, and reports whether that was all.
func (o *outgoing) write(master int) (bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.pending) == 0 { // discarded meanwhile
		return true, nil
	}
	n, err := unix.Write(master, o.pending)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return false, nil
	}
	if err != nil {
		return false, os.NewSyscallError("write pseudo-terminal", err)
	}
	o.pending, o.stalled = o.pending[n:], false
	return len(o.pending) == 0, nil
}

// discard empties the queue: first the bytes on their way to the terminal, then those in it. That it also sets the
// terminal anew undoes what the hosts may have set.
func (o *outgoing) discard(master int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending, o.stalled = nil, false
	if err := unix.IoctlSetInt(master, unix.TCFLSH, unix.TCOFLUSH); err != nil {
		return os.NewSyscallError("TCFLSH", err)
	}
	return setRaw(master)
}
