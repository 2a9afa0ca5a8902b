package endpoint

import (
	"bytes"
	"context"
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctaphid"
)

const (
	recordSize = 1 + ctaphid.ReportSize // report number, report
	// recordTimeout is how long the rest of a record may take. The kernel hands the parts of one write over at once;
	// a host that wrote less than a record must not shift the bytes of the others.
	recordTimeout = 500 * time.Millisecond
	// leftoverLimit bounds what is read at a hang-up to be discarded, in bytes. The kernel keeps less than this.
	leftoverLimit = 64 << 10
)

// opening is how the first record of every host begins: CTAPHID_INIT on the broadcast channel.
var opening = []byte("\x00\xff\xff\xff\xff\x86\x00\x08")

// past is a deadline that wakes whoever waits for a file.
var past = time.Unix(1, 0)

// conn is the master's side of the terminal as a ctaphid.Conn. Those that wait for it are goroutines of the runtime's
// poller, lest each key holds a thread.
type conn struct {
	master  int
	file    *os.File        // of master
	raw     syscall.RawConn // of file
	hosts   *hosts
	records []byte // read, not handed out yet
	out     outgoing
}

// ReadReport looks at the hosts that have come and gone before each report, and not only when it has to wait: a host
// that is killed in mid-ceremony may be followed at once by another one, whose reports must come after the hang-up.
func (c *conn) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	for {
		deadline := c.deadline()
		c.file.SetReadDeadline(deadline) // before we look: whoever changes it from here on wakes us
		hungUp, anyone, again, err := c.hosts.news(c.opens())
		switch {
		case ctx.Err() != nil:
			return ctaphid.Report{}, ctx.Err()
		case err != nil:
			return ctaphid.Report{}, err
		case hungUp:
			return ctaphid.Report{}, c.hangUp(anyone)
		case len(c.records) < recordSize:
			if again {
				c.file.SetReadDeadline(time.Now().Add(closingInterval))
			}
			if err := c.wait(ctx, anyone, deadline); err != nil {
				return ctaphid.Report{}, err
			}
		default:
			if r, ok := c.nextRecord(); ok {
				return r, nil
			}
		}
	}
}

// nextRecord is false for a record with a report number, of which CTAPHID has none.
func (c *conn) nextRecord() (ctaphid.Report, bool) {
	if c.opens() {
		c.hosts.speaks()
	}
	record := c.records[:recordSize]
	c.records = c.records[recordSize:]
	return ctaphid.Report(record[1:]), record[0] == 0
}

// opens reports whether the next record is the first of a host.
func (c *conn) opens() bool { return bytes.HasPrefix(c.records, opening) }

// deadline is when the rest of a record must have come, if there is a part of one.
func (c *conn) deadline() time.Time {
	if n := len(c.records); n == 0 || n >= recordSize {
		return time.Time{}
	}
	return time.Now().Add(recordTimeout)
}

// wait waits for something to happen and reads what hosts wrote. That nobody has the terminal open is news unless it
// was known before.
func (c *conn) wait(ctx context.Context, anyone bool, deadline time.Time) (err error) {
	defer whenDone(ctx, func() { c.file.SetReadDeadline(past) })()
	woken := false
	waited := c.raw.Read(func(uintptr) bool {
		var n int
		var nobody bool
		n, nobody, err = c.fill()
		if n > 0 || err != nil || woken || nobody && anyone {
			return true
		}
		woken = true
		return false
	})
	if !errors.Is(waited, os.ErrDeadlineExceeded) {
		return errors.Join(err, waited)
	}
	if !deadline.IsZero() && !time.Now().Before(deadline) {
		c.records = nil
	}
	return nil
}

// fill reads once. It returns 0 when there is nothing to read, and whether that is because nobody has the terminal
// open.
func (c *conn) fill() (n int, nobody bool, err error) {
	var buf [4096]byte
	for {
		n, err := unix.Read(c.master, buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EIO):
			return 0, errors.Is(err, unix.EIO), nil
		case err != nil:
			return 0, false, os.NewSyscallError("read pseudo-terminal", err)
		}
		c.records = append(c.records, buf[:n]...)
		return n, false, nil
	}
}

// hangUp discards what the hosts that are gone left in both directions. It returns ErrHangUp. A host may have come
// meanwhile, or come now; the queue towards the hosts holds nothing for it, since none of its reports was handed out.
func (c *conn) hangUp(anyone bool) error {
	if err := c.out.discard(c.master); err != nil {
		return err
	}
	for len(c.records) < leftoverLimit {
		if n, _, err := c.fill(); err != nil {
			return err
		} else if n == 0 {
			break
		}
	}
	_, came, err := c.hosts.peek()
	if err != nil {
		return err
	}
	c.records = afterLeftover(c.records, anyone || came)
	return ctaphid.ErrHangUp
}

// afterLeftover returns the part of what was read at a hang-up that a new host wrote. It begins with CTAPHID_INIT on
// the broadcast channel, as every host does; the old hosts may have left whole records or part of one before it.
func afterLeftover(records []byte, newHost bool) []byte {
	i := bytes.Index(records, opening)
	if !newHost || i < 0 {
		return nil
	}
	return records[i:]
}
