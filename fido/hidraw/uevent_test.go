package hidraw

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"
)

func TestWhoMaySpeak(t *testing.T) {
	kernel, udev := kernelMessage(added), udevMessage(added)
	for name, test := range map[string]struct {
		message
		want error
	}{
		"the kernel":               {message{data: kernel, groups: groupKernel}, nil},
		"udev":                     {message{data: udev, groups: groupUdev, port: 200}, nil},
		"a user as the kernel":     {message{data: kernel, groups: groupKernel, port: 4711, uid: 1000}, errSender},
		"root as the kernel":       {message{data: kernel, groups: groupKernel, port: 4711}, errSender},
		"a user as udev":           {message{data: udev, groups: groupUdev, port: 4711, uid: 1000}, errSender},
		"somebody unknown as udev": {message{data: udev, groups: groupUdev, port: 4711, uid: nobody}, errSender},
		"to us alone":              {message{data: udev, port: 4711}, errSender},
		"the kernel, to us alone":  {message{data: kernel}, errSender},
		"cut":                      {message{data: kernel, groups: groupKernel, cut: true}, errUevent},
		"udev's at the kernel's":   {message{data: udev, groups: groupKernel}, errUevent},
		"the kernel's at udev's":   {message{data: kernel, groups: groupUdev, port: 200}, errUevent},
	} {
		u, err := test.parse()
		if !errors.Is(err, test.want) || err == nil && !slices.Equal(u, added) {
			t.Errorf("%s: %v, %v", name, u, err)
		}
	}
}

func TestBoundsOfUdevMessages(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"short":                 func(b []byte) []byte { return b[:udevHeaderSize-1] },
		"other prefix":          func(b []byte) []byte { b[0] = 'L'; return b },
		"other magic":           func(b []byte) []byte { b[8] = 0; return b },
		"small header":          func(b []byte) []byte { return put(b, 12, udevHeaderSize-1) },
		"header over the data":  func(b []byte) []byte { return put(b, 12, udevHeaderSize+1) },
		"offset in the header":  func(b []byte) []byte { return put(b, 16, 8) },
		"offset behind the end": func(b []byte) []byte { return put(b, 16, uint32(len(b)+1)) },
		"too long":              func(b []byte) []byte { return put(b, 20, uint32(len(b)-udevHeaderSize+1)) },
		"sum wraps around":      func(b []byte) []byte { return put(b, 20, 0xffffffff) },
		"no NUL at the end":     func(b []byte) []byte { return put(b[:len(b)-1], 20, uint32(len(b)-1-udevHeaderSize)) },
		"no name":               func(b []byte) []byte { b[udevHeaderSize] = '='; return b },
		"no value":              func(b []byte) []byte { b[udevHeaderSize+len("ACTION")] = 'x'; return b },
	} {
		b := spoil(udevMessage(added))
		u, err := message{data: b, groups: groupUdev, port: 1}.parse()
		if !errors.Is(err, errUevent) {
			t.Errorf("%s: %v, %v", name, u, err)
		}
	}
}

func put(b []byte, at int, v uint32) []byte {
	binary.NativeEndian.PutUint32(b[at:], v)
	return b
}
