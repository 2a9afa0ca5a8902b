package helper

import "sync"

// Figures are what is known about the helpers of a source.
type Figures struct {
	Started, Crashed int // processes; those that we ended did not crash
	Ready            int // that wait for their keys now
	// Problem is why the last one could not be started; nil when it could, or none was needed.
	Problem error
	// Sandbox is how the last one that opened a key was confined; nil when none has.
	Sandbox *Sandbox
}

// Figures tells about the helpers up to now.
func (s *Source) Figures() Figures {
	s.mu.Lock()
	ready := 0
	if s.keep != nil {
		ready = len(s.keep.ready)
	}
	s.mu.Unlock()
	s.figures.mu.Lock()
	defer s.figures.mu.Unlock()
	f := s.figures.Figures
	f.Ready = ready
	return f
}

type figures struct {
	mu sync.Mutex
	Figures
}

func (f *figures) begun(problem error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Problem = problem
	if problem == nil {
		f.Started++
	}
}

func (f *figures) died() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Crashed++
}

func (f *figures) confined(s Sandbox) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Sandbox = &s
}
