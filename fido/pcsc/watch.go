package pcsc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"time"
)

// stopTimeout bounds the wait for pcscd after the caller has given up.
const stopTimeout = time.Second

// Watch calls changed with the readers as they are, and again whenever one comes or goes, or a card does, or programs
// begin or end to use one: pcscd tells, nobody polls. It returns ctx.Err() once ctx is done. It stops waiting then, so
// that the Client can be used again; until then other calls of the Client wait.
//
// Calls may be made for no change. pcscd looks at most readers every 400 ms, so a card may go and come unseen.
func (c *Client) Watch(ctx context.Context, changed func([]ReaderState)) error {
	for {
		var states []ReaderState
		var signal [8]byte // a waitMsg
		read := 0
		err := c.do(ctx, func() (err error) {
			states, err = c.readStates(cmdWaitStateChange)
			if err != nil {
				return err
			}
			changed(states)
			read, err = io.ReadFull(c.conn, signal[:])
			if ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded) {
				err = c.stopWaiting(signal[read:])
			}
			return err
		})
		if err == nil {
			err = waitCode(signal)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		}
	}
}

// stopWaiting reads the rest of the one message that ends a wait, whichever of the two it is.
func (c *Client) stopWaiting(rest []byte) error {
	c.conn.SetDeadline(time.Now().Add(stopTimeout))
	if err := c.send(cmdStopWaiting, nil, nil); err != nil {
		return err
	}
	_, err := io.ReadFull(c.conn, rest)
	return err
}

func waitCode(signal [8]byte) error {
	var m waitMsg
	if _, err := binary.Decode(signal[:], binary.NativeEndian, &m); err != nil {
		return err
	}
	return code(m.RV)
}
