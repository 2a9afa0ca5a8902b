package seedfiletest

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"time"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// generator makes tokens that a format can hold. Each run makes the same ones.
type generator struct {
	format *seedfile.Format
	random *rand.Rand
	made   int
}

func newGenerator(f *seedfile.Format) *generator {
	return &generator{format: f, random: rand.New(rand.NewPCG(4226, 6238))}
}

// alphabets are of what texts are made, from those that are hard for many formats to those that none can refuse.
var alphabets = [...]string{
	"aZ09 ,;:\"'<>&|\\/@=+-_.%#äß漢🔑(){}[]?!*~$^`",
	"aZ09 @-_.äß",
	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
}

// text gives a text without spaces at its ends, which formats may trim.
func (g *generator) text(alphabet string) string {
	letters := []rune(alphabet)
	text := []rune{letters[g.random.IntN(2)]}
	for range g.random.IntN(20) {
		text = append(text, letters[g.random.IntN(len(letters))])
	}
	return string(append(text, letters[g.random.IntN(2)]))
}

func (g *generator) bytes(n int) hotp.Seed {
	b := make(hotp.Seed, n)
	for i := range b {
		b[i] = byte(g.random.Uint32())
	}
	return b
}

// pick gives one of some values; where there are none, one of any.
func pick[T any](g *generator, some, any []T) T {
	if len(some) == 0 {
		some = any
	}
	return some[g.random.IntN(len(some))]
}

// kinds gives the kinds of a set, one by one.
func kinds(set seedfile.Kind) (list []seedfile.Kind) {
	for _, k := range []seedfile.Kind{seedfile.HOTP, seedfile.TOTP, seedfile.YubicoOTP} {
		if set&k != 0 {
			list = append(list, k)
		}
	}
	return list
}

// token gives a random token, in which each of the fields is that the format has room for, or not.
func (g *generator) token(alphabet string) *seedfile.Token {
	g.made++
	carries := &g.format.Carries
	t := g.ofKind(pick(g, kinds(carries.Kinds), nil))
	for f := seedfile.FieldT0; f <= seedfile.FieldAccessCode; f <<= 1 {
		if carries.Needs&f != 0 || carries.Fields&f != 0 && g.random.IntN(4) > 0 {
			g.set(t, f, alphabet)
		}
	}
	return t
}

// ofKind gives a token with a seed and parameters alone, as the format can hold them.
func (g *generator) ofKind(kind seedfile.Kind) *seedfile.Token {
	carries := &g.format.Carries
	if kind == seedfile.YubicoOTP {
		return &seedfile.Token{Seed: g.bytes(16), Yubico: &seedfile.Yubico{PrivateID: g.bytes(6)}}
	}
	longest := carries.MaxSeed
	if longest == 0 {
		longest = hotp.MaxSeed
	}
	t := &seedfile.Token{Seed: g.bytes(1 + g.random.IntN(longest)), Parameters: hotp.Parameters{
		Type: hotp.HOTP, Algorithm: pick(g, carries.Algorithms, allAlgorithms), Digits: pick(g, carries.Digits, allDigits)}}
	if kind == seedfile.TOTP {
		t.Type, t.Period = hotp.TOTP, pick(g, carries.Periods, []int{1, 15, 30, 60, 90, 3600, hotp.MaxPeriod})
	}
	return t
}

var (
	allAlgorithms = []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512}
	allDigits     = []int{6, 7, 8, 9, 10}
)

// set gives a token a field, where its kind can have it.
func (g *generator) set(t *seedfile.Token, f seedfile.Field, alphabet string) {
	isTOTP, isHOTP := t.Kind() == seedfile.TOTP, t.Kind() == seedfile.HOTP
	switch {
	case f == seedfile.FieldT0 && isTOTP:
		t.T0 = 1 + int64(g.random.Uint32())
	case f == seedfile.FieldCounter && isHOTP:
		t.Counter = 1 + g.random.Uint64N(1<<g.random.IntN(48))
	case f == seedfile.FieldDrift && isTOTP:
		t.Drift = 1 + g.random.Int64N(50)
	case f == seedfile.FieldStart:
		t.Start = time.Unix(int64(g.random.Uint32()), 0).UTC()
	case f == seedfile.FieldExpiry:
		t.Expiry = time.Unix(int64(g.random.Uint32()), 0).UTC()
	case f == seedfile.FieldPublicID && t.Yubico != nil:
		t.Yubico.PublicID = g.modhex(12)
	case f == seedfile.FieldAccessCode && t.Yubico != nil:
		t.Yubico.AccessCode = g.bytes(6)
	case f >= seedfile.FieldSerial && f <= seedfile.FieldModel:
		*text(t, f) = g.text(alphabet)
	}
}

func (g *generator) modhex(n int) string {
	id := make([]byte, n)
	for i := range id {
		id[i] = "cbdefghijklnrtuv"[g.random.IntN(16)]
	}
	return string(id)
}

