package daemon

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"fob/ipc"
)

// Clients.
var client1, client2, client3 = client{pid: 1}, client{pid: 2}, client{pid: 3}

// served serves all who wait, one after another, and tells in which order by their names.
func served(t *testing.T, tickets map[string]*ticket) string {
	t.Helper()
	var served []string
	for len(tickets) > 0 {
		before := len(tickets)
		for name, one := range tickets {
			if has, _ := one.look(); has != nil {
				served = append(served, name)
				delete(tickets, name)
				one.leave()
				break
			}
		}
		if len(tickets) == before {
			t.Fatalf("nobody's turn: %v", slices.Collect(maps.Keys(tickets)))
		}
	}
	return strings.Join(served, " ")
}

// TestTurnsAreFair: a client that came with many ceremonies lets others come between.
func TestTurnsAreFair(t *testing.T) {
	var turns turns
	tickets := make(map[string]*ticket)
	enter := func(name string, by client) { tickets[name] = turns.enter(by, ipc.Holder{}, []turn{"key"}) }
	places := func(want string) {
		t.Helper()
		var got []string
		for _, name := range slices.Sorted(maps.Keys(tickets)) {
			_, at := tickets[name].look()
			got = append(got, fmt.Sprint(name, "=", at.ahead))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("got %s, want %s", strings.Join(got, " "), want)
		}
	}
	enter("a0", client1)
	enter("a1", client1)
	enter("a2", client1)
	enter("a3", client1)
	places("a0=0 a1=1 a2=2 a3=3")
	enter("b1", client2) // the first client has its turn now, so it comes after
	places("a0=0 a1=2 a2=3 a3=4 b1=1")
	enter("b2", client2)
	enter("c1", client3)
	places("a0=0 a1=3 a2=5 a3=6 b1=1 b2=4 c1=2")
	tickets["a1"].leave()
	delete(tickets, "a1")
	places("a0=0 a2=3 a3=5 b1=1 b2=4 c1=2")
	if got := served(t, tickets); got != "a0 b1 c1 a2 b2 a3" {
		t.Error(got)
	}
	if len(turns.queues)+len(turns.waiting) != 0 {
		t.Errorf("something is left: %v, %v", turns.queues, turns.waiting)
	}
}

// TestNewClientsDoNotStarveOthers: however many clients come, whoever waits comes forward.
func TestNewClientsDoNotStarveOthers(t *testing.T) {
	var turns turns
	now := turns.enter(client1, ipc.Holder{}, []turn{"key"})
	patient := turns.enter(client2, ipc.Holder{}, []turn{"key"})
	again := turns.enter(client1, ipc.Holder{}, []turn{"key"}) // behind client2, whose turn comes before
	var fresh []*ticket
	for i := range 10 {
		fresh = append(fresh, turns.enter(client{pid: int32(100 + i)}, ipc.Holder{}, []turn{"key"}))
	}
	now.leave()
	if has, _ := patient.look(); has == nil {
		t.Error("clients that came later came first")
	}
	patient.leave()
	for i, one := range fresh { // who came while client1 had the key
		if _, at := again.look(); at.ahead != len(fresh)-i {
			t.Errorf("%d others come first, of %d", at.ahead, len(fresh)-i)
		}
		turns.enter(client{pid: int32(200 + i)}, ipc.Holder{}, []turn{"key"})
		one.leave()
	}
	if has, _ := again.look(); has == nil {
		t.Error("clients that came later came first")
	}
}

func TestQueueIsBounded(t *testing.T) {
	var turns turns
	enter := func(by client) *ticket { return turns.enter(by, ipc.Holder{}, []turn{"key"}) }
	enter(client1)
	for range maxWaitingOfClient {
		if enter(client1) == nil {
			t.Fatal("too few may wait")
		}
	}
	if enter(client1) != nil {
		t.Error("more may wait than a client has")
	}
	if turns.enter(client1, ipc.Holder{}, []turn{"another"}) == nil {
		t.Error("a key that is free must be waited for")
	}
	if turns.enter(client1, ipc.Holder{}, nil) != nil {
		t.Error("more wait for a key to be plugged in than a client may")
	}
	one := enter(client2)
	for i := range maxWaiting - maxWaitingOfClient - 1 {
		if enter(client{pid: int32(100 + i)}) == nil {
			t.Fatal("too few may wait")
		}
	}
	if enter(client3) != nil {
		t.Error("more may wait than there is room for")
	}
	one.leave()
	if enter(client3) == nil {
		t.Error("room that was given up is not used")
	}
}

