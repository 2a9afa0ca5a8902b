package daemon

import (
	"cmp"
	"slices"
	"sync"

	"fob/daemon/caller"
	"fob/fido"
	"fob/ipc"
)

// How many ceremonies may wait, of one client and in all. Each holds a connection.
const (
	maxWaitingOfClient = 32
	maxWaiting         = 128
)

// turn names what ceremonies take turns with: a key, wherever it is known again when it was unplugged and plugged in,
// or a reader, whatever card is there.
type turn string

func turnOf(d fido.DeviceInfo) turn { return turn(cmp.Or(d.Reader, d.Mark, string(d.ID))) }

func turnsOf(devices []fido.DeviceInfo) []turn {
	list := make([]turn, len(devices))
	for i, d := range devices {
		list[i] = turnOf(d)
	}
	return list
}

// turns lets ceremonies take turns, one at a time for each key. Clients come round robin, the ceremonies of each in the
// order in which they came: a client that calls often keeps no other one waiting for more than one of its ceremonies.
// The zero value is ready.
type turns struct {
	mu      sync.Mutex
	queues  map[turn]*queue // those that are held or waited for
	waiting map[client]int  // tickets of each that have no turn yet; none is 0
	spares  []*ticket       // of ceremonies that have turns already
}

// client is a process that calls, and not another one that got its PID later.
type client struct {
	uid     uint32
	pid     int32
	started uint64
}

func clientOf(c caller.Caller) client { return client{c.UID, c.PID, c.Started} }

// queue is who has a turn, and who waits for it.
type queue struct {
	holder *ticket // nil for a moment: whoever is next waits for a turn beside it that is about to be over
	ending bool    // the holder needs the key no more, and gives it up in a moment
	lines  []*line // the first comes next
}

// line is what one client waits for, first come first served. It is never empty.
type line struct {
	client  client
	tickets []*ticket
}

// ticket is a ceremony that has turns, or waits for one.
type ticket struct {
	*turns
	client client
	holder ipc.Holder
	wanted []turn
	has    []turn        // those that it has got; then it waits for no other
	moved  chan struct{} // gets a value when something has changed
	spare  bool          // it is for more turns than its ceremony has, and gets one after the other
}

// enter takes all turns of wanted that are free, or else waits for those that are free first. Where too many wait, the
// ticket is nil. The caller leaves.
func (t *turns) enter(by client, holder ipc.Holder, wanted []turn) *ticket {
	mine := &ticket{turns: t, client: by, holder: holder, moved: make(chan struct{}, 1)}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.queues == nil {
		t.queues = make(map[turn]*queue)
	}
	t.count(by, 1)
	mine.want(wanted)
	t.hand()
	if mine.has == nil && t.tooMany(by) {
		mine.drop()
		return nil
	}
	return mine
}

// enterSpare is for a ceremony that has turns, and may use more keys. It gets those turns that are free while nobody
// waits for any: a key that is plugged in now is for who has none. The caller leaves.
func (t *turns) enterSpare(by client, holder ipc.Holder) *ticket {
	mine := &ticket{turns: t, client: by, holder: holder, moved: make(chan struct{}, 1), spare: true}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spares = append(t.spares, mine)
	return mine
}

// seek changes which turns a spare ticket is for, and tells which it has.
func (t *ticket) seek(wanted []turn) (has []turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = wanted
	t.hand()
	return slices.Clone(t.has)
}

// count notes that more, or fewer, tickets of a client wait.
func (t *turns) count(c client, more int) {
	if t.waiting == nil {
		t.waiting = make(map[client]int)
	}
	if t.waiting[c] += more; t.waiting[c] == 0 {
		delete(t.waiting, c)
	}
}

// tooMany reports whether a client has more tickets that wait than it may, or all have.
func (t *turns) tooMany(c client) bool {
	sum := 0
	for _, n := range t.waiting {
		sum += n
	}
	return sum > maxWaiting || t.waiting[c] > maxWaitingOfClient
}

// follow changes what a ticket waits for. It keeps its place where it waits already.
func (t *ticket) follow(wanted []turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.has == nil {
		t.want(wanted)
		t.hand()
	}
}

// end says that a ticket's ceremony needs nobody any more: its keys are dark, and about to be closed.
func (t *ticket) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range t.has {
		t.queues[name].ending = true
		t.queues[name].tell()
	}
}

// leave gives up the turns that a ticket has, or its places.
func (t *ticket) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.spare:
		t.spares = slices.DeleteFunc(t.spares, func(other *ticket) bool { return other == t })
	case t.has == nil:
		t.drop()
	}
	for _, name := range t.has {
		q := t.queues[name]
		q.holder, q.ending = nil, false
		q.tell()
	}
	t.has = nil
	t.hand()
}

// drop takes a ticket that has no turn out of all queues.
func (t *ticket) drop() {
	t.want(nil)
	t.count(t.client, -1)
}

// look tells which turns a ticket has got, or else its place: how many ceremonies come first by the present order, on
// the key where these are fewest. A holder who gives the key up in a moment does not count.
func (t *ticket) look() (has []turn, at place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, name := range t.wanted {
		q := t.queues[name]
		if n := q.ahead(t); i == 0 || n < at.ahead {
			at = place{name, n, q.user().shownTo(t.client)}
		}
	}
	return t.has, at
}

