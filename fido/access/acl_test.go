package access

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestAllow(t *testing.T) {
	named := func(e ...entry) []entry {
		return append([]entry{{tagUserObj, 6, 0}, {tagGroupObj, 4, 0}, {tagOther, 0, 0}}, e...)
	}
	for name, test := range map[string]struct {
		rights
		uid    int
		groups []int
		want   bool
	}{
		"root":                      {rights{mode: 0}, 0, nil, true},
		"owner":                     {rights{mode: 0o600, uid: 5}, 5, nil, true},
		"owner who may not":         {rights{mode: 0o466, uid: 5}, 5, nil, false},
		"other":                     {rights{mode: 0o660, uid: 5, gid: 6}, 7, []int{8}, false},
		"all":                       {rights{mode: 0o666, uid: 5, gid: 6}, 7, nil, true},
		"reading is not enough":     {rights{mode: 0o644, uid: 5, gid: 6}, 7, nil, false},
		"group":                     {rights{mode: 0o660, gid: 6, uid: 5}, 7, []int{8, 6}, true},
		"group that may less":       {rights{mode: 0o606, gid: 6, uid: 5}, 7, []int{6}, false},
		"named":                     {rights{mode: 0o660, uid: 1, acl: named(entry{tagUser, 6, 7}, entry{tagMask, 6, 0})}, 7, nil, true},
		"named, cut by the mask":    {rights{mode: 0o660, uid: 1, acl: named(entry{tagUser, 6, 7}, entry{tagMask, 4, 0})}, 7, nil, false},
		"named without a mask":      {rights{mode: 0o660, uid: 1, acl: named(entry{tagUser, 6, 7})}, 7, nil, true},
		"somebody else is named":    {rights{mode: 0o660, uid: 1, gid: 1, acl: named(entry{tagUser, 6, 7}, entry{tagMask, 6, 0})}, 8, nil, false},
		"the mask is not a group's": {rights{mode: 0o660, uid: 1, gid: 6, acl: named(entry{tagUser, 6, 7}, entry{tagMask, 6, 0})}, 8, []int{6}, false},
		"named group":               {rights{mode: 0o660, uid: 1, acl: named(entry{tagGroup, 6, 9}, entry{tagMask, 6, 0})}, 7, []int{9}, true},
	} {
		if got := test.allow(test.uid, test.groups); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func FuzzACL(f *testing.F) {
	f.Add([]byte{2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, 123, 0, 0, 0})
	f.Add([]byte{1, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseACL(b)
		if err != nil {
			return
		}
		le := binary.LittleEndian
		again := le.AppendUint32(nil, aclVersion)
		for _, e := range list {
			again = le.AppendUint32(le.AppendUint16(le.AppendUint16(again, e.tag), e.perm), e.id)
		}
		if !bytes.Equal(again, b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}
