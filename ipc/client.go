package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"fob/ipc/varlink"
)

// Client talks to fobd. The zero value uses the socket of the user's own fobd. It holds no connection between calls,
// and its methods may be called concurrently. Errors of fobd have the types of this package: see Error.
type Client struct {
	Socket string // path; empty for DefaultSocket
	// NoWait has methods that use a key fail with DeviceBusy where other ceremonies hold it, and with NoDevice where none
	// is plugged in, instead of waiting.
	NoWait bool
}

// Prompter is the person, as a program reaches them. Methods are called one at a time, except that PIN, NewPIN and
// Choose run beside the others; their ctx ends when the answer is not needed any more. An error of a method ends the
// ceremony and is returned by it, except ErrDeclined, which tells fobd that the person refused.
type Prompter interface {
	// Waiting says that other ceremonies come first.
	Waiting(e Event)
	// Plug says that no key is plugged in, and that one is awaited.
	Plug(e Event)
	// Touch says that the key waits to be touched.
	Touch(e Event)
	// Tap says that a card has left its reader too early, and should be held to it again.
	Tap(e Event)
	// Passed says that one of several keys can't serve, and Chosen which one was touched.
	Passed(e Event)
	Chosen(e Event)
	// Sample tells of a sample of a finger that is being enrolled.
	Sample(e Event)
	// Replug says that the key must be unplugged and plugged in again.
	Replug(e Event)
	// PIN asks for the PIN of the key; the client wipes what it gets. Where e.Reserved, a PIN is the person's explicit
	// word that one of the last attempts may be spent.
	PIN(ctx context.Context, e Event) (Secret, error)
	// NewPIN asks for the PIN that the key shall have from now on; the client wipes what it gets.
	NewPIN(ctx context.Context, e Event) (Secret, error)
	// Choose asks for one of e.Accounts and gives its index. As PIN and NewPIN, it may return ErrLeft.
	Choose(ctx context.Context, e Event) (int, error)
}

// Decliner ignores what it is told and declines what it is asked. A Prompter that embeds it needs those methods alone
// that it has a use for.
type Decliner struct{}

func (Decliner) Waiting(Event) {}
func (Decliner) Touch(Event)   {}
func (Decliner) Plug(Event)    {}
func (Decliner) Tap(Event)     {}
func (Decliner) Passed(Event)  {}
func (Decliner) Chosen(Event)  {}
func (Decliner) Sample(Event)  {}
func (Decliner) Replug(Event)  {}

func (Decliner) PIN(context.Context, Event) (Secret, error)    { return nil, ErrDeclined }
func (Decliner) NewPIN(context.Context, Event) (Secret, error) { return nil, ErrDeclined }
func (Decliner) Choose(context.Context, Event) (int, error)    { return 0, ErrDeclined }

// ErrDeclined is a person's refusal to answer a prompt.
var ErrDeclined = errors.New("declined")

// ErrLeft leaves a prompt, whose event has Prompter, to the registered prompters. Where they go away, it is asked about
// again, without Prompter.
var ErrLeft = errors.New("left to registered prompters")

// NotRunning says that fobd can't be reached at a socket.
type NotRunning struct {
	Socket string
	Err    error
}

func (e *NotRunning) Error() string {
	return fmt.Sprintf("fobd can't be reached at %s: %v", e.Socket, reason(e.Err))
}

// Unwrap gives the error of the connection.
func (e *NotRunning) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *NotRunning) Hint() string {
	if errors.Is(e.Err, fs.ErrPermission) {
		return "the socket belongs to another user"
	}
	return "start it with 'systemctl --user start fobd.socket' or 'fobd', or name its socket with --socket"
}

// Lost says that fobd went away before it had answered.
type Lost struct{ Err error }

func (e *Lost) Error() string { return "fobd went away, or hangs, and has not answered" }

// Unwrap gives the error of the connection.
func (e *Lost) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *Lost) Hint() string { return "start it again with 'fobd'; its log may say why" }

