package ctaphid

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func TestPacketsAsSpecified(t *testing.T) {
	tests := []struct {
		packet Packet
		want   string // hex, without the zeros at the end
	}{
		{Packet{CID: BroadcastCID, Initial: true, Command: CommandInit, BCNT: 8, Data: []byte("12345678")},
			"ffffffff8600083132333435363738"},
		{Packet{CID: 0x01020304, Initial: true, Command: CommandCBOR, BCNT: 7609, Data: []byte{4}},
			"01020304901db904"},
		{Packet{CID: 0x01020304, Seq: 127, Data: []byte{1, 2}}, "010203047f0102"},
	}
	for _, test := range tests {
		r := test.packet.Report()
		if got := strings.TrimRight(hex.EncodeToString(r[:]), "0"); got != strings.TrimRight(test.want, "0") {
			t.Errorf("%+v: got %s, want %s", test.packet, got, test.want)
		}
	}
}

func TestReportsOfMessage(t *testing.T) {
	for length, want := range map[int]int{0: 1, 57: 1, 58: 2, 116: 2, 117: 3, MaxPayload: 129} {
		reports, err := Message{1, CommandPing, make([]byte, length)}.Reports()
		if err != nil || len(reports) != want {
			t.Errorf("%d bytes: %d reports, %v, want %d", length, len(reports), err, want)
		}
	}
	if _, err := (Message{1, CommandPing, make([]byte, MaxPayload+1)}).Reports(); !errors.Is(err, ErrInvalidLen) {
		t.Errorf("%d bytes: %v, want %v", MaxPayload+1, err, ErrInvalidLen)
	}
}

func TestErrorText(t *testing.T) {
	texts := map[Error]string{ErrChannelBusy: "channel busy (CTAPHID 0x06)", 0x55: "unknown CTAPHID error 0x55"}
	for e, want := range texts {
		if e.Error() != want {
			t.Errorf("got %q, want %q", e.Error(), want)
		}
	}
}

func FuzzPacket(f *testing.F) {
	f.Add([]byte("\xff\xff\xff\xff\x86\x00\x0812345678"))
	f.Add([]byte("\x01\x02\x03\x04\x00continued"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r Report
		copy(r[:], data)
		if got := ParsePacket(r).Report(); got != r {
			t.Errorf("got\n%swant\n%s", hex.Dump(got[:]), hex.Dump(r[:]))
		}
	})
}

// FuzzAssembly puts messages together from arbitrary reports; a complete one cuts up into the same reports.
func FuzzAssembly(f *testing.F) {
	reports, _ := Message{7, CommandPing, []byte(long(200))}.Reports()
	f.Add(bytes.Join([][]byte{reports[0][:], reports[1][:], reports[2][:], reports[3][:]}, nil))
	f.Add([]byte("\x01\x02\x03\x04\x81\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var a *assembly
		var taken []Report
		for ; len(data) > 0; data = data[min(len(data), ReportSize):] {
			var r Report
			copy(r[:], data)
			p, err := ParsePacket(r), error(nil)
			switch {
			case p.Initial:
				a, err = assemble(p)
				taken = nil
			case a == nil || a.complete() || a.message.CID != p.CID:
				continue
			default:
				err = a.add(p)
			}
			if err != nil {
				a = nil
				continue
			}
			if taken = append(taken, r); a.complete() {
				compare(t, a.message, taken)
			}
		}
	})
}

// compare leaves out the padding of the last report, which may be anything.
func compare(t *testing.T, m Message, want []Report) {
	got, err := m.Reports()
	if err != nil || len(got) != len(want) {
		t.Fatalf("%d reports, %v, want %d", len(got), err, len(want))
	}
	join := func(reports []Report) (b []byte) {
		for _, r := range reports {
			b = append(b, r[:]...)
		}
		return b
	}
	n := initialHeader + len(m.Payload)
	if rest := len(m.Payload) - initialRoom; rest > 0 {
		n = ReportSize + rest + continuationHeader*(len(want)-1)
	}
	if !bytes.Equal(join(got)[:n], join(want)[:n]) {
		t.Fatalf("got\n%swant\n%s", hex.Dump(join(got)[:n]), hex.Dump(join(want)[:n]))
	}
}
