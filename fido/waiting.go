package fido

import "context"

type waitingKey struct{}

// OnWaiting gives a context for operations of authenticators. Each of them calls told, in its own goroutine, when the
// key begins to wait for the person: to touch it, or to lay a finger on it. A key that has no need of the person, or
// refuses before, does not.
func OnWaiting(ctx context.Context, told func()) context.Context {
	return context.WithValue(ctx, waitingKey{}, told)
}

// Waiting is how an authenticator tells that its key begins to wait for the person.
func Waiting(ctx context.Context) {
	if told, ok := ctx.Value(waitingKey{}).(func()); ok && ctx.Err() == nil {
		told()
	}
}

// prompting performs do, and says to the person when to touch the key. If that can't be said, the key goes dark.
func (c *ceremony) prompting(ctx context.Context, p TouchPrompt, do func(ctx context.Context) error) error {
	p.Device = c.device
	var lost error
	cancellable, cancel := context.WithCancel(ctx)
	defer cancel()
	tell := func() {
		c.lit = true
		if c.told != nil {
			c.told()
		}
		if lost = c.prompt.Touch(ctx, p); lost != nil {
			cancel()
		}
	}
	if c.device.Reader != "" { // a card never waits: the person has to leave it there
		tell()
		tell = func() {}
	}
	err := do(OnWaiting(cancellable, tell))
	if err != nil && lost != nil {
		return lost
	}
	return err
}
