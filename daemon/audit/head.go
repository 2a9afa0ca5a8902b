package audit

import (
	"bytes"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"fob/fido/durable"
)

// head is where a log ends, and where it begins. Without it, a log whose end was cut off would be whole.
type head struct {
	Log       string `json:"log"`
	Seq       uint64 `json:"seq"` // of the last record; 0 for none
	MAC       MAC    `json:"mac"`
	First     uint64 `json:"first"` // the first record that rotation has left
	FirstPrev MAC    `json:"firstPrev"`
	Slot      int    `json:"slot"` // 0 or 1: a slot that is copied to the other's place is none
}

const (
	headName  = "head"
	headLabel = "fob audit head\x00"
	slotSize  = 512 // one sector, which a disk writes as a whole
)

// headFile holds the head twice, in slots that are written in turns: one of them is whole whatever happens.
type headFile struct {
	*os.File
	next int // the slot to be written
}

// errHead is a head that nobody with our key has written, or only half of it.
var errHead = errors.New("the head is not as it was written")

// createHead makes the file, durably. It must not exist.
func createHead(dir string, key []byte, h head) error {
	one, err1 := h.seal(key, 0)
	two, err2 := h.seal(key, 1)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return durable.Create(filepath.Join(dir, headName), append(one, two...))
}

// openHead reads the newer of the two slots; both must be right, for a damaged one may have been the newer.
func openHead(dir string, key []byte, flags int) (*headFile, head, error) {
	path := filepath.Join(dir, headName)
	if info, err := os.Lstat(path); err == nil && (!info.Mode().IsRegular() || info.Size() != 2*slotSize) {
		return nil, head{}, errHead
	}
	f, err := os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, head{}, err
	}
	b := make([]byte, 2*slotSize)
	if _, err := f.ReadAt(b, 0); err != nil {
		f.Close()
		return nil, head{}, err
	}
	one, err1 := parseHead(key, b[:slotSize], 0)
	two, err2 := parseHead(key, b[slotSize:], 1)
	if err := errors.Join(err1, err2); err != nil || one.Log != two.Log {
		f.Close()
		return nil, head{}, errHead
	}
	if two.newer(one) {
		return &headFile{f, 0}, two, nil
	}
	return &headFile{f, 1}, one, nil
}

func (h head) newer(other head) bool {
	return h.Seq > other.Seq || h.Seq == other.Seq && h.First > other.First
}

// write puts a head in the place of the older one. It is not synced: a head that is behind its log, as after a power
// failure, is brought up to date when the log is opened.
func (f *headFile) write(key []byte, h head) error {
	slot, err := h.seal(key, f.next)
	if err != nil {
		return err
	}
	if _, err := f.WriteAt(slot, int64(f.next)*slotSize); err != nil {
		return err
	}
	f.next = 1 - f.next
	return nil
}

// seal gives a slot: JSON, the MAC, and spaces up to a line feed.
func (h head) seal(key []byte, slot int) ([]byte, error) {
	h.Slot = slot
	b, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	b = fmt.Append(b, " ", mac(key, headLabel, b))
	if len(b) >= slotSize {
		return nil, errHead
	}
	b = append(b, bytes.Repeat([]byte{' '}, slotSize-1-len(b))...)
	return append(b, '\n'), nil
}

// parseHead reads a slot and checks its MAC. It takes what seal gives and nothing else.
func parseHead(key, b []byte, slot int) (h head, err error) {
	text, _, found := bytes.Cut(b, []byte("} "))
	if !found || json.Unmarshal(append(bytes.Clone(text), '}'), &h) != nil {
		return head{}, errHead
	}
	if again, err := h.seal(key, slot); err != nil || !hmac.Equal(again, b) {
		return head{}, errHead
	}
	return h, nil
}
