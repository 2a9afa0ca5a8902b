package workbench

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/softkey"
	"fob/ipc"
)

// maxBacklog is how many events wait for a watcher that is slow; what comes then is left out.
const maxBacklog = 256

// hub hands events to the watchers.
type hub struct {
	mu       sync.Mutex
	watchers map[*watcher]bool
}

type watcher struct {
	key    string // all keys, when it is empty
	events chan ipc.KeyEvent
	missed int // since the last one
}

// join begins to watch, until leave.
func (h *hub) join(key string) *watcher {
	h.mu.Lock()
	defer h.mu.Unlock()
	w := &watcher{key: key, events: make(chan ipc.KeyEvent, maxBacklog)}
	if h.watchers == nil {
		h.watchers = make(map[*watcher]bool)
	}
	h.watchers[w] = true
	return w
}

func (h *hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// emit hands out an event. It never waits.
func (h *hub) emit(e ipc.KeyEvent) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e.Time = timestamp(time.Now())
	for w := range h.watchers {
		if w.key != "" && w.key != e.Key {
			continue
		}
		e.Missed = w.missed
		select {
		case w.events <- e:
			w.missed = 0
		default:
			w.missed++
		}
	}
}

// observe has the key tell what happens to it.
func (w *Workbench) observe(k *Key, o *softkey.Options) {
	o.Presence, o.Now, o.Place = k.person.Ask, k.clock.Now, w.named(k, o.Place)
	k.person.Asked = func(q emulator.Question) {
		w.events.emit(ipc.KeyEvent{Kind: ipc.KeyWaiting, Key: k.ID, Question: shown(q)})
	}
	k.person.Answered = func(q emulator.Question, err error) {
		w.events.emit(ipc.KeyEvent{Kind: ipc.KeyAnswered, Key: k.ID, Question: shown(q), Outcome: outcome(err)})
	}
	winked := o.Wink
	o.Wink = func() {
		if winked != nil {
			winked()
		}
		w.events.emit(ipc.KeyEvent{Kind: ipc.KeyWink, Key: k.ID})
	}
	moved := o.Moved
	o.Moved = func(path string, inserted bool) { // by a call, or by a fault
		if moved != nil {
			moved(path, inserted)
		}
		e := ipc.KeyEvent{Kind: ipc.KeyWasRemoved, Key: k.ID, Path: path}
		if inserted {
			e.Kind = ipc.KeyWasInserted
		}
		w.events.emit(e)
		w.plugs.tell()
	}
	wrap := o.Wrap
	o.Wrap = func(h ctap.Handler) ctap.Handler {
		if wrap != nil {
			h = wrap(h)
		}
		return &observed{h, func(e ipc.KeyEvent) {
			e.Key = k.ID
			w.events.emit(e)
		}}
	}
}

// observed is a handler whose answers are told of.
type observed struct {
	ctap.Handler
	tell func(ipc.KeyEvent)
}

// ServeCTAP implements ctap.Handler.
func (o *observed) ServeCTAP(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	resp := o.Handler.ServeCTAP(ctx, r, keepalive)
	e := ipc.KeyEvent{Kind: ipc.KeyCommand, Command: "u2f"}
	var status int
	switch {
	case r.U2F && len(resp) >= 2:
		status = int(binary.BigEndian.Uint16(resp[len(resp)-2:]))
	case !r.U2F && len(r.Payload) > 0 && len(resp) > 0:
		status = int(resp[0])
		e.Command, e.StatusName = ctap.Command(r.Payload[0]).String(), ctap.StatusCode(resp[0]).Name()
	default: // nothing that could be named
		return resp
	}
	e.Status = &status
	o.tell(e)
	return resp
}

// PowerCycle implements ctap.PowerCycler.
func (o *observed) PowerCycle() {
	if p, ok := o.Handler.(ctap.PowerCycler); ok {
		p.PowerCycle()
	}
}

// outcome is what a question led to.
func outcome(err error) string {
	var bad emulator.BadSample
	switch {
	case err == nil:
		return "touched"
	case errors.Is(err, emulator.ErrDenied):
		return "denied"
	case errors.Is(err, emulator.ErrNoMatch):
		return "other"
	case errors.As(err, &bad):
		return strings.ToLower(ctap.SampleStatus(bad).String())
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	default:
		return "cancelled"
	}
}

const (
	maxRPID = 253 // bytes that are shown of an RP ID
	maxName = 64  // bytes that are shown of a name
)

// shown is a question as programs see it.
func shown(q emulator.Question) *ipc.Question {
	kind := ipc.QuestionTouch
	if q.Fingerprint {
		kind = ipc.QuestionFinger
	}
	command, user := q.Command.String(), q.User
	if q.Account != "" {
		command, user = "calculate", q.Account
	}
	return &ipc.Question{
		Kind: kind, Command: command, RPID: cut(q.RPID, maxRPID), User: cut(user, maxName),
		Since: timestamp(q.Since),
	}
}

// cut shortens a text without cutting a character in two.
func cut(s string, size int) string {
	if len(s) <= size {
		return s
	}
	for size > 0 && !utf8.RuneStart(s[size]) {
		size--
	}
	return s[:size]
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
