package endpoint

import (
	"bytes"
	"context"
	"errors"
	"os"
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

// conn is the master's side of the terminal as a ctaphid.Conn.
type conn struct {
	master  int
	hosts   *hosts
	wake    int    // eventfd, readable once the context of Serve is done
	records []byte // read, not handed out yet
	out     outgoing
}

// ReadReport looks at the hosts that have come and gone before each report, and not only when it has to wait: a host
// that is killed in mid-ceremony may be followed at once by another one, whose reports must come after the hang-up.
func (c *conn) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	for ctx.Err() == nil {
		hungUp, anyone, err := c.hosts.news()
		if err != nil {
			return ctaphid.Report{}, err
		}
		if hungUp {
			return ctaphid.Report{}, c.hangUp(anyone)
		}
		if len(c.records) < recordSize {
			if err := c.wait(anyone); err != nil {
				return ctaphid.Report{}, err
			}
		} else if r, ok := c.nextRecord(); ok {
			return r, nil
		}
	}
	return ctaphid.Report{}, ctx.Err()
}

// nextRecord is false for a record with a report number, of which CTAPHID has none.
func (c *conn) nextRecord() (ctaphid.Report, bool) {
	record := c.records[:recordSize]
	c.records = c.records[recordSize:]
	return ctaphid.Report(record[1:]), record[0] == 0
}

// wait waits for something to happen and reads what hosts wrote. While nobody has the terminal open, the master would
// only say so again and again, so it is left out.
func (c *conn) wait(anyone bool) error {
	master, timeout := c.master, time.Duration(-1)
	if !anyone {
		master = -1
	} else if len(c.records) > 0 {
		timeout = recordTimeout
	}
	started := time.Now()
	revents, err := poll(timeout, pollFD(master, unix.POLLIN), pollFD(c.hosts.inotify, unix.POLLIN),
		pollFD(c.hosts.look, unix.POLLIN), pollFD(c.wake, unix.POLLIN))
	if err != nil {
		return err
	}
	if revents[0]&unix.POLLIN != 0 {
		_, err = c.fill()
	} else if timeout >= 0 && time.Since(started) >= timeout {
		c.records = nil
	}
	return err
}

// fill reads once. It returns 0 when there is nothing to read.
func (c *conn) fill() (int, error) {
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(c.master, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EIO): // EIO: nobody has the terminal open
			return 0, nil
		case err != nil:
			return 0, os.NewSyscallError("read pseudo-terminal", err)
		}
		c.records = append(c.records, buf[:n]...)
		return n, nil
	}
}

// hangUp discards what the hosts that are gone left in both directions. It returns ErrHangUp. A host may have come
// meanwhile, or come now; the queue towards the hosts holds nothing for it, since none of its reports was handed out.
func (c *conn) hangUp(anyone bool) error {
	if err := c.out.discard(c.master); err != nil {
		return err
	}
	for len(c.records) < leftoverLimit {
		if n, err := c.fill(); err != nil {
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
	init := ctaphid.Packet{CID: ctaphid.BroadcastCID, Initial: true, Command: ctaphid.CommandInit, BCNT: 8}.Report()
	begin := append([]byte{0}, init[:7]...)
	i := bytes.Index(records, begin)
	if !newHost || i < 0 {
		return nil
	}
	return records[i:]
}
