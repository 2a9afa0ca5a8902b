package access

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fob/fido/hidraw"
	"fob/fido/hidraw/hidrawtest"
)

const node = "/dev/hidraw3"

var key = hidrawtest.Key{Port: "1-2", Number: 3, VendorID: 0x1050, ProductID: 0x407, Manufacturer: "Yubico", Product: "YubiKey"}

// played is a system with a key, looked at by user 4711, to whom its files do not belong.
type played struct {
	t *testing.T
	*hidrawtest.System
	sees System
	env  map[string]string
	open error // what opening a node gives
}

func play(t *testing.T) *played {
	t.Helper()
	s, err := hidrawtest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := &played{t: t, System: s, env: make(map[string]string)}
	p.sees = System{Tree: hidraw.Tree{Root: s.Root}, UID: 4711,
		Getenv: func(name string) string { return p.env[name] }, Open: func(string) error { return p.open }}
	p.do(s.Plug(key), p.mode(0o600))
	return p
}

func (p *played) do(errs ...error) {
	p.t.Helper()
	for _, err := range errs {
		if err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *played) mode(m os.FileMode) error { return os.Chmod(filepath.Join(p.Root, node), m) }

// acl adds a user to the access list of the node, as logind does; tests end where a file system has none.
func (p *played) acl(uid uint32) {
	p.t.Helper()
	b := binary.LittleEndian.AppendUint32(nil, aclVersion)
	for _, e := range []entry{
		{tagUserObj, 6, ^uint32(0)}, {tagUser, 6, uid}, {tagGroupObj, 0, ^uint32(0)}, {tagMask, 6, ^uint32(0)}, {tagOther, 0, ^uint32(0)},
	} {
		b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, e.tag), e.perm)
		b = binary.LittleEndian.AppendUint32(b, e.id)
	}
	if err := unix.Setxattr(filepath.Join(p.Root, node), "system.posix_acl_access", b, 0); err != nil {
		p.t.Skip("no access lists here: ", err)
	}
}

// finds looks for a finding whose texts have the words.
func finds(t *testing.T, list []Finding, code Code, words ...string) {
	t.Helper()
	i := slices.IndexFunc(list, func(f Finding) bool { return f.Code == code })
	if i < 0 {
		t.Fatalf("no %s in %+v", code, list)
	}
	for _, word := range words {
		if !strings.Contains(list[i].What+"\n"+list[i].Do, word) {
			t.Errorf("no %q in %+v", word, list[i])
		}
	}
}

func TestKeys(t *testing.T) {
	for name, test := range map[string]struct {
		play  func(p *played)
		code  Code
		words []string
	}{
		"ready":     {func(p *played) { p.do(p.mode(0o666)) }, KeyReady, []string{"Yubico YubiKey at /dev/hidraw3 can be opened"}},
		"no key":    {func(p *played) { p.do(p.Unplug(3)) }, NoKey, []string{"plug one in"}},
		"no hidraw": {func(p *played) { p.do(p.Remove("/sys/class/hidraw")) }, NoHidraw, []string{"modprobe hid"}},
		"no sysfs":  {func(p *played) { p.do(p.Remove("/sys")) }, NoHidraw, []string{"/sys is not mounted"}},
		"no node":   {func(p *played) { p.do(p.Remove(node)) }, NoNode, []string{"there is no /dev/hidraw3", "mknod /dev/hidraw3 c 243 3"}},
		"no node in a container": {func(p *played) { p.do(p.Remove(node), p.File("/run/.containerenv", "")) }, NoNode,
			[]string{"in this container", "--device /dev/hidraw3"}},
		"no udev": {func(*played) {}, NoUdev, []string{"no udev runs", "sudo setfacl -m u:4711:rw /dev/hidraw3"}},
		"no rule": {func(p *played) { p.do(p.StartUdev(), p.Settle(3, "E:ID_BUS=usb")) }, NoRule,
			[]string{"no udev rule", `ATTRS{idVendor}=="1050"`}},
		"no rule, but known for a key": {func(p *played) { p.do(p.StartUdev(), p.Settle(3, "E:ID_SECURITY_TOKEN=1")) }, NoRule,
			[]string{"udevadm trigger /dev/hidraw3"}},
		"nobody at the screen": {func(p *played) {
			p.do(p.StartUdev(), p.Settle(3, "G:uaccess"), p.File("/run/systemd/seats/seat0", "IS_SEAT0=1\n"))
		}, NotAtSeat, []string{"nobody is logged in", "setfacl -m u:4711:rw"}},
		"no screen": {func(p *played) { p.do(p.StartUdev(), p.Settle(3, "Q:uaccess")) }, NotAtSeat, []string{"there is none"}},
		"another user at the screen": {func(p *played) {
			p.acl(1001)
			p.do(p.StartUdev(), p.File("/run/systemd/seats/seat0", "IS_SEAT0=1\nACTIVE_UID=1001\n"),
				p.File("/etc/passwd", "root:x:0:0:::\nalice:x:1001:1001:::\n"))
		}, NotAtSeat, []string{"who is alice"}},
		"at the screen": {func(p *played) { p.acl(4711) }, KeyReady, nil},
		"group": {func(p *played) {
			if os.Chown(filepath.Join(p.Root, node), -1, 46) != nil {
				p.t.Skip("only root may give files away")
			}
			p.do(p.mode(0o660), p.File("/etc/group", "root:x:0:\nplugdev:x:46:bob\n"),
				p.File("/etc/passwd", "alice:x:4711:4711:::\n"))
		}, NeedsGroup, []string{"for the group plugdev", "sudo usermod -aG plugdev alice"}},
		"SELinux": {func(p *played) {
			p.do(p.mode(0o666), p.File("/sys/fs/selinux/enforce", "1"))
			p.open = unix.EACCES
		}, Confined, []string{"SELinux forbids", "ausearch"}},
		"AppArmor": {func(p *played) {
			p.do(p.mode(0o666), p.File("/proc/self/attr/current", "fobd (enforce)\n"))
			p.open = unix.EACCES
		}, Confined, []string{"the AppArmor profile fobd (enforce) forbids"}},
		"device cgroup": {func(p *played) { p.do(p.mode(0o666)); p.open = unix.EPERM }, NotAllowed, []string{"DeviceAllow=char-hidraw rw"}},
		"dead":          {func(p *played) { p.do(p.mode(0o666)); p.open = unix.ENODEV }, OpenFailed, []string{"plug it in again"}},
		"odd":           {func(p *played) { p.do(p.mode(0o666)); p.open = unix.EIO }, OpenFailed, []string{"input/output error"}},
		"a folder":      {func(p *played) { p.do(p.Remove(node), p.Link("hidraw3", node)) }, OpenFailed, []string{"too many levels"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := play(t)
			test.play(p)
			list := p.sees.Keys()
			finds(t, list, test.code, test.words...)
			for _, f := range list {
				if f.Level == Wrong && f.Do == "" {
					t.Errorf("nothing to be done: %+v", f)
				}
				if good := f.Code == KeyReady || f.Code == HidrawThere; good != (f.Level == OK) {
					t.Errorf("level: %+v", f)
				}
			}
		})
	}
}

