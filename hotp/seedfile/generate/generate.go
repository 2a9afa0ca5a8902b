// Package generate makes new tokens, with random seeds, for a seed file.
package generate

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Options say which tokens to make.
type Options struct {
	Count      int     // how many; 0: one for each of Users
	Serial     *Serial // nil: none
	Parameters hotp.Parameters
	SeedSize   int // bytes; 0: as long as the hash (RFC 4226 §4 R6, RFC 6238 §5.1)

	Manufacturer, Model, Issuer string
	// Users is a list of those who get the first tokens, one a line, or CSV: see Users.
	Users io.Reader
	// NoSerial: serial numbers are for Account and ID alone.
	NoSerial bool
	// Account and ID: each token has an account, which is its user or else its serial number; an ID, which is its serial
	// number.
	Account, ID bool
}

// SizeError is a length of seeds that is none, in bytes.
type SizeError struct{ Size int }

func (e *SizeError) Error() string {
	return fmt.Sprintf("a seed of %d bytes: a new one has %d to %d", e.Size, hotp.StrictSeed, hotp.MaxSeed)
}

// Errors of what does not go together.
var (
	ErrNoCount = errors.New("neither a number of tokens nor a list of users")
	ErrUsers   = errors.New("there are more users than tokens")
)

// Generator makes tokens. It implements seedfile.Reader.
type Generator struct {
	o     Options
	users *userReader // nil: none, or no more
	made  int
}

// New begins with the first token. The error is a *SizeError, a *SerialError, a *hotp.ParameterError or ErrNoCount.
func New(o Options) (*Generator, error) {
	if err := o.Parameters.Valid(); err != nil {
		return nil, err
	}
	if o.SeedSize == 0 {
		o.SeedSize = o.Parameters.Algorithm.Size()
	}
	if o.SeedSize < hotp.StrictSeed || o.SeedSize > hotp.MaxSeed {
		return nil, &SizeError{o.SeedSize}
	}
	if o.Count == 0 && o.Users == nil {
		return nil, ErrNoCount
	}
	if o.Serial != nil && o.Count > o.Serial.Room() {
		return nil, &SerialError{o.Serial.String(), fmt.Sprintf("has numbers for %d tokens alone", o.Serial.Room())}
	}
	g := &Generator{o: o}
	if o.Users != nil {
		g.users = newUserReader(o.Users)
	}
	return g, nil
}

// Read implements seedfile.Reader. Its error is io.EOF behind the last token, a *UserError, ErrUsers or *SerialError.
func (g *Generator) Read() (*seedfile.Token, error) {
	user, err := g.user()
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, err
	case g.o.Count == 0 && errors.Is(err, io.EOF), g.o.Count > 0 && g.made == g.o.Count && err != nil:
		return nil, io.EOF
	case g.o.Count > 0 && g.made == g.o.Count:
		return nil, ErrUsers
	case g.o.Serial != nil && g.made == g.o.Serial.Room():
		return nil, &SerialError{g.o.Serial.String(), fmt.Sprintf("has numbers for %d tokens alone", g.made)}
	}
	g.made++
	return g.token(user), nil
}

// user gives the next one, or io.EOF.
func (g *Generator) user() (string, error) {
	if g.users == nil {
		return "", io.EOF
	}
	user, err := g.users.read()
	if err != nil {
		g.users = nil
	}
	return user, err
}

func (g *Generator) token(user string) *seedfile.Token {
	t := &seedfile.Token{Parameters: g.o.Parameters, Seed: hotp.NewSeed(g.o.SeedSize), User: user,
		Manufacturer: g.o.Manufacturer, Model: g.o.Model, Issuer: g.o.Issuer}
	serial := ""
	if g.o.Serial != nil {
		serial = g.o.Serial.At(g.made - 1)
	}
	if !g.o.NoSerial {
		t.Serial = serial
	}
	if g.o.ID {
		t.ID = serial
	}
	if g.o.Account {
		t.Account = cmp.Or(user, serial)
	}
	return t
}

// Close implements seedfile.Reader.
func (g *Generator) Close() error { return nil }

// UserError says that a list of users is none.
type UserError struct {
	Line    int // from 1 on
	Problem string
}

func (e *UserError) Error() string {
	return fmt.Sprintf("the list of users, line %d: %s", e.Line, e.Problem)
}

const bom = "\ufeff"

// headers are what columns of users are called, in lower case.
var headers = []string{"upn", "user principal name", "userprincipalname", "user", "username", "user name", "login",
	"email", "e-mail", "mail", "account"}

// userReader reads a list of users: one a line, or CSV (RFC 4180) whose first line may tell which column has them;
// else it is the first one.
type userReader struct {
	csv    *csv.Reader
	from   *bounded
	column int
	began  bool
}

// bounded lets encoding/csv have no more than a row is long: it keeps a whole row, however long that gets.
type bounded struct {
	in   io.Reader
	room int // bytes
}

const maxRow = 64 << 10

// errRow says that a list of users is no text, as a rule.
var errRow = fmt.Errorf("the list of users has a line of more than %d bytes", maxRow)

func (b *bounded) Read(p []byte) (int, error) {
	if b.room <= 0 {
		return 0, errRow
	}
	n, err := b.in.Read(p[:min(len(p), b.room)])
	b.room -= n
	return n, err
}

func newUserReader(in io.Reader) *userReader {
	from := &bounded{in: in, room: maxRow}
	text := bufio.NewReader(from)
	if mark, _ := text.Peek(len(bom)); string(mark) == bom {
		text.Discard(len(bom))
	}
	r := &userReader{csv: csv.NewReader(text), from: from}
	r.csv.FieldsPerRecord, r.csv.ReuseRecord, r.csv.TrimLeadingSpace = -1, true, true
	return r
}

func (r *userReader) read() (string, error) {
	row, err := r.row()
	if err == nil && !r.began {
		r.began = true
		i := slices.IndexFunc(row, func(s string) bool {
			return slices.Contains(headers, strings.ToLower(strings.TrimSpace(s)))
		})
		if i >= 0 {
			r.column = i
			row, err = r.row()
		}
	}
	if err != nil {
		return "", err
	}
	line, _ := r.csv.FieldPos(0)
	if r.column >= len(row) || strings.TrimSpace(row[r.column]) == "" {
		return "", &UserError{line, "there is no user"}
	}
	return strings.Clone(strings.TrimSpace(row[r.column])), nil
}

func (r *userReader) row() ([]string, error) {
	r.from.room = maxRow
	row, err := r.csv.Read()
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return nil, &UserError{parse.Line, parse.Err.Error()}
	}
	return row, err
}
