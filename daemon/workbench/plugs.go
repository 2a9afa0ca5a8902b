package workbench

import "sync"

// plugs tells those who want to know that keys were plugged in or out.
type plugs struct {
	mu   sync.Mutex
	want map[*func()]bool
}

func (p *plugs) tell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for f := range p.want {
		(*f)()
	}
}

// Plugs has changed called each time that a key was plugged in or out, until stop. It must not wait.
func (w *Workbench) Plugs(changed func()) (stop func()) {
	p := &w.plugs
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.want == nil {
		p.want = make(map[*func()]bool)
	}
	p.want[&changed] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.want, &changed)
	}
}
