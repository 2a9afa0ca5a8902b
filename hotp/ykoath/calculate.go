package ykoath

import (
	"context"
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"time"

	"fob/hotp"
)

// challengeOf is the moving factor as keys want it.
func challengeOf(step uint64) []byte { return binary.BigEndian.AppendUint64(nil, step) }

// Code gives the code of a TOTP account for a time step. Where the account needs a touch it waits for it, and fails
// with ErrNoTouch after the time that the key allows, 15 seconds.
func (s *Session) Code(ctx context.Context, id string, step uint64) (string, error) {
	return s.code(ctx, id, challengeOf(step))
}

// Next gives the next code of a HOTP account, whose counter in the key moves on.
func (s *Session) Next(ctx context.Context, id string) (string, error) { return s.code(ctx, id, nil) }

func (s *Session) code(ctx context.Context, id string, challenge []byte) (string, error) {
	reply, err := s.calculate(ctx, id, challenge, truncate)
	if err != nil {
		return "", err
	}
	value, err := only(reply, tagTruncated)
	if err != nil {
		return "", err
	}
	code, _, err := parseCode(value)
	return code, err
}

func (s *Session) calculate(ctx context.Context, id string, challenge []byte, p2 byte) ([]byte, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	data := appendObject(nil, tagName, []byte(id))
	data = appendObject(data, tagChallenge, challenge)
	return s.call(ctx, command{name: "CALCULATE", ins: insCalculate, p2: p2, data: data})
}

// parseCode reads the value of a truncated response: the number of digits, and 31 bits of the HMAC (RFC 4226 §5.3).
func parseCode(value []byte) (code string, bits uint32, err error) {
	if len(value) != 5 || value[0] < minDigits || value[0] > hotp.MaxDigits || value[1] >= 0x80 {
		return "", 0, badReply("truncated response of %d bytes", len(value))
	}
	bits = binary.BigEndian.Uint32(value[1:])
	modulus := uint64(1)
	for range value[0] {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", int(value[0]), uint64(bits)%modulus), bits, nil
}

// Pair gives the codes of a TOTP account for the step before and for this one: what an enrolment asks for, at once. An
// account that needs a touch needs two.
func (s *Session) Pair(ctx context.Context, id string, step uint64) (before, now string, err error) {
	if step == 0 {
		return "", "", &hotp.ParameterError{Parameter: "step", Problem: "has none before it"}
	}
	if before, err = s.Code(ctx, id, step-1); err != nil {
		return "", "", err
	}
	now, err = s.Code(ctx, id, step)
	return before, now, err
}

// HMAC gives the whole HMAC of a challenge of 8 bytes by the seed of a TOTP account. Of a HOTP account it is that of
// the counter, which moves on, whatever the challenge.
func (s *Session) HMAC(ctx context.Context, id string, challenge []byte) ([]byte, error) {
	if err := s.notNitrokey("the whole HMAC"); err != nil {
		return nil, err
	}
	reply, err := s.calculate(ctx, id, challenge, 0)
	if err != nil {
		return nil, err
	}
	value, err := only(reply, tagFull)
	if err != nil {
		return nil, err
	}
	if n := len(value) - 1; n != hotp.SHA1.Size() && n != hotp.SHA256.Size() && n != hotp.SHA512.Size() {
		return nil, badReply("HMAC of %d bytes", n)
	}
	return value[1:], nil
}

// Verify tells whether the key has the seed of an account that was written to it, by a whole HMAC of a random
// challenge, and fails with ErrOtherSeed if not. A HOTP account must not have given a code yet; it is written anew
// after that, since its counter has moved. An account that needs a touch needs one. Nitrokeys, which give no whole
// HMAC, are asked for several codes.
func (s *Session) Verify(ctx context.Context, a Account, seed hotp.Seed) error {
	id, err := a.ID()
	if err != nil {
		return err
	}
	if s.Nitrokey {
		return s.verifyTruncated(ctx, id, a, seed)
	}
	challenge := newChallenge()
	if a.Type == hotp.HOTP {
		challenge = challengeOf(uint64(a.Counter))
	}
	got, err := s.HMAC(ctx, id, challenge)
	switch {
	case err != nil:
		return err
	case !hmac.Equal(got, mac(a.Algorithm, seed, challenge)):
		return ErrOtherSeed
	case a.Type == hotp.HOTP:
		a.Replace = true
		return s.Put(ctx, a, seed)
	}
	return nil
}

// truncatedRounds of 31 bits are as good as a key of 124 bits.
const truncatedRounds = 4

func (s *Session) verifyTruncated(ctx context.Context, id string, a Account, seed hotp.Seed) error {
	if a.Type == hotp.HOTP {
		return s.notNitrokey("verifying a HOTP seed without spending codes")
	}
	if a.Touch {
		return s.notNitrokey("verifying a seed that needs a touch by one touch")
	}
	for range truncatedRounds {
		challenge := newChallenge()
		reply, err := s.calculate(ctx, id, challenge, truncate)
		if err != nil {
			return err
		}
		value, err := only(reply, tagTruncated)
		if err != nil {
			return err
		}
		_, bits, err := parseCode(value)
		if err != nil {
			return err
		}
		want := truncated(mac(a.Algorithm, seed, challenge))
		if !hmac.Equal(binary.BigEndian.AppendUint32(nil, bits), want) {
			return ErrOtherSeed
		}
	}
	return nil
}

// truncated is the dynamic truncation of an HMAC (RFC 4226 §5.3).
func truncated(sum []byte) []byte {
	at := int(sum[len(sum)-1] & 0x0f)
	return binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(sum[at:])&0x7fffffff)
}

