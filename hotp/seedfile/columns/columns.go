// Package columns reads and writes seed files of lines with columns, a token a line. It knows where each column stood,
// how long a line may be, and what a spreadsheet would take for a formula; the meaning of the columns is up to each
// format.
package columns

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Layout is how lines of a format are made of columns. Blank lines are skipped, as are spaces around a column.
type Layout struct {
	Separator byte
	// Quoted says that a column may stand in quotes (RFC 4180 §2), within one line: no text of a token has a newline.
	Quoted bool
	// Comment begins lines that are skipped; 0: none are.
	Comment byte
	// Spaced is for a writer: a space stands behind each separator.
	Spaced bool
	// Fields are what the columns hold, one after the other, so that an error can point there. A column may hold one
	// of several fields.
	Fields []seedfile.Field
}

// MaxLine is how long a line may be, in bytes.
const MaxLine = 64 << 10

// Column is one column of a row.
type Column struct {
	Text []byte // without quotes and spaces around it
	At   int    // where it begins, from 1 on, in bytes
}

// Row is a line. Its texts are valid until the next one is read, and overwritten then.
type Row struct {
	Line    int
	Columns []Column
	Fields  []seedfile.Field // see Layout
}

// Bytes gives column i, and nothing where the row has none.
func (r *Row) Bytes(i int) []byte {
	if i < 0 || i >= len(r.Columns) {
		return nil
	}
	return r.Columns[i].Text
}

// Text gives column i, and nothing where the row has none. It is not for secrets.
func (r *Row) Text(i int) string { return string(r.Bytes(i)) }

// Error gives an error that points at column i, or at the line where it has no such column.
func (r *Row) Error(i int, problem error) error {
	return &seedfile.RowError{Line: r.Line, Column: r.at(i), Problem: problem}
}

func (r *Row) at(i int) int {
	if i < 0 || i >= len(r.Columns) {
		return 0
	}
	return r.Columns[i].At
}

// Errorf is Error with a text. It must not get a secret.
func (r *Row) Errorf(i int, format string, args ...any) error {
	return r.Error(i, fmt.Errorf(format, args...))
}

// Between tells whether the row has as many columns as it may have.
func (r *Row) Between(least, most int) error {
	switch n := len(r.Columns); {
	case n < least:
		return r.Errorf(-1, "the line has %d columns, and not %d at least", n, least)
	case n > most:
		return r.Errorf(most, "the line has %d columns, and not %d at most", n, most)
	}
	return nil
}

// Hex decodes a seed in hexadecimal digits.
func (r *Row) Hex(i int) (hotp.Seed, error) { return r.seed(i, hotp.ParseHexSeed) }

// Base32 decodes a seed in Base32.
func (r *Row) Base32(i int) (hotp.Seed, error) { return r.seed(i, hotp.ParseSeed) }

func (r *Row) seed(i int, parse func([]byte) (hotp.Seed, error)) (hotp.Seed, error) {
	seed, err := parse(r.Bytes(i))
	if err != nil {
		seed.Wipe()
		return nil, r.Error(i, err)
	}
	return seed, nil
}

// Number decodes a decimal number; where the column is empty or not there, it is the one given.
func (r *Row) Number(i int, otherwise uint64) (uint64, error) {
	text := r.Bytes(i)
	if len(text) == 0 {
		return otherwise, nil
	}
	n, err := strconv.ParseUint(string(text[:min(len(text), 32)]), 10, 63)
	if err != nil || len(text) > 32 {
		return 0, r.Errorf(i, "a number was expected")
	}
	return n, nil
}

// Int is Number within what digits and periods may be.
func (r *Row) Int(i, otherwise int) (int, error) {
	n, err := r.Number(i, uint64(otherwise))
	if err == nil && n > hotp.MaxPeriod {
		return 0, r.Errorf(i, "the number is too large")
	}
	return int(n), err
}

// column tells where a row has what an error of a token is about.
func (r *Row) column(err error) int {
	field := seedfile.Field(0)
	var text *seedfile.TextError
	var loss *seedfile.LossError
	var missing *seedfile.MissingError
	var parameter *hotp.ParameterError
	switch {
	case errors.As(err, &text):
		field = text.Field
	case errors.As(err, &loss):
		field = loss.Field
	case errors.As(err, &missing):
		field = missing.Field
	case errors.As(err, new(*hotp.SeedError)):
		field = seedfile.FieldSeed
	case errors.As(err, &parameter):
		field, _ = seedfile.ParseField(parameter.Parameter)
		if parameter.Parameter == "type" {
			field = seedfile.FieldKind
		}
	}
	for i, f := range r.Fields {
		if f&field != 0 {
			return i
		}
	}
	return -1
}

// A Parser makes a token of a row, and of a bad one as much as it has a name. It gives none for a row that is none,
// such as a header. Its errors are those of Row, and *seedfile.FormatError.
type Parser func(*Row) (*seedfile.Token, error)

// reader is the seedfile.Reader of every format of columns.
type reader struct {
	format *seedfile.Format
	lines  lines
	row    Row
	layout Layout
	parse  Parser
}

// NewReader reads tokens of a format. A token that the format can't hold is an error of its row.
func NewReader(f *seedfile.Format, l Layout, in io.Reader, parse Parser) seedfile.Reader {
	return &reader{format: f, layout: l, parse: parse, lines: lines{in: in}, row: Row{Fields: l.Fields}}
}

