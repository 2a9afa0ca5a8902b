package columns

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Line is a line that is being made. After a text that the layout can't hold, the rest of it does not matter.
type Line struct {
	layout *Layout
	format string
	token  string
	buf    []byte
	filled bool // there is a column already
	err    error
}

// Err is a *seedfile.ValueError after a text that the layout can't hold.
func (l *Line) Err() error { return l.err }

func (l *Line) next() {
	if l.filled {
		l.buf = append(l.buf, l.layout.Separator)
		if l.layout.Spaced {
			l.buf = append(l.buf, ' ')
		}
	}
	l.filled = true
}

// Word appends a column that is no text of a token.
func (l *Line) Word(word string) {
	l.next()
	l.buf = append(l.buf, word...)
}

// Number appends a decimal number.
func (l *Line) Number(n uint64) {
	l.next()
	l.buf = strconv.AppendUint(l.buf, n, 10)
}

// Hex appends a seed in lower-case hexadecimal digits.
func (l *Line) Hex(s hotp.Seed) {
	l.next()
	l.buf = s.AppendHex(l.buf)
}

// Base32 appends a seed in Base32 without padding.
func (l *Line) Base32(s hotp.Seed) {
	l.next()
	l.buf = s.AppendBase32(l.buf)
}

// Append appends what add does, without a separator before it.
func (l *Line) Append(add func([]byte) []byte) { l.buf = add(l.buf) }

// Text appends a text of a token.
func (l *Line) Text(field seedfile.Field, text string) {
	l.next()
	if problem := l.layout.problem(text, len(l.buf) == 0); problem != "" && l.err == nil {
		l.err = &seedfile.ValueError{Format: l.format, Token: l.token, Field: field, Problem: problem}
	}
	if !l.layout.Quoted || !strings.ContainsAny(text, `"`+string(l.layout.Separator)) {
		l.buf = append(l.buf, text...)
		return
	}
	l.buf = append(l.buf, '"')
	l.buf = append(l.buf, strings.ReplaceAll(text, `"`, `""`)...)
	l.buf = append(l.buf, '"')
}

// problem tells why a text can't stand in a column. Such a file may be opened with a spreadsheet, which would run
// what looks like a formula. There is no escape from that which the consumers of these files undo, so that such a text
// is refused.
func (l *Layout) problem(text string, first bool) string {
	switch {
	case text == "":
		return ""
	case strings.ContainsRune("=+-@\t\r", rune(text[0])):
		return fmt.Sprintf("begins with %q, as a formula of a spreadsheet does (change it first)", text[0])
	case strings.TrimSpace(text) != text:
		return "has a space at an end"
	case !l.Quoted && strings.IndexByte(text, l.Separator) >= 0:
		return fmt.Sprintf("has a %q, which separates columns", l.Separator)
	case first && l.Comment != 0 && text[0] == l.Comment:
		return fmt.Sprintf("begins with %q, as a comment does", text[0])
	}
	return ""
}

// A Filler makes a line of a token that the format can hold. The writer's error is that of the line, else the filler's.
type Filler func(*Line, *seedfile.Token) error

// writer is the seedfile.Writer of every format of columns. Its buffer never grows, so that no copies of seeds stay
// behind.
type writer struct {
	format *seedfile.Format
	out    io.Writer
	drop   seedfile.Field
	fill   Filler
	around Frame
	lines  int
	line   Line
	buf    []byte
	err    error // of out
}

// What the buffers hold: the longest line has seven texts, each with as many quotes as it has letters.
const (
	flushSize = 64 << 10
	lineSize  = 32 << 10
)

// Frame is what stands around the lines, even when there are none.
type Frame struct {
	Head, Tail string
	Next       string // before each line but the first
}

// NewWriter writes tokens of a format.
func NewWriter(f *seedfile.Format, l Layout, out io.Writer, drop seedfile.Field, around Frame,
	fill Filler) seedfile.Writer {
	w := &writer{format: f, out: out, drop: drop, fill: fill, around: around, buf: make([]byte, 0, flushSize+lineSize),
		line: Line{layout: &l, format: f.Name, buf: make([]byte, 0, lineSize)}}
	w.buf = append(w.buf, around.Head...)
	return w
}

func (w *writer) Write(t *seedfile.Token) error {
	if w.err != nil {
		return w.err
	}
	if err := w.format.Check(t, w.drop); err != nil {
		return err
	}
	l := &w.line
	l.buf, l.filled, l.err, l.token = l.buf[:0], false, nil, t.Name()
	if err := w.fill(l, t); err != nil {
		return err
	}
	if l.err != nil {
		return l.err
	}
	if w.lines++; w.lines > 1 {
		w.buf = append(w.buf, w.around.Next...)
	}
	w.buf = append(append(w.buf, l.buf...), '\n')
	if len(w.buf) > flushSize {
		return w.flush()
	}
	return nil
}

func (w *writer) flush() error {
	_, w.err = w.out.Write(w.buf)
	w.buf = w.buf[:0]
	return w.err
}

func (w *writer) Close() error {
	defer w.Abort()
	if w.err != nil {
		return w.err
	}
	w.buf = append(w.buf, w.around.Tail...)
	return w.flush()
}

func (w *writer) Abort() {
	clear(w.buf[:cap(w.buf)])
	clear(w.line.buf[:cap(w.line.buf)])
}
