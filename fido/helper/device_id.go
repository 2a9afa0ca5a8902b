package helper

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/hidraw"
)

// DeviceID names the device behind path, looked at alone; a Source, which sees all of them, may give it another ID
// where two have one serial number. See hidraw.ID for hidraw devices.
//
// Of other devices, the inode and the device number alone may come back with the next one, so something that counts up
// is added: for a pseudo-terminal, which sysfs does not know, the time when its node was made.
func DeviceID(path string) (fido.DeviceID, error) {
	var tree hidraw.Tree
	if d, err := tree.ByNode(path); err == nil {
		return fido.DeviceID(tree.ID(d)), nil
	}
	return nodeID(path)
}

func nodeID(path string) (fido.DeviceID, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return "", err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return "", unix.ENODEV
	}
	birth, err := os.Readlink(fmt.Sprintf("/sys/dev/char/%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev)))
	if err != nil {
		birth = fmt.Sprint(st.Ctim.Nano())
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %d %d %q", path, st.Rdev, st.Ino, birth))
	return fido.DeviceID(strings.ToLower(base32.StdEncoding.EncodeToString(sum[:5]))), nil
}

// ids are the IDs of the hidraw devices that are plugged in.
type ids struct {
	tree  hidraw.Tree
	named map[string]hidraw.ID // by path in sysfs
}

// ids names all hidraw devices, so that each is told from the others.
func (s *Source) ids() ids {
	devices, err := s.Tree.Devices()
	if errors.Is(err, hidraw.ErrNoHidraw) {
		devices = nil
	}
	named := make(map[string]hidraw.ID, len(devices))
	for i, id := range s.names.Give(s.Tree, devices) {
		named[devices[i].Path] = id
	}
	return ids{s.Tree, named}
}

// of gives the ID of the device behind path.
func (i ids) of(path string) (fido.DeviceID, error) {
	if d, err := i.tree.ByNode(path); err == nil {
		return fido.DeviceID(i.hidraw(d)), nil
	}
	return nodeID(path)
}

func (i ids) hidraw(d hidraw.Device) hidraw.ID {
	if id, ok := i.named[d.Path]; ok {
		return id
	}
	return i.tree.ID(d) // it is no FIDO device, or was plugged in since
}

// name fills in the ID of a device, and what tells it again. The error is that of its path.
func (i ids) name(info *fido.DeviceInfo) (err error) {
	if d, err := i.tree.ByNode(info.Path); err == nil {
		id := i.hidraw(d)
		info.ID, info.Mark = fido.DeviceID(id), d.Mark(id)
		return nil
	}
	info.ID, err = nodeID(info.Path)
	return err
}
