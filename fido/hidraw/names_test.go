package hidraw

import (
	"testing"

	"fob/fido/hidraw/hidrawtest"
)

func at(k hidrawtest.Key, port string, number int) hidrawtest.Key {
	k.Port, k.Number = port, number
	return k
}

var withSerial = hidrawtest.Key{Port: "1-2", Number: 3, VendorID: 0x20a0, ProductID: 0x42b2, Serial: "4E2A9C0D11F7"}

// ids gives the IDs by node.
func (s system) ids(n *Names) map[string]ID {
	s.t.Helper()
	devices, ids := s.devices(), make(map[string]ID)
	for i, id := range n.Give(s.Tree, devices) {
		ids[devices[i].Node] = id
		if len(id) != 8 {
			s.t.Errorf("ID %q", id)
		}
	}
	return ids
}

func TestAReplugGivesAnotherID(t *testing.T) {
	s := play(t)
	n := new(Names)
	s.do(s.Plug(yubikey))
	before := s.ids(n)["/dev/hidraw3"]
	if again := s.ids(n)["/dev/hidraw3"]; again != before {
		t.Errorf("%s became %s", before, again)
	}
	if alone := s.ID(s.devices()[0]); alone != before {
		t.Errorf("%s, looked at alone %s", before, alone)
	}
	s.do(s.Unplug(3))
	s.do(s.Plug(yubikey)) // the same port and number
	if after := s.ids(n)["/dev/hidraw3"]; after == before {
		t.Errorf("%s before and after", before)
	}
}

func TestAnotherBootGivesAnotherID(t *testing.T) {
	s := play(t)
	s.do(s.Plug(yubikey))
	before := s.ID(s.devices()[0])
	s.do(s.Unplug(3))
	s.do(s.Boot("second"))
	s.do(s.Plug(yubikey))
	if d := s.devices()[0]; s.ID(d) == before {
		t.Errorf("%s in both boots at %s", before, d.Path)
	}
}

func TestTwoEqualModels(t *testing.T) {
	s := play(t)
	n := new(Names)
	s.do(s.Plug(yubikey))
	one := s.ids(n)["/dev/hidraw3"]
	s.do(s.Plug(at(yubikey, "1-3", 4)))
	both := s.ids(n)
	if both["/dev/hidraw3"] != one || both["/dev/hidraw4"] == one {
		t.Errorf("%s, then %v", one, both)
	}
	// Swapped: neither may have an ID that either had.
	s.do(s.Unplug(3))
	s.do(s.Unplug(4))
	s.do(s.Plug(at(yubikey, "1-3", 3)))
	s.do(s.Plug(at(yubikey, "1-2", 4)))
	for node, id := range s.ids(n) {
		for old, was := range both {
			if id == was {
				t.Errorf("%s now has the ID that %s had", node, old)
			}
		}
	}
}

func TestASerialNumberIsRecognized(t *testing.T) {
	s := play(t)
	n := new(Names)
	s.do(s.Plug(withSerial))
	before := s.ids(n)["/dev/hidraw3"]
	s.do(s.Unplug(3))
	s.do(s.Boot("second"))
	s.do(s.Plug(yubikey)) // takes the number of the node
	s.do(s.Plug(at(withSerial, "1-4", 7)))
	if after := s.ids(new(Names)); after["/dev/hidraw7"] != before || after["/dev/hidraw3"] == before {
		t.Errorf("%s, then %v", before, after)
	}
	other := withSerial
	other.ProductID++
	s.do(s.Plug(at(other, "1-5", 8)))
	if id := s.ids(n)["/dev/hidraw8"]; id == before {
		t.Error("another model with the same number has the same ID")
	}
}

// A serial number that two keys have says nothing. Nobody's ID changes while it stays, and none comes back.
func TestASharedSerialNumber(t *testing.T) {
	s := play(t)
	n := new(Names)
	s.do(s.Plug(withSerial))
	first := s.ids(n)["/dev/hidraw3"]
	s.do(s.Plug(at(withSerial, "1-3", 2))) // sorted before the first
	both := s.ids(n)
	if both["/dev/hidraw3"] != first || both["/dev/hidraw2"] == first {
		t.Errorf("%s, then %v", first, both)
	}
	s.do(s.Unplug(3))
	if left := s.ids(n); left["/dev/hidraw2"] != both["/dev/hidraw2"] {
		t.Errorf("%v, then %v", both, left)
	}
	s.do(s.Plug(at(withSerial, "1-2", 3)))
	if again := s.ids(n)["/dev/hidraw3"]; again == first || again == both["/dev/hidraw2"] {
		t.Errorf("%s came back", again)
	}
	// Two that are seen together at once.
	m := new(Names)
	if now := s.ids(m); now["/dev/hidraw2"] == first || now["/dev/hidraw3"] == first || now["/dev/hidraw2"] == now["/dev/hidraw3"] {
		t.Errorf("%v", now)
	}
}

func TestTwoInterfacesOfOneKey(t *testing.T) {
	a, b := Device{Serial: "4E2A9C0D11F7", Interface: "1.0"}, Device{Serial: "4E2A9C0D11F7", Interface: "1.1"}
	if a.serialID() == b.serialID() {
		t.Error("the same ID")
	}
}

func TestCredibleSerialNumbers(t *testing.T) {
	for serial, want := range map[string]bool{
		"": false, "1": false, "0001": false, "00000000": false, "1000000000": false, "123456789": false,
		"0123456789ABCDEF": false, "123456789ABC": false, "abcdefgh": false, "12121212": false,
		"4E2A9C0D11F7": true, "0012345678": false, "0014732816": true, "87654321": true, "QWJK72LMZX": true,
	} {
		if got := credible(serial); got != want {
			t.Errorf("%q: %v", serial, got)
		}
	}
}

func TestMark(t *testing.T) {
	s := play(t)
	mark := func(k hidrawtest.Key) string {
		s.do(s.Plug(k))
		d := s.devices()[0]
		s.do(s.Unplug(k.Number))
		return d.Mark(s.ID(d))
	}
	changed := func(k hidrawtest.Key, change func(*hidrawtest.Key)) hidrawtest.Key { change(&k); return k }
	at12 := mark(yubikey)
	for name, test := range map[string]struct {
		key  hidrawtest.Key
		same string
	}{
		"the same port":         {at(yubikey, yubikey.Port, 8), at12},
		"a serial number":       {withSerial, mark(at(withSerial, "1-4", 7))},
		"what is no serial one": {changed(yubikey, func(k *hidrawtest.Key) { k.Serial = "0001" }), ""},
	} {
		if got := mark(test.key); got == "" || got != test.same && test.same != "" || got == at12 && test.same == "" {
			t.Errorf("%s: %q, the first is %q", name, got, at12)
		}
	}
	if other := mark(at(yubikey, "1-3", 3)); other == at12 || other == "" {
		t.Errorf("%q at another port", other)
	}
	// Two of one serial number are told apart by where they are.
	s.do(s.Plug(withSerial))
	s.do(s.Plug(at(withSerial, "1-4", 7)))
	devices := s.devices()
	ids := new(Names).Give(s.Tree, devices)
	if one, two := devices[0].Mark(ids[0]), devices[1].Mark(ids[1]); one == two || one == "" || two == "" {
		t.Errorf("%q and %q", one, two)
	}
	if none := (Device{}).Mark("x"); none != "" { // such as one of uhid
		t.Errorf("%q", none)
	}
}
