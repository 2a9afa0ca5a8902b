package hotp

import (
	"bytes"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

// Seed is the secret key of a token, or another secret that stands beside one in a seed file. It never prints itself
// and refuses to be encoded as JSON. Whoever made it wipes it.
type Seed []byte

// How long seeds may be, in bytes. RFC 4226 §4 R6 wants 16 at least; many services give 10, so that those which come
// from elsewhere may be as short, and a verifier of seed files says so.
const (
	MinSeed    = 1
	StrictSeed = 16
	MaxSeed    = 128
)

const redacted = "[seed]"

// NewSeed gives a random seed of n bytes, from crypto/rand.
func NewSeed(n int) Seed {
	s := make(Seed, n)
	rand.Read(s)
	return s
}

// Wipe overwrites the seed.
func (s Seed) Wipe() { clear(s) }

// Equal compares in constant time.
func (s Seed) Equal(other Seed) bool { return subtle.ConstantTimeCompare(s, other) == 1 }

// Format implements fmt.Formatter for every verb.
func (s Seed) Format(f fmt.State, _ rune) { f.Write([]byte(redacted)) }

// LogValue implements slog.LogValuer.
func (s Seed) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON always fails: a format that holds seeds writes them itself.
func (s Seed) MarshalJSON() ([]byte, error) {
	return nil, errors.New("a seed is not for encoding/json")
}

// SeedError says why something is no seed. It never has the seed.
type SeedError struct{ Problem string }

func (e *SeedError) Error() string { return "the seed " + e.Problem }

// Valid tells whether codes can be made with the seed. The error is a *SeedError.
func (s Seed) Valid() error {
	switch {
	case len(s) < MinSeed:
		return &SeedError{"is empty"}
	case len(s) > MaxSeed:
		return &SeedError{fmt.Sprintf("is longer than %d bytes", MaxSeed)}
	}
	return nil
}

// ParseSeed decodes a seed in Base32 (RFC 4648 §6) as people and files have it: letters of either case, with any
// number of = at the end, of which some programs write too many. Spaces, tabs, line ends and dashes between groups are
// skipped. Bits that are too few for a byte are not looked at, as other programs do it: services that draw letters at
// random leave some. The error is a *SeedError.
func ParseSeed(text []byte) (Seed, error) {
	clean := make([]byte, 0, len(text))
	defer func() { clear(clean[:cap(clean)]) }()
	for _, c := range text {
		switch {
		case c == ' ' || c == '-' || c == '\t' || c == '\r' || c == '\n':
		case 'a' <= c && c <= 'z':
			clean = append(clean, c-'a'+'A')
		default:
			clean = append(clean, c)
		}
	}
	letters := bytes.TrimRight(clean, "=")
	if rest := len(letters) % 8; rest == 1 || rest == 3 || rest == 6 {
		return nil, &SeedError{"is no Base32: there is a letter too many or too few"}
	}
	return decodeSeed(letters)
}

// decodeSeed decodes letters, because encoding/base32 copies them, and nobody can wipe that. It looks at no bits that are
// too few for a byte.
func decodeSeed(letters []byte) (Seed, error) {
	seed := make(Seed, 0, len(letters)*5/8)
	bits, n := uint(0), 0 // the last n bits have not become a byte yet
	for _, c := range letters {
		switch {
		case 'A' <= c && c <= 'Z':
			bits = bits<<5 | uint(c-'A')
		case '2' <= c && c <= '7':
			bits = bits<<5 | uint(c-'2'+26)
		default:
			seed.Wipe()
			return nil, &SeedError{"is no Base32: it has other characters than A to Z and 2 to 7"}
		}
		if n += 5; n >= 8 {
			n -= 8
			seed = append(seed, byte(bits>>n))
		}
	}
	if err := seed.Valid(); err != nil {
		seed.Wipe()
		return nil, err
	}
	return seed, nil
}

// AppendBase32 appends the seed in Base32 without padding. out must have room, or a copy stays behind where it was.
func (s Seed) AppendBase32(out []byte) []byte {
	return unpadded.AppendEncode(out, s)
}

var unpadded = base32.StdEncoding.WithPadding(base32.NoPadding)

// ParseHexSeed decodes a seed in hexadecimal digits of either case, with nothing between them. The error is a
// *SeedError.
func ParseHexSeed(text []byte) (Seed, error) {
	if len(text)%2 != 0 {
		return nil, &SeedError{"has an odd number of hexadecimal digits"}
	}
	seed := make(Seed, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(seed, text); err != nil {
		seed.Wipe()
		return nil, &SeedError{"is not in hexadecimal digits"}
	}
	return seed, seed.Valid()
}

// AppendHex appends the seed in lower-case hexadecimal digits. out must have room, or a copy stays behind where it was.
func (s Seed) AppendHex(out []byte) []byte { return hex.AppendEncode(out, s) }
