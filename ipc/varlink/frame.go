package varlink

import (
	"bytes"
	"net"
	"time"
)

const (
	firstBuffer = 1 << 10 // bytes; most messages fit, and a client that says nothing costs no more
	keepBuffer  = 4 << 10 // bytes; a larger buffer is dropped once it is empty
)

// frameReader splits a stream into messages and zeroes what it has handed out.
type frameReader struct {
	conn    net.Conn
	max     int           // bytes of one message, without its NUL
	timeout time.Duration // from a message's first byte to its NUL; 0 means no limit

	buf        []byte
	start, end int // buf[start:end] was received and not yet handed out
	frame      int // length of the message handed out last, its NUL included
}

// next waits for a message and returns it without its NUL. The message is valid until release or the next call.
func (r *frameReader) next() ([]byte, error) {
	r.release()
	began := false
	scanned := r.start
	for {
		if i := bytes.IndexByte(r.buf[scanned:r.end], 0); i >= 0 {
			r.frame = scanned + i + 1 - r.start
			return r.buf[r.start : scanned+i], r.deadline(time.Time{})
		}
		if r.end-r.start > r.max {
			return nil, ErrMessageTooLarge
		}
		if !began && r.end > r.start {
			began = true
			if err := r.deadline(time.Now().Add(r.timeout)); err != nil {
				return nil, err
			}
		}
		r.makeRoom()
		scanned = r.end
		n, err := r.conn.Read(r.buf[r.end:])
		r.end += n
		if n == 0 && err != nil {
			return nil, err
		}
	}
}

func (r *frameReader) deadline(t time.Time) error {
	if r.timeout == 0 {
		return nil
	}
	return r.conn.SetReadDeadline(t)
}

// release zeroes the message that was handed out last.
func (r *frameReader) release() {
	clear(r.buf[r.start : r.start+r.frame])
	r.start += r.frame
	r.frame = 0
	if r.start == r.end {
		r.start, r.end = 0, 0
		if len(r.buf) > keepBuffer {
			r.buf = nil
		}
	}
}

// makeRoom gives Read at least one byte of space, leaving no stale copy behind. The buffer never gets larger than a
// message of the longest size and its NUL.
func (r *frameReader) makeRoom() {
	if r.end < len(r.buf) {
		return
	}
	old := r.buf
	if r.start == 0 {
		r.buf = make([]byte, min(max(2*len(old), firstBuffer), r.max+1))
	}
	n := copy(r.buf, old[r.start:r.end])
	if r.start == 0 {
		clear(old)
	} else {
		clear(old[n:])
	}
	r.start, r.end = 0, n
}

// wipe zeroes all that was received.
func (r *frameReader) wipe() { clear(r.buf) }
