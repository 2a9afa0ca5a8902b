package otpauth

import (
	"slices"
	"strconv"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Append appends the otpauth URI of a token, in the spelling that all readers understand: no padding, all parameters
// given, a space as %20, the issuer before the account and as a parameter. What makes codes and has no place in a URI
// is an error, as seedfile.Format.Check gives it; a name that a URI can't hold is a *seedfile.ValueError; a serial
// number and the like are left out: Carries says of what.
//
// Without room in dst, what it has already is copied, and stays where it was.
func Append(dst []byte, t *seedfile.Token) ([]byte, error) {
	if err := format.Check(t, seedfile.Droppable); err != nil {
		return dst, err
	}
	if err := CheckNames(format.Name, t); err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, Size(t))
	dst = append(append(append(dst, "otpauth://"...), t.Type.String()...), '/')
	if t.Issuer != "" {
		dst = append(appendEscaped(dst, t.Issuer), ':')
	}
	dst = append(appendEscaped(dst, t.Account), "?secret="...)
	dst = t.Seed.AppendBase32(dst)
	if t.Issuer != "" {
		dst = appendEscaped(append(dst, "&issuer="...), t.Issuer)
	}
	dst = append(append(dst, "&algorithm="...), t.Algorithm.String()...)
	dst = strconv.AppendInt(append(dst, "&digits="...), int64(t.Digits), 10)
	if t.Type == hotp.HOTP {
		return strconv.AppendUint(append(dst, "&counter="...), t.Counter, 10), nil
	}
	return strconv.AppendInt(append(dst, "&period="...), int64(t.Period), 10), nil
}

// Size is how long the URI of a token may be at most, in bytes.
func Size(t *seedfile.Token) int { return 128 + 3*(len(t.Account)+2*len(t.Issuer)) + 2*len(t.Seed) }

// CheckNames tells whether a label can hold issuer and account of a token: one of them must be there, and neither may
// have a colon, or a space at either end. The error is a *seedfile.MissingError or *seedfile.ValueError.
func CheckNames(format string, t *seedfile.Token) error {
	if t.Issuer == "" && t.Account == "" {
		return &seedfile.MissingError{Format: format, Token: t.Name(), Field: seedfile.FieldAccount}
	}
	if p := nameProblem(t.Account); p != "" {
		return &seedfile.ValueError{Format: format, Token: t.Name(), Field: seedfile.FieldAccount, Problem: p}
	}
	if p := nameProblem(t.Issuer); p != "" {
		return &seedfile.ValueError{Format: format, Token: t.Name(), Field: seedfile.FieldIssuer, Problem: p}
	}
	return nil
}

func nameProblem(name string) string {
	switch {
	case strings.Contains(name, ":"):
		return "has a colon"
	case trim(name) != name:
		return "has a space at its end"
	}
	return ""
}