// reason is the innermost error, which says it in the fewest words.
func reason(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// DefaultSocket is the path of the socket of the user's own fobd: fob/fob.sock in $XDG_RUNTIME_DIR, or in
// /run/user/UID where that is not set.
func DefaultSocket() string {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join("/run/user", strconv.Itoa(os.Getuid()))
	}
	return filepath.Join(dir, "fob", "fob.sock")
}

// Devices lists the keys that are plugged in.
func (c *Client) Devices(ctx context.Context) ([]Device, error) {
	var reply ListReply
	if err := c.call(ctx, MethodList, nil, &reply); err != nil {
		return nil, err
	}
	return reply.Devices, nil
}

// WatchDevices calls now with the keys that are plugged in, and then happened with each event, until ctx ends, one of
// them fails, or fobd goes away, and gives the error.
func (c *Client) WatchDevices(ctx context.Context, now func([]Device) error, happened func(DeviceEvent) error) error {
	first := true
	return c.stream(ctx, MethodDeviceWatch, nil, func(r varlink.Reply) error {
		var reply DeviceWatchReply
		if err := r.Bind(&reply); err != nil {
			return err
		}
		if first {
			first = false
			return now(reply.Devices)
		}
		if reply.Event == nil { // of a newer fobd
			return nil
		}
		return happened(*reply.Event)
	})
}

// Register performs fob.Ceremony.Register and gives its response, a RegistrationResponseJSON. When ctx ends, the
// ceremony is cancelled.
func (c *Client) Register(ctx context.Context, r CeremonyRequest, p Prompter) (json.RawMessage, error) {
	return c.ceremony(ctx, MethodRegister, &r, p)
}

// SignIn performs fob.Ceremony.SignIn and gives its response, an AuthenticationResponseJSON. When ctx ends, the
// ceremony is cancelled.
func (c *Client) SignIn(ctx context.Context, r CeremonyRequest, p Prompter) (json.RawMessage, error) {
	return c.ceremony(ctx, MethodSignIn, &r, p)
}

func (c *Client) ceremony(
	ctx context.Context, method string, in *CeremonyRequest, p Prompter,
) (json.RawMessage, error) {
	var last CeremonyReply
	err := c.follow(ctx, method, in, p, &last)
	return last.Response, err
}

// request is a pointer to the parameters of a method that uses a key.
type request interface{ turn() *Turn }

// setTurn has a call wait, or not, as the client is told to.
func (c *Client) setTurn(in request) {
	if c.NoWait {
		in.turn().Wait = new(bool)
	}
}

// follow follows the events of a ceremony, or of the management of a key, and puts the last reply in out. Prompts are
// answered beside the stream, so that the end of the ceremony ends them.
func (c *Client) follow(ctx context.Context, method string, in request, p Prompter, out any) error {
	c.setTurn(in)
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	var prompts sync.WaitGroup
	defer prompts.Wait()
	asked := make(map[string]*prompted)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for reply, err := range conn.Stream(ctx, method, in) {
		if err != nil {
			return typed(err)
		}
		if !reply.Continues {
			return reply.Bind(out)
		}
		var r EventReply
		if err := reply.Bind(&r); err != nil {
			return err
		}
		if r.Event == nil { // of a newer fobd
			continue
		}
		switch e := *r.Event; e.Kind {
		case EventWaiting:
			p.Waiting(e)
		case EventPlug:
			p.Plug(e)
		case EventTouch:
			p.Touch(e)
		case EventTap:
			p.Tap(e)
		case EventPassed:
			p.Passed(e)
		case EventChosen:
			p.Chosen(e)
		case EventSample:
			p.Sample(e)
		case EventReplug:
			p.Replug(e)
		case EventPIN, EventNewPIN, EventChoose, EventConfirm, EventConsent:
			before, now := asked[e.Token], &prompted{done: make(chan struct{})}
			asked[e.Token] = now
			prompts.Go(func() {
				if err := c.prompted(ctx, e, p, before, now); err != nil {
					cancel(err)
				}
			})
		}
	}
	return varlink.ErrMalformed // a stream ends with a last reply or an error
}

