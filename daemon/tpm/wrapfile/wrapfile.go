// Package wrapfile is the file in which an issuer hands over tokens of one-time passwords whose seeds one TPM alone can
// use. It is lines of JSON:
//
//	{"format":"fob wrapped seeds","version":1}
//	{"serial":"4711","type":"totp","algorithm":"SHA1","digits":6,"period":30,"seedSize":20,"wrapped":"AQAi..."}
//	{"end":1}
//
// "wrapped" is a tpm.Wrapped in base64url without padding; the last line has the number of tokens. Nothing in it is
// secret. Whoever has the public key of the TPM can make such a file, so that who imports it must know from whom it is.
package wrapfile

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"fob/daemon/tpm"
	"fob/hotp"
	"fob/hotp/seedfile"
)

// ErrInvalid is what is no such file, or a damaged one. The line with the problem is in the text.
var ErrInvalid = errors.New("not a file of wrapped seeds, or a damaged one")

// ErrNewer says that a newer fob has written the file.
var ErrNewer = errors.New("a newer fob has written the file")

// Token is a token whose seed is wrapped.
type Token struct {
	hotp.Parameters
	Serial, Account, Issuer, User string
	Counter                       uint64 // HOTP: the next moving factor
	SeedSize                      int    // bytes
	Key                           *tpm.Wrapped
}

const (
	formatName = "fob wrapped seeds"
	version    = 1
	maxLine    = 16 << 10
	maxTokens  = 1 << 20
)

type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
}

type line struct {
	Serial    string `json:"serial,omitempty"`
	Account   string `json:"account,omitempty"`
	Issuer    string `json:"issuer,omitempty"`
	User      string `json:"user,omitempty"`
	Type      string `json:"type"`
	Algorithm string `json:"algorithm"`
	Digits    int    `json:"digits"`
	Period    int    `json:"period,omitempty"`
	T0        int64  `json:"t0,omitempty"`
	Counter   uint64 `json:"counter,omitempty"`
	SeedSize  int    `json:"seedSize"`
	Wrapped   string `json:"wrapped"`
}

type end struct {
	End int `json:"end"`
}

// Is tells whether a file begins as these do.
func Is(head []byte) bool { return bytes.HasPrefix(head, encode(header{formatName, version})[:30]) }

func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // ours can all be encoded
	}
	return b.Bytes()
}

var encoding = base64.RawURLEncoding.Strict()

// Format writes such a file, to the TPM of a key. It can't be read as other formats are: it has no seeds.
func Format(to *tpm.SRK) *seedfile.Format {
	f := &seedfile.Format{
		Name: "tpm", Title: "seeds for one TPM", Extension: ".wrapped", Source: "fob",
		Carries: seedfile.Capacity{
			Kinds: seedfile.HOTP | seedfile.TOTP, Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512},
			Fields: seedfile.FieldT0 | seedfile.FieldCounter | seedfile.FieldSerial | seedfile.FieldAccount |
				seedfile.FieldIssuer | seedfile.FieldUser,
		},
		Writes: seedfile.Plain,
	}
	f.NewWriter = func(out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
		w := &writer{format: f, to: to, drop: o.Drop, out: bufio.NewWriter(out)}
		_, err := w.out.Write(encode(header{formatName, version}))
		return w, err
	}
	return f
}

type writer struct {
	format *seedfile.Format
	to     *tpm.SRK
	drop   seedfile.Field
	out    *bufio.Writer
	count  int
}

// Write implements seedfile.Writer.
func (w *writer) Write(t *seedfile.Token) error {
	if err := w.format.Check(t, w.drop); err != nil {
		return err
	}
	key, err := w.to.Wrap(t.Algorithm, t.Seed)
	if err != nil {
		return err
	}
	b := (&Token{t.Parameters, t.Serial, t.Account, t.Issuer, t.User, t.Counter, len(t.Seed), key}).encode()
	if len(b) > maxLine {
		return fmt.Errorf("token %s: its texts are too long", t.Name())
	}
	w.count++
	_, err = w.out.Write(b)
	return err
}

// Close implements seedfile.Writer.
func (w *writer) Close() error {
	_, err := w.out.Write(encode(end{w.count}))
	return errors.Join(err, w.out.Flush())
}

// Abort implements seedfile.Writer.
func (*writer) Abort() {}

func (t *Token) encode() []byte {
	return encode(line{t.Serial, t.Account, t.Issuer, t.User, t.Type.String(), t.Algorithm.String(), t.Digits, t.Period,
		t.T0, t.Counter, t.SeedSize, encoding.EncodeToString(t.Key.Encode())})
}

// Read gives each token of a file to each. The file is whole where the error is nil, and else may be none, or end too
// early: ErrInvalid or ErrNewer, or what each has said.
func Read(in io.Reader, each func(*Token) error) error {
	s := bufio.NewScanner(in)
	s.Buffer(make([]byte, 0, 4096), maxLine)
	for n := 0; s.Scan(); n++ {
		if n == 0 {
			if err := checkHeader(s.Bytes()); err != nil {
				return err
			}
			continue
		}
		if bytes.Equal(append(bytes.Clone(s.Bytes()), '\n'), encode(end{n - 1})) {
			if s.Scan() || s.Err() != nil {
				return invalid(n+2, "there is more behind the end")
			}
			return nil
		}
		t, err := parseLine(s.Bytes())
		if err != nil || n > maxTokens {
			return invalid(n+1, "no token")
		}
		if err := each(t); err != nil {
			return err
		}
	}
	if err := s.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return err
	}
	return fmt.Errorf("%w: it ends too early", ErrInvalid)
}

func invalid(line int, problem string) error {
	return fmt.Errorf("%w: line %d: %s", ErrInvalid, line, problem)
}

func checkHeader(b []byte) error {
	var h header
	if err := strictly(b, &h); err != nil || h.Format != formatName || h.Version < version {
		return invalid(1, "no header")
	}
	if h.Version > version {
		return fmt.Errorf("%w: its version is %d", ErrNewer, h.Version)
	}
	if !bytes.Equal(encode(h), append(bytes.Clone(b), '\n')) {
		return invalid(1, "no header")
	}
	return nil
}

func strictly(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// parseLine reads a token, which must be written as we write it.
func parseLine(b []byte) (*Token, error) {
	var l line
	if err := strictly(b, &l); err != nil {
		return nil, err
	}
	t := &Token{
		Serial: l.Serial, Account: l.Account, Issuer: l.Issuer, User: l.User, Counter: l.Counter, SeedSize: l.SeedSize}
	t.Digits, t.Period, t.T0 = l.Digits, l.Period, l.T0
	for _, one := range []hotp.Type{hotp.HOTP, hotp.TOTP} {
		if l.Type == one.String() {
			t.Type = one
		}
	}
	for _, one := range []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512} {
		if l.Algorithm == one.String() {
			t.Algorithm = one
		}
	}
	if err := t.Parameters.Valid(); err != nil {
		return nil, err
	}
	if t.SeedSize < 1 || t.SeedSize > hotp.MaxSeed {
		return nil, ErrInvalid
	}
	wrapped, err := encoding.DecodeString(l.Wrapped)
	if err != nil {
		return nil, err
	}
	if t.Key, err = tpm.ParseWrapped(wrapped); err != nil {
		return nil, err
	}
	if !bytes.Equal(t.encode(), append(bytes.Clone(b), '\n')) {
		return nil, ErrInvalid
	}
	return t, nil
}
