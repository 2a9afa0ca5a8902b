package hidraw

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"sync"
)

// ID names a key: eight characters of a-z and 2-7, which hold 40 bits of a hash.
//
// What is known of a key without asking it for more than its descriptors is little: most have no serial number, and two
// of one model are alike to the last bit. So there are two kinds of IDs, and none claims more than is known.
//
// The ID of a stay is made of the boot and of the device's path in sysfs, that is of the ports that it is plugged into
// and of the number that the kernel counts up with each HID device. It tells equal models apart for as long as they
// stay plugged in, survives that hidraw numbers are given away again, and never comes back: a key that is plugged in
// again has another, even at the same port.
//
// The ID of a serial number is for keys that have a credible one: it is the same at each port, after each replug and
// each boot. It is the key's own word; a device can be made that copies it, as it copies the vendor's number and name.
type ID string

func newID(format string, of ...any) ID {
	sum := sha256.Sum256(fmt.Appendf(nil, format, of...))
	return ID(strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5])))
}

// ID gives the ID of a device that is looked at alone: that of its serial number if it has a credible one, else that of
// its stay. Names sees when several devices have one serial number.
func (t Tree) ID(d Device) ID {
	if credible(d.Serial) {
		return d.serialID()
	}
	return t.stayID(d)
}

func (t Tree) stayID(d Device) ID { return newID("stay %q %q", t.bootID(), d.Path) }

// serialID does not have the port in it. The interface is there for a device that has two.
func (d Device) serialID() ID {
	return newID("serial %d %04x %04x %q %q", d.Bus, d.VendorID, d.ProductID, d.Interface, d.Serial)
}

// Mark tells a device that has this ID again after a replug: by its serial number, or by the port where it was, or else
// not at all, which is an empty mark. Another device that is plugged into the same port and says the same of itself has
// the same mark.
func (d Device) Mark(id ID) string {
	switch {
	case credible(d.Serial) && id == d.serialID():
		return "serial " + string(id)
	case d.Port != "":
		return fmt.Sprintf("port %s %s %q", d.Port, d.Interface, d.Serial)
	}
	return ""
}

// credible reports whether a serial number looks like one, and not like what some models have in all their units: 1,
// 0001, 1000000000, 123456789ABC.
func credible(serial string) bool {
	const least, distinct = 8, 4
	seen := make(map[rune]bool)
	steps := 0 // from one character to the one that follows it
	last := rune(0)
	for _, r := range strings.ToUpper(serial) {
		if r == last+1 || last == '9' && (r == '0' || r == 'A') {
			steps++
		}
		seen[r], last = true, r
	}
	return len(serial) >= least && len(seen) >= distinct && 2*steps < len(serial)
}

// Names gives the devices of one tree their IDs and remembers them. The zero value has named none.
//
// A device keeps its ID for as long as it stays, whatever is plugged in beside it. When two have the same serial number
// at a time, it says nothing: the second has the ID of its stay, and so has each later one. Its methods may be called
// concurrently.
type Names struct {
	mu     sync.Mutex
	given  map[string]ID // to the devices of the last call, by path
	shared map[ID]bool   // IDs of serial numbers that several devices have
}

// Give gives the IDs of all devices that are plugged in.
func (n *Names) Give(t Tree, devices []Device) []ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	ids, now := make([]ID, len(devices)), make(map[string]ID, len(devices))
	for i, d := range devices { // first those that have theirs
		if id, ok := n.given[d.Path]; ok {
			ids[i], now[d.Path] = id, id
		}
	}
	for i, d := range devices {
		if ids[i] == "" {
			ids[i] = n.give(t, d, devices)
			now[d.Path] = ids[i]
		}
	}
	n.given = now
	return ids
}

func (n *Names) give(t Tree, d Device, devices []Device) ID {
	id := d.serialID()
	for _, other := range devices {
		if other.Path != d.Path && credible(d.Serial) && other.serialID() == id {
			if n.shared == nil {
				n.shared = make(map[ID]bool)
			}
			n.shared[id] = true
		}
	}
	if n.shared[id] {
		return t.stayID(d)
	}
	return t.ID(d)
}