// prompted is a prompt that the person was asked about, or that was left to others.
type prompted struct {
	done chan struct{} // closed when that is known
	left bool
}

// prompted has the person answer, unless they do so already, as the prompt has come before and was not left.
func (c *Client) prompted(ctx context.Context, e Event, p Prompter, before, now *prompted) error {
	defer close(now.done)
	if before != nil {
		<-before.done
		if !before.left {
			return nil
		}
	}
	err := c.answer(ctx, e, p)
	if now.left = e.Prompter && errors.Is(err, ErrLeft); now.left {
		return nil
	}
	return err
}

// last follows a method to its last reply and takes the result out of it.
func last[Reply, Result any](
	ctx context.Context, c *Client, method string, in request, p Prompter, result func(*Reply) *Result,
) (*Result, error) {
	var reply Reply
	if err := c.follow(ctx, method, in, p, &reply); err != nil {
		return nil, err
	}
	if r := result(&reply); r != nil {
		return r, nil
	}
	return nil, fmt.Errorf("fobd gave no result of %s", method)
}

// answer asks the person and tells fobd.
func (c *Client) answer(ctx context.Context, e Event, p Prompter) error {
	token, err := json.Marshal(e.Token)
	if err != nil {
		return err
	}
	b := append([]byte(`{"token":`), token...)
	switch e.Kind {
	case EventPIN, EventNewPIN:
		ask := p.PIN
		if e.Kind == EventNewPIN {
			ask = p.NewPIN
		}
		pin, askErr := ask(ctx, e)
		defer pin.Wipe()
		err = askErr
		b = append(make([]byte, 0, len(b)+pin.maxJSON()+32), b...)
		defer func() { clear(b[:cap(b)]) }()
		b = pin.AppendJSON(append(b, `,"pin":`...))
		if e.Reserved {
			b = append(b, `,"spend":true`...)
		}
	case EventChoose:
		var choice int
		choice, err = p.Choose(ctx, e)
		b = strconv.AppendInt(append(b, `,"choice":`...), int64(choice), 10)
	case EventConfirm:
		err = confirm(ctx, e, p)
		b = append(b, `,"choice":0`...)
	case EventConsent:
		err = consent(ctx, e, p)
		b = append(b, `,"choice":0`...)
	}
	switch {
	case errors.Is(err, ErrDeclined):
		b = append(append([]byte(`{"token":`), token...), `,"decline":true`...)
	case err != nil:
		return err
	}
	b = append(b, '}')
	err = c.call(ctx, MethodAnswer, json.RawMessage(b), nil)
	if errors.Is(err, UnknownToken{}) { // too late; the ceremony itself tells what became of it
		return nil
	}
	return err
}

// callTime is how long a call may take that waits for no person.
const callTime = 15 * time.Second

func (c *Client) call(ctx context.Context, method string, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callTime, &Lost{context.DeadlineExceeded})
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return typed(conn.Call(ctx, method, in, out))
}

// stream has take take each reply of a call with "more".
func (c *Client) stream(ctx context.Context, method string, in any, take func(varlink.Reply) error) error {
	conn, err := c.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for reply, err := range conn.Stream(ctx, method, in) {
		if err == nil {
			err = take(reply)
		}
		if err != nil {
			return typed(err)
		}
	}
	return nil
}

func (c *Client) dial(ctx context.Context) (*varlink.Conn, error) {
	path := c.Socket
	if path == "" {
		path = DefaultSocket()
	}
	conn, err := varlink.Dial(ctx, path)
	var op *net.OpError
	if errors.As(err, &op) && ctx.Err() == nil {
		return nil, &NotRunning{path, err}
	}
	return conn, err
}
