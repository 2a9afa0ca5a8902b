// Package metrics counts what a fobd does, and measures how long it takes.
package metrics

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"fob/ipc"
)

// Metrics are the counts since a fobd was started. The zero value is ready, and nil counts nothing.
type Metrics struct {
	mu       sync.Mutex
	calls    map[call]int
	times    map[string]*histogram // by method
	counters map[string]int
}

// call is a method and the name of a result.
type call struct{ method, result string }

// Call counts a call that has ended. Methods and results must be of a bounded number.
func (m *Metrics) Call(method, result string, took time.Duration) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.calls == nil {
		m.calls, m.times = make(map[call]int), make(map[string]*histogram)
	}
	m.calls[call{method, result}]++
	if m.times[method] == nil {
		m.times[method] = new(histogram)
	}
	m.times[method].add(took)
}

// Count adds one to a counter. Names must be of a bounded number.
func (m *Metrics) Count(name string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counters == nil {
		m.counters = make(map[string]int)
	}
	m.counters[name]++
}

// Snapshot gives what was counted up to now, in the order of the names. The caller may change it.
func (m *Metrics) Snapshot() ipc.Metrics {
	s := ipc.Metrics{Calls: []ipc.Calls{}, Latencies: []ipc.Latency{}, Counters: map[string]int{}}
	if m == nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for c, n := range m.calls {
		s.Calls = append(s.Calls, ipc.Calls{Method: c.method, Result: c.result, Count: n})
	}
	for method, h := range m.times {
		l := h.latency()
		l.Method = method
		s.Latencies = append(s.Latencies, l)
	}
	maps.Copy(s.Counters, m.counters)
	slices.SortFunc(s.Calls, func(a, b ipc.Calls) int {
		return cmp.Or(cmp.Compare(a.Method, b.Method), cmp.Compare(a.Result, b.Result))
	})
	slices.SortFunc(s.Latencies, func(a, b ipc.Latency) int { return cmp.Compare(a.Method, b.Method) })
	return s
}