func (r *reader) Read() (*seedfile.Token, error) {
	for {
		line, err := r.lines.next()
		r.row.Line = r.lines.at
		if err != nil {
			return nil, r.problem(err)
		}
		if r.layout.skips(line) {
			continue
		}
		if err := r.layout.split(&r.row, line); err != nil {
			return nil, err
		}
		if t, err := r.token(); t != nil || err != nil {
			return t, err
		}
	}
}

func (r *reader) token() (*seedfile.Token, error) {
	t, err := r.parse(&r.row)
	if t == nil {
		return nil, err
	}
	t.Line = r.row.Line
	if err == nil {
		err = r.format.Check(t, 0)
	}
	if err == nil && swapped(t) {
		t.Wipe()
		return nil, &seedfile.RowError{Line: r.row.Line, Problem: errSwapped} // whose name is the seed
	}
	if err == nil {
		return t, nil
	}
	t.Wipe()
	return nil, Bad(t, r.row.Line, r.row.at(r.row.column(err)), err)
}

// Bad gives the error of a bad token, with its name, at a place; where it has a place already, it stays there.
func Bad(t *seedfile.Token, line, column int, err error) error {
	var bad *seedfile.RowError
	if !errors.As(err, &bad) {
		bad = &seedfile.RowError{Line: line, Column: column, Problem: err}
	}
	if !errors.As(err, new(*seedfile.LossError)) && !errors.As(err, new(*seedfile.MissingError)) {
		bad.Token = name(t)
	}
	return bad
}

// name is a bad token's, where the file has one that can be shown: where the seed could not be read, a name that looks
// like one may be it, as when columns are in another order.
func name(t *seedfile.Token) string {
	n := t.Name()
	if t.Serial+t.Account+t.ID+t.User == "" || len(n) > seedfile.MaxText || !utf8.ValidString(n) ||
		strings.ContainsFunc(n, unicode.IsControl) || t.Seed == nil && looksSecret(n) {
		return ""
	}
	return n
}

var errSwapped = errors.New("what stands where its serial number should be looks like a seed, and its seed is too short " +
	"for one: the columns are in another order than those of the format")

// swapped tells whether seed and serial number stand in each other's place, where both can be read as the other one: a
// serial number of digits is a seed that can be guessed.
func swapped(t *seedfile.Token) bool {
	return t.Yubico == nil && len(t.Seed) < hotp.StrictSeed && len(t.Serial) >= 2*hotp.StrictSeed && looksSecret(t.Serial)
}

// looksSecret tells whether a text may be a seed: 16 letters or digits are 8 bytes or more.
func looksSecret(text string) bool {
	if len(text) < 16 {
		return false
	}
	_, notHex := hotp.ParseHexSeed([]byte(text))
	_, notBase32 := hotp.ParseSeed([]byte(text))
	return notHex == nil || notBase32 == nil
}

// problem adds to errors of lines what they lack.
func (r *reader) problem(err error) error {
	switch {
	case errors.Is(err, errTooLong):
		return &seedfile.RowError{Line: r.lines.at, Column: MaxLine + 1, Problem: err}
	case errors.Is(err, errUTF16):
		return &seedfile.FormatError{Format: r.format.Name, Line: 1, Column: 1, Problem: err.Error()}
	}
	return err
}

func (r *reader) Close() error {
	r.lines.wipe()
	return nil
}

func (l *Layout) skips(line []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	return len(line) == 0 || l.Comment != 0 && line[0] == l.Comment
}

// split finds the columns of a line. The texts are parts of the line, in which quotes are taken away.
func (l *Layout) split(row *Row, line []byte) error {
	row.Columns = row.Columns[:0]
	for at := 0; ; at++ {
		at += spaces(line[at:])
		c := Column{At: at + 1}
		if l.Quoted && at < len(line) && line[at] == '"' {
			text, n := unquote(line[at:])
			if n == 0 {
				return row.quoteError(at, "the quote has no end")
			}
			at += n
			at += spaces(line[at:])
			if at < len(line) && line[at] != l.Separator {
				return row.quoteError(at, "behind a quote, the column must end")
			}
			c.Text = text
		} else {
			n := bytes.IndexByte(line[at:], l.Separator)
			if n < 0 {
				n = len(line) - at
			}
			c.Text = bytes.TrimRight(line[at:at+n], " \t")
			at += n
		}
		row.Columns = append(row.Columns, c)
		if at >= len(line) {
			return nil
		}
	}
}

func (r *Row) quoteError(at int, problem string) error {
	return &seedfile.RowError{Line: r.Line, Column: at + 1, Problem: errors.New(problem)}
}

func spaces(b []byte) int { return len(b) - len(bytes.TrimLeft(b, " \t")) }

// unquote takes the quotes from a text that begins with one, in place, and gives how long it was with them; 0 where
// the second of them is not there.
func unquote(b []byte) (text []byte, n int) {
	to := 0
	for i := 1; i < len(b); i++ {
		if b[i] == '"' {
			if i+1 == len(b) || b[i+1] != '"' {
				return bytes.Trim(b[:to], " \t"), i + 1
			}
			i++
		}
		b[to] = b[i]
		to++
	}
	return nil, 0
}
