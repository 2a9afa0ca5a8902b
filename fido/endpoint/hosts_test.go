package endpoint

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"fob/fido/ctaphid"
)

const (
	node   = 1 // watch descriptor of the terminal
	folder = 2
)

func event(wd int32, mask uint32, name string) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
	b = binary.NativeEndian.AppendUint32(b, mask)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(name)))
	return append(b, name...)
}

func TestEvents(t *testing.T) {
	in, out := event(node, unix.IN_OPEN, ""), event(node, unix.IN_CLOSE_WRITE, "")
	look := event(node, unix.IN_CLOSE_NOWRITE, "")
	elsewhere := event(folder, unix.IN_OPEN, "7\x00\x00\x00")
	lost := event(-1, unix.IN_Q_OVERFLOW, "")
	tests := map[string]struct {
		events [][]byte
		open   int
		hungUp bool
	}{
		"two come":                   {[][]byte{in, elsewhere, in}, 2, false},
		"one goes":                   {[][]byte{in, in, out}, 1, false},
		"one goes, one comes":        {[][]byte{in, in, out, in}, 2, false},
		"all go, POLLHUP decides":    {[][]byte{in, out}, 0, false},
		"all go, one comes":          {[][]byte{in, in, out, look, elsewhere, in}, 1, true},
		"closings of former times":   {[][]byte{out, out, in}, 1, false},
		"lost events hang up nobody": {[][]byte{in, lost, out, out, in}, 4611686018427387902, false},
	}
	for name, test := range tests {
		w, woken := watched()
		w.take(bytes.Join(test.events, nil))
		if got := w.watched[node]; got.open != test.open || got.hungUp != test.hungUp || *woken != test.hungUp {
			t.Errorf("%s: %+v, woken %v", name, got, *woken)
		}
	}
}

// watched is a watcher of one terminal, and whether that was woken.
func watched() (w *watcher, woken *bool) {
	woken = new(bool)
	return &watcher{watched: map[int32]*hosts{node: {node: node, wake: func() { *woken = true }}}}, woken
}

func TestAfterLeftover(t *testing.T) {
	init := "\x00\xff\xff\xff\xff\x86\x00\x08"
	tests := []struct {
		records string
		newHost bool
		want    string
	}{
		{"old", false, ""},
		{"old" + init, false, ""},
		{"old", true, ""},
		{init + "new", true, init + "new"},
		{"old" + init + "new" + init, true, init + "new" + init},
	}
	for _, test := range tests {
		if got := afterLeftover([]byte(test.records), test.newHost); string(got) != test.want {
			t.Errorf("%q, %v: got %q, want %q", test.records, test.newHost, got, test.want)
		}
	}
}

// FuzzEvents reads arbitrary events: the count never contradicts itself.
func FuzzEvents(f *testing.F) {
	in, out := event(node, unix.IN_OPEN, ""), event(node, unix.IN_CLOSE_WRITE, "")
	f.Add(bytes.Join([][]byte{in, event(folder, unix.IN_OPEN, "7\x00"), out}, nil))
	f.Add(event(-1, unix.IN_Q_OVERFLOW, ""))
	f.Fuzz(func(t *testing.T, events []byte) {
		w, _ := watched()
		w.take(events)
		if h := w.watched[node]; h.open < 0 || h.open > 0 && !h.anyone || h.hungUp && !h.anyone {
			t.Errorf("%+v", h)
		}
	})
}

// FuzzRecords hands out the records of arbitrary bytes: the same bytes, without those that have a report number.
func FuzzRecords(f *testing.F) {
	f.Add(make([]byte, 2*recordSize))
	f.Add(append(bytes.Repeat([]byte{1}, recordSize), make([]byte, recordSize+7)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &conn{records: data, hosts: new(hosts)}
		for rest := data; len(rest) >= recordSize; rest = rest[recordSize:] {
			r, ok := c.nextRecord()
			if got := append([]byte{rest[0]}, r[:]...); !bytes.Equal(got, rest[:recordSize]) || ok != (rest[0] == 0) {
				t.Errorf("got %x, %v, want %x", got, ok, rest[:recordSize])
			}
		}
		if left := afterLeftover(data, true); left != nil && (!bytes.HasSuffix(data, left) || ctaphid.ParsePacket(
			ctaphid.Report(append(left[1:8:8], make([]byte, 57)...))).CID != ctaphid.BroadcastCID) {
			t.Errorf("left %x", left)
		}
	})
}