// TestSeveralKeys: of several keys those that are free are had at once, or else those that are free first.
func TestSeveralKeys(t *testing.T) {
	var turns turns
	enter := func(wanted ...turn) *ticket { return turns.enter(client1, ipc.Holder{}, wanted) }
	is := func(one *ticket, want ...turn) {
		t.Helper()
		if has, at := one.look(); !slices.Equal(has, want) {
			t.Errorf("has %v, want %v, at %+v", has, want, at)
		}
	}
	a, b := enter("1", "1"), enter("2", "1")
	is(a, "1")
	is(b, "2")
	any, third := enter("1", "2"), enter("1", "3")
	is(any)
	is(third, "3")
	b.leave()
	is(any, "2")
	both := enter("1", "2", "3")
	third.leave()
	is(both, "3")
	both.leave()

	// A ceremony that had several gives them up at once.
	a.leave()
	any.leave()
	all := enter("1", "2")
	is(all, "1", "2")
	next := enter("1", "2")
	all.leave()
	is(next, "1", "2")

	// A key that is about to be free is waited for, beside one that is.
	next.end()
	one := enter("2", "3")
	is(one)
	if _, at := one.look(); at.ahead != 0 {
		t.Errorf("%+v", at)
	}
	next.leave()
	is(one, "2", "3")

	// Keys that come are had at once; one that is gone is not waited for.
	late := enter("2")
	late.follow([]turn{"2", "4"})
	is(late, "4")
	none := turns.enter(client2, ipc.Holder{}, nil)
	is(none)
	none.follow([]turn{"2"})
	is(none)
	none.follow(nil)
	one.leave()
	is(none)
	none.follow([]turn{"2"})
	is(none, "2")
	none.leave()
	late.leave()
	if len(turns.queues)+len(turns.waiting) != 0 {
		t.Errorf("something is left: %v, %v", turns.queues, turns.waiting)
	}
}

func TestWhoHoldsTheKey(t *testing.T) {
	var turns turns
	if got := turns.heldBy("key", client{}); got != nil {
		t.Error(got)
	}
	first := turns.enter(client1, ipc.Holder{PID: 1}, []turn{"key"})
	second := turns.enter(client2, ipc.Holder{PID: 2}, []turn{"key"})
	third := turns.enter(client3, ipc.Holder{PID: 3}, []turn{"key"})
	for _, one := range []*ticket{second, third} {
		if _, at := one.look(); at.holder == nil || at.holder.PID != 1 {
			t.Errorf("%+v", at)
		}
	}
	first.end()
	if _, at := third.look(); at.ahead != 1 || at.holder == nil || at.holder.PID != 2 {
		t.Errorf("%+v", at)
	}
}

// model is many tickets, and what must hold for them whatever happens.
type model struct {
	*testing.T
	*turns
	tickets []*modelTicket
	random  *rand.Rand
	entered int
	checks  int
	came    map[turn]map[*ticket]int           // when a ticket was there first
	holders map[turn]*ticket                   // at the check before
	passed  map[turn]map[client]map[client]int // how often another client came while one waited
}

type modelTicket struct {
	*ticket
	number int
	ending bool
	ahead  int // when it was told last
}

