package transcript

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxLine is the length of the longest line, in bytes: a request of MaxPayload bytes, and room for spaces.
const maxLine = 2*MaxPayload + 1024

// ParseError is a line that can't be understood. Err is one of the errors of this package.
type ParseError struct {
	Line int // from 1
	Err  error
}

func (e *ParseError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }
func (e *ParseError) Unwrap() error { return e.Err }

// Parse reads a transcript. The error is a *ParseError, or that of r.
func Parse(r io.Reader) (*Transcript, error) {
	limited := &io.LimitedReader{R: r, N: MaxSize + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxLine)
	var p parser
	for number := 1; lines.Scan(); number++ {
		if err := p.take(number, lines.Text()); err != nil {
			return nil, &ParseError{number, err}
		}
		p.number = number
	}
	err := lines.Err()
	switch {
	case errors.Is(err, bufio.ErrTooLong), err == nil && limited.N == 0:
		return nil, &ParseError{p.number + 1, ErrTooLarge}
	case err != nil:
		return nil, err
	case p.number == 0: // no line at all
		return nil, &ParseError{1, ErrNotTranscript}
	}
	return &p.Transcript, nil
}

// ReadFile is Parse of a file.
func ReadFile(path string) (*Transcript, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	t, err := Parse(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// parser is a transcript as far as it was read.
type parser struct {
	Transcript
	order
	number int // of the last line
}

func (p *parser) take(number int, line string) error {
	line = strings.TrimSpace(line)
	switch {
	case number == 1:
		return checkHeader(line)
	case line == "" || line[0] == '#':
		return nil
	}
	if key, ok := strings.CutPrefix(line, "* key "); ok {
		return p.takeKey(strings.TrimSpace(key))
	}
	e, err := parseLine(line)
	if err != nil {
		return err
	}
	p.Events = append(p.Events, e)
	return p.order.take(e)
}

func checkHeader(line string) error {
	switch {
	case line == header:
		return nil
	case strings.HasPrefix(line, headStem):
		return ErrVersion
	}
	return ErrNotTranscript
}

func (p *parser) takeKey(key string) error {
	switch {
	case !validKey(key):
		return ErrSyntax
	case p.Key != "" || len(p.Events) > 0:
		return ErrOrder
	}
	p.Key = key
	return nil
}

// order is where in a transcript the next event stands.
type order struct {
	events int
	open   bool // a request waits for its answer
}

// take holds events to their order and number.
func (o *order) take(e Event) error {
	switch e.(type) {
	case Request, PowerCycle:
		if o.open {
			return ErrOrder
		}
	case Keepalive, Cancel, Response:
		if !o.open {
			return ErrOrder
		}
	}
	switch e.(type) {
	case Request:
		o.open = true
	case Response:
		o.open = false
	}
	if o.events++; o.events > MaxEvents {
		return ErrTooLarge
	}
	return nil
}
