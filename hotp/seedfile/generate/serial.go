package generate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Serial is a scheme of serial numbers: a text with one number in braces, which is the first one, with as many digits
// as all of them have. ACME{000001} gives ACME000001, ACME000002 and so on, up to ACME999999.
type Serial struct {
	before, behind string
	first, digits  int
}

// maxDigits is what an int surely holds.
const maxDigits = 18

// SerialError says what is wrong with a scheme.
type SerialError struct{ Scheme, Problem string }

func (e *SerialError) Error() string {
	return fmt.Sprintf("serial numbers %s: the scheme %s", e.Scheme, e.Problem)
}

// ParseSerial reads a scheme.
func ParseSerial(scheme string) (*Serial, error) {
	before, rest, opened := strings.Cut(scheme, "{")
	number, behind, closed := strings.Cut(rest, "}")
	if !opened || !closed || strings.ContainsAny(before+behind, "{}") {
		return nil, &SerialError{scheme, "must have one number in braces, such as ACME{000001}"}
	}
	first, err := strconv.ParseUint(number, 10, 63)
	if err != nil || number[0] == '+' || len(number) > maxDigits {
		return nil, &SerialError{scheme, fmt.Sprintf("must have a number of 1 to %d digits in braces", maxDigits)}
	}
	return &Serial{before, behind, int(first), len(number)}, nil
}

// At gives the number of the token i, from 0 on.
func (s *Serial) At(i int) string {
	return fmt.Sprintf("%s%0*d%s", s.before, s.digits, s.first+i, s.behind)
}

// Room is how many serial numbers there are.
func (s *Serial) Room() int { return int(math.Pow10(s.digits)) - s.first }

// String gives the scheme.
func (s *Serial) String() string {
	return fmt.Sprintf("%s{%0*d}%s", s.before, s.digits, s.first, s.behind)
}