// TestTurnsModel has ceremonies come, go, give up and follow other keys at random. No turn is two ceremonies' at a
// time; nobody waits for a free key, nor misses that something has changed; a client's ceremonies come in their
// order; nobody waits while another client comes twice; and the order is the one that places tell.
func TestTurnsModel(t *testing.T) {
	for seed := range uint64(25) {
		m := &model{T: t, turns: &turns{}, random: rand.New(rand.NewPCG(seed, 5)), came: make(map[turn]map[*ticket]int),
			holders: make(map[turn]*ticket), passed: make(map[turn]map[client]map[client]int)}
		for range 300 {
			m.step()
			m.check()
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		for len(m.tickets) > 0 { // nobody starves
			holders := slices.DeleteFunc(slices.Clone(m.tickets), func(one *modelTicket) bool { return one.has == nil })
			forNone := func(one *modelTicket) bool { return len(one.wanted) == 0 }
			if len(holders) == 0 && !slices.ContainsFunc(m.tickets, forNone) {
				t.Fatalf("seed %d: nobody has a turn, and %d wait", seed, len(m.tickets))
			}
			if len(holders) == 0 {
				holders = m.tickets
			}
			m.leave(holders[0])
			m.check()
		}
		if len(m.queues)+len(m.waiting) != 0 {
			t.Fatalf("seed %d: something is left: %v, %v", seed, m.queues, m.waiting)
		}
	}
}

func (m *model) wanted() []turn {
	var wanted []turn
	for _, name := range []turn{"1", "2", "3"} {
		if m.random.IntN(2) == 0 {
			wanted = append(wanted, name)
		}
	}
	return wanted
}

func (m *model) step() {
	what := m.random.IntN(10)
	if what < 5 || len(m.tickets) == 0 {
		m.entered++
		by := client{pid: int32(m.random.IntN(4))}
		if one := m.enter(by, ipc.Holder{PID: m.entered}, m.wanted()); one != nil {
			m.tickets = append(m.tickets, &modelTicket{ticket: one, number: m.entered})
		}
		return
	}
	switch one := m.tickets[m.random.IntN(len(m.tickets))]; {
	case what < 6:
		one.follow(m.wanted())
		one.wake() // who follows others looks by itself
	case what < 7 && one.has != nil && !one.ending:
		one.ending = true
		one.end()
	default:
		m.leave(one)
	}
}

func (m *model) leave(one *modelTicket) {
	m.tickets = slices.DeleteFunc(m.tickets, func(other *modelTicket) bool { return other == one })
	one.leave()
}

func (m *model) check() {
	held := make(map[turn]*modelTicket)
	for _, one := range m.tickets {
		for _, name := range one.has {
			if held[name] != nil {
				m.Errorf("%s is of %d and %d", name, held[name].number, one.number)
			}
			held[name] = one
		}
	}
	for _, one := range m.tickets {
		_, at := one.look()
		if at.ahead != one.ahead && len(one.moved) == 0 {
			m.Errorf("%d was not told that %d come first, and not %d", one.number, at.ahead, one.ahead)
		}
		select {
		case <-one.moved:
		default:
		}
		one.ahead = at.ahead
		if one.has == nil && at.ahead == 0 && at.turn != "" && !m.beside(one) {
			m.Errorf("%d waits for what it could have", one.number)
		}
	}
	m.checks++
	for _, name := range []turn{"1", "2", "3"} {
		q := m.queues[name]
		if q == nil {
			q = &queue{}
		}
		m.checkFIFO(name, q)
		m.checkRounds(name, q)
		m.checkOrder(name, q)
	}
}

// checkFIFO: the ceremonies of a client come in the order in which they came.
func (m *model) checkFIFO(name turn, q *queue) {
	came := make(map[*ticket]int)
	for _, l := range q.lines {
		for _, one := range l.tickets {
			if came[one] = m.came[name][one]; came[one] == 0 {
				came[one] = m.checks
			}
		}
		if !slices.IsSortedFunc(l.tickets, func(a, b *ticket) int { return came[a] - came[b] }) {
			m.Errorf("the ceremonies of %v don't come in order", l.client)
		}
	}
	m.came[name] = came
}

// checkRounds: while a client waits, no other one comes twice.
func (m *model) checkRounds(name turn, q *queue) {
	passed := make(map[client]map[client]int)
	for _, l := range q.lines {
		if passed[l.client] = m.passed[name][l.client]; passed[l.client] == nil {
			passed[l.client] = make(map[client]int)
		}
	}
	if h := q.holder; h != nil && h != m.holders[name] {
		if passed[h.client] != nil {
			passed[h.client] = make(map[client]int)
		}
		for waits, others := range passed {
			if others[h.client]++; waits != h.client && others[h.client] > 1 {
				m.Errorf("%v has come %d times while %v waited", h.client, others[h.client], waits)
			}
		}
	}
	m.passed[name], m.holders[name] = passed, q.holder
}

// beside reports whether a ticket that comes next waits for a turn that is about to be over.
func (m *model) beside(one *modelTicket) bool {
	return slices.ContainsFunc(one.wanted, func(name turn) bool {
		return m.queues[name].ending && m.queues[name].next() == one.ticket
	})
}

// checkOrder serves a copy of a queue to its end, as if nobody came any more, and compares with the places.
func (m *model) checkOrder(name turn, q *queue) {
	served := 0
	if q.held() {
		served = 1
	}
	var lines []*line
	for _, l := range q.lines {
		lines = append(lines, &line{l.client, slices.Clone(l.tickets)})
	}
	for ; len(lines) > 0; served++ {
		first := lines[0]
		if got := q.ahead(first.tickets[0]); got != served {
			m.Errorf("%d come before %v at %s, not %d", served, first.tickets[0].holder.PID, name, got)
		}
		lines = lines[1:]
		if first.tickets = first.tickets[1:]; len(first.tickets) > 0 {
			lines = append(lines, first)
		}
	}
}
