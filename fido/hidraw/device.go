package hidraw

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Bus is how a device is connected (linux/input.h).
type Bus uint16

// Buses that keys are at. A device of uhid is at the one that its program says.
const (
	BusUSB       Bus = 0x03
	BusBluetooth Bus = 0x05
)

// Device is a FIDO hidraw device. Texts are the device's own word, without what can't be printed.
type Device struct {
	Name         string // of the hidraw device, such as hidraw3; it is given away again after an unplug
	Node         string // /dev/hidraw3
	Path         string // in sysfs, such as /devices/pci0000:00/.../0003:1050:0407.0005/hidraw/hidraw3
	Major, Minor uint32 // of the node
	Bus          Bus
	VendorID     uint16
	ProductID    uint16
	Manufacturer string
	Product      string
	Serial       string // iSerialNumber of the USB device, or what a uhid device has for it; mostly empty
	Port         string // USB bus and ports, such as 1-2.3; empty elsewhere
	Interface    string // USB configuration and interface, such as 1.0; empty elsewhere
}

// ErrNoHidraw means that the kernel has no hidraw, or hides it.
var ErrNoHidraw = errors.New("the kernel shows no hidraw devices")

// ErrNotHidraw means that a path is no node of a hidraw device.
var ErrNotHidraw = errors.New("not the node of a hidraw device")

const (
	maxDevices   = 256  // of all hidraw devices; the kernel has no more than 64 by default
	maxAttribute = 4096 // bytes in a file of sysfs
	maxText      = 64   // characters of a name or serial number
)

const class = "/sys/class/hidraw"

// Devices lists the FIDO devices, ordered by node, whether or not we may open them. The error is ErrNoHidraw.
func (t Tree) Devices() ([]Device, error) {
	entries, err := os.ReadDir(t.Path(class))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoHidraw, err)
	}
	var found []Device
	for _, e := range entries[:min(len(entries), maxDevices)] {
		if d, err := t.device(e.Name()); err == nil && t.fido(d) { // else it was unplugged just now, or is a mouse
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b Device) int { return cmp.Compare(a.Minor, b.Minor) })
	return found, nil
}

// ByNode finds the device of a node, FIDO or not. A path that is a link is followed. Errors are those of stat(2), and
// ErrNotHidraw.
func (t Tree) ByNode(node string) (Device, error) {
	node, err := filepath.EvalSymlinks(t.Path(node))
	if err != nil {
		return Device{}, err
	}
	var st unix.Stat_t
	if err := unix.Stat(node, &st); err != nil {
		return Device{}, &fs.PathError{Op: "stat", Path: node, Err: err}
	}
	d, err := t.device(filepath.Base(node))
	if err != nil || !d.is(&st) {
		return Device{}, fmt.Errorf("%s: %w", node, ErrNotHidraw)
	}
	return d, nil
}

// is compares the numbers of a node. A played one is a plain file, which has none.
func (d Device) is(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT != unix.S_IFCHR ||
		d.Major == unix.Major(st.Rdev) && d.Minor == unix.Minor(st.Rdev)
}

var hidrawName = regexp.MustCompile(`^hidraw[0-9]{1,5}$`)

// device reads what sysfs has of a hidraw device.
func (t Tree) device(name string) (Device, error) {
	if !hidrawName.MatchString(name) {
		return Device{}, ErrNotHidraw
	}
	link, err := os.Readlink(t.Path(filepath.Join(class, name)))
	if err != nil {
		return Device{}, err
	}
	d := Device{Name: name, Node: "/dev/" + name, Path: strings.TrimPrefix(filepath.Join(class, link), "/sys")}
	if err := t.numbers(&d); err != nil {
		return Device{}, err
	}
	uevent, err := t.read(filepath.Join("/sys", d.hid(), "uevent"))
	if err != nil {
		return Device{}, err
	}
	if err := d.identify(properties(uevent)); err != nil {
		return Device{}, err
	}
	if d.Bus == BusUSB {
		t.usb(&d)
	}
	return d, nil
}

// hid is the sysfs path of the HID device, whose name the kernel gives to no other until the next boot.
func (d Device) hid() string { return filepath.Dir(filepath.Dir(d.Path)) }

func (t Tree) numbers(d *Device) error {
	b, err := t.read(filepath.Join("/sys", d.Path, "dev"))
	if err != nil {
		return err
	}
	major, minor, _ := strings.Cut(strings.TrimSpace(string(b)), ":")
	m, err := strconv.ParseUint(major, 10, 32)
	n, err2 := strconv.ParseUint(minor, 10, 32)
	d.Major, d.Minor = uint32(m), uint32(n)
	return errors.Join(err, err2)
}

// identify takes HID_ID, such as 0003:00001050:00000407, and the texts of a HID device's uevent.
func (d *Device) identify(p map[string]string) error {
	var numbers [3]uint64
	parts := strings.Split(p["HID_ID"], ":")
	if len(parts) != len(numbers) {
		return ErrNotHidraw
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 16, 32)
		if err != nil || n > 0xffff {
			return ErrNotHidraw
		}
		numbers[i] = n
	}
	d.Bus, d.VendorID, d.ProductID = Bus(numbers[0]), uint16(numbers[1]), uint16(numbers[2])
	d.Product, d.Serial = printable(p["HID_NAME"]), printable(p["HID_UNIQ"])
	return nil
}

// properties reads lines of NAME=VALUE.
func properties(b []byte) map[string]string {
	p := make(map[string]string)
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			p[name] = value
		}
	}
	return p
}

var (
	usbPort      = regexp.MustCompile(`^[0-9]+-[0-9]+(\.[0-9]+)*$`)
	usbInterface = regexp.MustCompile(`^[0-9.-]+:([0-9]+\.[0-9]+)$`)
)

// usb adds what the USB device says, above its interface and the HID device. A uhid device has none there.
func (t Tree) usb(d *Device) {
	parent := filepath.Dir(d.hid())
	m := usbInterface.FindStringSubmatch(filepath.Base(parent))
	port := filepath.Base(filepath.Dir(parent))
	if m == nil || !usbPort.MatchString(port) {
		return
	}
	d.Interface, d.Port = m[1], port
	text := func(attribute string) string {
		b, _ := t.read(filepath.Join("/sys", filepath.Dir(parent), attribute)) // which not every device has
		return printable(strings.TrimSpace(string(b)))
	}
	d.Serial = text("serial")
	d.Manufacturer = text("manufacturer")
	if product := text("product"); product != "" || d.Manufacturer != "" { // HID_NAME is both in one
		d.Product = product
	}
}

// fido reports whether a device's report descriptor is that of a FIDO authenticator.
func (t Tree) fido(d Device) bool {
	b, err := t.read(filepath.Join("/sys", d.hid(), "report_descriptor"))
	return err == nil && isFIDO(b)
}

// read reads a small file.
func (t Tree) read(name string) ([]byte, error) {
	f, err := os.Open(t.Path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxAttribute))
}

// printable takes out what has no place in a text: the device chose it.
func printable(s string) string {
	n := 0
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) || n == maxText {
			return -1
		}
		n++
		return r
	}, s))
}

// bootID tells one boot from another.
func (t Tree) bootID() []byte {
	b, _ := t.read("/proc/sys/kernel/random/boot_id")
	return bytes.TrimSpace(b)
}
