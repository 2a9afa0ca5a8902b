package access

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// Permissions of an entry.
const readWrite = 6

// Tags of an entry of an access list (linux/posix_acl.h).
const (
	tagUserObj  = 0x01
	tagUser     = 0x02
	tagGroupObj = 0x04
	tagGroup    = 0x08
	tagMask     = 0x10
	tagOther    = 0x20
)

// Sizes of the extended attribute system.posix_acl_access (linux/posix_acl_xattr.h): a version, then entries.
const (
	aclVersion   = 2
	aclHeader    = 4
	aclEntrySize = 8
	maxACL       = aclHeader + 512*aclEntrySize
)

var errACL = errors.New("malformed access list")

// entry is one entry of an access list.
type entry struct {
	tag, perm uint16
	id        uint32 // of tagUser and tagGroup
}

// parseACL reads an access list; it is little-endian everywhere.
func parseACL(b []byte) ([]entry, error) {
	le := binary.LittleEndian
	if len(b) > maxACL || len(b) < aclHeader || le.Uint32(b) != aclVersion || (len(b)-aclHeader)%aclEntrySize != 0 {
		return nil, errACL
	}
	var list []entry
	for b = b[aclHeader:]; len(b) > 0; b = b[aclEntrySize:] {
		list = append(list, entry{le.Uint16(b), le.Uint16(b[2:]), le.Uint32(b[4:])})
	}
	return list, nil
}

// rights say who may open a file.
type rights struct {
	mode     uint32
	uid, gid int
	acl      []entry // none beyond the mode, when it is empty
}

func (s System) rights(node string) (rights, error) {
	path := s.Path(node)
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return rights{}, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	r := rights{mode: st.Mode & 0o777, uid: int(st.Uid), gid: int(st.Gid)}
	b := make([]byte, maxACL)
	n, err := unix.Getxattr(path, "system.posix_acl_access", b)
	if err != nil { // none, or the file system has no access lists
		return r, nil
	}
	r.acl, err = parseACL(b[:n])
	return r, err
}

// perm gives the permissions of the first entry of a tag.
func (r rights) perm(tag uint16) (perm uint16, ok bool) {
	i := slices.IndexFunc(r.acl, func(e entry) bool { return e.tag == tag })
	if i < 0 {
		return 0, false
	}
	return r.acl[i].perm, true
}

// group gives what the file's group may do: where there is a mask, it stands in the mode instead.
func (r rights) group() uint16 {
	perm, ok := r.perm(tagGroupObj)
	if !ok {
		return uint16(r.mode>>3) & 7
	}
	return perm & r.mask()
}

func (r rights) mask() uint16 {
	if perm, ok := r.perm(tagMask); ok {
		return perm
	}
	return 7
}

// users lists who may read and write besides the owner, by name: logind adds the user at the seat so.
func (r rights) users() []uint32 {
	var list []uint32
	for _, e := range r.acl {
		if e.tag == tagUser && e.perm&r.mask()&readWrite == readWrite {
			list = append(list, e.id)
		}
	}
	return list
}

// allow reports whether a user may read and write (acl(5), "access check algorithm").
func (r rights) allow(uid int, groups []int) bool {
	if uid == 0 {
		return true
	}
	if uid == r.uid {
		return r.mode>>6&readWrite == readWrite
	}
	for _, e := range r.acl {
		if e.tag == tagUser && int(e.id) == uid {
			return e.perm&r.mask()&readWrite == readWrite
		}
	}
	member, granted := slices.Contains(groups, r.gid), false
	if member {
		granted = r.group()&readWrite == readWrite
	}
	for _, e := range r.acl {
		if e.tag == tagGroup && slices.Contains(groups, int(e.id)) {
			member = true
			granted = granted || e.perm&r.mask()&readWrite == readWrite
		}
	}
	if member {
		return granted
	}
	return r.mode&readWrite == readWrite
}
