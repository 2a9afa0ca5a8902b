package audit

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// damage is a log that is not as it was written, and no crash can have made it so.
type damage struct{ what string }

func (e *damage) Error() string { return e.what }

// load finds the end of the log, and tells how many bytes of a record that a crash has left behind it were cut off.
func (l *Log) load() (torn int64, err error) {
	parts, err := list(l.Dir)
	if err != nil {
		return 0, err
	}
	l.head, l.end, err = openHead(l.Dir, l.key, os.O_RDWR)
	switch {
	case errors.Is(err, fs.ErrNotExist) && len(parts) == 0:
		return 0, l.fresh()
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errHead):
		return 0, &damage{"the head is missing, or was changed"}
	case err != nil:
		return 0, err
	case len(parts) == 0 && l.end.Seq == 0: // a crash came between the head and the first file
		return 0, l.resume()
	}
	whole, torn, err := cutTorn(l.Dir, parts)
	if err != nil {
		return 0, err
	}
	last, err := l.reach(whole)
	if err != nil {
		return 0, err
	}
	return torn, l.adopt(parts, whole, last)
}

// cutTorn leaves what a crash has torn out of the parts, and tells how many bytes that are. The last file has no whole
// record when the crash came in a rotation.
func cutTorn(dir string, parts []part) (whole []part, torn int64, err error) {
	whole = slices.Clone(parts)
	for range 2 {
		if len(whole) == 0 {
			break
		}
		p := &whole[len(whole)-1]
		n, err := tailOf(dir, *p)
		if err != nil {
			return nil, 0, err
		}
		torn += n
		if p.size -= n; p.size > 0 {
			break
		}
		whole = whole[:len(whole)-1]
	}
	return whole, torn, nil
}

func tailOf(dir string, p part) (int64, error) {
	f, err := openPart(dir, p.name, os.O_RDONLY)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return tail(f, p.size)
}

// reach goes back from the last record to the one that the head names, and gives the last.
func (l *Log) reach(parts []part) (last head, err error) {
	last = l.end
	var next *Record
	for line, err := range linesBackwards(l.Dir, parts) {
		if err != nil {
			return head{}, err
		}
		r, err := verified(l.key, line)
		switch {
		case err != nil:
			return head{}, &damage{"a record at the end was changed"}
		case next == nil && r.Seq < l.end.Seq:
			return head{}, &damage{fmt.Sprintf("the log ends at record %d, and had %d", r.Seq, l.end.Seq)}
		case next == nil:
			last.Seq, last.MAC = r.Seq, r.MAC
		case next.Prev != r.MAC || next.Seq != r.Seq+1:
			return head{}, &damage{fmt.Sprintf("record %d does not follow the one before", next.Seq)}
		}
		switch {
		case r.Seq == l.end.Seq && r.MAC == l.end.MAC, l.end.Seq == 0 && r.Seq == 1:
			return last, nil
		case r.Seq <= l.end.Seq:
			return head{}, &damage{fmt.Sprintf("record %d is another than it was", r.Seq)}
		}
		next = &r
	}
	if l.end.Seq == 0 && len(parts) == 0 {
		return last, nil
	}
	return head{}, &damage{"the records up to the end that was noted are missing"}
}

// adopt cuts off what is torn, removes what rotation has left over, and makes the last record the end.
func (l *Log) adopt(parts, whole []part, last head) (err error) {
	if len(whole) == 0 {
		if err := l.remove(parts); err != nil {
			return err
		}
		return l.beginFirst()
	}
	if err := l.remove(parts[len(whole):]); err != nil {
		return err
	}
	left := slices.IndexFunc(whole, func(p part) bool { return p.first >= last.First })
	if err := l.remove(whole[:max(left, 0)]); err != nil {
		return err
	}
	p := whole[len(whole)-1]
	if l.file, err = openPart(l.Dir, p.name, os.O_RDWR|os.O_APPEND); err != nil {
		return err
	}
	if err := errors.Join(l.file.Truncate(p.size), l.file.Sync()); err != nil {
		return err
	}
	l.size, l.filled = p.size, true
	if last == l.end {
		return nil
	}
	l.end = last
	return l.head.write(l.key, last)
}

// firstRecord reads the first record of a file.
func firstRecord(dir string, p part, key []byte) (Record, error) {
	var first []byte
	for line, err := range linesBackwards(dir, []part{p}) {
		if err != nil {
			return Record{}, err
		}
		first = line
	}
	return verified(key, first)
}

// fresh begins a log. The head comes first: files without one are none of ours.
func (l *Log) fresh() error {
	var id [8]byte
	rand.Read(id[:])
	if err := createHead(l.Dir, l.key, head{Log: hex.EncodeToString(id[:]), First: 1}); err != nil {
		return err
	}
	return l.resume()
}

// resume begins the first file of a log that has a head already. Its first record tells of a log that was set aside.
func (l *Log) resume() (err error) {
	if l.head, l.end, err = openHead(l.Dir, l.key, os.O_RDWR); err != nil {
		return err
	}
	return l.beginFirst()
}

// beginFirst begins the first file. Its first record tells of a log that was set aside.
func (l *Log) beginFirst() error {
	entries, err := os.ReadDir(l.Dir)
	if err != nil {
		return err
	}
	first := Record{Kind: Begin}
	for _, e := range entries { // the last one is the newest
		if e.IsDir() && strings.HasPrefix(e.Name(), asidePrefix) {
			first = Record{Kind: Damaged, Aside: e.Name()}
		}
	}
	return l.begin(first)
}

// setAside moves a log that was changed to a folder beside, for a person to look at, and begins another one.
func (l *Log) setAside() error {
	aside := asidePrefix + now().Format("20060102T150405.000000Z")
	if err := os.Mkdir(filepath.Join(l.Dir, aside), 0o700); err != nil {
		return err
	}
	parts, err := list(l.Dir)
	if err != nil {
		return err
	}
	for _, p := range slices.Concat(parts, []part{{name: headName}}) {
		err := os.Rename(filepath.Join(l.Dir, p.name), filepath.Join(l.Dir, aside, p.name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if l.head != nil {
		_ = l.head.Close()
	}
	return l.fresh()
}

// asidePrefix begins the name of a folder with a log that was set aside.
const asidePrefix = "damaged-"
