package session

import "sync"

// problem is why logind is not followed.
type problem struct {
	mu  sync.Mutex
	err error
}

func (p *problem) set(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// Problem is why nobody tells when the person turns away; nil while logind does, or before it was tried.
func (w *Watcher) Problem() error {
	w.problem.mu.Lock()
	defer w.problem.mu.Unlock()
	return w.problem.err
}
