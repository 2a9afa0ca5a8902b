package seedfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"fob/hotp"
)

// Unsaid are parameters of which the files of a format have no word, so that all tokens of one file have the same, and
// a person tells them to whoever reads the file: "6 digits, TOTP, 60 seconds". A mixed file would lose them.
type Unsaid struct {
	format *Format
	fields Field
	said   hotp.Parameters // fields that are zero are not known yet
}

// UnsaidSettings are the settings by which a person says what files of a format don't: "type", "algorithm", "digits"
// and "period", as far as they are among fields and the format has more than one of them.
func UnsaidSettings(c Capacity, fields Field) (settings []Setting) {
	for _, f := range unsayable {
		if values := c.values(f); fields&f != 0 && len(values) > 1 {
			settings = append(settings, Setting{Name: settingNames[f], Values: values,
				Usage: settingNames[f] + " of all tokens in the file, which does not have it"})
		}
	}
	return settings
}

var unsayable = [...]Field{FieldKind, FieldAlgorithm, FieldDigits, FieldPeriod}

var settingNames = map[Field]string{
	FieldKind: "type", FieldAlgorithm: "algorithm", FieldDigits: "digits", FieldPeriod: "period"}

// values gives all values that the format has for a parameter, as a setting has them.
func (c *Capacity) values(f Field) (values []string) {
	switch f {
	case FieldKind:
		for k, name := range map[Kind]string{HOTP: "hotp", TOTP: "totp"} {
			if c.Kinds&k != 0 {
				values = append(values, name)
			}
		}
	case FieldAlgorithm:
		for _, a := range c.Algorithms {
			values = append(values, a.String())
		}
	case FieldDigits:
		values = numbers(c.Digits)
	case FieldPeriod:
		values = numbers(c.Periods)
	}
	slices.Sort(values)
	return values
}

func numbers(list []int) (texts []string) {
	for _, n := range list {
		texts = append(texts, strconv.Itoa(n))
	}
	return texts
}

// NewUnsaid begins a file of a format. The error is a *SettingError.
func NewUnsaid(f *Format, fields Field, settings map[string]string) (*Unsaid, error) {
	u := &Unsaid{format: f, fields: fields}
	for _, field := range unsayable {
		name := settingNames[field]
		value, given := settings[name]
		if fields&field == 0 || !given {
			continue
		}
		if !slices.Contains(f.Carries.values(field), value) {
			return nil, &SettingError{f.Name, name, "must be " + strings.Join(f.Carries.values(field), " or ")}
		}
		u.set(field, value)
	}
	return u, nil
}

func (u *Unsaid) set(field Field, value string) {
	n, _ := strconv.Atoi(value)
	switch field {
	case FieldKind:
		u.said.Type = map[string]hotp.Type{"hotp": hotp.HOTP, "totp": hotp.TOTP}[value]
	case FieldAlgorithm:
		for _, a := range u.format.Carries.Algorithms {
			if a.String() == value {
				u.said.Algorithm = a
			}
		}
	case FieldDigits:
		u.said.Digits = n
	case FieldPeriod:
		u.said.Period = n
	}
}

// Assume completes what settings say by what a reader is to assume, and by the first values that the format has. A
// type it must be told, since one that is wrong makes useless tokens: else the error is a *SettingError.
func (u *Unsaid) Assume(p hotp.Parameters) error {
	c, s := &u.format.Carries, &u.said
	first(&s.Type, p.Type)
	first(&s.Algorithm, p.Algorithm, c.Algorithms...)
	first(&s.Digits, p.Digits, c.Digits...)
	first(&s.Period, p.Period, c.Periods...)
	switch c.Kinds &^ YubicoOTP {
	case HOTP:
		s.Type = hotp.HOTP
	case TOTP:
		s.Type = hotp.TOTP
	}
	if u.fields&FieldKind != 0 && s.Type == 0 {
		return &SettingError{u.format.Name, "type", "must be given: hotp or totp, of which the file has no word"}
	}
	return nil
}

// first sets v, where it is zero, to the first of values that isn't.
func first[T comparable](v *T, value T, values ...T) {
	var zero T
	for _, other := range append([]T{value}, values...) {
		if *v == zero {
			*v = other
		}
	}
}

// Fill gives a token that was read what its file does not say.
func (u *Unsaid) Fill(t *Token) {
	if u.fields&FieldKind != 0 {
		t.Type = u.said.Type
	}
	if u.fields&FieldAlgorithm != 0 {
		t.Algorithm = u.said.Algorithm
	}
	if u.fields&FieldDigits != 0 {
		t.Digits = u.said.Digits
	}
	if u.fields&FieldPeriod != 0 && t.Type == hotp.TOTP {
		t.Period = u.said.Period
	}
}

// Check tells whether a token, which the format can hold, is as the settings say, and as those before it in the file
// that is written. The error is a *LossError.
func (u *Unsaid) Check(t *Token) error {
	now, field, said := u.said, Field(0), ""
	check := func(f Field, differs bool, text string) {
		if u.fields&f != 0 && differs && field == 0 {
			field, said = f, text
		}
	}
	first(&now.Type, t.Type)
	first(&now.Algorithm, t.Algorithm)
	first(&now.Digits, t.Digits)
	first(&now.Period, t.Period)
	check(FieldKind, now.Type != t.Type, now.Type.String())
	check(FieldAlgorithm, now.Algorithm != t.Algorithm, now.Algorithm.String())
	check(FieldDigits, now.Digits != t.Digits, fmt.Sprintf("%d digits", now.Digits))
	check(FieldPeriod, t.Type == hotp.TOTP && now.Period != t.Period, fmt.Sprintf("%d seconds", now.Period))
	if field != 0 {
		return &LossError{u.format.Name, t.Name(), field,
			fmt.Sprintf("%s in a file of %s: write it into another one", t.value(field), said)}
	}
	u.said = now
	return nil
}
