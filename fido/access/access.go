// Package access says why a security key can't be used, and what to do about it: in words, with a command where there
// is one. It looks at files and tries to open nodes; it changes nothing, and needs no rights.
package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"fob/fido/hidraw"
)

// Code names a kind of finding.
type Code string

// What is found.
const (
	KeyReady     Code = "key-ready"       // the key can be opened
	NoKey        Code = "no-key"          // none is plugged in
	HidrawThere  Code = "hidraw"          // the kernel has hidraw
	NoHidraw     Code = "no-hidraw"       // it has not
	Flatpak      Code = "flatpak"         // we run inside a Flatpak
	Snap         Code = "snap"            // we run inside a snap
	Container    Code = "container"       // we run inside a container
	NoNode       Code = "no-node"         // the kernel knows the key, and there is no node for it
	NotAtSeat    Code = "not-at-seat"     // the node is for who sits at the screen
	NeedsGroup   Code = "needs-group"     // the node is for a group that we are not in
	NoRule       Code = "no-udev-rule"    // udev gives nobody access
	NoUdev       Code = "no-udev"         // no udev runs that would
	Confined     Code = "security-module" // SELinux or AppArmor forbids it
	NotAllowed   Code = "device-cgroup"   // the device cgroup of a container or service forbids it
	OpenFailed   Code = "open-failed"     // for another reason
	OpenedBy     Code = "opened-by"       // other programs have the key open
	PCSCDRuns    Code = "pcscd"           // pcscd has the smart card side of keys
	SCDaemonRuns Code = "scdaemon"        // GnuPG may have it for itself
	NoPCSCD      Code = "no-pcscd"        // pcscd is not installed
	PCSCDStopped Code = "pcscd-stopped"   // it does not run
	PCSCDRefuses Code = "pcscd-refuses"   // it does not let us use cards
	PCSCDFails   Code = "pcscd-fails"     // it can't be used for another reason
	NoReader     Code = "no-reader"       // it has no reader
	ReaderEmpty  Code = "reader"          // a reader waits for a card
	CardReady    Code = "card-ready"      // the card in a reader is a key, and answers
	CardHeld     Code = "card-held"       // another program has it for itself
	NotFIDO      Code = "no-fido-card"    // it is no key
	CardFails    Code = "card-fails"      // it does not answer
)

// Level says how bad a finding is.
type Level string

// The levels. What is Wrong keeps a key from being used.
const (
	OK    Level = "ok"
	Note  Level = "note"
	Wrong Level = "wrong"
)

// Finding is what was found.
type Finding struct {
	Code      Code      `json:"code"`
	Level     Level     `json:"level"`
	Node      string    `json:"node,omitempty"`
	What      string    `json:"what"`
	Do        string    `json:"do,omitempty"` // a command, or what else helps; empty where nothing is to be done
	Processes []Process `json:"processes,omitempty"`
}

// System is what we look at, and as whom.
type System struct {
	hidraw.Tree
	UID    int
	Groups []int
	Getenv func(name string) string
	Open   func(node string) error // opens a node for reading and writing, and closes it
}

// This is the system that we run in.
func This() (System, error) {
	groups, err := os.Getgroups()
	if err != nil {
		return System{}, err
	}
	return System{UID: os.Geteuid(), Groups: append(groups, os.Getegid()), Getenv: os.Getenv, Open: tryOpen}, nil
}

func tryOpen(node string) error {
	fd, err := unix.Open(node, unix.O_RDWR|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
	}
	return err
}

// Keys says of each key whether it can be used, and why not.
func (s System) Keys() []Finding {
	devices, err := s.Devices()
	if err != nil {
		return []Finding{s.noHidraw()}
	}
	list := []Finding{{Code: HidrawThere, Level: OK, What: "the kernel shows hidraw devices"}}
	if len(devices) == 0 {
		list = append(list, Finding{Code: NoKey, Level: Note, What: "no FIDO key is plugged in", Do: "plug one in"})
	}
	for _, d := range devices {
		list = append(list, s.Key(d)...)
	}
	return list
}

func (s System) noHidraw() Finding {
	f := Finding{Code: NoHidraw, Level: Wrong, What: "the kernel has no hidraw, by which programs reach keys",
		Do: "sudo modprobe hid; else use a kernel with CONFIG_HIDRAW"}
	if _, err := os.Stat(s.Path("/sys/class")); err != nil {
		f.What, f.Do = "/sys is not mounted, or is hidden from us", "sudo mount -t sysfs sysfs /sys; or run outside of the sandbox"
	}
	return f
}

