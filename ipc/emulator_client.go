package ipc

import (
	"context"
	"path/filepath"
	"time"

	"fob/ipc/varlink"
)

// Emulator controls emulated keys; fob.Emulator documents its methods. Each takes a key's id or path, empty for the
// only one.
type Emulator struct{ Client }

// DefaultEmulatorSocket is the path at which "fob emulate --control" listens: fob/emulator.sock beside DefaultSocket.
func DefaultEmulatorSocket() string {
	return filepath.Join(filepath.Dir(DefaultSocket()), "emulator.sock")
}

// Keys lists the keys, or the one that is named.
func (e *Emulator) Keys(ctx context.Context, key string) (keys []EmulatedKey, err error) {
	err = e.pieces(ctx, MethodEmulatedKeys, key, func(r varlink.Reply) error {
		var reply EmulatedKeysReply
		err := r.Bind(&reply)
		keys = append(keys, reply.Keys...)
		return err
	})
	return keys, err
}

// Credentials lists the discoverable credentials of a key.
func (e *Emulator) Credentials(ctx context.Context, key string) (list []EmulatedCredential, err error) {
	err = e.pieces(ctx, MethodCredentials, key, func(r varlink.Reply) error {
		var reply CredentialsReply
		err := r.Bind(&reply)
		list = append(list, reply.Credentials...)
		return err
	})
	return list, err
}

// pieces takes a list that comes in several replies.
func (e *Emulator) pieces(ctx context.Context, method, key string, take func(varlink.Reply) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callTime, &Lost{context.DeadlineExceeded})
	defer cancel()
	return e.stream(ctx, method, WhichKey{key}, take)
}

// Touch touches a key and says what for. With Wait it waits, up to the end of ctx.
func (e *Emulator) Touch(ctx context.Context, r TouchRequest) (Question, error) {
	return e.answerKey(ctx, MethodTouch, r, r.Wait)
}

// Deny declines; see Touch.
func (e *Emulator) Deny(ctx context.Context, r TouchRequest) (Question, error) {
	return e.answerKey(ctx, MethodDeny, r, r.Wait)
}

// Present puts a finger on the sensor; see Touch.
func (e *Emulator) Present(ctx context.Context, r PresentRequest) (Question, error) {
	return e.answerKey(ctx, MethodPresent, r, r.Wait)
}

func (e *Emulator) answerKey(ctx context.Context, method string, in any, wait bool) (Question, error) {
	var reply QuestionReply
	if !wait {
		err := e.call(ctx, method, in, &reply)
		return reply.Question, err
	}
	err := e.patient(ctx, method, in, &reply)
	return reply.Question, err
}

// patient makes a call that waits for a person, or for a device.
func (e *Emulator) patient(ctx context.Context, method string, in, out any) error {
	conn, err := e.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return typed(conn.Call(ctx, method, in, out))
}

// SetPolicy says who touches a key.
func (e *Emulator) SetPolicy(ctx context.Context, r PolicyRequest) error {
	return e.call(ctx, MethodSetPolicy, r, nil)
}

// Remove takes a key out.
func (e *Emulator) Remove(ctx context.Context, key string) error {
	return e.call(ctx, MethodRemove, WhichKey{key}, nil)
}

// plugTime is how long plugging a key in may take, more than whoever does it allows.
const plugTime = 30 * time.Second

// Insert puts a key in again and gives its path.
func (e *Emulator) Insert(ctx context.Context, key string) (path string, err error) {
	return e.plug(ctx, MethodInsert, key)
}

// Replug takes a key out and puts it in again, and gives its path.
func (e *Emulator) Replug(ctx context.Context, key string) (path string, err error) {
	return e.plug(ctx, MethodReplug, key)
}

func (e *Emulator) plug(ctx context.Context, method, key string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, plugTime, &Lost{context.DeadlineExceeded})
	defer cancel()
	var reply PathReply
	err := e.patient(ctx, method, WhichKey{key}, &reply)
	return reply.Path, err
}

// SetNextError makes a key answer with an error.
func (e *Emulator) SetNextError(ctx context.Context, r NextErrorRequest) error {
	return e.call(ctx, MethodSetNextError, r, nil)
}

// SetRetries changes the counters of a key, once it has answered the request in progress.
func (e *Emulator) SetRetries(ctx context.Context, r RetriesRequest) error {
	return e.patient(ctx, MethodSetRetries, r, nil)
}

// AdvanceClock puts the clock of a key forward and says how many seconds it is ahead.
func (e *Emulator) AdvanceClock(ctx context.Context, r ClockRequest) (int, error) {
	var reply ClockReply
	err := e.call(ctx, MethodAdvanceClock, r, &reply)
	return reply.Ahead, err
}

// Watch calls happened with each event until ctx ends, happened fails, or the other side goes away,
// and gives the error.
func (e *Emulator) Watch(ctx context.Context, key string, happened func(KeyEvent) error) error {
	return e.stream(ctx, MethodWatch, WhichKey{key}, func(r varlink.Reply) error {
		var reply WatchReply
		if err := r.Bind(&reply); err != nil {
			return err
		}
		return happened(reply.Event)
	})
}
