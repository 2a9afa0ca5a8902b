package otp

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"fob/hotp"
)

// Limits of tokens.
const (
	MaxTokens  = 1000
	MaxName    = 256     // bytes; YKOATH, the protocol of security keys, has room for 64
	MaxText    = 256     // bytes of an issuer or an account
	MaxCounter = 1 << 53 // what each JSON decoder can hold
)

// Token is a token of one-time passwords, but for its seed.
type Token struct {
	Name    string // by which the person calls it; no other token has it
	Issuer  string // for what it is, such as ACME; may be empty
	Account string // whose codes they are, such as alice@example.com; may be empty
	hotp.Parameters
	Counter  uint64    // HOTP: the moving factor of the next code
	SeedSize int       // bytes
	Keeper   string    // of the seed: InStore, or one of Tokens.Keepers
	Created  time.Time // UTC, as the next
	Used     time.Time // when it gave the last code; zero for none
}

// Errors of Tokens. Besides, there are those of package store, *TextError, *hotp.ParameterError and *hotp.SeedError.
var (
	ErrNotFound  = errors.New("there is no token of this name")
	ErrExists    = errors.New("there is a token of this name already")
	ErrTooMany   = fmt.Errorf("there are %d tokens already", MaxTokens)
	ErrExhausted = errors.New("the counter of the token has come to its end")
	ErrStays     = errors.New("the seed can't leave the place where it is kept")
	ErrNoKeeper  = errors.New("the place where the seed is kept can't be reached")
	ErrNewer     = errors.New("a newer fob has made the token")
	ErrDamaged   = errors.New("the token is damaged")
)

// TextError says which text of a token can't be one, and why.
type TextError struct {
	Field   string // "name", "issuer", "account"
	Problem string
}

func (e *TextError) Error() string { return "the " + e.Field + " " + e.Problem }

// NameFor is what a token is called that was given no name: "ACME:alice", or the one that there is.
func NameFor(issuer, account string) string {
	if issuer != "" && account != "" {
		return issuer + ":" + account
	}
	return issuer + account
}

// valid tells whether the token can be one.
func (t *Token) valid() error {
	if t.Name == "" {
		return &TextError{"name", "is missing"}
	}
	for _, text := range []struct {
		field, text string
		limit       int
	}{{"name", t.Name, MaxName}, {"issuer", t.Issuer, MaxText}, {"account", t.Account, MaxText}} {
		if problem := textProblem(text.text, text.limit); problem != "" {
			return &TextError{text.field, problem}
		}
	}
	if t.Counter > MaxCounter {
		return &hotp.ParameterError{Parameter: "counter", Problem: fmt.Sprintf("must be at most %d", uint64(MaxCounter))}
	}
	if t.Type == hotp.TOTP && t.Counter != 0 {
		return &hotp.ParameterError{Parameter: "counter", Problem: "is for hotp alone"}
	}
	return t.Parameters.Valid()
}

func textProblem(s string, limit int) string {
	switch {
	case len(s) > limit:
		return fmt.Sprintf("is longer than %d bytes", limit)
	case !utf8.ValidString(s):
		return "is no UTF-8"
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "has a character that does not print"
	case strings.TrimSpace(s) != s:
		return "begins or ends with a space"
	}
	return ""
}
