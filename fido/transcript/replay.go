package transcript

import (
	"context"
	"errors"
	"fmt"

	"fob/fido/ctap"
)

// ErrNoRequests is a transcript without requests, such as one of packets alone.
var ErrNoRequests = errors.New("the transcript has no requests")

// Difference is where a key answers otherwise than the recorded one.
type Difference struct {
	Number int    // of the answer in the transcript, from 1
	Name   string // of its request, or the command of a packet
	// Where is what differs: "status", "touch", "bytes", or the path of a member by its names, such as
	// "options.clientPin".
	Where         string
	Recorded, Got string
}

func (d Difference) String() string {
	return fmt.Sprintf("answer %d, %s: %s: recorded %s, got %s", d.Number, d.Name, d.Where, d.Recorded, d.Got)
}

// Replay sends the requests of a transcript to a key, one after another on their channels, and compares the answers,
// and whether the key waited for a touch. Where the transcript has a loss of power, h loses it too if it is a
// ctap.PowerCycler. A request that was cancelled is cancelled again when the key asks for the touch, or at once if
// the recorded one didn't.
//
// A request that depends on a secret of its session (a PIN, a token, a credential of a key that h is not) is refused
// by h; that is a Difference like others. The error is that of ctx, or ErrNoRequests.
func Replay(ctx context.Context, t *Transcript, h ctap.Handler, s Strictness) ([]Difference, error) {
	exchanges := t.exchanges()
	if len(exchanges) == 0 {
		return nil, ErrNoRequests
	}
	var all []Difference
	for _, x := range exchanges {
		if p, ok := h.(ctap.PowerCycler); ok && x.powerCycle {
			p.PowerCycle()
		}
		response, touch := x.replay(ctx, h)
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		all = append(all, x.compare(response, touch, s)...)
	}
	return all, nil
}

// replay gives the answer of h to a request, and whether it asked for a touch.
func (x *exchange) replay(ctx context.Context, h ctap.Handler) (response ctap.Response, touch bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if x.cancelled && !x.touch() {
		cancel()
	}
	response = h.ServeCTAP(ctx, ctap.Request(x.request), func(s ctap.KeepaliveStatus) {
		if s != ctap.KeepaliveUPNeeded {
			return
		}
		touch = true
		if x.cancelled {
			cancel()
		}
	})
	return response, touch
}

// touch reports whether the recorded key asked for one.
func (x *exchange) touch() bool {
	for _, k := range x.keepalives {
		if ctap.KeepaliveStatus(k) == ctap.KeepaliveUPNeeded {
			return true
		}
	}
	return false
}
