package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
)

// bbolt trusts its file: a damaged page number or length would have it read beyond the mapped file, which ends the
// process. So the whole structure is checked before bbolt gets to see it. That a record is the one that was written,
// and none is missing, is for the AEAD and the summary to tell.
//
// The layout is that of bbolt's internal/common, data file version 2, in the byte order of the machine.
const (
	pageSize       = 4096 // whatever the machine's pages are, so that a store can move
	pageHeaderSize = 16
	elementSize    = 16
	bucketSize     = 16
	boltMagic      = 0xED0CDAED
	boltVersion    = 2

	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10
	bucketFlag   = 0x01
)

var order = binary.NativeEndian

// meta is what a meta page says.
type meta struct {
	root, freelist, pages, txid uint64
}

// checker checks a file.
type checker struct {
	file []byte
	meta meta
	seen []bool // which pages are accounted for
}

// checkStructure says what is wrong with a file of bbolt's.
func checkStructure(file []byte) error {
	if len(file) < 4*pageSize {
		return errors.New("the file was cut short")
	}
	m, err := newestMeta(file)
	if err != nil {
		return err
	}
	if m.pages > uint64(len(file)/pageSize) {
		return errors.New("the file was cut short")
	}
	c := &checker{file, m, make([]bool, m.pages)}
	c.seen[0], c.seen[1] = true, true
	if err := c.bucket(m.root, true); err != nil {
		return err
	}
	if err := c.freelist(); err != nil {
		return err
	}
	for id, seen := range c.seen {
		if !seen {
			return fmt.Errorf("page %d is lost", id)
		}
	}
	return nil
}

// newestMeta gives the newer one of the two meta pages. bbolt takes the older one when the newer is damaged, and with
// it the last transaction would be lost without a word. No crash damages one: a disk writes its 80 bytes, which lie in
// one sector, whole or not at all.
func newestMeta(file []byte) (meta, error) {
	first, ok1 := parseMeta(file)
	second, ok2 := parseMeta(file[pageSize:])
	switch {
	case !ok1 || !ok2 || max(first.txid, second.txid)-min(first.txid, second.txid) != 1:
		return meta{}, errors.New("a meta page is damaged")
	case first.txid > second.txid:
		return first, nil
	default:
		return second, nil
	}
}

func parseMeta(page []byte) (m meta, ok bool) {
	b := page[pageHeaderSize:]
	sum := fnv.New64a()
	sum.Write(b[:56])
	ok = order.Uint32(b) == boltMagic && order.Uint32(b[4:]) == boltVersion && order.Uint32(b[8:]) == pageSize &&
		sum.Sum64() == order.Uint64(b[56:])
	return meta{order.Uint64(b[16:]), order.Uint64(b[32:]), order.Uint64(b[40:]), order.Uint64(b[48:])}, ok
}

// page gives a page with those that overflow from it, each of which may be asked for once.
func (c *checker) page(id uint64) (flags, count uint16, page []byte, err error) {
	if id < 2 || id >= c.meta.pages {
		return 0, 0, nil, fmt.Errorf("there is no page %d", id)
	}
	page = c.file[id*pageSize:]
	flags, count = order.Uint16(page[8:]), order.Uint16(page[10:])
	overflow := uint64(order.Uint32(page[12:]))
	if order.Uint64(page) != id || overflow >= c.meta.pages-id {
		return 0, 0, nil, fmt.Errorf("page %d is damaged", id)
	}
	for i := id; i <= id+overflow; i++ {
		if c.seen[i] {
			return 0, 0, nil, fmt.Errorf("page %d is used twice", i)
		}
		c.seen[i] = true
	}
	return flags, count, page[:(overflow+1)*pageSize], nil
}

