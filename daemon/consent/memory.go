package consent

import (
	"sync"

	"fob/daemon/policy"
	"fob/fido"
)

// Memory has what the person said yes to for the session. The zero value is ready.
type Memory struct {
	mu   sync.Mutex
	said map[agreed]bool
}

// agreed is what a yes is about.
type agreed struct {
	uid              uint32
	executable, unit string
	terminal         bool
	verb             policy.Verb
	rpID, token      string
	key              fido.DeviceID
}

// about gives nothing for a program whose file is not known, which could be any.
func about(q *Question, key fido.DeviceID) (agreed, bool) {
	return agreed{q.Caller.UID, q.Caller.Executable, q.Caller.Unit, q.Caller.Terminal != "", q.Verb, q.RPID, q.Token, key},
		q.Caller.Executable != ""
}

// Has reports whether the person has said yes to the same with a key.
func (m *Memory) Has(q *Question, key fido.DeviceID) bool {
	a, known := about(q, key)
	m.mu.Lock()
	defer m.mu.Unlock()
	return known && m.said[a]
}

// Add remembers a yes.
func (m *Memory) Add(q *Question, key fido.DeviceID) {
	a, known := about(q, key)
	if !known {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.said == nil {
		m.said = make(map[agreed]bool)
	}
	m.said[a] = true
}

// Forget forgets everything.
func (m *Memory) Forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = nil
}
