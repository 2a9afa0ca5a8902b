package seedfile

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"fob/hotp"
)

// Field is a set of fields of Token that a format may have no room for.
type Field uint32

// The fields. Those of the first group make the codes, so that none of them may ever be lost; without one of the
// others a token still gives the right codes.
const (
	FieldKind Field = 1 << iota
	FieldSeed
	FieldAlgorithm
	FieldDigits
	FieldPeriod
	FieldT0
	FieldCounter
	FieldPublicID
	FieldPrivateID

	FieldDrift
	FieldSerial
	FieldID
	FieldAccount
	FieldIssuer
	FieldUser
	FieldManufacturer
	FieldModel
	FieldStart
	FieldExpiry
	FieldAccessCode
)

// Droppable are the fields without which a token still gives the right codes.
const Droppable = FieldDrift | FieldSerial | FieldID | FieldAccount | FieldIssuer | FieldUser | FieldManufacturer |
	FieldModel | FieldStart | FieldExpiry | FieldAccessCode

var fieldNames = [...]string{"kind", "seed", "algorithm", "digits", "period", "t0", "counter", "public-id",
	"private-id", "drift", "serial", "id", "account", "issuer", "user", "manufacturer", "model", "start", "expiry",
	"access-code"}

// ParseField gives the field of a name.
func ParseField(name string) (Field, bool) {
	i := slices.Index(fieldNames[:], name)
	return 1 << max(i, 0), i >= 0
}

// Names gives the names of the fields.
func (f Field) Names() (names []string) {
	for ; f != 0; f &= f - 1 {
		names = append(names, fieldNames[bits.TrailingZeros32(uint32(f))])
	}
	return names
}

// String gives the names of the fields, with commas.
func (f Field) String() string { return strings.Join(f.Names(), ",") }

// Capacity is what a format can hold.
type Capacity struct {
	Kinds      Kind
	Algorithms []hotp.Algorithm
	Digits     []int // none: each number
	Periods    []int // seconds; none: each period
	MaxSeed    int   // bytes; 0: hotp.MaxSeed
	// Fields are those that it has room for, beside those of which it has the values above: a format without a word
	// for the period, whose tokens all have 30 seconds, has Periods of 30 alone.
	Fields Field
	// Needs are the fields that a token must have.
	Needs Field
}

// LossError says that a format has no room for something that a token has, so that it was not written.
type LossError struct {
	Format string
	Token  string // its Name
	Field  Field
	Value  string // for people; empty for a secret
}

func (e *LossError) Error() string {
	text := fmt.Sprintf("token %s: %s has no room for its %s", e.Token, e.Format, e.Field)
	if e.Value != "" {
		text += " (" + e.Value + ")"
	}
	return text
}

// MissingError says that a format needs something that a token does not have, so that it was not written.
type MissingError struct {
	Format string
	Token  string // its Name
	Field  Field
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("token %s has no %s, which %s needs", e.Token, e.Field, e.Format)
}

// ValueError says that a format can't write a value of a token, such as a comma in a line of columns.
type ValueError struct {
	Format  string
	Token   string // its Name
	Field   Field
	Problem string // never has a secret
}

func (e *ValueError) Error() string {
	return fmt.Sprintf("token %s: its %s %s, which %s can't hold", e.Token, e.Field, e.Problem, e.Format)
}

// Check tells whether the format can hold a token, when those fields of drop that are Droppable may get lost. Its
// error is a *LossError, a *MissingError, or what is wrong with the token itself.
func (f *Format) Check(t *Token, drop Field) error {
	if err := t.valid(); err != nil {
		return err
	}
	if f.Carries.Kinds&t.Kind() == 0 {
		return &LossError{f.Name, t.Name(), FieldKind, t.value(FieldKind)}
	}
	if missing := f.Carries.Needs &^ t.has(); missing != 0 {
		return &MissingError{f.Name, t.Name(), missing & -missing}
	}
	if lost, value := f.Carries.lost(t); lost != 0 {
		return &LossError{f.Name, t.Name(), lost, value}
	}
	if lost := t.has() &^ (f.Carries.Fields | f.Carries.Needs | always | drop&Droppable); lost != 0 {
		lost &= -lost
		return &LossError{f.Name, t.Name(), lost, t.value(lost)}
	}
	return nil
}

// always are the fields of which Capacity has the values, or the kinds.
const always = FieldKind | FieldSeed | FieldAlgorithm | FieldDigits | FieldPeriod | FieldPrivateID

// lost gives a parameter for which the format has values, but not that of the token.
func (c *Capacity) lost(t *Token) (Field, string) {
	switch {
	case len(t.Seed) > c.maxSeed():
		return FieldSeed, fmt.Sprintf("%d bytes, and not at most %d", len(t.Seed), c.maxSeed())
	case t.Yubico != nil:
		return 0, ""
	case !slices.Contains(c.Algorithms, t.Algorithm):
		return FieldAlgorithm, t.value(FieldAlgorithm)
	case c.Digits != nil && !slices.Contains(c.Digits, t.Digits):
		return FieldDigits, t.value(FieldDigits)
	case t.Type == hotp.TOTP && c.Periods != nil && !slices.Contains(c.Periods, t.Period):
		return FieldPeriod, t.value(FieldPeriod)
	}
	return 0, ""
}

func (c *Capacity) maxSeed() int {
	if c.MaxSeed == 0 {
		return hotp.MaxSeed
	}
	return c.MaxSeed
}

// value gives a field in words, and nothing for a secret.
func (t *Token) value(f Field) string {
	switch f {
	case FieldKind:
		return map[Kind]string{HOTP: "HOTP", TOTP: "TOTP", YubicoOTP: "Yubico OTP"}[t.Kind()]
	case FieldAlgorithm:
		return t.Algorithm.String()
	case FieldDigits:
		return fmt.Sprintf("%d digits", t.Digits)
	case FieldPeriod:
		return fmt.Sprintf("%d seconds", t.Period)
	case FieldT0:
		return fmt.Sprint(t.T0)
	case FieldCounter:
		return fmt.Sprint(t.Counter)
	case FieldDrift:
		return fmt.Sprintf("%d steps", t.Drift)
	case FieldStart:
		return t.Start.String()
	case FieldExpiry:
		return t.Expiry.String()
	}
	return t.text(f)
}

func (t *Token) text(f Field) string {
	if f&Fillable == 0 {
		return ""
	}
	return *t.place(f)
}

// has gives the fields that the token has.
func (t *Token) has() Field {
	fields := FieldKind | FieldSeed | FieldAlgorithm | FieldDigits | FieldPeriod
	for f := FieldSerial; f <= FieldModel; f <<= 1 {
		if t.text(f) != "" {
			fields |= f
		}
	}
	for _, one := range [...]struct {
		has   bool
		field Field
	}{
		{t.T0 != 0, FieldT0}, {t.Counter != 0, FieldCounter}, {t.Drift != 0, FieldDrift},
		{!t.Start.IsZero(), FieldStart}, {!t.Expiry.IsZero(), FieldExpiry},
		{t.Yubico != nil && t.Yubico.PublicID != "", FieldPublicID}, {t.Yubico != nil, FieldPrivateID},
		{t.Yubico != nil && len(t.Yubico.AccessCode) > 0, FieldAccessCode},
	} {
		if one.has {
			fields |= one.field
		}
	}
	return fields
}
