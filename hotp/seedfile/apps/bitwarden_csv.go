package apps

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"fob/hotp/otpauth"
	"fob/hotp/seedfile"
)

// BitwardenCSV is the export of Bitwarden as CSV. It has no HOTP.
var BitwardenCSV = complete(&seedfile.Format{
	Name:      "bitwarden-csv",
	Title:     "Bitwarden, export without encryption, CSV",
	Extension: ".csv",
	Source:    "Bitwarden Help, \"Condition a Bitwarden .json or .csv\"",
	Carries:   totpCarries,
	Reads:     seedfile.Plain,
	Writes:    seedfile.Plain,
	Detect: func(head []byte) int {
		line, _, _ := strings.Cut(string(head), "\n")
		if strings.Contains(line, ","+bitwardenTOTP) {
			return 95
		}
		return 0
	},
}, newBitwardenCSVReader, newBitwardenCSVWriter)

const (
	bitwardenTOTP   = "login_totp"
	bitwardenHeader = "folder,favorite,type,name,notes,fields,reprompt," +
		"login_uri,login_username,login_password,login_totp\n"
)

// csvReader reads the rows of a vault, of which those without one-time passwords are passed over. What encoding/csv
// makes of a row, secrets included, stays in memory until it is collected.
type csvReader struct {
	queue
	in                   *csv.Reader
	name, username, totp int // columns; -1: there is none
}

func newBitwardenCSVReader(f *seedfile.Format, in io.Reader, _ seedfile.ReadOptions) (seedfile.Reader, error) {
	text := bufio.NewReader(&limited{in: in, left: maxFile, format: f})
	if bom, _ := text.Peek(3); string(bom) == "\ufeff" {
		text.Discard(3)
	}
	r := &csvReader{queue: queue{format: f}, in: csv.NewReader(text)}
	r.in.FieldsPerRecord = -1
	header, err := r.in.Read()
	if err != nil {
		return nil, r.problem(err)
	}
	r.name, r.username = slices.Index(header, "name"), slices.Index(header, "login_username")
	if r.totp = slices.Index(header, bitwardenTOTP); r.totp < 0 {
		return nil, wrongFormat(f, "it has no column "+bitwardenTOTP)
	}
	return r, nil
}

// limited is a reader that fails behind so many bytes.
type limited struct {
	in     io.Reader
	left   int
	format *seedfile.Format
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	if l.left -= n; l.left < 0 {
		return 0, wrongFormat(l.format, fmt.Sprintf("it is longer than %d MiB", maxFile>>20))
	}
	return n, err
}

// problem says what is wrong with a file that is no CSV.
func (r *csvReader) problem(err error) error {
	var wrong *csv.ParseError
	switch {
	case errors.As(err, &wrong):
		return &seedfile.FormatError{Format: r.format.Name, Line: wrong.Line, Column: wrong.Column,
			Problem: wrong.Err.Error()}
	case errors.Is(err, io.EOF):
		return wrongFormat(r.format, "it is empty")
	}
	return err
}

// Read implements seedfile.Reader.
func (r *csvReader) Read() (*seedfile.Token, error) {
	for len(r.pending) == 0 {
		row, err := r.in.Read()
		switch {
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case err != nil:
			return nil, r.problem(err)
		case column(row, r.totp) == "":
			continue
		}
		line, at := r.in.FieldPos(r.totp)
		text := []byte(row[r.totp])
		t, err := parseTOTP(text, column(row, r.name), column(row, r.username))
		clear(text)
		r.add(t, err, line, at)
	}
	return r.first()
}

func column(row []string, i int) string {
	if i < 0 || i >= len(row) {
		return ""
	}
	return row[i]
}

// Close implements seedfile.Reader.
func (r *csvReader) Close() error {
	r.wipe()
	return nil
}

func newBitwardenCSVWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	if _, err := lockOf(f, o); err != nil {
		return nil, err
	}
	return &writer{format: f, out: out, drop: o.Drop, head: bitwardenHeader,
		entry: func(out []byte, _ int, t *seedfile.Token) ([]byte, error) { return appendBitwardenCSV(out, f.Name, t) }}, nil
}

func appendBitwardenCSV(out []byte, format string, t *seedfile.Token) ([]byte, error) {
	if formula(t.Issuer) {
		return out, formulaError(format, t, seedfile.FieldIssuer)
	}
	if formula(t.Account) {
		return out, formulaError(format, t, seedfile.FieldAccount)
	}
	if err := otpauth.CheckNames(format, t); err != nil {
		return out, err
	}
	out = appendCell(append(out, ",,login,"...), firstOf(t.Issuer, t.Account))
	out = appendCell(append(out, ",,,0,,"...), t.Account)
	out, err := otpauth.Append(append(out, ",,"...), t) // needs no quotes
	return append(out, '\n'), err
}

// formula tells whether a spreadsheet would take a text for a formula, which could send the file to somebody.
func formula(text string) bool { return text != "" && strings.ContainsRune("=+-@", rune(text[0])) }

func formulaError(format string, t *seedfile.Token, f seedfile.Field) error {
	return &seedfile.ValueError{Format: format, Token: t.Name(), Field: f,
		Problem: "begins as a formula of a spreadsheet does"}
}

// appendCell appends a cell, in quotes where it must be (RFC 4180 §2).
func appendCell(out []byte, text string) []byte {
	if !strings.ContainsAny(text, `,"`) {
		return append(out, text...)
	}
	out = append(out, '"')
	out = append(out, strings.ReplaceAll(text, `"`, `""`)...)
	return append(out, '"')
}