// freelist accounts for the pages that are free.
func (c *checker) freelist() error {
	flags, count, page, err := c.page(c.meta.freelist)
	if err != nil {
		return err
	}
	damaged := errors.New("the list of free pages is damaged")
	ids, n := page[pageHeaderSize:], uint64(count)
	if n == 0xFFFF { // the number is too large for its place
		n, ids = order.Uint64(ids), ids[8:]
	}
	if flags != freelistPage || n > uint64(len(ids)/8) {
		return damaged
	}
	for last := uint64(0); n > 0; n-- {
		id := order.Uint64(ids)
		if id <= last || id >= c.meta.pages || c.seen[id] {
			return damaged
		}
		c.seen[id], last, ids = true, id, ids[8:]
	}
	return nil
}

// bucket checks the tree of a bucket; only the root may have other buckets in it.
func (c *checker) bucket(root uint64, isRoot bool) error {
	flags, count, page, err := c.page(root)
	if err == nil && count > 0 {
		_, err = c.node(flags, count, page, nil, isRoot)
	} else if err == nil && flags != leafPage {
		err = fmt.Errorf("page %d is damaged", root)
	}
	return err
}

// node checks a page that is not empty, and those below. Its keys begin at least; it gives the last one.
func (c *checker) node(flags, count uint16, page, least []byte, isRoot bool) (last []byte, err error) {
	damaged := fmt.Errorf("page %d is damaged", order.Uint64(page))
	switch {
	case count == 0 || flags != leafPage && flags != branchPage || pageHeaderSize+int(count)*elementSize > len(page):
		return nil, damaged
	case flags == leafPage:
		return c.leaf(page, count, least, isRoot)
	}
	for i := range int(count) {
		at := page[pageHeaderSize+i*elementSize:]
		key, ok := span(at, order.Uint32(at), order.Uint32(at[4:]))
		if !ok || !follows(key, last, least) {
			return nil, damaged
		}
		flags, count, below, err := c.page(order.Uint64(at[8:]))
		if err != nil {
			return nil, err
		}
		if last, err = c.node(flags, count, below, key, isRoot); err != nil {
			return nil, err
		}
	}
	return last, nil
}

// follows reports whether a key may stand where it does: behind the last one, or, as the first, not before least.
func follows(key, last, least []byte) bool {
	if last == nil {
		return len(key) > 0 && bytes.Compare(key, least) >= 0
	}
	return bytes.Compare(key, last) > 0
}

// leaf checks the elements of a leaf page.
func (c *checker) leaf(page []byte, count uint16, least []byte, isRoot bool) (last []byte, err error) {
	damaged := errors.New("a record is damaged")
	if pageHeaderSize+int(count)*elementSize > len(page) {
		return nil, damaged
	}
	for i := range int(count) {
		at := page[pageHeaderSize+i*elementSize:]
		flags, pos, keySize, size := order.Uint32(at), order.Uint32(at[4:]), order.Uint32(at[8:]), order.Uint32(at[12:])
		key, ok := span(at, pos, keySize)
		value, ok2 := span(at, pos, keySize+size)
		if !ok || !ok2 || keySize+size < size || !follows(key, last, least) {
			return nil, damaged
		}
		last = key
		switch {
		case flags == bucketFlag && isRoot:
			if err := c.inner(value[keySize:]); err != nil {
				return nil, err
			}
		case flags != 0:
			return nil, damaged
		}
	}
	return last, nil
}

// inner checks a bucket that an element of the root holds: a small one is the element's value itself.
func (c *checker) inner(value []byte) error {
	if len(value) < bucketSize {
		return errors.New("a bucket is damaged")
	}
	if root := order.Uint64(value); root != 0 {
		return c.bucket(root, false)
	}
	page := value[bucketSize:]
	if len(page) < pageHeaderSize || order.Uint16(page[8:]) != leafPage {
		return errors.New("a bucket is damaged")
	}
	_, err := c.leaf(page, order.Uint16(page[10:]), nil, false)
	return err
}

// span gives the bytes at a distance from an element, which must be in its page.
func span(at []byte, pos, size uint32) ([]byte, bool) {
	end := uint64(pos) + uint64(size)
	if end > uint64(len(at)) || pos < elementSize {
		return nil, false
	}
	return at[pos:end], true
}
