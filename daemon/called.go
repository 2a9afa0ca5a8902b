package daemon

import (
	"context"
	"sync"

	"fob/daemon/caller"
	"fob/ipc/varlink"
)

type callerKey struct{}

// calledBy lets who handles a call ask which program makes it. That is looked up when it is asked for, and once: it
// takes longer than all else that is not the key's.
func calledBy(h varlink.Handler) varlink.Handler {
	return func(ctx context.Context, c *varlink.Call) (any, error) {
		look := sync.OnceValue(func() caller.Caller { return caller.Of(c.Peer) })
		return h(context.WithValue(ctx, callerKey{}, look), c)
	}
}

// callerOf gives the program whose call goes on.
func callerOf(ctx context.Context) caller.Caller {
	return ctx.Value(callerKey{}).(func() caller.Caller)()
}
