package varlink

import (
	"sync"
	"time"
)

// guests counts the connections of each user and process.
type guests struct {
	mu        sync.Mutex
	users     map[uint32]int
	processes map[int32]int
}

// enter counts a connection of p, unless it is one too many.
func (g *guests) enter(p Peer, perUser, perProcess int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.users == nil {
		g.users, g.processes = make(map[uint32]int), make(map[int32]int)
	}
	if g.users[p.UID] >= perUser || g.processes[p.PID] >= perProcess {
		return false
	}
	g.users[p.UID]++
	g.processes[p.PID]++
	return true
}

func (g *guests) leave(p Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	countDown(g.users, p.UID)
	countDown(g.processes, p.PID)
}

// countDown forgets who has none left.
func countDown[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] == 0 {
		delete(m, k)
	}
}

// pace is a token bucket, which holds as many calls as are allowed in a second.
type pace struct {
	interval time.Duration // between calls, in the long run
	spent    time.Time     // up to when all calls were used up; later than now means that the next one has to wait
}

func newPace(perSecond int) pace { return pace{interval: time.Second / time.Duration(perSecond)} }

// take uses a call up, and says how long to wait before it is read.
func (p *pace) take(now time.Time) (wait time.Duration) {
	if full := now.Add(-time.Second); p.spent.Before(full) {
		p.spent = full
	}
	p.spent = p.spent.Add(p.interval)
	return max(0, p.spent.Sub(now))
}