// heldBy tells a client who has a turn, or will in a moment; nil for nobody.
func (t *turns) heldBy(name turn, asks client) *ipc.Holder {
	t.mu.Lock()
	defer t.mu.Unlock()
	if q := t.queues[name]; q != nil {
		return q.user().shownTo(asks)
	}
	return nil
}

// want makes a ticket wait for these turns and for no others.
func (t *ticket) want(wanted []turn) {
	for _, name := range t.wanted {
		if !slices.Contains(wanted, name) {
			t.queues[name].remove(t)
		}
	}
	for i, name := range wanted {
		if slices.Contains(t.wanted, name) || slices.Contains(wanted[:i], name) {
			continue
		}
		if t.queues[name] == nil {
			t.queues[name] = &queue{}
		}
		t.queues[name].add(t)
	}
	t.wanted = slices.Compact(slices.Sorted(slices.Values(wanted)))
	t.tidy()
}

// hand gives free turns to those who come next. A ticket gets all that are its own to take at once: it waits for those
// that are about to be over.
func (t *turns) hand() {
	for _, q := range t.queues {
		if next := q.next(); next != nil && q.holder == nil {
			next.take()
		}
	}
	if len(t.waiting) == 0 {
		for _, spare := range t.spares {
			spare.takeSpare()
		}
	}
	t.tidy()
}

// takeSpare takes the free turns that a spare ticket is for.
func (t *ticket) takeSpare() {
	t.wanted = slices.DeleteFunc(t.wanted, func(name turn) bool {
		if t.queues[name] == nil {
			t.queues[name] = &queue{}
		}
		free := t.queues[name].holder == nil
		if free {
			t.queues[name].hold(t)
			t.has = append(t.has, name)
			t.wake()
		}
		return free
	})
}

// take takes the free turns for which a ticket comes next, unless another one for which it does is about to be over.
func (t *ticket) take() {
	var free []turn
	for _, name := range t.wanted {
		q := t.queues[name]
		switch {
		case q.next() != t:
		case q.ending:
			return
		case q.holder == nil:
			free = append(free, name)
		}
	}
	for _, name := range t.wanted {
		t.queues[name].remove(t)
	}
	for _, name := range free {
		t.queues[name].hold(t)
	}
	t.wanted, t.has = nil, free
	t.count(t.client, -1)
	t.wake()
}

// tidy forgets queues that nobody is in.
func (t *turns) tidy() {
	for name, q := range t.queues {
		if q.holder == nil && len(q.lines) == 0 {
			delete(t.queues, name)
		}
	}
}

// next is whose turn it is when the holder's is over; nil for nobody's.
func (q *queue) next() *ticket {
	if len(q.lines) == 0 {
		return nil
	}
	return q.lines[0].tickets[0]
}

// held reports whether somebody has the turn, for more than a moment.
func (q *queue) held() bool { return q.holder != nil && !q.ending }

// user is who has the turn, or will in a moment; nil for nobody.
func (q *queue) user() *ticket {
	if q.held() {
		return q.holder
	}
	return q.next()
}

// shownTo tells a client whose ticket it is. What other users' programs are, and where they sign in, is their own
// business.
func (t *ticket) shownTo(c client) *ipc.Holder {
	switch {
	case t == nil:
		return nil
	case answersFor(c.uid, t.client.uid):
		return &t.holder
	default:
		return &ipc.Holder{Verb: t.holder.Verb}
	}
}

func (q *queue) lineOf(c client) int {
	return slices.IndexFunc(q.lines, func(l *line) bool { return l.client == c })
}

// add puts a ticket behind the others. A client that has the turn now lets those who come meanwhile go first, once.
func (q *queue) add(t *ticket) {
	defer q.tell()
	if i := q.lineOf(t.client); i >= 0 {
		q.lines[i].tickets = append(q.lines[i].tickets, t)
		return
	}
	at := len(q.lines)
	if at > 0 && q.holder != nil && q.lines[at-1].client == q.holder.client {
		at--
	}
	q.lines = slices.Insert(q.lines, at, &line{t.client, []*ticket{t}})
}

// remove takes a ticket out.
func (q *queue) remove(t *ticket) {
	i := q.lineOf(t.client)
	l := q.lines[i]
	at := slices.Index(l.tickets, t)
	if l.tickets = slices.Delete(l.tickets, at, at+1); len(l.tickets) == 0 {
		q.lines = slices.Delete(q.lines, i, i+1)
	}
	q.tell()
}

// hold gives the turn to a ticket. Its client comes last from now on.
func (q *queue) hold(t *ticket) {
	q.holder = t
	if i := q.lineOf(t.client); i >= 0 {
		l := q.lines[i]
		q.lines = append(slices.Delete(q.lines, i, i+1), l)
	}
	q.tell()
}

// ahead counts who comes before a ticket that waits: the holder, the client's own that came before it, and of each
// other client as many in the rounds until then.
func (q *queue) ahead(t *ticket) int {
	mine := q.lineOf(t.client)
	rounds := slices.Index(q.lines[mine].tickets, t)
	n := rounds
	for i, l := range q.lines {
		switch {
		case i < mine:
			n += min(len(l.tickets), rounds+1)
		case i > mine:
			n += min(len(l.tickets), rounds)
		}
	}
	if q.held() {
		n++
	}
	return n
}

// tell wakes all who wait: their places may have changed.
func (q *queue) tell() {
	for _, l := range q.lines {
		for _, t := range l.tickets {
			t.wake()
		}
	}
}

func (t *ticket) wake() {
	select {
	case t.moved <- struct{}{}:
	default: // it has not looked since the last time
	}
}
