// Package hidrawtest plays a system whose keys are plugged in and out: files as sysfs, /dev and udev have them.
package hidrawtest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// FIDO and Mouse are report descriptors: of a FIDO authenticator (CTAP 2.2 §11.2.8.2), and of something else.
var (
	FIDO = []byte{
		0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40,
		0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91, 0x02, 0xc0}
	Mouse = []byte{0x05, 0x01, 0x09, 0x02, 0xa1, 0x01, 0x09, 0x01, 0xa1, 0x00, 0xc0, 0xc0}
)

// Key is a device to plug in at USB.
type Key struct {
	Port                  string // such as 1-2.3; empty for a device of uhid, which is at no port
	Number                int    // of the hidraw node
	VendorID, ProductID   uint16
	Manufacturer, Product string
	Serial                string
	Descriptor            []byte // nil for FIDO
}

// System is a played system below Root, without udev until StartUdev.
type System struct {
	Root string
	made int // HID devices since boot
}

// New makes a system without devices in an empty folder.
func New(root string) (*System, error) {
	s := &System{Root: root}
	return s, errors.Join(
		s.Folder("/sys/class/hidraw"), s.Folder("/dev"), s.Folder("/proc"), s.Folder("/run"), s.Boot("first"))
}

// Folder makes a folder.
func (s *System) Folder(name string) error { return os.MkdirAll(filepath.Join(s.Root, name), 0o755) }

// File writes a file, and the folder that it is in.
func (s *System) File(name, content string) error {
	if err := s.Folder(filepath.Dir(name)); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(s.Root, name), []byte(content), 0o644)
}

// Remove removes a file, or a folder with all that is in it.
func (s *System) Remove(name string) error { return os.RemoveAll(filepath.Join(s.Root, name)) }

// Link makes a symbolic link.
func (s *System) Link(target, name string) error {
	if err := s.Folder(filepath.Dir(name)); err != nil {
		return err
	}
	return os.Symlink(target, filepath.Join(s.Root, name))
}

// Boot gives the system a boot ID, and begins to number the HID devices anew.
func (s *System) Boot(id string) error {
	s.made = 0
	return s.File("/proc/sys/kernel/random/boot_id", id+"\n")
}

// StartUdev has the system look as if udev runs.
func (s *System) StartUdev() error { return s.File("/run/udev/control", "") }

// Settle is what udev does with a node: it makes a record of it, with lines such as "G:uaccess".
func (s *System) Settle(number int, lines ...string) error {
	return s.File(fmt.Sprintf("/run/udev/data/c243:%d", number), strings.Join(lines, "\n")+"\n")
}

// Plug plugs a key in.
func (s *System) Plug(k Key) error {
	if err := s.Connect(k); err != nil {
		return err
	}
	return s.File(fmt.Sprintf("/dev/hidraw%d", k.Number), "")
}

// Connect is Plug without a node.
func (s *System) Connect(k Key) error {
	s.made++
	id := fmt.Sprintf("%04X:%04X:%04X.%04X", 3, k.VendorID, k.ProductID, s.made)
	usb := "/devices/virtual/misc/uhid/"
	if k.Port != "" {
		usb = fmt.Sprintf("/devices/pci0000:00/0000:00:14.0/usb1/%s/%s:1.0/", k.Port, k.Port)
	}
	descriptor := k.Descriptor
	if descriptor == nil {
		descriptor = FIDO
	}
	hid := "/sys" + usb + id
	name := fmt.Sprintf("hidraw%d", k.Number)
	uniq := ""
	if k.Port == "" {
		uniq = k.Serial
	}
	uevent := fmt.Sprintf("DRIVER=hid-generic\nHID_ID=0003:%08X:%08X\nHID_NAME=%s\nHID_PHYS=usb-0000:00:14.0-2/input0\n"+
		"HID_UNIQ=%s\nMODALIAS=hid:b0003\n", k.VendorID, k.ProductID, strings.TrimSpace(k.Manufacturer+" "+k.Product), uniq)
	return errors.Join(
		s.File(hid+"/uevent", uevent),
		s.File(hid+"/report_descriptor", string(descriptor)),
		s.File(hid+"/hidraw/"+name+"/dev", fmt.Sprintf("243:%d\n", k.Number)),
		s.attributes("/sys"+filepath.Dir(filepath.Clean(usb)), k),
		// The link comes last, and in one piece: who looks meanwhile sees all of the device or nothing.
		s.Link("../.."+usb+id+"/hidraw/"+name, "/sys/class/hidraw/"+name),
	)
}

func (s *System) attributes(folder string, k Key) error {
	var errs []error
	if k.Port == "" {
		return nil
	}
	for name, value := range map[string]string{
		"manufacturer": k.Manufacturer, "product": k.Product, "serial": k.Serial,
	} {
		if value != "" {
			errs = append(errs, s.File(folder+"/"+name, value+"\n"))
		}
	}
	return errors.Join(errs...)
}

// Unplug takes the key of a node out.
func (s *System) Unplug(number int) error {
	link := fmt.Sprintf("/sys/class/hidraw/hidraw%d", number)
	target, err := os.Readlink(filepath.Join(s.Root, link))
	if err != nil {
		return err
	}
	hid := filepath.Dir(filepath.Dir(filepath.Join("/sys/class/hidraw", target)))
	gone := hid
	if device := filepath.Dir(filepath.Dir(hid)); strings.Contains(filepath.Base(device), "-") {
		gone = device
	}
	return errors.Join(s.Remove(link), s.Remove(gone),
		s.Remove(fmt.Sprintf("/run/udev/data/c243:%d", number)), s.Remove(fmt.Sprintf("/dev/hidraw%d", number)))
}
