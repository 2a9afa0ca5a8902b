package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// effect is what goes wrong. Its String is its words. Each is one or more of the kinds below, or random.
type effect interface{ fmt.Stringer }

// packetEffect happens to a packet.
type packetEffect interface {
	effect
	suitsPacket(p ctaphid.Packet) bool
	// packets gives what comes in place of a packet.
	packets(ctx context.Context, p *packet) ([]ctaphid.Report, error)
}

// commandEffect happens to a command.
type commandEffect interface {
	effect
	suitsCommand(r ctap.Request) bool
	// serve answers, by c.next where the key is to do it.
	serve(ctx context.Context, c *call) ctap.Response
}

// apduEffect happens to an APDU of a card.
type apduEffect interface {
	effect
	// exchange gives the response, by x.next where the card is to do it; nil for none.
	exchange(ctx context.Context, x *exchange) []byte
}

// keyEffect changes the key.
type keyEffect interface {
	effect
	change(ctx context.Context, i *Injector) error
}

// packet is a packet on its way.
type packet struct {
	report ctaphid.Report
	chance *rand.Rand
	stay   *stay
}

// call is a command on its way.
type call struct {
	request   ctap.Request
	keepalive func(ctap.KeepaliveStatus)
	chance    *rand.Rand
	stay      *stay
	next      func(context.Context) ctap.Response
}

// exchange is an APDU on its way.
type exchange struct {
	command []byte
	out     bool // the card has answered: next gives its response
	chance  *rand.Rand
	stay    *stay
	next    func(ctx context.Context, command []byte) []byte
}

// suits reports whether an effect can happen at a place.
func suits(e effect, p place) (ok bool) {
	if _, all := e.(random); all {
		return p != plugging
	}
	switch p {
	case plugging:
		_, ok = e.(keyEffect)
	case packetIn, packetOut:
		_, ok = e.(packetEffect)
	case apduIn, apduOut:
		_, ok = e.(apduEffect)
	default:
		if _, ok = e.(keyEffect); !ok {
			_, ok = e.(commandEffect)
		}
	}
	return ok
}

// suitsPacket reports whether an effect can happen to a packet.
func suitsPacket(e effect, p ctaphid.Packet) bool {
	at, ok := e.(packetEffect)
	return !ok || at.suitsPacket(p)
}

// suitsCommand reports whether an effect can happen to a command.
func suitsCommand(e effect, r ctap.Request) bool {
	at, ok := e.(commandEffect)
	return !ok || at.suitsCommand(r)
}

// all is for the effects that suit everything.
type all struct{}

func (all) suitsPacket(ctaphid.Packet) bool { return true }
func (all) suitsCommand(ctap.Request) bool  { return true }

// effects read what stands behind their names.
var effects = map[string]func(w *words) (effect, error){
	"drop":             func(*words) (effect, error) { return drop{}, nil },
	"duplicate":        func(*words) (effect, error) { return duplicate{}, nil },
	"delay":            parseDelay,
	"corrupt":          parseCorrupt,
	"unplug":           parseUnplug,
	"status":           parseStatus,
	"garbage":          func(*words) (effect, error) { return garbage{}, nil },
	"truncate":         func(*words) (effect, error) { return truncate{}, nil },
	"oversize":         func(*words) (effect, error) { return oversize{}, nil },
	"keepalives":       parseKeepalives,
	"hang":             parseHang,
	"slow":             parseSlow,
	"clock":            parseClock,
	"pin-retries":      parsePINRetries,
	"pin-auth-blocked": func(*words) (effect, error) { return pinAuthBlocked{}, nil },
	"uv-retries":       parseUVRetries,
	"random":           func(*words) (effect, error) { return random{}, nil },
}

// wait returns when d has passed or ctx has ended, and then false.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
