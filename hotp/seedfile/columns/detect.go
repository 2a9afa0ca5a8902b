package columns

import (
	"bytes"
	"errors"
	"io"

	"fob/hotp/seedfile"
)

// sniffed is how many rows Detect looks at.
const sniffed = 20

// Detect tells how sure a format is that a file which begins with head is its own: as sure as sure says of the surest
// of its first rows, and not at all where half of them, or the first, are bad. A format whose columns say little is
// not to be surer than another one that has the same.
func Detect(l Layout, head []byte, parse Parser, sure func(*Row) int) int {
	if len(head) >= seedfile.HeadSize { // the last line may not be whole
		head = head[:bytes.LastIndexByte(head, '\n')+1]
	}
	best, good, bad := 0, 0, 0
	d := &reader{layout: l, lines: lines{in: bytes.NewReader(head)}, row: Row{Fields: l.Fields}}
	defer d.Close()
	for good+bad < sniffed {
		t, err := d.sniff(parse)
		switch {
		case errors.Is(err, io.EOF):
			return half(best, good, bad)
		case err != nil:
			if bad++; good == 0 {
				return 0
			}
		case t != nil:
			t.Wipe()
			best, good = max(best, sure(&d.row)), good+1
		}
	}
	return half(best, good, bad)
}

// half makes it less sure where there are bad rows, and not at all where they are half of them.
func half(best, good, bad int) int {
	switch {
	case good <= bad:
		return 0
	case bad > 0:
		return best - best/4
	}
	return best
}

// sniff reads a row; it gives nothing for one that is skipped.
func (r *reader) sniff(parse Parser) (*seedfile.Token, error) {
	line, err := r.lines.next()
	r.row.Line = r.lines.at
	if err != nil || r.layout.skips(line) {
		return nil, err
	}
	if err := r.layout.split(&r.row, line); err != nil {
		return nil, err
	}
	t, err := parse(&r.row)
	if t != nil && err != nil {
		t.Wipe()
	}
	return t, err
}
