package consent

import (
	"context"
	"sync"

	"fob/daemon/caller"
)

// Turns lets each program have one question at a time before the person, so that none can bury them in questions. The
// zero value is ready.
type Turns struct {
	mu     sync.Mutex
	queues map[program]*queue
}

// program is whose questions take turns. A process stands for itself where its file is not known.
type program struct {
	uid              uint32
	executable, unit string
	pid              int32
	started          uint64
}

// queue has one place; users counts who has it and who waits for it.
type queue struct {
	place chan struct{}
	users int
}

func whose(c caller.Caller) program {
	if c.Executable == "" {
		return program{uid: c.UID, pid: c.PID, started: c.Started}
	}
	return program{uid: c.UID, executable: c.Executable, unit: c.Unit}
}

// Wait returns when the program may ask, or ctx has ended. The caller calls done when the question is over.
func (t *Turns) Wait(ctx context.Context, c caller.Caller) (done func(), err error) {
	who := whose(c)
	q := t.enter(who)
	select {
	case q.place <- struct{}{}:
		return func() {
			<-q.place
			t.leave(who)
		}, nil
	case <-ctx.Done():
		t.leave(who)
		return nil, context.Cause(ctx)
	}
}

func (t *Turns) enter(who program) *queue {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queues == nil {
		t.queues = make(map[program]*queue)
	}
	if t.queues[who] == nil {
		t.queues[who] = &queue{place: make(chan struct{}, 1)}
	}
	t.queues[who].users++
	return t.queues[who]
}

func (t *Turns) leave(who program) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queues[who].users--; t.queues[who].users == 0 {
		delete(t.queues, who)
	}
}
