package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A log is a chain of files, each named after the number of its first record.
const (
	filePrefix = "audit-"
	fileSuffix = ".jsonl"
)

func fileName(first uint64) string { return fmt.Sprintf("%s%020d%s", filePrefix, first, fileSuffix) }

// firstOf reads the number in the name of a file.
func firstOf(name string) (uint64, bool) {
	digits, suffixed := strings.CutSuffix(name, fileSuffix)
	digits, prefixed := strings.CutPrefix(digits, filePrefix)
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, suffixed && prefixed && err == nil && name == fileName(n)
}

// part is a file of a log.
type part struct {
	name  string
	first uint64
	size  int64 // of what is to be read; later lines are not
}

// list gives the files of a log in their order; none where there is no folder.
func list(dir string) ([]part, error) {
	entries, err := os.ReadDir(dir) // in the order of their names
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var parts []part
	for _, e := range entries {
		first, ok := firstOf(e.Name())
		if !ok {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) { // rotation has removed it
			continue
		}
		if err != nil {
			return nil, err
		}
		parts = append(parts, part{e.Name(), first, info.Size()})
	}
	return parts, err
}

// errNoPart is something else than a file where one of a log should be.
var errNoPart = errors.New("it is no regular file")

// openPart opens a file of a log, and nothing else that may be there.
func openPart(dir, name string, flags int) (*os.File, error) {
	path := filepath.Join(dir, name)
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: path, Err: errNoPart}
	}
	return os.OpenFile(path, flags|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
}

// blockSize is how much is read at once.
const blockSize = 64 << 10

// backwards gives the whole lines of a file up to size, the last one first. What is behind the last line feed is left
// out. A line that is too long ends it with an error.
func backwards(f io.ReaderAt, size int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var rest []byte // the end of a line whose beginning is in the block before
		whole := false  // the end of rest is known to be one of a line
		for end := size; end > 0; {
			begin := max(0, end-blockSize)
			b := make([]byte, end-begin, end-begin+int64(len(rest)))
			if _, err := f.ReadAt(b, begin); err != nil {
				yield(nil, err)
				return
			}
			b, end = append(b, rest...), begin
			for {
				i := bytes.LastIndexByte(b, '\n')
				if i < 0 {
					break
				}
				if whole && !yield(b[i+1:], nil) {
					return
				}
				b, whole = b[:i], true
			}
			if rest = b; whole && len(rest) > maxLine {
				yield(nil, errNoRecord)
				return
			}
			if !whole {
				rest = nil // a record that is half written may be long when a disk has gone mad
			}
		}
		if whole {
			yield(rest, nil)
		}
	}
}

// tail is how many bytes of a file are behind its last line feed.
func tail(f io.ReaderAt, size int64) (int64, error) {
	b := make([]byte, blockSize)
	for end := size; end > 0; {
		begin := max(0, end-blockSize)
		block := b[:end-begin]
		if _, err := f.ReadAt(block, begin); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(block, '\n'); i >= 0 {
			return size - (begin + int64(i) + 1), nil
		}
		end = begin
	}
	return size, nil
}

// linesBackwards gives the lines of all parts, the last one first. Parts that rotation has removed meanwhile are left
// out.
func linesBackwards(dir string, parts []part) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, p := range slices.Backward(parts) {
			f, err := openPart(dir, p.name, os.O_RDONLY)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for line, err := range backwards(f, p.size) {
				if !yield(line, err) || err != nil {
					f.Close()
					return
				}
			}
			f.Close()
		}
	}
}

// syncFolder makes new and removed names durable.
func syncFolder(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
