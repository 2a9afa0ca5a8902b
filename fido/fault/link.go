package fault

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"fob/fido/ctaphid"
)

// link stands between the host and a key, and sees each packet.
type link struct {
	ctaphid.Conn
	injector *Injector
	stay     *stay
	come     []ctaphid.Report // from the host, for the key to read

	mu       sync.Mutex // guards the fields below, as packets cross
	commands map[ctaphid.CID]names
	messages map[place]map[ctaphid.CID]*message
}

// message is one of which packets are on their way.
type message struct {
	names names
	n     int // packets so far
}

// maxChannels is on how many channels a link follows messages; a host may make up as many as it likes.
const maxChannels = 256

func newLink(i *Injector, c ctaphid.Conn) *link {
	l := &link{Conn: c, injector: i, stay: i.present()}
	l.forget()
	return l
}

func (l *link) forget() {
	l.commands = make(map[ctaphid.CID]names)
	l.messages = map[place]map[ctaphid.CID]*message{packetIn: {}, packetOut: {}}
}

// ReadReport implements ctaphid.Conn.
func (l *link) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	for len(l.come) == 0 {
		r, err := l.Conn.ReadReport(ctx)
		if err != nil {
			return r, l.fail(err)
		}
		if l.come, err = l.pass(ctx, packetIn, r); err != nil {
			return r, err
		}
	}
	r := l.come[0]
	l.come = l.come[1:]
	return r, nil
}

// WriteReport implements ctaphid.Conn.
func (l *link) WriteReport(ctx context.Context, r ctaphid.Report) error {
	if l.stay.silent.Load() {
		return ctx.Err()
	}
	reports, err := l.pass(ctx, packetOut, r)
	for _, r := range reports {
		if err := l.Conn.WriteReport(ctx, r); err != nil {
			return l.fail(err)
		}
	}
	return err
}

// fail ends the stay with an error that ends Device.Serve, which waits for a key that hangs.
func (l *link) fail(err error) error {
	if !errors.Is(err, ctaphid.ErrHangUp) && !errors.Is(err, ctaphid.ErrDropped) {
		l.stay.end()
	}
	return err
}

// pass gives what comes of a packet.
func (l *link) pass(ctx context.Context, p place, r ctaphid.Report) ([]ctaphid.Report, error) {
	reports := []ctaphid.Report{r}
	for _, h := range l.injector.happen(l.event(p, ctaphid.ParsePacket(r))) {
		var passed []ctaphid.Report
		for _, r := range reports {
			these, err := h.effect.(packetEffect).packets(ctx, &packet{r, h.chance, l.stay})
			if err != nil {
				return nil, err
			}
			passed = append(passed, these...)
		}
		reports = passed
	}
	return reports, nil
}

func (l *link) event(at place, p ctaphid.Packet) event {
	m := l.follow(at, p)
	return event{
		place: at,
		names: m.names,
		first: m.n == 1,
		where: fmt.Sprintf("%s %d of %v", placeWords[at], m.n, m.names),
		suits: func(e effect) bool { return suitsPacket(e, p) },
	}
}

// follow finds out what message a packet belongs to. An answer is named after the command that it answers.
func (l *link) follow(at place, p ctaphid.Packet) message {
	l.mu.Lock()
	defer l.mu.Unlock()
	messages := l.messages[at]
	m, known := messages[p.CID]
	if p.Initial || !known {
		if len(messages) >= maxChannels {
			l.forget()
			messages = l.messages[at]
		}
		m = &message{names: l.name(at, p)}
		messages[p.CID] = m
	}
	m.n++
	return *m
}

func (l *link) name(at place, p ctaphid.Packet) names {
	command := p.Initial && (p.Command == ctaphid.CommandCBOR || p.Command == ctaphid.CommandMsg)
	switch {
	case !p.Initial:
		return names{"nothing"}
	case command && at == packetOut:
		return l.commands[p.CID]
	}
	n := packetNames(p)
	if command {
		l.commands[p.CID] = n
	}
	return n
}
