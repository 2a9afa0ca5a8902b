package endpoint

import (
	"encoding/binary"
	"io"
	"math"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctapnfc"
)

// vpcdFrame is what vpcd and a card send each other, each behind its length in two bytes, big endian: a command APDU or
// a control byte to the card; a response APDU, or the ATR, from it. No APDU is as short as one byte.
type vpcdFrame []byte

// Control bytes. Only vpcdATR has an answer.
const (
	vpcdOff byte = iota
	vpcdOn
	vpcdReset
	_
	vpcdATR
)

func (f vpcdFrame) is(control byte) bool { return len(f) == 1 && f[0] == control }

// bytes encodes a frame. An R-APDU with more data than the length can tell becomes one that says so; applets alone can
// make such.
func (f vpcdFrame) bytes() []byte {
	if len(f) > math.MaxUint16 {
		f = ctapnfc.Response{SW: ctapnfc.SWWrongLength}.Bytes()
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(f))), f...)
}

// readVPCDFrame fails with io.EOF only between two frames.
func readVPCDFrame(r io.Reader) (vpcdFrame, error) {
	var length [2]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	f := make(vpcdFrame, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(r, f); err == io.EOF {
		return nil, io.ErrUnexpectedEOF
	} else if err != nil {
		return nil, err
	}
	return f, nil
}

// vpcdConn is the card's end of the connection.
type vpcdConn struct{ *net.TCPConn }

func (c vpcdConn) hear() (vpcdFrame, error) { return readVPCDFrame(c) }

func (c vpcdConn) say(f vpcdFrame) error {
	c.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := c.Write(f.bytes())
	return err
}

// Read acknowledges what it reads at once. vpcd may write the length and the rest of a frame one after the other, and
// its kernel holds the second back until we acknowledge the first, which takes ours 40 ms if nobody asks for it. It soon
// forgets that it was asked (tcp(7), TCP_QUICKACK).
func (c vpcdConn) Read(b []byte) (int, error) {
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	}
	return c.TCPConn.Read(b)
}
