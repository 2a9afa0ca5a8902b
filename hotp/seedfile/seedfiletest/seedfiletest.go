// Package seedfiletest is what the tests of all formats of seed files have in common: round trips of random tokens,
// the refusal of what a format has no room for, and a fuzz target.
package seedfiletest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"testing"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Trip is a way of a token through a file of a format and back. The zero value is that of a plain file.
type Trip struct {
	Write seedfile.WriteOptions // Lock 0: seedfile.Plain
	// Read is what reading takes. Where it has neither, Unlock gives Write.Secret, and Settings are those of Write.
	Read seedfile.ReadOptions
	// Adapt makes of a random token one that the format can hold, where its Capacity does not say all, such as a seed
	// as long as the hash. It changes nothing in a token that is adapted. Nil: nothing is to be done.
	Adapt func(*seedfile.Token)
}

func (trip Trip) complete() Trip {
	if trip.Write.Lock == 0 {
		trip.Write.Lock = seedfile.Plain
	}
	if trip.Read.Unlock == nil && trip.Write.Secret != nil {
		secret := trip.Write.Secret
		trip.Read.Unlock = func(seedfile.Lock, string) (hotp.Seed, error) { return bytes.Clone(secret), nil }
	}
	if trip.Read.Settings == nil {
		trip.Read.Settings = trip.Write.Settings
	}
	if trip.Adapt == nil {
		trip.Adapt = func(*seedfile.Token) {}
	}
	return trip
}

// WriteAll makes a file of tokens.
func WriteAll(f *seedfile.Format, tokens []*seedfile.Token, o seedfile.WriteOptions) ([]byte, error) {
	var file bytes.Buffer
	w, err := f.NewWriter(&file, o)
	if err != nil {
		return nil, err
	}
	for _, t := range tokens {
		if err := w.Write(t); err != nil {
			w.Abort()
			return nil, err
		}
	}
	err = w.Close()
	return file.Bytes(), err
}

// ReadAll reads a file. With the first error it ends.
func ReadAll(f *seedfile.Format, file []byte, o seedfile.ReadOptions) (tokens []*seedfile.Token, err error) {
	r, err := f.NewReader(bytes.NewReader(file), o)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	for {
		t, err := r.Read()
		switch {
		case errors.Is(err, io.EOF):
			return tokens, nil
		case err != nil:
			return tokens, err
		}
		tokens = append(tokens, t)
	}
}

// Diff tells how a token differs from the one that is wanted, secrets included; nothing where both are the same.
// Where they stand in their files does not count.
func Diff(got, want *seedfile.Token) string {
	g, w := plain(got), plain(want)
	for i := range g {
		if g[i] != w[i] {
			return fmt.Sprintf("token %s: %s, expected %s", want.Name(), g[i], w[i])
		}
	}
	return ""
}

// plain writes out all fields of a token.
func plain(t *seedfile.Token) (fields []string) {
	add := func(name string, v any) { fields = append(fields, fmt.Sprintf("%s %v", name, v)) }
	add("parameters", t.Parameters)
	add("seed", []byte(t.Seed))
	add("serial", t.Serial)
	add("id", t.ID)
	add("account", t.Account)
	add("issuer", t.Issuer)
	add("user", t.User)
	add("manufacturer", t.Manufacturer)
	add("model", t.Model)
	add("start", t.Start.UTC())
	add("expiry", t.Expiry.UTC())
	add("counter", t.Counter)
	add("drift", t.Drift)
	add("yubico", t.Yubico != nil)
	if t.Yubico != nil {
		add("public ID", t.Yubico.PublicID)
		add("private ID", []byte(t.Yubico.PrivateID))
		add("access code", []byte(t.Yubico.AccessCode))
	}
	return fields
}

// Same fails the test where tokens are not those that are wanted.
func Same(t *testing.T, got, want []*seedfile.Token) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d tokens, expected %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if d := Diff(got[i], want[i]); d != "" {
			t.Error(d)
		}
	}
}

// Golden reads the file at path, which must have the tokens, and writes them, which must give the file again, byte for
// byte. It is for what has no randomness in it; trip.Write.Drop and settings must be as the file was made.
func Golden(t *testing.T, f *seedfile.Format, path string, want []*seedfile.Token, trip Trip) {
	t.Helper()
	trip = trip.complete()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadAll(f, file, trip.Read)
	if err != nil {
		t.Errorf("%s: %v", path, err)
	}
	Same(t, got, want)
	if f.Writes == 0 {
		return
	}
	written, err := WriteAll(f, want, trip.Write)
	if err != nil || !bytes.Equal(written, file) {
		t.Errorf("%s: wrote %q, %v, expected %q", path, written, err, file)
	}
}

// RoundTrip writes random tokens within what the format can hold, and reads them again: once for each of options, or
// for a plain file where there are none. A text that the format refuses as a *seedfile.ValueError is replaced by a
// plainer one.
func RoundTrip(t *testing.T, f *seedfile.Format, options ...seedfile.WriteOptions) {
	t.Helper()
	if len(options) == 0 {
		options = []seedfile.WriteOptions{{}}
	}
	for _, o := range options {
		Trip{Write: o}.RoundTrip(t, f)
	}
}

// roundTrips is how many tokens RoundTrip makes.
const roundTrips = 300

