package hidraw

import (
	"encoding/binary"
	"errors"
	"slices"
)

// maxDescriptor is the longest report descriptor in bytes (the kernel's HID_MAX_DESCRIPTOR_SIZE).
const maxDescriptor = 4096

// Usages of FIDO (CTAP 2.2 §11.2.8.2).
const (
	usagePageFIDO          = 0xf1d0
	usageFIDOAuthenticator = 0x01
)

// Item prefixes without their size (HID 1.11 §6.2.2.2 to §6.2.2.8).
const (
	itemUsage      = 0x08
	itemUsagePage  = 0x04
	itemCollection = 0xa0
	itemPush       = 0xa4
	itemPop        = 0xb4
	itemLong       = 0xfe
	mainItem       = 0x00
	itemTypeMask   = 0x0c
	itemSizeMask   = 0x03
)

const collectionApplication = 0x01

// maxPushed is how deep the kernel lets global items be pushed (HID_GLOBAL_STACK_SIZE).
const maxPushed = 4

var errDescriptor = errors.New("malformed HID report descriptor")

// item is one item of a report descriptor (HID 1.11 §6.2.2).
type item struct {
	prefix byte   // with the size bits; itemLong for a long item
	tag    byte   // of a long item
	data   []byte // 0, 1, 2 or 4 bytes, or up to 255 in a long item
}

// number is the data as an unsigned number.
func (i item) number() uint32 {
	var b [4]byte
	copy(b[:], i.data)
	return binary.LittleEndian.Uint32(b[:])
}

// usage is a usage and its page.
type usage struct{ page, id uint32 }

// parseItem takes the first item off a descriptor.
func parseItem(b []byte) (i item, rest []byte, err error) {
	i.prefix = b[0]
	size := int(i.prefix & itemSizeMask)
	if size == 3 {
		size = 4
	}
	b = b[1:]
	if i.prefix == itemLong {
		if len(b) < 2 {
			return item{}, nil, errDescriptor
		}
		size, i.tag, b = int(b[0]), b[1], b[2:]
	}
	if len(b) < size {
		return item{}, nil, errDescriptor
	}
	i.data = b[:size]
	return i, b[size:], nil
}

// parseItems splits a descriptor.
func parseItems(b []byte) ([]item, error) {
	if len(b) > maxDescriptor {
		return nil, errDescriptor
	}
	var items []item
	for len(b) > 0 {
		i, rest, err := parseItem(b)
		if err != nil {
			return nil, err
		}
		items, b = append(items, i), rest
	}
	return items, nil
}

// applications lists the usages of the application collections: what the device is.
func applications(items []item) ([]usage, error) {
	var found, local []usage
	var page uint32
	var pushed []uint32
	for _, i := range items {
		kind := i.prefix &^ itemSizeMask
		switch {
		case i.prefix == itemLong:
		case kind == itemUsagePage:
			page = i.number()
		case kind == itemUsage && len(i.data) == 4: // with a page of its own
			local = append(local, usage{i.number() >> 16, i.number() & 0xffff})
		case kind == itemUsage:
			local = append(local, usage{page, i.number()})
		case kind == itemPush && len(pushed) == maxPushed, kind == itemPop && len(pushed) == 0:
			return nil, errDescriptor
		case kind == itemPush:
			pushed = append(pushed, page)
		case kind == itemPop:
			page, pushed = pushed[len(pushed)-1], pushed[:len(pushed)-1]
		case kind == itemCollection && i.number() == collectionApplication:
			found, local = append(found, local...), nil
		case i.prefix&itemTypeMask == mainItem:
			local = nil // local items are for the next main item alone
		}
	}
	return found, nil
}

// isFIDO reports whether a report descriptor is that of a FIDO authenticator.
func isFIDO(descriptor []byte) bool {
	items, err := parseItems(descriptor)
	if err != nil {
		return false
	}
	found, err := applications(items)
	return err == nil && slices.Contains(found, usage{usagePageFIDO, usageFIDOAuthenticator})
}
