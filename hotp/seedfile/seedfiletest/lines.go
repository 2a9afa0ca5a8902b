package seedfiletest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Lines is a format for tests alone: a JSON object a line, which has all of a token. What it says it can hold is up to
// the test.
func Lines(carries seedfile.Capacity) *seedfile.Format {
	f := &seedfile.Format{Name: "lines", Title: "Lines for tests", Extension: ".lines", Source: "this package",
		Carries: carries, Reads: seedfile.Plain, Writes: seedfile.Plain}
	f.Detect = func(head []byte) int {
		if bytes.HasPrefix(head, []byte(`{"Line":`)) {
			return 100
		}
		return 0
	}
	f.NewReader = func(in io.Reader, _ seedfile.ReadOptions) (seedfile.Reader, error) {
		return &linesReader{format: f, in: bufio.NewScanner(in)}, nil
	}
	f.NewWriter = func(out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
		return &linesWriter{format: f, out: bufio.NewWriter(out), drop: o.Drop}, nil
	}
	return f
}

// line is a token in which secrets are texts.
type line struct {
	Line int
	seedfile.Token
	Seed   []byte
	Yubico *yubicoLine
}

type yubicoLine struct {
	PublicID              string
	PrivateID, AccessCode []byte
}

type linesReader struct {
	format *seedfile.Format
	in     *bufio.Scanner
	at     int
}

func (r *linesReader) Read() (*seedfile.Token, error) {
	if !r.in.Scan() {
		if err := r.in.Err(); err != nil {
			return nil, &seedfile.FormatError{Format: r.format.Name, Problem: err.Error()}
		}
		return nil, io.EOF
	}
	r.at++
	var l line
	err := json.Unmarshal(r.in.Bytes(), &l)
	t := l.Token
	t.Line, t.Seed = r.at, l.Seed
	if y := l.Yubico; y != nil {
		t.Yubico = &seedfile.Yubico{PublicID: y.PublicID, PrivateID: y.PrivateID, AccessCode: y.AccessCode}
	}
	if err == nil {
		err = r.format.Check(&t, 0)
	}
	if err != nil {
		return nil, &seedfile.RowError{Line: r.at, Column: 1, Token: t.Name(), Problem: err}
	}
	return &t, nil
}

func (r *linesReader) Close() error { return nil }

type linesWriter struct {
	format *seedfile.Format
	out    *bufio.Writer
	drop   seedfile.Field
	at     int
}

func (w *linesWriter) Write(t *seedfile.Token) error {
	if err := w.format.Check(t, w.drop); err != nil {
		return err
	}
	w.at++
	l := line{Line: w.at, Token: *t, Seed: t.Seed}
	l.Token.Seed, l.Token.Yubico = hotp.Seed(nil), nil
	if y := t.Yubico; y != nil {
		l.Yubico = &yubicoLine{y.PublicID, y.PrivateID, y.AccessCode}
	}
	return json.NewEncoder(w.out).Encode(l)
}

func (w *linesWriter) Close() error { return w.out.Flush() }
func (w *linesWriter) Abort()       {}