// Key says whether a key can be used, and if not, why, and who has it open.
func (s System) Key(d hidraw.Device) []Finding {
	list := []Finding{s.node(d)}
	list[0].Node = d.Node
	ourselves := func(p Process) bool { return p.PID == os.Getpid() } // who has it from a shell
	if holders := slices.DeleteFunc(s.Holders(d.Node), ourselves); len(holders) > 0 {
		f := openedBy(holders)
		f.Node = d.Node
		list = append(list, f)
	}
	return list
}

// node finds the first reason that keeps us from the node.
func (s System) node(d hidraw.Device) Finding {
	r, err := s.rights(d.Node)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s.noNode(d)
	case err != nil:
		return s.openFailed(d, err)
	case !r.allow(s.UID, s.Groups):
		return s.noPermission(d, r)
	}
	err = s.Open(s.Path(d.Node))
	switch {
	case err == nil:
		return Finding{Code: KeyReady, Level: OK, What: name(d) + " at " + d.Node + " can be opened"}
	case errors.Is(err, unix.EACCES):
		return s.confined(d)
	case errors.Is(err, unix.EPERM):
		return Finding{Code: NotAllowed, Level: Wrong,
			What: fmt.Sprintf("%s at %s is closed to this container or service by its device cgroup", name(d), d.Node),
			Do:   "start the container with --device " + d.Node + ", or give the unit DeviceAllow=char-hidraw rw"}
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return Finding{Code: OpenFailed, Level: Wrong, What: name(d) + " at " + d.Node + " was unplugged, or hangs",
			Do: "unplug it and plug it in again"}
	}
	return s.openFailed(d, err)
}

func (s System) openFailed(d hidraw.Device, err error) Finding {
	return Finding{Code: OpenFailed, Level: Wrong, What: fmt.Sprintf("%s at %s can't be opened: %v", name(d), d.Node, err),
		Do: "unplug it and plug it in again"}
}

func (s System) noNode(d hidraw.Device) Finding {
	f := Finding{Code: NoNode, Level: Wrong, What: fmt.Sprintf("the kernel knows %s, but there is no %s", name(d), d.Node),
		Do: fmt.Sprintf("mount a devtmpfs at /dev; or: sudo mknod %s c %d %d", d.Node, d.Major, d.Minor)}
	if s.container() {
		f.What += " in this container"
		f.Do = "start the container with --device " + d.Node
	}
	return f
}

// noPermission says who may open the node instead, and how that can be changed.
func (s System) noPermission(d hidraw.Device, r rights) Finding {
	f := Finding{Code: NoRule, Level: Wrong}
	let := fmt.Sprintf("sudo setfacl -m u:%d:rw %s", s.UID, d.Node)
	record, known := s.udevRecord(d)
	switch {
	case len(r.users()) > 0 || record.tagged("uaccess"):
		f.Code = NotAtSeat
		f.What = fmt.Sprintf("%s at %s is for the user at the screen, %s", name(d), d.Node, s.atSeat())
		f.Do = "log in at the screen; for a login from elsewhere, until it is unplugged: " + let
	case r.group()&readWrite == readWrite && r.gid != 0:
		group := s.groupName(r.gid)
		f.Code = NeedsGroup
		f.What = fmt.Sprintf("%s at %s is for the group %s, which you are not in", name(d), d.Node, group)
		f.Do = fmt.Sprintf("sudo usermod -aG %s %s, then log in again", group, s.userName(s.UID))
	case !s.Udev():
		f.Code = NoUdev
		f.What = fmt.Sprintf("%s at %s is for root, and no udev runs that would give it to you", name(d), d.Node)
		f.Do = let
	default:
		f.What = fmt.Sprintf("no udev rule gives anybody access to %s at %s", name(d), d.Node)
		f.Do = "sudo apt install libpam-systemd (for logind), then: sudo udevadm trigger " + d.Node
		if known && !record.has("E:ID_SECURITY_TOKEN=1") {
			f.Do = fmt.Sprintf(`echo 'KERNEL=="hidraw*", ATTRS{idVendor}=="%04x", TAG+="uaccess"' | `+
				"sudo tee /etc/udev/rules.d/70-fob.rules, then: sudo udevadm control --reload && sudo udevadm trigger %s",
				d.VendorID, d.Node)
		}
	}
	return f
}

// record is what udev has noted of a device, a line each (sd-device's db file: E: for properties, G: and Q: for tags).
type record []string