// text gives the place of a text of a token.
func text(t *seedfile.Token, f seedfile.Field) *string {
	switch f {
	case seedfile.FieldSerial:
		return &t.Serial
	case seedfile.FieldID:
		return &t.ID
	case seedfile.FieldAccount:
		return &t.Account
	case seedfile.FieldIssuer:
		return &t.Issuer
	case seedfile.FieldUser:
		return &t.User
	case seedfile.FieldManufacturer:
		return &t.Manufacturer
	}
	return &t.Model
}

// limits gives a token behind each limit of the format.
func (g *generator) limits(trip Trip) (all []limit) {
	carries := &g.format.Carries
	for _, k := range kinds(seedfile.HOTP | seedfile.TOTP | seedfile.YubicoOTP) {
		if carries.Kinds&k == 0 {
			all = append(all, g.behind(g.foreign(k), seedfile.FieldKind))
			continue
		}
		good := func() *seedfile.Token {
			t := g.ofKind(k)
			g.needed(t)
			trip.Adapt(t)
			return t
		}
		if k != seedfile.YubicoOTP {
			all = append(all, g.parameterLimits(k, good)...)
		}
		all = append(all, g.fieldLimits(good)...)
	}
	return all
}

func (g *generator) needed(t *seedfile.Token) {
	for f := seedfile.FieldT0; f <= seedfile.FieldAccessCode; f <<= 1 {
		if g.format.Carries.Needs&f != 0 {
			g.set(t, f, alphabets[len(alphabets)-1])
		}
	}
}

// foreign gives a token of a kind that the format does not have.
func (g *generator) foreign(k seedfile.Kind) *seedfile.Token {
	t := g.ofKind(k)
	if k != seedfile.YubicoOTP {
		t.Algorithm, t.Digits = hotp.SHA1, 6
	}
	g.needed(t)
	return t
}

func (g *generator) behind(t *seedfile.Token, f seedfile.Field) limit {
	return limit{token: t, field: f}
}

func (g *generator) parameterLimits(k seedfile.Kind, good func() *seedfile.Token) (all []limit) {
	carries := &g.format.Carries
	if carries.MaxSeed != 0 && carries.MaxSeed < hotp.MaxSeed {
		t := good()
		t.Seed = g.bytes(carries.MaxSeed + 1)
		all = append(all, g.behind(t, seedfile.FieldSeed))
	}
	for _, a := range allAlgorithms {
		if !slices.Contains(carries.Algorithms, a) {
			t := good()
			t.Algorithm = a
			all = append(all, g.behind(t, seedfile.FieldAlgorithm))
		}
	}
	for _, n := range allDigits {
		if carries.Digits != nil && !slices.Contains(carries.Digits, n) {
			t := good()
			t.Digits = n
			all = append(all, g.behind(t, seedfile.FieldDigits))
		}
	}
	for _, n := range []int{1, 30, 59, 60, hotp.MaxPeriod} {
		if t := good(); t.Type == hotp.TOTP && carries.Periods != nil && !slices.Contains(carries.Periods, n) {
			t.Period = n
			all = append(all, g.behind(t, seedfile.FieldPeriod))
		}
	}
	return all
}

// fieldLimits gives a token with each of the fields that the format has no room for, and one without each that it
// needs.
func (g *generator) fieldLimits(good func() *seedfile.Token) (all []limit) {
	carries := &g.format.Carries
	for f := seedfile.FieldT0; f <= seedfile.FieldAccessCode; f <<= 1 {
		t := good()
		before := plain(t)
		switch {
		case carries.Needs&f != 0 && unset(t, f):
			all = append(all, limit{token: t, field: f, missing: true})
		case (carries.Needs|carries.Fields)&f == 0:
			g.set(t, f, alphabets[len(alphabets)-1])
			if !slices.Equal(before, plain(t)) { // else its kind can't have it
				all = append(all, g.behind(t, f))
			}
		}
	}
	return all
}

// unset takes a text from a token, and tells whether it had it.
func unset(t *seedfile.Token, f seedfile.Field) bool {
	if f >= seedfile.FieldSerial && f <= seedfile.FieldModel {
		had := *text(t, f) != ""
		*text(t, f) = ""
		return had
	}
	if f == seedfile.FieldPublicID && t.Yubico != nil {
		t.Yubico.PublicID = ""
		return true
	}
	return false
}

// Clone copies a token with its secrets.
func Clone(t *seedfile.Token) *seedfile.Token {
	c := *t
	c.Seed = bytes.Clone(t.Seed)
	if t.Yubico != nil {
		y := *t.Yubico
		y.PrivateID, y.AccessCode = bytes.Clone(y.PrivateID), bytes.Clone(y.AccessCode)
		c.Yubico = &y
	}
	return &c
}
