package hidraw

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fob/fido/hidraw/hidrawtest"
)

func (i item) append(b []byte) []byte {
	b = append(b, i.prefix)
	if i.prefix == itemLong {
		b = append(b, byte(len(i.data)), i.tag)
	}
	return append(b, i.data...)
}

func FuzzReportDescriptor(f *testing.F) {
	f.Add(hidrawtest.FIDO)
	f.Add(hidrawtest.Mouse)
	f.Add([]byte{0xfe, 2, 0x10, 6, 6, 0xa4, 0xb4})
	f.Fuzz(func(t *testing.T, b []byte) {
		items, err := parseItems(b)
		if err != nil {
			if isFIDO(b) {
				t.Fatal("malformed, but FIDO")
			}
			return
		}
		var again []byte
		for _, i := range items {
			again = i.append(again)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
		if isFIDO(b) && !bytes.Contains(b, []byte{0xd0, 0xf1}) {
			t.Fatalf("%x has no usage page of FIDO", b)
		}
	})
}

// encode gives the properties as they are in a message.
func (u uevent) encode() []byte {
	var b []byte
	for _, p := range u {
		b = append(b, p.name+"="+p.value+"\x00"...)
	}
	return b
}

// udevMessage is a message of udev's with these properties.
func udevMessage(u uevent) []byte {
	b := append([]byte(udevPrefix), make([]byte, udevHeaderSize-len(udevPrefix))...)
	binary.BigEndian.PutUint32(b[8:], udevMagic)
	binary.NativeEndian.PutUint32(b[12:], udevHeaderSize)
	binary.NativeEndian.PutUint32(b[16:], udevHeaderSize)
	binary.NativeEndian.PutUint32(b[20:], uint32(len(u.encode())))
	return append(b, u.encode()...)
}

// kernelMessage is a message of the kernel's.
func kernelMessage(u uevent) []byte {
	return append([]byte(u.get("ACTION")+"@"+u.get("DEVPATH")+"\x00"), u.encode()...)
}

var added = uevent{{"ACTION", "add"}, {"DEVPATH", "/devices/x/hidraw/hidraw3"}, {"SUBSYSTEM", "hidraw"},
	{"MAJOR", "243"}, {"DEVNAME", "hidraw3"}, {"SEQNUM", "4711"}}

func FuzzUevent(f *testing.F) {
	f.Add(udevMessage(added), true)
	f.Add(kernelMessage(added), false)
	f.Add(append(udevMessage(nil), 0, 0), true)
	f.Fuzz(func(t *testing.T, b []byte, udev bool) {
		m := message{data: b, groups: groupKernel}
		if udev {
			m = message{data: b, groups: groupUdev, port: 1}
		}
		u, err := m.parse()
		if err != nil {
			if u != nil {
				t.Fatalf("%v and %v", u, err)
			}
			return
		}
		if !bytes.Contains(b, u.encode()) {
			t.Fatalf("%q became %q", b, u)
		}
		m.data = kernelMessage(u)
		if udev {
			m.data = udevMessage(u)
		}
		if again, err := m.parse(); err != nil || !slices.Equal(again, u) {
			t.Fatalf("%q became %q: %v", u, again, err)
		}
		if !udev && !bytes.HasSuffix(b, u.encode()) {
			t.Fatalf("%q became %q", b, u)
		}
	})
}

func (e fileEvent) append(b []byte) []byte {
	native := binary.NativeEndian
	b = native.AppendUint32(native.AppendUint32(b, uint32(e.watch)), e.mask)
	b = native.AppendUint32(native.AppendUint32(b, e.cookie), uint32(e.space))
	return append(append(b, e.name...), make([]byte, e.space-len(e.name))...)
}

func FuzzFileEvents(f *testing.F) {
	open := fileEvent{watch: 1, mask: unix.IN_OPEN}
	f.Add(open.append(fileEvent{watch: 2, mask: unix.IN_CREATE, name: "hidraw3", space: 16}.append(nil)))
	f.Add([]byte(strings.Repeat("\xff", 32)))
	f.Fuzz(func(t *testing.T, b []byte) {
		events, err := parseFileEvents(b)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range events {
			again = e.append(again)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

func FuzzIdentify(f *testing.F) {
	f.Add([]byte("HID_ID=0003:00001050:00000407\nHID_NAME=Yubico YubiKey\nHID_UNIQ=\n"))
	f.Add([]byte("HID_ID=:::\nHID_ID\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Device
		if err := d.identify(properties(b)); err != nil && d != (Device{}) {
			t.Fatalf("%+v and %v", d, err)
		}
		for _, text := range []string{d.Product, d.Serial} {
			if printable(text) != text {
				t.Fatalf("%q is not printable", text)
			}
		}
	})
}