func (s System) udevRecord(d hidraw.Device) (record, bool) {
	b, err := s.read(fmt.Sprintf("/run/udev/data/c%d:%d", d.Major, d.Minor))
	return strings.Split(string(b), "\n"), err == nil
}

func (r record) has(line string) bool { return slices.Contains(r, line) }

func (r record) tagged(tag string) bool { return r.has("G:"+tag) || r.has("Q:"+tag) }

// atSeat says who sits at the screen, by logind's file (sd_seat_get_active reads it too).
func (s System) atSeat() string {
	b, err := s.read("/run/systemd/seats/seat0")
	if err != nil {
		return "of which there is none"
	}
	for line := range strings.Lines(string(b)) {
		if uid, ok := strings.CutPrefix(strings.TrimSpace(line), "ACTIVE_UID="); ok {
			n, err := strconv.Atoi(uid)
			if err == nil && n != s.UID {
				return "who is " + s.userName(n)
			}
			return "who is you; but logind has not given it to you"
		}
	}
	return "where nobody is logged in"
}

// confined is a node that everything but a security module lets us open.
func (s System) confined(d hidraw.Device) Finding {
	f := Finding{Code: Confined, Level: Wrong, Do: "sudo journalctl -k -g denied shows what was forbidden"}
	enforce, _ := s.read("/sys/fs/selinux/enforce")
	profile, _ := s.read("/proc/self/attr/current")
	module := "a security module of the kernel"
	switch {
	case strings.TrimSpace(string(enforce)) == "1":
		module, f.Do = "SELinux", "sudo ausearch -m avc -ts recent shows what was forbidden"
	case len(profile) > 0 && !bytes.HasPrefix(profile, []byte("unconfined")):
		module = "the AppArmor profile " + clean(string(profile))
	}
	f.What = fmt.Sprintf("%s forbids to open %s at %s", module, name(d), d.Node)
	return f
}

// Confinement says in which sandboxes we run.
func (s System) Confinement() []Finding {
	var list []Finding
	if _, err := os.Stat(s.Path("/.flatpak-info")); err == nil {
		list = append(list, Finding{Code: Flatpak, Level: Note, What: "we run inside a Flatpak, which may hide keys",
			Do: "flatpak override --user --device=all APP, or run fobd outside of it"})
	}
	if snap := s.Getenv("SNAP_NAME"); snap != "" && s.Getenv("SNAP") != "" {
		list = append(list, Finding{Code: Snap, Level: Note, What: "we run inside the snap " + clean(snap) + ", which may hide keys",
			Do: "sudo snap connect " + clean(snap) + ":u2f-devices, or run fobd outside of it"})
	}
	if s.container() {
		list = append(list, Finding{Code: Container, Level: Note,
			What: "we run inside a container, which has the keys that it was started with alone",
			Do:   "run fobd outside of it and share its socket, or start the container with --device /dev/hidrawN"})
	}
	return list
}

// container looks for what Docker, Podman and systemd-nspawn leave.
func (s System) container() bool {
	for _, mark := range []string{"/.dockerenv", "/run/.containerenv", "/run/systemd/container", "/run/host/container-manager"} {
		if _, err := os.Stat(s.Path(mark)); err == nil {
			return true
		}
	}
	return false
}

// name is what a person calls a key.
func name(d hidraw.Device) string {
	if d.Product == "" {
		return fmt.Sprintf("the key %04x:%04x", d.VendorID, d.ProductID)
	}
	return strings.TrimSpace(d.Manufacturer + " " + d.Product)
}

// maxFile is how much is read of a file.
const maxFile = 1 << 20

func (s System) read(name string) ([]byte, error) {
	f, err := os.Open(s.Path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

func (s System) groupName(gid int) string { return s.lookup("/etc/group", gid) }
func (s System) userName(uid int) string  { return s.lookup("/etc/passwd", uid) }

// lookup finds the name of an ID in a file of NAME:PASSWORD:ID:...; the ID itself will do for a command as well.
func (s System) lookup(file string, id int) string {
	b, _ := s.read(file)
	for line := range strings.Lines(string(b)) {
		if fields := strings.Split(line, ":"); len(fields) > 2 && strings.TrimSpace(fields[2]) == strconv.Itoa(id) {
			return clean(fields[0])
		}
	}
	return strconv.Itoa(id)
}

// clean leaves of a text what is safe to show.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s[:min(len(s), 64)])
}
