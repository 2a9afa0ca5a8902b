package pcsc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDial(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "nobody")
	if _, err := Dial(until(t), socket); !errors.Is(err, ErrNoService) {
		t.Error("nobody listens:", err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Dial(done, socket); err != context.Canceled {
		t.Error("cancelled:", err)
	}
	t.Setenv("PCSCLITE_CSOCK_NAME", listen(t, func(d *daemon) { d.begins() }))
	c, err := Dial(until(t), "")
	if err != nil {
		t.Fatal(err)
	}
	if c.context != theContext {
		t.Errorf("context %#x", c.context)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != os.ErrClosed {
		t.Error("a second Close:", err)
	}
	if _, err := c.Readers(until(t)); err != os.ErrClosed {
		t.Error("after Close:", err)
	}
}

// TestVersion agrees with daemons of several versions. Those before 2.4.1 insist on their own.
func TestVersion(t *testing.T) {
	version := new(VersionError)
	isVersion := func(err error) bool { return errors.As(err, &version) }
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	for name, c := range map[string]struct {
		replies []versionMsg
		want    func(error) bool
	}{
		"4:4":            {[]versionMsg{{4, 4, 0}}, is(nil)},
		"4:6, backward":  {[]versionMsg{{4, 6, 0}}, is(nil)},
		"4:5, strict":    {[]versionMsg{{4, 5, uint32(ErrServiceStopped)}, {4, 5, 0}}, is(nil)},
		"4:3":            {[]versionMsg{{4, 3, uint32(ErrServiceStopped)}}, isVersion},
		"4:9, strict":    {[]versionMsg{{4, 9, uint32(ErrServiceStopped)}}, isVersion},
		"5:0":            {[]versionMsg{{5, 0, uint32(ErrServiceStopped)}}, isVersion},
		"5:0, confused":  {[]versionMsg{{5, 0, 0}}, isVersion},
		"never content":  {[]versionMsg{{4, 5, uint32(ErrServiceStopped)}, {4, 5, uint32(ErrServiceStopped)}}, isVersion},
		"out of memory":  {[]versionMsg{{4, 4, uint32(ErrNoMemory)}}, is(ErrNoMemory)},
		"polkit says no": {nil, is(ErrRefused)},
	} {
		t.Run(name, func(t *testing.T) {
			socket := listen(t, func(d *daemon) {
				for _, r := range c.replies {
					if !d.hears(cmdVersion, new(versionMsg)) {
						return
					}
					d.says(r)
				}
				if e := (establishMsg{}); c.replies != nil && c.replies[len(c.replies)-1].RV == 0 &&
					d.hears(cmdEstablishContext, &e) {
					d.says(e)
				}
			})
			client, err := Dial(until(t), socket)
			if !c.want(err) {
				t.Error(err)
			}
			if err == nil {
				client.Close()
			}
		})
	}
	if text := (&VersionError{4, 3}).Error(); !strings.Contains(text, "4:3") {
		t.Error(text)
	}
}

func TestReaders(t *testing.T) {
	with := ReaderState{
		Name: "with", Events: 7, State: CardPresent | CardPowered, Sharing: 2, ATR: []byte{0x3b, 0x80}, Protocol: T1,
	}
	silent := ReaderState{Name: "silent", State: CardPresent | CardSwallowed, Sharing: SharedExclusively}
	var table statesMsg
	table[0] = state("silent", silent)
	table[3] = state("with\x00out", with)
	table[3].ATR[2] = 0xff // of an earlier card
	table[15] = state("new", ReaderState{State: CardPresent})
	table[15].ATRLength = notInitialized
	c := dial(t, func(d *daemon) {
		if d.begins() && d.hears(cmdGetReadersState, nil) {
			d.says(table)
		}
	})
	states, err := c.Readers(until(t))
	if want := []ReaderState{silent, with, {Name: "new", State: CardPresent}}; !reflect.DeepEqual(states, want) {
		t.Errorf("%+v, %v, want %+v", states, err, want)
	}
	if !with.HasCard() || silent.HasCard() || states[2].HasCard() || (ReaderState{State: CardAbsent}).HasCard() {
		t.Error("HasCard")
	}
}

// TestHostileReaders has tables that make no sense. The connection is of no use after that.
func TestHostileReaders(t *testing.T) {
	long := state(strings.Repeat("x", maxReaderName), ReaderState{})
	deep := state("deep", ReaderState{})
	deep.ATRLength = notInitialized + 1
	for name, table := range map[string]statesMsg{
		"name without end": {long},
		"not UTF-8":        {state("\xff", ReaderState{})},
		"long ATR":         {deep},
		"same name twice":  {state("a", ReaderState{}), state("a", ReaderState{})},
	} {
		c := dial(t, func(d *daemon) {
			if d.begins() && d.hears(cmdGetReadersState, nil) {
				d.says(table)
			}
		})
		bad := new(BadReplyError)
		if states, err := c.Readers(until(t)); !errors.As(err, &bad) {
			t.Errorf("%s: %+v, %v", name, states, err)
		}
		if _, err := c.Readers(until(t)); err != os.ErrClosed {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
}

// TestWatch sees readers and cards come and go.
func TestWatch(t *testing.T) {
	card := state("a", ReaderState{State: CardPresent, ATR: []byte{0x3b}})
	tables := []statesMsg{{}, {state("a", ReaderState{State: CardAbsent})}, {card}, {}}
	stopped := make(chan bool, 1)
	c := dial(t, func(d *daemon) {
		if !d.begins() {
			return
		}
		for i, table := range tables {
			if !d.hears(cmdWaitStateChange, nil) {
				return
			}
			d.says(table)
			if i < len(tables)-1 {
				d.says(waitMsg{})
			}
		}
		stopped <- d.hears(cmdStopWaiting, nil)
		d.says(waitMsg{})
		if d.hears(cmdGetReadersState, nil) {
			d.says(tables[2])
		}
	})
	ctx, cancel := context.WithCancel(until(t))
	var seen []int
	err := c.Watch(ctx, func(s []ReaderState) {
		n := len(s)
		if n > 0 && s[0].HasCard() {
			n = 10
		}
		if seen = append(seen, n); len(seen) == len(tables) {
			cancel()
		}
	})
	if err != context.Canceled || !slices.Equal(seen, []int{0, 1, 10, 0}) {
		t.Errorf("saw %v, %v", seen, err)
	}
	if !<-stopped {
		t.Error("pcscd was not told")
	}
	if s, err := c.Readers(until(t)); err != nil || len(s) != 1 {
		t.Errorf("after Watch: %v, %v", s, err)
	}
}

// TestWatchEndsAsSomethingHappens has a change come just when nobody waits any more: then there is no other answer.
func TestWatchEndsAsSomethingHappens(t *testing.T) {
	for name, msg := range map[string]waitMsg{"change": {}, "cancelled by another": {RV: uint32(ErrCancelled)}} {
		c := dial(t, func(d *daemon) {
			if !d.begins() || !d.hears(cmdWaitStateChange, nil) {
				return
			}
			d.says(statesMsg{})
			d.conn.Write(appendMsg(nil, msg)[:5])
			d.hears(cmdStopWaiting, nil)
			d.conn.Write(appendMsg(nil, msg)[5:])
			if d.hears(cmdGetReadersState, nil) {
				d.says(statesMsg{})
			}
		})
		ctx, cancel := context.WithCancel(until(t))
		if err := c.Watch(ctx, func([]ReaderState) { cancel() }); err != context.Canceled {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.Readers(until(t)); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		}
	}
}

func TestWatchFails(t *testing.T) {
	for name, c := range map[string]struct {
		msg  any
		want error
	}{
		"cancelled":  {waitMsg{RV: uint32(ErrCancelled)}, ErrCancelled},
		"pcscd ends": {[]byte{0, 0}, ErrNoService},
	} {
		client := dial(t, func(d *daemon) {
			if d.begins() && d.hears(cmdWaitStateChange, nil) {
				d.says(statesMsg{})
				d.says(c.msg)
			}
		})
		if err := client.Watch(until(t), func([]ReaderState) {}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCancel ends a call that pcscd doesn't answer. The connection is closed with it.
func TestCancel(t *testing.T) {
	asked := make(chan struct{})
	hungUp := make(chan error, 1)
	k := connect(t, func(d *daemon) {
		d.hears(cmdTransmit, new(transmitMsg))
		io.CopyN(io.Discard, d.conn, 4)
		close(asked)
		_, err := d.conn.Read(make([]byte, 1))
		hungUp <- err
	})
	ctx, cancel := context.WithCancel(until(t))
	go func() {
		<-asked
		cancel()
	}()
	if _, err := k.Transmit(ctx, []byte("\x00\xa4\x04\x00")); err != context.Canceled {
		t.Error(err)
	}
	if err := <-hungUp; err != io.EOF {
		t.Error("the connection stays:", err)
	}
	if err := k.Status(until(t)); err != os.ErrClosed {
		t.Error("afterwards:", err)
	}
}

// TestTurns has a call wait for another one, and give up.
func TestTurns(t *testing.T) {
	release := make(chan struct{})
	k := connect(t, func(d *daemon) {
		var m cardMsg
		for d.hears(cmdStatus, &m) {
			<-release
			d.says(m)
		}
	})
	first := make(chan error, 1)
	go func() { first <- k.Status(until(t)) }()
	for len(k.client.turn) == 0 {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- k.Status(ctx) }()
	cancel()
	if err := <-second; err != context.Canceled {
		t.Error("second:", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error("first:", err)
	}
	if err := k.Status(until(t)); err != nil {
		t.Error("third:", err)
	}
}

// TestNothingIsLeft dials, fails and cancels many times.
func TestNothingIsLeft(t *testing.T) {
	socket := listen(t, func(d *daemon) {
		if d.begins() {
			d.hears(cmdWaitStateChange, nil)
			d.says(statesMsg{})
		}
	})
	cycle := func() {
		c, err := Dial(until(t), socket)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(until(t))
		c.Watch(ctx, func([]ReaderState) { cancel() })
		c.Close()
	}
	cycle()
	before, files := runtime.NumGoroutine(), openFiles(t)
	for range 50 {
		cycle()
	}
	for end := time.Now().Add(patience); runtime.NumGoroutine() > before || openFiles(t) > files; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d files; %d, %d before", runtime.NumGoroutine(), openFiles(t), before, files)
		}
	}
}

func openFiles(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestErrorText(t *testing.T) {
	for e, text := range map[Error]string{
		ErrSharingViolation: "another program holds the card (SCARD_E_SHARING_VIOLATION)",
		0x80109999:          "unknown PC/SC error 80109999",
	} {
		if e.Error() != text {
			t.Errorf("%q, want %q", e.Error(), text)
		}
	}
	names := make(map[string]bool)
	for _, t := range errorTexts {
		names[t.name] = true
	}
	if len(names) != len(errorTexts) {
		t.Error("two errors of the same name")
	}
}

// FuzzReplies has a daemon say anything: a client never panics or hangs, and what it takes for an answer was said.
func FuzzReplies(f *testing.F) {
	hello := append(appendMsg(nil, versionMsg{4, 4, 0}), appendMsg(nil, establishMsg{Context: theContext})...)
	connected := append(slices.Clone(hello), appendMsg(nil, connectMsg{Card: theCard, Active: T1})...)
	answer := appendMsg(slices.Clone(connected), cardMsg{Card: theCard})
	f.Add(slices.Concat(answer, appendMsg(nil, transmitMsg{Card: theCard, RecvLength: 3}), []byte("\x01\x90\x00")))
	f.Add(slices.Concat(answer, appendMsg(nil, transmitMsg{Card: theCard, RecvLength: 1 << 31}), []byte("\x01\x90\x00")))
	f.Add(appendMsg(slices.Clone(connected), cardMsg{Card: theCard, RV: uint32(ErrResetCard)}))
	f.Add(appendMsg(nil, versionMsg{4, 5, uint32(ErrServiceStopped)}))
	f.Add(hello)
	f.Fuzz(func(t *testing.T, said []byte) {
		client, server := net.Pipe()
		go io.Copy(io.Discard, server)
		go func() {
			server.Write(said)
			server.Close()
		}()
		defer server.Close()
		c, err := newClient(until(t), client)
		if err != nil {
			return
		}
		defer c.Close()
		k, err := c.Connect(until(t), "reader", Shared, T1)
		if err != nil {
			return
		}
		if err := k.Status(until(t)); err != nil {
			return
		}
		if r, err := k.Transmit(until(t), []byte("\x00\xa4\x04\x00")); err == nil && !bytes.Contains(said, r) {
			t.Errorf("%x was not said", r)
		}
	})
}

// FuzzReaderStates reads two places of the table of readers. Written down again, what was read of them reads the same.
func FuzzReaderStates(f *testing.F) {
	f.Add(appendMsg(nil, []stateMsg{
		state("a", ReaderState{Events: 1, State: CardPresent, ATR: []byte{0x3b, 0}}),
		state("é\x00x", ReaderState{Sharing: SharedExclusively}),
	}))
	f.Fuzz(func(t *testing.T, b []byte) {
		places := make([]stateMsg, 2)
		if readMsg(bytes.NewReader(b), places) != nil {
			return
		}
		states, err := readerStates(&statesMsg{4: places[0], 7: places[1]})
		if err != nil {
			return
		}
		var again statesMsg
		for i, s := range states {
			if len(s.Name) == 0 || len(s.Name) >= maxReaderName || len(s.ATR) > maxATR {
				t.Errorf("%+v", s)
			}
			again[i] = state(s.Name, s)
		}
		if read, err := readerStates(&again); err != nil || !reflect.DeepEqual(read, states) {
			t.Errorf("%+v, %v, want %+v", read, err, states)
		}
	})
}
