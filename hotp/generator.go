package hotp

import (
	"encoding/base32"
	"unsafe"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// generator makes codes of one token. It has the seed in Base32, as the library wants it.
type generator struct {
	options hotp.ValidateOpts
	text    []byte
}

func newGenerator(p Parameters, seed Seed) (*generator, error) {
	if err := p.Valid(); err != nil {
		return nil, err
	}
	if err := seed.Valid(); err != nil {
		return nil, err
	}
	options := hotp.ValidateOpts{Digits: otp.Digits(p.Digits), Algorithm: p.Algorithm.library()}
	text := make([]byte, base32.StdEncoding.EncodedLen(len(seed)))
	base32.StdEncoding.Encode(text, seed)
	return &generator{options, text}, nil
}

// code gives the code for a moving factor (RFC 4226 §5.3).
func (g *generator) code(movingFactor uint64) (string, error) {
	secret := unsafe.String(&g.text[0], len(g.text)) // a string that is a copy could not be wiped
	return hotp.GenerateCodeCustom(secret, movingFactor, g.options)
}

func (g *generator) wipe() { clear(g.text) }

func (a Algorithm) library() otp.Algorithm {
	switch a {
	case SHA256:
		return otp.AlgorithmSHA256
	case SHA512:
		return otp.AlgorithmSHA512
	}
	return otp.AlgorithmSHA1
}
