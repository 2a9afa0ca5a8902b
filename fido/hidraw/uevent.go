package hidraw

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Multicast groups of NETLINK_KOBJECT_UEVENT.
const (
	groupKernel = 1
	groupUdev   = 2 // after udev's rules, and so the access rights, have been applied
)

// maxUevent is the longest message in bytes; libudev takes as many, the kernel sends 2 KiB (UEVENT_BUFFER_SIZE).
const maxUevent = 8192

// The header of a message of udev's (struct monitor_netlink_header of sd-device): "libudev", the magic number in network
// byte order, and in the host's the header's size and where the properties are and how long; filters follow.
const (
	udevPrefix     = "libudev\x00"
	udevMagic      = 0xfeedcafe
	udevHeaderSize = 40
)

// Errors of messages that are none of the kernel's or udev's, or not meant for us.
var (
	errUevent = errors.New("malformed uevent")
	errSender = errors.New("uevent of a sender who is neither the kernel nor udev")
)

// message is what came from a netlink socket.
type message struct {
	data   []byte
	cut    bool   // there was more of it
	groups uint32 // that it was sent to
	port   uint32 // of the sender, 0 for the kernel
	uid    uint32 // of the sender
}

// property is one NAME=VALUE of a uevent.
type property struct{ name, value string }

// uevent is an event of a device (Documentation/ABI and lib/kobject_uevent.c of the kernel).
type uevent []property

func (u uevent) get(name string) string {
	for _, p := range u {
		if p.name == name {
			return p.value
		}
	}
	return ""
}

// parse reads a message of the group that it came by, if its sender may speak there: the kernel has no port, and udev is
// root's. Any program may send to the socket of another one, but only root to a group.
func (m message) parse() (uevent, error) {
	switch {
	case m.cut:
		return nil, errUevent
	case m.groups == groupKernel && m.port == 0:
		return parseKernel(m.data)
	case m.groups == groupUdev && m.port != 0 && m.uid == 0:
		return parseUdev(m.data)
	}
	return nil, errSender
}

// parseKernel reads "ACTION@DEVPATH" and what follows.
func parseKernel(b []byte) (uevent, error) {
	head, rest, ok := bytes.Cut(b, []byte{0})
	if !ok || !bytes.Contains(head, []byte("@")) {
		return nil, errUevent
	}
	return parseProperties(rest)
}

func parseUdev(b []byte) (uevent, error) {
	if len(b) < udevHeaderSize || string(b[:8]) != udevPrefix || binary.BigEndian.Uint32(b[8:]) != udevMagic {
		return nil, errUevent
	}
	size, offset, length := native(b, 12), native(b, 16), native(b, 20)
	if size < udevHeaderSize || offset < size || offset > uint64(len(b)) || length > uint64(len(b))-offset {
		return nil, errUevent
	}
	return parseProperties(b[offset : offset+length])
}

// native reads a number of the host's byte order, wide enough for sums.
func native(b []byte, at int) uint64 { return uint64(binary.NativeEndian.Uint32(b[at:])) }

// parseProperties reads NAME=VALUE, each ended by a NUL.
func parseProperties(b []byte) (uevent, error) {
	var u uevent
	for len(b) > 0 {
		line, rest, ended := bytes.Cut(b, []byte{0})
		name, value, ok := bytes.Cut(line, []byte("="))
		if !ended || !ok || len(name) == 0 {
			return nil, errUevent
		}
		u, b = append(u, property{string(name), string(value)}), rest
	}
	return u, nil
}
