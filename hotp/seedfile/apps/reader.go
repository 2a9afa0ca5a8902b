package apps

import (
	"errors"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"fob/hotp/seedfile"
)

// queue is the tokens that were read and not yet given, since one entry may have several.
type queue struct {
	format  *seedfile.Format
	pending []result
}

// result is what an entry gives: a token, or what is wrong with it.
type result struct {
	token *seedfile.Token
	err   error
}

// add takes a token, or as much of it as could be read and what is wrong with it.
func (q *queue) add(t *seedfile.Token, err error, line, column int) {
	t.Line = line
	if err == nil {
		err = q.format.Check(t, 0)
	}
	if err == nil {
		q.pending = append(q.pending, result{token: t})
		return
	}
	t.Wipe()
	bad := &seedfile.RowError{Line: line, Column: column, Problem: err}
	if !errors.As(err, new(*seedfile.LossError)) && !errors.As(err, new(*seedfile.MissingError)) { // which have it
		bad.Token = printable(firstOf(t.Account, t.Issuer))
	}
	q.pending = append(q.pending, result{err: bad})
}

// printable gives a name that a message can have, or none.
func printable(name string) string {
	if len(name) > 100 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
		return ""
	}
	return name
}

func (q *queue) first() (*seedfile.Token, error) {
	first := q.pending[0]
	q.pending = q.pending[1:]
	return first.token, first.err
}

func (q *queue) wipe() {
	for _, p := range q.pending {
		if p.token != nil {
			p.token.Wipe()
		}
	}
	q.pending = nil
}

// reader reads the tokens of a file that is in memory as a whole: the entries that next gives, until it gives nil.
type reader struct {
	queue
	file   []byte                                               // is wiped by Close
	next   func() []byte                                        // gives parts of the file
	parse  func(entry []byte, add func(*seedfile.Token, error)) // adds nothing for what has no one-time passwords
	hidden bool                                                 // was encrypted, so that it has no lines that anybody sees

	at position
}

// array gives a function that gives the elements of an array.
func array(value []byte) func() []byte {
	rest := elements(value)
	return func() (element []byte) {
		element, rest = cutNext(rest)
		return element
	}
}

// Read implements seedfile.Reader.
func (r *reader) Read() (*seedfile.Token, error) {
	for len(r.pending) == 0 {
		entry := r.next()
		if entry == nil {
			return nil, io.EOF
		}
		line, column := 0, 0
		if !r.hidden {
			line, column = r.at.of(r.file, cap(r.file)-cap(entry)) // both end at the same place
		}
		r.parse(entry, func(t *seedfile.Token, err error) { r.add(t, err, line, column) })
	}
	return r.first()
}

// Close implements seedfile.Reader.
func (r *reader) Close() error {
	clear(r.file)
	r.wipe()
	r.next = func() []byte { return nil }
	return nil
}
