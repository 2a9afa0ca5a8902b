package helper

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"time"

	"fob/fido/ctap"
)

// Limits of a frame without its length, in bytes.
const (
	maxHello   = 64
	maxRequest = 64 << 10
	maxReply   = 1 << 20
	frameHead  = 4
)

// writeTime is how long a frame may take to leave: the other side has nothing to do but read it.
const writeTime = 2 * time.Second

// Errors of a conversation.
var (
	ErrVersion = errors.New("the helper program speaks another protocol version")
	ErrFrame   = errors.New("malformed frame") // empty, over the limit, or with something else in it than it should have
)

// newFrame gives an empty frame with room for n bytes, so that what is appended never moves.
func newFrame(n int) []byte { return make([]byte, frameHead, frameHead+n) }

// writeFrame fills in the length, sends the frame and wipes it.
func writeFrame(conn net.Conn, frame []byte, limit int) error {
	defer clear(frame)
	if n := len(frame) - frameHead; n <= 0 || n > limit {
		return ErrFrame
	}
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-frameHead))
	if err := conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := conn.Write(frame)
	return err
}

// readFrame reads a frame and gives it without its length. There is no buffer in between that could keep a PIN. The
// error is io.EOF only where a frame would begin.
func readFrame(r io.Reader, limit int) ([]byte, error) {
	var head [frameHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > uint32(limit) {
		return nil, ErrFrame
	}
	frame := make([]byte, n)
	if _, err := io.ReadFull(r, frame); err != nil {
		clear(frame)
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return frame, nil
}

type hello struct {
	Version uint `cbor:"1,keyasint"`
}

// greet exchanges hellos. Each side sends first and reads then, which a socket pair has room for.
func greet(conn net.Conn) error {
	b, err := ctap.Marshal(hello{protocolVersion})
	if err != nil {
		return err
	}
	if err := writeFrame(conn, append(newFrame(len(b)), b...), maxHello); err != nil {
		return err
	}
	frame, err := readFrame(conn, maxHello)
	if err != nil {
		return err
	}
	var peer hello
	if ctap.Unmarshal(frame, &peer) != nil {
		return ErrFrame
	}
	if peer.Version != protocolVersion {
		return ErrVersion
	}
	return nil
}
