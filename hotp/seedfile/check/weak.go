package check

import (
	"bytes"

	"fob/hotp"
)

// Limits of what is called weak. A random seed of 16 bytes or more is, at each of them, with a probability of less than
// one to two thousand millions, so that a million good tokens have none.
const (
	longRun  = 8 // equal bytes in a row: 256^-7 for each place
	longStep = 8 // bytes in a row of which each differs from the one before by the same: 256^-6
	// longText is from how many bytes on a seed is taken for a text: of 66 of 256 bytes, 3.8e-10.
	longText = 16
	// shortest is how many bytes a seed has at least that is said to repeat itself.
	shortest = 8
	// farApart is in how many of its bytes a seed must differ from the one before.
	farApart = 4
)

// known are seeds that stand in documents.
var known = [][]byte{
	[]byte("12345678901234567890"),                                             // RFC 4226 appendix D
	[]byte("12345678901234567890123456789012"),                                 // RFC 6238 errata 2866
	[]byte("1234567890123456789012345678901234567890123456789012345678901234"), // RFC 6238 errata 2866
	[]byte("Hello!\xde\xad\xbe\xef"),                                           // the example of otpauth URIs
	[]byte("Hello!\xde\xad\xbe\xefHello!\xde\xad\xbe\xef"),
}

// weak tells in words why a seed is not random; nothing where it may be.
func weak(seed hotp.Seed) string {
	switch {
	case isKnown(seed):
		return "is an example in a document, which everybody knows"
	case len(seed) > 1 && equalRun(seed) == len(seed):
		return "is one byte, repeated"
	case len(seed) > 2 && steps(seed) == len(seed):
		return "only counts"
	case period(seed) > 0:
		return "repeats itself"
	case equalRun(seed) >= longRun:
		return "has the same byte many times in a row, as one that was cut off and filled up"
	case steps(seed) >= longStep:
		return "counts in a part of it"
	case len(seed) >= longText && isText(seed):
		return "is a text, as one that somebody has typed or forgotten to decode"
	case len(seed) >= longText && distinct(seed) <= len(seed)/4:
		return "is made of few different bytes"
	}
	return ""
}

func isKnown(seed hotp.Seed) bool {
	for _, k := range known {
		if bytes.Equal(seed, k) {
			return true
		}
	}
	return false
}

// equalRun is how many equal bytes there are in a row, at most.
func equalRun(b []byte) int {
	return run(b, 1, func(i int) bool { return b[i] == b[i-1] })
}

// steps is how many bytes there are in a row, at most, of which each differs from the one before by the same.
func steps(b []byte) int {
	return run(b, 2, func(i int) bool { return i == 1 || b[i]-b[i-1] == b[i-1]-b[i-2] })
}

// run is the longest row of bytes that go with those before them. A new one begins with some that always go together.
func run(b []byte, begin int, goes func(i int) bool) int {
	longest, n := 1, 1
	for i := 1; i < len(b); i++ {
		if n++; !goes(i) {
			n = begin
		}
		longest = max(longest, n)
	}
	return longest
}

// period is after how many bytes a seed repeats itself, at least once as a whole; 0 where it does not.
func period(b []byte) int {
	for p := 1; p <= len(b)/2 && len(b) >= shortest; p++ {
		if bytes.Equal(b[p:], b[:len(b)-p]) {
			return p
		}
	}
	return 0
}

func isText(b []byte) bool {
	for _, c := range b {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && bytes.IndexByte([]byte("+/=-"), c) < 0 {
			return false
		}
	}
	return true
}

func distinct(b []byte) (n int) {
	var seen [256]bool
	for _, c := range b {
		if !seen[c] {
			seen[c] = true
			n++
		}
	}
	return n
}

// near tells whether two long seeds differ in few of their bytes, but do.
func near(a, b hotp.Seed) bool {
	if len(a) != len(b) || len(a) < hotp.StrictSeed {
		return false
	}
	differ := 0
	for i := range a {
		if a[i] != b[i] {
			differ++
		}
	}
	return differ > 0 && differ < farApart
}
