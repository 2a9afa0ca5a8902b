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
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case hungUp || !anyone:
		return ctaphid.ErrDropped
	}
	patient := c.out.add(r)
	defer c.out.drop()
	c.file.SetWriteDeadline(time.Now().Add(writeTimeout))
	defer whenDone(ctx, func() { c.file.SetWriteDeadline(past) })()
	written := false
	waited := c.raw.Write(func(uintptr) bool {
		written, err = c.out.write(c.master)
		return written || err != nil || !patient
	})
	switch {
	case err != nil || written:
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	case waited != nil && !errors.Is(waited, os.ErrDeadlineExceeded):
		return waited
	}
	c.out.stall()
	return ctaphid.ErrDropped
}

// add puts a report after the rest of the one before. It is false when there is no point in waiting for room.
func (o *outgoing) add(r ctaphid.Report) (patient bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pending = append(o.pending, r[:]...)
	return !o.stalled
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
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Write(master, o.pending)
	}
	switch {
	case errors.Is(err, unix.EAGAIN):
		return false, nil
	case errors.Is(err, unix.EIO): // nobody has the terminal open
		return false, ctaphid.ErrDropped
	case err != nil:
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
