package columns

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// lines cuts a file into lines, in a buffer of its own that can be wiped.
type lines struct {
	in       io.Reader
	buf      []byte
	from, to int // what of buf is read and not given yet
	at       int // number of the line that was given last
	err      error
	empty    int // reads in a row that gave nothing
}

var (
	errTooLong = fmt.Errorf("the line is longer than %d bytes", MaxLine)
	errUTF16   = errors.New("it is UTF-16: save it as UTF-8")
)

// next gives the next line, without its end, and io.EOF behind the last one. It is valid until the next call.
func (l *lines) next() ([]byte, error) {
	if l.buf == nil {
		if err := l.begin(); err != nil {
			return nil, err
		}
	}
	l.at++
	for searched := 0; ; {
		rest := l.buf[l.from:l.to]
		if n := bytes.IndexByte(rest[searched:], '\n'); n >= 0 {
			l.from += searched + n + 1
			return l.check(rest[:searched+n])
		}
		searched = len(rest)
		if searched > MaxLine+2 {
			return nil, l.skip()
		}
		if !l.fill() {
			l.from = l.to
			return l.last(rest)
		}
	}
}

// last gives what stands behind the last newline.
func (l *lines) last(rest []byte) ([]byte, error) {
	if len(rest) == 0 || !errors.Is(l.err, io.EOF) {
		l.at = max(1, l.at-1)
		return nil, l.err
	}
	return l.check(rest)
}

func (l *lines) check(line []byte) ([]byte, error) {
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) > MaxLine {
		return nil, errTooLong
	}
	return line, nil
}

// skip goes on behind a line that is too long, keeping none of it.
func (l *lines) skip() error {
	for {
		if n := bytes.IndexByte(l.buf[l.from:l.to], '\n'); n >= 0 {
			l.from += n + 1
			return errTooLong
		}
		l.from = l.to
		if !l.fill() {
			return errTooLong
		}
	}
}

// fill reads more, and tells whether there is any.
func (l *lines) fill() bool {
	if l.err != nil {
		return false
	}
	if l.from > 0 && (l.from == l.to || l.to == len(l.buf)) {
		l.to = copy(l.buf, l.buf[l.from:l.to])
		l.from = 0
	}
	n, err := l.in.Read(l.buf[l.to:])
	l.to, l.err = l.to+n, err
	if n == 0 && err == nil {
		if l.empty++; l.empty > 100 {
			l.err = io.ErrNoProgress
		}
		return true
	}
	l.empty = 0
	return n > 0
}

// begin reads enough to see a byte order mark.
func (l *lines) begin() error {
	l.buf = make([]byte, 4*MaxLine)
	for l.to < 3 && l.fill() {
	}
	head := l.buf[:l.to]
	if bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff")) {
		l.err = errUTF16
		return errUTF16
	}
	if bytes.HasPrefix(head, []byte("\ufeff")) {
		l.from = len("\ufeff")
	}
	return nil
}

func (l *lines) wipe() { clear(l.buf) }
