package libfido2

// #include <stdint.h>
// #include "fob.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"runtime/cgo"
	"unsafe"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// link carries libfido2's messages, and ours, over one channel of CTAPHID. libfido2 makes requests and reads answers;
// packets, keepalives, cancels and CTAPHID's errors never reach it. So it is known what a device did when an operation
// fails, which libfido2 doesn't say, and all that a device says is first read by Go.
type link struct {
	conn   linkConn
	client *ctaphid.Client
	handle cgo.Handle

	// Of the operation in progress. transact is nil while there is none.
	transact func(command ctaphid.Command, request []byte) ([]byte, error)
	err      error // the first that transact gave; nothing more is sent then
	command  ctaphid.Command
	request  []byte
	answer   []byte // the last one

	info []byte // what authenticatorGetInfo has answered, if nothing was asked since; nil otherwise
}

// linkConn is what a link goes over: a node, or a rehearsal's pipe.
type linkConn interface {
	ctaphid.Conn
	discard() // what came while nobody listened
	close()
}

// Layout of the answer to CTAPHID_INIT (CTAP 2.2 §11.2.9.1.3).
const (
	initNonce   = 0
	initVersion = 12 // behind the nonce of 8 bytes and the channel
	initSize    = 17
)

// openLink opens a channel on conn, which it closes when it can't.
func openLink(ctx context.Context, conn linkConn) (*link, error) {
	client, err := ctaphid.Open(ctx, conn)
	if err != nil {
		conn.close()
		return nil, keyError(err)
	}
	l := &link{conn: conn, client: client}
	l.handle = cgo.NewHandle(l)
	return l, nil
}

func (l *link) close() {
	l.handle.Delete()
	l.conn.close()
}

// begin prepares for an operation, which ctx ends. Through ctx it is told, once, that the key waits for the person.
func (l *link) begin(ctx context.Context) {
	l.conn.discard()
	l.err, l.request, l.answer, l.info = nil, nil, nil, nil
	told := false
	wait := func() {
		if !told {
			told = true
			fido.Waiting(ctx)
		}
	}
	send := func(command ctaphid.Command, request []byte) ([]byte, error) {
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case command == ctaphid.CommandInit:
			return l.initAnswer(request), nil
		case command == ctaphid.CommandMsg:
			answer, err := l.client.Msg(ctx, request)
			if wantsTouch(request, answer) {
				wait()
			}
			return answer, err
		case command == ctaphid.CommandWink:
			return nil, l.client.Wink(ctx)
		}
		return l.client.CBOR(ctx, request, func(s ctap.KeepaliveStatus) {
			if s == ctap.KeepaliveUPNeeded {
				wait()
			}
		})
	}
	l.transact = func(command ctaphid.Command, request []byte) (answer []byte, err error) {
		for range maxSends {
			if answer, err = send(command, request); !halfHeard(err) {
				break
			}
		}
		return answer, err
	}
}

// maxSends is how often a request is sent to a key that has heard only half of it.
const maxSends = 3

// halfHeard reports whether a key has waited in vain for the rest of a request, which it forgets then: the machine was
// busy for half a second (CTAP 2.2 §11.2.5.2).
func halfHeard(err error) bool {
	return errors.Is(err, ctaphid.ErrMsgTimeout) && !errors.As(err, new(*ctaphid.BadReplyError))
}

// end gives what went wrong between us and the key, if anything did. Then the key is idle again, or gone.
func (l *link) end() error {
	l.transact = nil
	clear(l.request)
	if l.err == nil {
		return nil
	}
	err := keyError(l.err)
	if !errors.Is(err, fido.ErrDeviceGone) && l.client.Resync(context.Background()) != nil {
		return fmt.Errorf("%w (%w)", fido.ErrDeviceGone, l.err)
	}
	return err
}

// exchange sends a request of the operation in progress and gives the answer.
func (l *link) exchange(command ctaphid.Command, request []byte) ([]byte, error) {
	if l.err != nil {
		return nil, l.err
	}
	l.answer, l.err = l.transact(command, request)
	return l.answer, l.err
}

// initAnswer tells libfido2 of the channel that is open already. Its number is none of libfido2's business.
func (l *link) initAnswer(nonce []byte) []byte {
	b := make([]byte, initSize)
	copy(b[initNonce:], nonce)
	b[initVersion-1] = 1
	c := l.client
	copy(b[initVersion:], []byte{
		c.ProtocolVersion, c.DeviceVersion[0], c.DeviceVersion[1], c.DeviceVersion[2], byte(c.Capabilities)})
	return b
}

// wantsTouch reports whether a U2F key has answered that it waits for the person. That of a check is no such answer: it
// says that the key has the credential (FIDO U2F Raw Message Formats §5.1).
func wantsTouch(request, answer []byte) bool {
	r, err := ctap.ParseU2FRequest(request)
	return err == nil && u2fStatus(answer) == ctap.U2FConditionsNotSatisfied &&
		(r.Instruction == ctap.U2FRegister || r.Control == ctap.U2FEnforceUserPresenceAndSign)
}

// u2fStatus is the status word at the end of an answer.
func u2fStatus(answer []byte) ctap.U2FStatus {
	if n := len(answer); n >= 2 {
		return ctap.U2FStatus(answer[n-2])<<8 | ctap.U2FStatus(answer[n-1])
	}
	return ctap.U2FUnknown
}

// keyError names an error of CTAPHID or of the node. Errors of contexts stay what they are.
func keyError(err error) error {
	var code ctaphid.Error
	var bad *ctaphid.BadReplyError
	switch {
	case errors.As(err, &bad):
		return fmt.Errorf("%w (%w)", fido.ErrBadAnswer, err)
	case errors.Is(err, ctaphid.ErrChannelBusy):
		return fmt.Errorf("%w (%w)", fido.ErrDeviceBusy, err)
	case errors.Is(err, ctaphid.ErrInvalidChannel): // it has forgotten ours
		return fmt.Errorf("%w (%w)", fido.ErrDeviceGone, err)
	case errors.As(err, &code): // it takes our request for nonsense, which it was not when it left
		return fmt.Errorf("%w (%w)", fido.ErrBadAnswer, err)
	case errors.Is(err, ctaphid.ErrUnanswered):
		return fmt.Errorf("%w (%w)", fido.ErrDeviceGone, ctaphid.ErrUnanswered)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	default: // EIO or the end of the file
		return fmt.Errorf("%w (%w)", fido.ErrDeviceGone, err)
	}
}

//export fobSend
func fobSend(handle C.uintptr_t, command C.uint8_t, message *C.uchar, n C.size_t) C.int {
	l := cgo.Handle(handle).Value().(*link)
	clear(l.request)
	l.command, l.request = ctaphid.Command(command), goBytes(message, n)
	if l.err != nil {
		return -1
	}
	return 0
}

//export fobReceive
func fobReceive(handle C.uintptr_t, message *C.uchar, room C.size_t) C.int {
	l := cgo.Handle(handle).Value().(*link)
	answer, err := l.exchange(l.command, l.request)
	if err == nil && len(answer) > int(room) {
		l.err = &ctaphid.BadReplyError{Err: ctaphid.ErrInvalidLen}
	}
	if l.err != nil {
		return -1
	}
	return C.int(copy(unsafe.Slice((*byte)(message), room), answer))
}