func TestRootMayOpenAll(t *testing.T) {
	p := play(t)
	p.sees.UID = 0
	finds(t, p.sees.Keys(), KeyReady)
}

func TestConfinement(t *testing.T) {
	p := play(t)
	if list := p.sees.Confinement(); len(list) > 0 {
		t.Errorf("%+v", list)
	}
	p.do(p.File("/.flatpak-info", "[Application]\n"), p.File("/.dockerenv", ""))
	p.env["SNAP"], p.env["SNAP_NAME"] = "/snap/fob/1", "fob\x1b[31m"
	list := p.sees.Confinement()
	finds(t, list, Flatpak, "flatpak override --user --device=all")
	finds(t, list, Snap, "sudo snap connect fob[31m:u2f-devices")
	finds(t, list, Container, "--device /dev/hidrawN")
}

func (p *played) process(pid int, name string, files ...string) {
	p.t.Helper()
	p.do(p.File(fmt.Sprintf("/proc/%d/comm", pid), name+"\n"), p.Folder(fmt.Sprintf("/proc/%d/fd", pid)))
	for i, f := range files {
		p.do(p.Link(filepath.Join(p.Root, f), fmt.Sprintf("/proc/%d/fd/%d", pid, i)))
	}
}

func TestWhoHasItOpen(t *testing.T) {
	p := play(t)
	p.do(p.mode(0o666), p.File("/dev/hidraw4", ""), p.File("/elsewhere/hidraw3", ""))
	p.process(300, "firefox-esr", "/dev/null", node)
	p.process(200, "bash", "/dev/hidraw4", "/elsewhere/hidraw3", "/dev/gone")
	p.process(100, "my\x1b[2Jtool", node)
	p.do(p.File("/proc/self/comm", "test"), p.Folder("/proc/400"))
	list := p.sees.Keys()
	finds(t, list, OpenedBy, "my[2Jtool (100), firefox-esr (300)", "close the page in Firefox")
	last := list[len(list)-1]
	if want := []Process{{100, "my[2Jtool"}, {300, "firefox-esr"}}; last.Node != node || !slices.Equal(last.Processes, want) {
		t.Errorf("%+v", last)
	}
}

func TestCards(t *testing.T) {
	p := play(t)
	if list := p.sees.Cards(); len(list) > 0 {
		t.Errorf("%+v", list)
	}
	p.process(100, "pcscd")
	p.process(101, "scdaemon")
	p.process(102, "pcscd-not")
	list := p.sees.Cards()
	finds(t, list, PCSCDRuns, "not FIDO at USB")
	finds(t, list, SCDaemonRuns, "gpgconf --kill scdaemon")
	if len(list[0].Processes) != 1 {
		t.Errorf("%+v", list[0])
	}
}

// TestHoldersHere: a process of ours that has a device open, as the kernel shows it.
func TestHoldersHere(t *testing.T) {
	s, err := This()
	if err != nil {
		t.Fatal(err)
	}
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/dev/pts/%d", n)
	if list := s.Holders(path); len(list) > 0 {
		t.Errorf("%+v", list)
	}
	terminal, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	c := exec.Command("cat")
	c.ExtraFiles = []*os.File{terminal}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	list := s.Holders(path)
	in.Close()
	c.Wait()
	self := Process{os.Getpid(), s.comm(os.Getpid())}
	if !slices.Contains(list, Process{c.Process.Pid, "cat"}) || !slices.Contains(list, self) || len(list) != 2 {
		t.Errorf("%+v, expected cat and %+v", list, self)
	}
	if err := tryOpen(path); err != nil {
		t.Error(err)
	}
	if err := tryOpen("/dev/pts/nowhere"); err != unix.ENOENT {
		t.Error(err)
	}
}
