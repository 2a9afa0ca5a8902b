package hidraw

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fob/fido/hidraw/hidrawtest"
)

// system plays a system for a test.
type system struct {
	t testing.TB
	*hidrawtest.System
	Tree
}

func play(t testing.TB) system {
	t.Helper()
	s, err := hidrawtest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return system{t, s, Tree{s.Root}}
}

// do checks that something was played.
func (s system) do(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s system) devices() []Device {
	s.t.Helper()
	d, err := s.Devices()
	s.do(err)
	return d
}

var yubikey = hidrawtest.Key{
	Port: "1-2", Number: 3, VendorID: 0x1050, ProductID: 0x407, Manufacturer: "Yubico", Product: "YubiKey OTP+FIDO+CCID"}

func TestDevices(t *testing.T) {
	s := play(t)
	s.do(s.Plug(yubikey))
	s.do(s.Plug(hidrawtest.Key{Port: "1-3", Number: 0, VendorID: 0x46d, ProductID: 1, Descriptor: hidrawtest.Mouse}))
	s.do(s.Plug(hidrawtest.Key{Port: "1-4.1.2", Number: 12, VendorID: 0x20a0, ProductID: 0x42b2,
		Manufacturer: "Nitro\x1b[31mkey", Product: "Nitrokey 3\n", Serial: "4E2A9C0D11F7"}))
	s.do(s.Plug(hidrawtest.Key{Number: 2, VendorID: 0x1209, ProductID: 1, Product: "fob emulated key", Serial: "QWJK72LMZX"}))
	s.do(s.File("/sys/class/hidraw/hidrawx", "no device"))

	got := s.devices()
	want := []Device{
		{Name: "hidraw2", Node: "/dev/hidraw2", Path: "/devices/virtual/misc/uhid/0003:1209:0001.0004/hidraw/hidraw2",
			Major: 243, Minor: 2, Bus: BusUSB, VendorID: 0x1209, ProductID: 1, Product: "fob emulated key", Serial: "QWJK72LMZX"},
		{Name: "hidraw3", Node: "/dev/hidraw3",
			Path:  "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/0003:1050:0407.0001/hidraw/hidraw3",
			Major: 243, Minor: 3, Bus: BusUSB, VendorID: 0x1050, ProductID: 0x407,
			Manufacturer: "Yubico", Product: "YubiKey OTP+FIDO+CCID", Port: "1-2", Interface: "1.0"},
		{Name: "hidraw12", Node: "/dev/hidraw12",
			Path:  "/devices/pci0000:00/0000:00:14.0/usb1/1-4.1.2/1-4.1.2:1.0/0003:20A0:42B2.0003/hidraw/hidraw12",
			Major: 243, Minor: 12, Bus: BusUSB, VendorID: 0x20a0, ProductID: 0x42b2,
			Manufacturer: "Nitro[31mkey", Product: "Nitrokey 3", Serial: "4E2A9C0D11F7", Port: "1-4.1.2", Interface: "1.0"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestNoHidraw(t *testing.T) {
	if d, err := (Tree{t.TempDir()}).Devices(); !errors.Is(err, ErrNoHidraw) || d != nil {
		t.Error(d, err)
	}
}

func TestByNode(t *testing.T) {
	s := play(t)
	s.do(s.Plug(yubikey))
	s.do(s.Link("hidraw3", "/dev/mykey"))
	s.do(s.File("/dev/hidraw9", ""))
	s.do(s.Link("/dev/null", "/dev/hidraw8"))
	for _, node := range []string{"/dev/hidraw3", "/dev/mykey"} {
		if d, err := s.ByNode(node); err != nil || d.Node != "/dev/hidraw3" {
			t.Errorf("%s: %+v, %v", node, d, err)
		}
	}
	for node, want := range map[string]error{
		"/dev/hidraw9": ErrNotHidraw, "/dev/hidraw8": ErrNotHidraw, "/dev/hidraw4": fs.ErrNotExist,
	} {
		if d, err := s.ByNode(node); !errors.Is(err, want) {
			t.Errorf("%s: %+v, %v", node, d, err)
		}
	}
	// A node with other numbers is not that device's.
	s.do(s.Remove("/dev/hidraw3"))
	s.do(os.Symlink("/dev/null", filepath.Join(s.System.Root, "/dev/hidraw3")))
	if d, err := s.ByNode("/dev/hidraw3"); !errors.Is(err, ErrNotHidraw) {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestIsFIDO(t *testing.T) {
	for name, test := range map[string]struct {
		descriptor []byte
		want       bool
	}{
		"FIDO":                     {hidrawtest.FIDO, true},
		"mouse":                    {hidrawtest.Mouse, false},
		"empty":                    {nil, false},
		"behind a keyboard":        {slices.Concat([]byte{0x05, 0x01, 0x09, 0x06, 0xa1, 0x01, 0xc0}, hidrawtest.FIDO), true},
		"page in the usage":        {[]byte{0x05, 0x01, 0x0b, 0x01, 0x00, 0xd0, 0xf1, 0xa1, 0x01, 0xc0}, true},
		"page restored":            {[]byte{0x06, 0xd0, 0xf1, 0xa4, 0x05, 0x01, 0xb4, 0x09, 0x01, 0xa1, 0x01, 0xc0}, true},
		"page not restored":        {[]byte{0x06, 0xd0, 0xf1, 0xa4, 0x05, 0x01, 0x09, 0x01, 0xa1, 0x01, 0xc0}, false},
		"behind a long item":       {slices.Concat([]byte{0xfe, 0x02, 0x10, 0x06, 0x06}, hidrawtest.FIDO), true},
		"within a long item":       {slices.Concat([]byte{0xfe, byte(len(hidrawtest.FIDO)), 0x10}, hidrawtest.FIDO), false},
		"only a logical one":       {[]byte{0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x02, 0xc0}, false},
		"another usage":            {[]byte{0x06, 0xd0, 0xf1, 0x09, 0x02, 0xa1, 0x01, 0xc0}, false},
		"cut":                      {append(bytes.Clone(hidrawtest.FIDO), 0x06, 0x01), false},
		"cut long item":            {append(bytes.Clone(hidrawtest.FIDO), 0xfe, 0x01), false},
		"nothing pushed":           {append([]byte{0xb4}, hidrawtest.FIDO...), false},
		"too much pushed":          {append([]byte{0xa4, 0xa4, 0xa4, 0xa4, 0xa4}, hidrawtest.FIDO...), false},
		"usage of the wrong place": {[]byte{0x06, 0xd0, 0xf1, 0x09, 0x01, 0x81, 0x02, 0xa1, 0x01, 0xc0}, false},
		"longer than the kernel's": {slices.Concat(hidrawtest.FIDO, make([]byte, maxDescriptor)), false},
	} {
		if got := isFIDO(test.descriptor); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestRealDevices compares with what the kernel really has, where there is some.
func TestRealDevices(t *testing.T) {
	devices, err := (Tree{}).Devices()
	if err != nil || len(devices) == 0 {
		t.Skip("no FIDO device is plugged in here")
	}
	for _, d := range devices {
		if again, err := (Tree{}).ByNode(d.Node); err != nil || again != d {
			t.Errorf("%+v: by its node %+v, %v", d, again, err)
		}
	}
}
