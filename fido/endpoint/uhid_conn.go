package endpoint

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctaphid"
)

const (
	// uhidAhead bounds the events that wait to be handed out. The kernel keeps 32 more and drops those that follow.
	uhidAhead = 256
	// The kernel keeps 64 reports for each host (HIDRAW_BUFFER_SIZE) and drops those that follow. So after uhidBurst
	// reports at once there comes one in each uhidInterval, as from a key on a full-speed bus.
	uhidBurst    = 32
	uhidInterval = time.Millisecond
)

// uhidConn is our side of /dev/uhid as a ctaphid.Conn. UHID_OPEN and UHID_CLOSE come in order with what hosts write, so
// hang-ups are exact. Events are read as soon as they come: a host writes a message much faster than a Device reads it,
// and what the kernel has no room for is lost.
type uhidConn struct {
	fd   int
	file *os.File        // of fd
	raw  syscall.RawConn // of file
	news chan struct{}   // has a value in it when ahead or err has changed
	room chan struct{}   // has a value in it when something was taken from ahead

	mu      sync.Mutex  // guards the fields below
	ahead   []uhidEvent // UHID_OUTPUT and UHID_CLOSE
	open    bool        // a host has the device open
	hangUps int         // that the Device has not dealt with
	told    bool        // it has been told of the first of them
	err     error       // of drain
	buf     [uhidEventSize]byte

	paced time.Time // when the latest report would have been sent, had all come in their intervals; the writer's
}

func newUHIDConn(fd int) uhidConn {
	return uhidConn{fd: fd, file: os.NewFile(uintptr(fd), uhidPath), news: make(chan struct{}, 1),
		room: make(chan struct{}, 1)}
}

// drain reads events until ctx is done, which the file's deadline must tell.
func (c *uhidConn) drain(ctx context.Context) {
	for ctx.Err() == nil {
		var full bool
		var err error
		waited := c.raw.Read(func(uintptr) bool {
			full, err = c.fill()
			return full || err != nil
		})
		if ctx.Err() != nil {
			return
		}
		if err = errors.Join(err, waited); err != nil {
			c.fail(err)
			return
		}
		select {
		case <-c.room:
		case <-ctx.Done():
		}
	}
}

func (c *uhidConn) fill() (full bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	err = c.read()
	return len(c.ahead) >= uhidAhead, err
}

func (c *uhidConn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
	tell(c.news)
}

// tell lets whoever waits for c know, or who comes to wait for it next.
func tell(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (c *uhidConn) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	c.hangUpDealtWith()
	for ctx.Err() == nil {
		e, ok, err := c.next()
		if err != nil {
			return ctaphid.Report{}, err
		}
		if !ok {
			select {
			case <-c.news:
			case <-ctx.Done():
			}
		} else if e.Type == uhidClose {
			return ctaphid.Report{}, ctaphid.ErrHangUp
		} else if r, ok := e.report(); ok {
			return r, nil
		}
	}
	return ctaphid.Report{}, ctx.Err()
}

func (c *uhidConn) hangUpDealtWith() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told {
		c.told = false
		c.hangUps--
	}
}

// next is false when nothing has happened.
func (c *uhidConn) next() (uhidEvent, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.ahead) == 0 {
		return uhidEvent{}, false, c.err
	}
	e := c.ahead[0]
	c.ahead = c.ahead[1:]
	tell(c.room)
	c.told = e.Type == uhidClose
	return e, true, nil
}

// WriteReport does not learn whether a host has room. After a hang-up it drops reports until the Device has dealt with
// it, lest a new host reads the answers to the old one.
func (c *uhidConn) WriteReport(ctx context.Context, r ctaphid.Report) error {
	c.pace(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch err := c.read(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return err
	case !c.open || c.hangUps > 0:
		return ctaphid.ErrDropped
	}
	return c.write(input2(r))
}

// pace waits until a report may be sent, or ctx is done.
func (c *uhidConn) pace(ctx context.Context) {
	now := time.Now()
	if earliest := now.Add(-uhidBurst * uhidInterval); c.paced.Before(earliest) {
		c.paced = earliest
	}
	c.paced = c.paced.Add(uhidInterval)
	if !c.paced.After(now) {
		return
	}
	timer := time.NewTimer(c.paced.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// read takes in what has happened.
func (c *uhidConn) read() error {
	for len(c.ahead) < uhidAhead {
		n, err := unix.Read(c.fd, c.buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return os.NewSyscallError("read "+uhidPath, err)
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		e, err := parseUHIDEvent(c.buf[:n])
		if err != nil {
			return err
		}
		if err := c.take(e); err != nil {
			return err
		}
	}
	return nil
}

// take keeps what the Device must know, in its order. A host that comes while there is one shows that the kernel had no
// room for the hang-up between them: it tells only of the first that comes and the last that goes.
func (c *uhidConn) take(e uhidEvent) error {
	switch e.Type {
	case uhidOpen:
		if c.open {
			c.hangUp()
		}
		c.open = true
	case uhidClose:
		c.open = false
		c.hangUp()
	case uhidOutput:
		c.keep(e)
	case uhidGetReport, uhidSetReport:
		return c.write(e.refusal())
	}
	return nil
}

func (c *uhidConn) hangUp() {
	c.hangUps++
	c.keep(uhidEvent{Type: uhidClose})
}

func (c *uhidConn) keep(e uhidEvent) {
	c.ahead = append(c.ahead, e)
	tell(c.news)
}

func (c *uhidConn) write(event []byte) error {
	_, err := unix.Write(c.fd, event)
	for errors.Is(err, unix.EINTR) {
		_, err = unix.Write(c.fd, event)
	}
	return os.NewSyscallError("write "+uhidPath, err)
}