// Code is a code of an account, or why there is none.
type Code struct {
	ID string
	Name
	Type       hotp.Type
	Touch      bool      // it needs a touch, so there is no Code
	Code       string    // digits; empty for HOTP, whose counter would move
	Begin, End time.Time // TOTP: when it began to hold, and when the next one will
}

// All gives the codes of all accounts at a time. The key makes those of one time step at once, for a period of 30
// seconds; those of other periods it is asked for one by one.
func (s *Session) All(ctx context.Context, at time.Time) ([]Code, error) {
	if err := s.notNitrokey("all codes at once"); err != nil {
		return nil, err
	}
	step, err := hotp.DefaultTOTP.Step(at)
	if err != nil {
		return nil, err
	}
	data := appendObject(nil, tagChallenge, challengeOf(step))
	reply, err := s.call(ctx, command{name: "CALCULATE ALL", ins: insCalculateAll, p2: truncate, data: data})
	if err != nil {
		return nil, err
	}
	all, err := parseAll(reply)
	for i := range all {
		if err == nil && all[i].Type == hotp.TOTP {
			err = s.complete(ctx, &all[i], at)
		}
	}
	if err != nil {
		return nil, err
	}
	return all, nil
}

// complete gives a code its time, and makes it anew where its period is another one.
func (s *Session) complete(ctx context.Context, c *Code, at time.Time) (err error) {
	p := hotp.DefaultTOTP
	p.Period = c.Period
	step, err := p.Step(at)
	if err != nil {
		return err
	}
	c.End = p.StepEnd(step)
	c.Begin = c.End.Add(-time.Duration(p.Period) * time.Second)
	if !c.Touch && c.Period != usualPeriod {
		c.Code, err = s.Code(ctx, c.ID, step)
	}
	return err
}

// parseAll reads the response to CALCULATE ALL: names, each with what it has of a code.
func parseAll(reply []byte) (all []Code, err error) {
	objects, err := parseObjects(reply)
	if err != nil {
		return nil, err
	}
	if len(objects)%2 != 0 {
		return nil, badReply("a name without a code")
	}
	for i := 0; i < len(objects); i += 2 {
		c, err := parseEntry(objects[i], objects[i+1])
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func parseEntry(name, code object) (c Code, err error) {
	if name.tag != tagName || len(name.value) == 0 || len(name.value) > MaxID {
		return Code{}, badReply("object %02x of %d bytes in place of a name", name.tag, len(name.value))
	}
	c = Code{ID: string(name.value), Type: hotp.TOTP}
	switch code.tag {
	case tagTruncated:
		c.Code, _, err = parseCode(code.value)
	case tagHOTP:
		c.Type = hotp.HOTP
	case tagTouch:
		c.Touch = true
	default:
		err = badReply("object %02x in place of a code", code.tag)
	}
	c.Name = ParseID(c.ID, c.Type)
	return c, err
}
