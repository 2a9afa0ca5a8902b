package ctaphid

import (
	"context"
	"errors"
)

// Conn carries reports. A Device holds the end that faces the hosts, a Client the end that faces the device. One
// goroutine may read while another one writes.
type Conn interface {
	// ReadReport waits for the next report. Once ctx is done it returns the error of ctx, and no report is lost.
	//
	// A device's Conn may return ErrHangUp. A Device asks for the next report only when it has written all its
	// direct answers to the one before, so a Conn can tell at this point what a host left unread.
	ReadReport(ctx context.Context) (Report, error)
	// WriteReport sends a report. A device's Conn returns ErrDropped when no host takes it; it must not wait for
	// one much longer than a second. Once ctx is done it returns the error of ctx, and the report was not sent.
	WriteReport(ctx context.Context, r Report) error
}

var (
	// ErrHangUp is how a device's Conn says that every host has closed the device. Nobody is left to read an
	// answer, so the Device forgets the transaction and goes on.
	ErrHangUp = errors.New("every host has closed the device")
	// ErrDropped is how a device's Conn says that it has given up on a report because no host reads. The Device
	// leaves out the rest of the message and goes on.
	ErrDropped = errors.New("report dropped: no host reads")
)

// pipeBuffer holds the longest message (129 reports) and much besides: CTAPHID has no flow control, and a device that
// waited for a host that is writing would stop both.
const pipeBuffer = 256

// Pipe returns two ends of a connection in memory. What the host writes waits until the device reads it; what the
// device writes is kept for the host, up to 256 reports, then dropped.
func Pipe() (device, host Conn) {
	toDevice, toHost := make(chan Report), make(chan Report, pipeBuffer)
	return deviceEnd{toDevice, toHost}, hostEnd{toHost, toDevice}
}

type deviceEnd struct {
	in  <-chan Report
	out chan<- Report
}

func (e deviceEnd) ReadReport(ctx context.Context) (Report, error) { return receive(ctx, e.in) }

func (e deviceEnd) WriteReport(ctx context.Context, r Report) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	select {
	case e.out <- r:
		return nil
	default:
		return ErrDropped
	}
}

type hostEnd struct {
	in  <-chan Report
	out chan<- Report
}

func (e hostEnd) ReadReport(ctx context.Context) (Report, error) { return receive(ctx, e.in) }

func (e hostEnd) WriteReport(ctx context.Context, r Report) error {
	select {
	case e.out <- r:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func receive(ctx context.Context, in <-chan Report) (Report, error) {
	if ctx.Err() != nil {
		return Report{}, ctx.Err()
	}
	select {
	case r := <-in:
		return r, nil
	case <-ctx.Done():
		return Report{}, ctx.Err()
	}
}
