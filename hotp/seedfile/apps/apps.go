// Package apps reads and writes the files by which apps on phones and password managers export and import tokens.
//
// Files of JSON are held in memory as a whole, 64 MiB at most, so that all of them can be wiped; lists of URIs are read
// line by line. What is not there, is null or is of a newer version of an app is ignored where codes do not depend on
// it. Entries without one-time passwords, such as the logins of a password manager that have none, are no tokens and
// are passed over in silence; tokens of other kinds than OATH's are bad rows, those of Steam with seedfile.ErrSteam.
package apps

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unsafe"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// All are the formats, in the order of their names.
var All = []*seedfile.Format{
	TwoFAS, Aegis, AndOTP, Bitwarden, BitwardenCSV, Ente, FreeOTPPlus, OTPAuth, Migration, ProtonAuthenticator, ProtonPass,
	Stratum,
}

// complete gives a format its reader and its writer, each of which is told the format. A nil writer is none.
func complete(f *seedfile.Format, read func(*seedfile.Format, io.Reader, seedfile.ReadOptions) (seedfile.Reader, error),
	write func(*seedfile.Format, io.Writer, seedfile.WriteOptions) (seedfile.Writer, error)) *seedfile.Format {
	f.NewReader = func(in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) { return read(f, in, o) }
	if write != nil {
		f.NewWriter = func(out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) { return write(f, out, o) }
	}
	return f
}

// carries is what most apps can hold.
var carries = seedfile.Capacity{
	Kinds:      seedfile.HOTP | seedfile.TOTP,
	Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512},
	Fields:     seedfile.FieldAccount | seedfile.FieldIssuer | seedfile.FieldCounter,
}

// entry is what an app tells of a token, in its words.
type entry struct {
	kind           string // "totp", in any case
	algorithm      string // "SHA1", in any case
	digits, period int
	counter        uint64
	secret         secret // Base32
}

// fill fills in all that makes codes.
func (e *entry) fill(t *seedfile.Token) (err error) {
	if err := e.parameters(t); err != nil {
		return err
	}
	t.Seed, err = hotp.ParseSeed(e.secret)
	return err
}

// parameters fills in all that makes codes, but the seed.
func (e *entry) parameters(t *seedfile.Token) (err error) {
	switch strings.ToLower(e.kind) {
	case "totp":
		t.Type, t.Period = hotp.TOTP, e.period
	case "hotp":
		t.Type, t.Counter = hotp.HOTP, e.counter
	case "steam":
		return seedfile.ErrSteam
	default:
		return fmt.Errorf("is of type %.20q, which is not OATH's", e.kind)
	}
	t.Digits = e.digits
	t.Algorithm, err = algorithmOf(e.algorithm)
	return err
}

func algorithmOf(name string) (hotp.Algorithm, error) {
	for a := hotp.SHA1; a <= hotp.SHA512; a++ {
		if strings.EqualFold(a.String(), name) {
			return a, nil
		}
	}
	return 0, fmt.Errorf("its algorithm is none of OATH's: %.20q", name)
}

// stringOf gives text as a string without copying it, which could not be wiped.
func stringOf(text []byte) string { return unsafe.String(unsafe.SliceData(text), len(text)) }

// wrongFormat says that a file as a whole is not of a format.
func wrongFormat(f *seedfile.Format, problem string) error {
	return &seedfile.FormatError{Format: f.Name, Problem: problem}
}

var errNoName = errors.New("has neither an issuer nor an account")

// begins tells whether a file begins with an object or an array, and has all of some texts near its beginning.
func begins(head []byte, first byte, texts ...string) bool {
	head = trimSpace(bytes.TrimPrefix(head, []byte("\ufeff")))
	if len(head) == 0 || head[0] != first {
		return false
	}
	for _, text := range texts {
		if !bytes.Contains(head, []byte(text)) {
			return false
		}
	}
	return true
}
