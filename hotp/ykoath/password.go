package ykoath

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"unsafe"

	"fob/hotp"
)

// Sizes and costs that the specification sets.
const (
	accessKeySize  = 16 // bytes
	iterations     = 1000
	challengeBytes = 8
)

// AccessKey derives the key that opens the application from its password, which is UTF-8 text. It is for this key and
// until its reset only. The caller wipes it.
func (s *Session) AccessKey(password []byte) (hotp.Seed, error) {
	text := unsafe.String(unsafe.SliceData(password), len(password)) // a string that is a copy could not be wiped
	return pbkdf2.Key(sha1.New, text, s.salt, iterations, accessKeySize)
}

// Validate opens the application for this session, by a key of AccessKey, and has it prove that it knows the same key.
// The errors are ErrWrongPassword, ErrImpostor and those of the card.
func (s *Session) Validate(ctx context.Context, key hotp.Seed) error {
	if !s.Locked() {
		return nil
	}
	response, challenge := mac(hotp.SHA1, key, s.challenge), newChallenge()
	data := appendObject(nil, tagFull, response)
	data = appendObject(data, tagChallenge, challenge)
	reply, err := s.call(ctx, command{name: "VALIDATE", ins: insValidate, data: data})
	if err != nil {
		return err
	}
	proof, err := only(reply, tagFull)
	switch {
	case err != nil:
		return err
	case !hmac.Equal(proof, mac(hotp.SHA1, key, challenge)):
		return ErrImpostor
	}
	s.challenge = nil
	return nil
}

// SetPassword gives the application a password, by a key of AccessKey, in place of the one that it may have.
func (s *Session) SetPassword(ctx context.Context, key hotp.Seed) error {
	if err := s.notNitrokey("a password in place of the PIN"); err != nil {
		return err
	}
	challenge := newChallenge()
	data := make([]byte, 0, maxData) // the key must not stay behind in another buffer
	data = appendObject(data, tagKey, []byte{kindOf(hotp.TOTP, hotp.SHA1)}, key)
	data = appendObject(data, tagChallenge, challenge)
	data = appendObject(data, tagFull, mac(hotp.SHA1, key, challenge))
	if _, err := s.call(ctx, command{name: "SET CODE", ins: insSetCode, data: data}); err != nil {
		return err
	}
	s.password = true
	return nil
}

// RemovePassword lets everybody use the application who has the key.
func (s *Session) RemovePassword(ctx context.Context) error {
	if err := s.notNitrokey("a password in place of the PIN"); err != nil {
		return err
	}
	_, err := s.call(ctx, command{name: "SET CODE", ins: insSetCode, data: appendObject(nil, tagKey)})
	if err != nil {
		return err
	}
	s.password = false
	return nil
}

func newChallenge() []byte {
	b := make([]byte, challengeBytes)
	rand.Read(b)
	return b
}
