package fault

import (
	"context"
	"fmt"
	"slices"

	"fob/fido/ctap"
	"fob/fido/ctapnfc"
)

// handler stands between the endpoint and the key, and sees each command.
type handler struct {
	injector *Injector
	key      ctap.Handler
}

var _ ctap.PowerCycler = (*handler)(nil)

// Unwrap gives the key behind it.
func (h *handler) Unwrap() ctap.Handler { return h.key }

// PowerCycle implements ctap.PowerCycler.
func (h *handler) PowerCycle() {
	if p, ok := h.key.(ctap.PowerCycler); ok {
		p.PowerCycle()
	}
}

// ServeCTAP implements ctap.Handler. What happens after a command happens only if the key has performed it.
func (h *handler) ServeCTAP(ctx context.Context, r ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
	c := call{request: r, keepalive: keepalive, stay: h.injector.present()}
	return h.answer(ctx, before, c, func(ctx context.Context) ctap.Response {
		performed := h.key.ServeCTAP(ctx, r, keepalive)
		return h.answer(ctx, after, c, func(context.Context) ctap.Response { return performed })
	})
}

// answer answers by next, or by the faults around it, the first one outermost.
func (h *handler) answer(ctx context.Context, at place, c call, next func(context.Context) ctap.Response,
) ctap.Response {
	n := commandNames(c.request.Payload, c.request.U2F)
	hits := h.injector.happen(event{
		place: at,
		names: n,
		where: fmt.Sprintf("%s %v", placeWords[at], n),
		suits: func(e effect) bool { return suitsCommand(e, c.request) },
	})
	for _, hit := range slices.Backward(hits) {
		c := c
		c.chance, c.next = hit.chance, next
		next = func(ctx context.Context) ctap.Response { return h.fail(ctx, hit.effect, &c) }
	}
	return next(ctx)
}

func (h *handler) fail(ctx context.Context, e effect, c *call) ctap.Response {
	if k, ok := e.(keyEffect); ok {
		if err := k.change(ctx, h.injector); err != nil {
			h.injector.log.Error("fault", "effect", e.String(), "err", err)
		}
		return c.next(ctx)
	}
	return e.(commandEffect).serve(ctx, c)
}

// card stands between the reader and a card, and sees each APDU.
func (i *Injector) card(card ctapnfc.Exchange) ctapnfc.Exchange {
	count := 0
	return func(ctx context.Context, command []byte) []byte {
		count++
		where := func(p place) string { return fmt.Sprintf("%s %d", placeWords[p], count) }
		return i.exchange(ctx, apduIn, where, command, func(ctx context.Context, command []byte) []byte {
			response := card(ctx, command)
			return i.exchange(ctx, apduOut, where, nil, func(context.Context, []byte) []byte { return response })
		})
	}
}

func (i *Injector) exchange(ctx context.Context, at place, where func(place) string, command []byte,
	next ctapnfc.Exchange) []byte {

	hits := i.happen(event{place: at, where: where(at), suits: func(effect) bool { return true }})
	for _, hit := range slices.Backward(hits) {
		x := exchange{out: at == apduOut, chance: hit.chance, stay: i.present(), next: next}
		next = func(ctx context.Context, command []byte) []byte {
			x.command = command
			return hit.effect.(apduEffect).exchange(ctx, &x)
		}
	}
	return next(ctx, command)
}