// RoundTrip is RoundTrip by one way.
func (trip Trip) RoundTrip(t *testing.T, f *seedfile.Format) {
	t.Helper()
	trip = trip.complete()
	var tokens []*seedfile.Token
	var file bytes.Buffer
	w, err := f.NewWriter(&file, trip.Write)
	if err != nil {
		t.Fatal(err)
	}
	g := newGenerator(f)
	for range roundTrips {
		token, err := g.write(w, trip)
		if err != nil {
			t.Fatalf("%s: %v in %v", f.Name, err, plain(token))
		}
		tokens = append(tokens, token)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if f.Detect(file.Bytes()[:min(file.Len(), seedfile.HeadSize)]) == 0 {
		t.Errorf("%s does not recognize its own file", f.Name)
	}
	got, err := ReadAll(f, file.Bytes(), trip.Read)
	if err != nil {
		t.Errorf("%s: %v", f.Name, err)
	}
	Same(t, got, tokens)
}

// write writes a random token, with the plainest of texts where the format refuses others.
func (g *generator) write(w seedfile.Writer, trip Trip) (token *seedfile.Token, err error) {
	for _, texts := range alphabets {
		token = g.token(texts)
		trip.Adapt(token)
		if err = w.Write(token); !errors.As(err, new(*seedfile.ValueError)) {
			return token, err
		}
	}
	return token, err
}

// Refuses tries to write what the format has no room for, one limit of its Capacity after the other, and expects the
// right error, and a file that has the tokens before and behind it alone: once for each of options, or for a plain
// file where there are none.
func Refuses(t *testing.T, f *seedfile.Format, options ...seedfile.WriteOptions) {
	t.Helper()
	if len(options) == 0 {
		options = []seedfile.WriteOptions{{}}
	}
	for _, o := range options {
		Trip{Write: o}.Refuses(t, f)
	}
}

// Refuses is Refuses by one way.
func (trip Trip) Refuses(t *testing.T, f *seedfile.Format) {
	t.Helper()
	trip = trip.complete()
	g := newGenerator(f)
	for _, l := range g.limits(trip) {
		trip.refuse(t, f, g, l)
		if l.missing || l.field&seedfile.Droppable == 0 {
			continue
		}
		dropping := trip
		dropping.Write.Drop = l.field
		if _, err := WriteAll(f, []*seedfile.Token{l.token}, dropping.Write); err != nil {
			t.Errorf("%s does not drop the %s: %v", f.Name, l.field, err)
		}
	}
}

func (trip Trip) refuse(t *testing.T, f *seedfile.Format, g *generator, l limit) {
	t.Helper()
	var file bytes.Buffer
	w, err := f.NewWriter(&file, trip.Write)
	if err != nil {
		t.Fatal(err)
	}
	before, beforeErr := g.write(w, trip)
	if err := w.Write(l.token); !l.met(err, f.Name) {
		t.Errorf("%s without room for, or without, the %s: %v; %v", f.Name, l.field, err, plain(l.token))
	}
	behind, behindErr := g.write(w, trip)
	if err := errors.Join(beforeErr, behindErr, w.Close()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadAll(f, file.Bytes(), trip.Read)
	if err != nil {
		t.Errorf("%s: after a refusal of the %s: %v", f.Name, l.field, err)
	}
	Same(t, got, []*seedfile.Token{before, behind})
}

// limit is a token just behind what a format can hold.
type limit struct {
	token   *seedfile.Token
	field   seedfile.Field
	missing bool // the format needs the field; else it has no room for it
}

// met tells whether an error is that of the limit.
func (l limit) met(err error, format string) bool {
	var loss *seedfile.LossError
	var missing *seedfile.MissingError
	if l.missing {
		return errors.As(err, &missing) && missing.Field == l.field && missing.Format == format
	}
	return errors.As(err, &loss) && loss.Field == l.field && loss.Format == format && loss.Token == l.token.Name()
}

// Fuzz reads what the fuzzer makes of samples. Each token that the format reads must be one that it can hold; written
// and read again, it is the same, but where the writer has a *seedfile.ValueError against it.
func Fuzz(f *testing.F, format *seedfile.Format, samples ...[]byte) {
	Trip{}.Fuzz(f, format, samples...)
}

// Fuzz is Fuzz by one way.
func (trip Trip) Fuzz(f *testing.F, format *seedfile.Format, samples ...[]byte) {
	trip = trip.complete()
	for _, s := range samples {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		format.Detect(file[:min(len(file), seedfile.HeadSize)])
		tokens := trip.fuzzed(t, format, file)
		if format.Writes == 0 {
			return
		}
		tokens = slices.DeleteFunc(tokens, func(token *seedfile.Token) bool {
			_, err := WriteAll(format, []*seedfile.Token{token}, trip.Write)
			return errors.As(err, new(*seedfile.ValueError))
		})
		if len(tokens) == 0 {
			return
		}
		again, err := WriteAll(format, tokens, trip.Write)
		if err != nil {
			t.Fatalf("can't write what was read: %v", err)
		}
		got, err := ReadAll(format, again, trip.Read)
		if err != nil {
			t.Errorf("can't read what was written: %v; %q", err, again)
		}
		Same(t, got, tokens)
	})
}

// fuzzed reads all tokens, skips bad ones, and wants an end.
func (trip Trip) fuzzed(t *testing.T, format *seedfile.Format, file []byte) (tokens []*seedfile.Token) {
	r, err := format.NewReader(bytes.NewReader(file), trip.Read)
	if err != nil {
		return nil
	}
	defer r.Close()
	for range len(file) + 2 {
		token, err := r.Read()
		switch {
		case errors.As(err, new(*seedfile.RowError)):
		case err != nil:
			return tokens
		default:
			if err := format.Check(token, 0); err != nil {
				t.Errorf("read what the format can't hold: %v", err)
			}
			tokens = append(tokens, token)
		}
	}
	t.Fatal("the reader does not come to an end")
	return nil
}
