package daemon

import (
	"context"
	"slices"
	"sync"

	"fob/fido"
	"fob/ipc"
)

// turns lets the ceremonies on one key take turns, in the order in which they came. The zero value is ready.
type turns struct {
	mu     sync.Mutex
	queues map[fido.DeviceID][]*ticket // the first of each has its turn
}

// maxWaiting is how many ceremonies may wait for one key; each holds a connection.
const maxWaiting = 32

// ticket is a place in a queue.
type ticket struct {
	moved  chan struct{} // gets a value when the place has changed
	ending bool          // who had the turn needs nobody any more, and gives it up in a moment
}

// end says that who has the turn on the key needs nobody any more: the key is dark, and about to be closed.
func (t *turns) end(id fido.DeviceID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queues[id]) > 0 {
		t.queues[id][0].ending = true
	}
}

// free reports whether a key is free, or will be in a moment.
func (t *turns) free(id fido.DeviceID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.queues[id]) == 0 || len(t.queues[id]) == 1 && t.queues[id][0].ending
}

func (t *turns) add(id fido.DeviceID, mine *ticket) {
	if t.queues == nil {
		t.queues = make(map[fido.DeviceID][]*ticket)
	}
	t.queues[id] = append(t.queues[id], mine)
}

// wait returns when it is the caller's turn on the key, or ctx has ended. Before, it calls ahead with the number of
// those who come first, each time that it changes. A queue that is too long gives ipc.DeviceBusy. The caller calls done
// when the turn is over.
func (t *turns) wait(ctx context.Context, id fido.DeviceID, ahead func(n int) error) (done func(), err error) {
	mine := &ticket{moved: make(chan struct{}, 1)}
	t.mu.Lock()
	if len(t.queues[id]) > maxWaiting {
		t.mu.Unlock()
		return nil, ipc.DeviceBusy{}
	}
	t.add(id, mine)
	t.mu.Unlock()
	done = func() { t.leave(id, mine) }

	for told := 0; ; {
		if ctx.Err() != nil { // though it may be our turn by now
			done()
			return nil, context.Cause(ctx)
		}
		n, ending := t.position(id, mine)
		if n == 0 {
			return done, nil
		}
		if n != told && !ending {
			if err := ahead(n); err != nil {
				done()
				return nil, err
			}
			told = n
		}
		select {
		case <-mine.moved:
		case <-ctx.Done():
		}
	}
}

// position is how many come first. Where that is one, ending says that it is about to be over.
func (t *turns) position(id fido.DeviceID, mine *ticket) (n int, ending bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n = slices.Index(t.queues[id], mine)
	return n, n == 1 && t.queues[id][0].ending
}

// leave gives a place up and tells those behind it.
func (t *turns) leave(id fido.DeviceID, mine *ticket) {
	t.mu.Lock()
	defer t.mu.Unlock()
	queue := t.queues[id]
	i := slices.Index(queue, mine)
	for _, behind := range queue[i+1:] {
		select {
		case behind.moved <- struct{}{}:
		default: // it has not looked since the last time
		}
	}
	if queue = slices.Delete(queue, i, i+1); len(queue) == 0 {
		delete(t.queues, id)
		return
	}
	t.queues[id] = queue
}
