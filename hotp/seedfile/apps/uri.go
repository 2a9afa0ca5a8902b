package apps

import (
	"bytes"

	"fob/hotp"
	"fob/hotp/otpauth"
	"fob/hotp/seedfile"
)

// parseTOTP reads what password managers have in their field for one-time passwords: an otpauth URI, or a bare secret
// in Base32, which stands for TOTP with SHA1, 6 digits and 30 seconds. Names are those of the URI, and where it has
// none, those of the entry around it.
func parseTOTP(text []byte, issuer, account string) (*seedfile.Token, error) {
	entry := &seedfile.Token{Issuer: issuer, Account: account}
	if !bytes.Contains(text, []byte("://")) {
		entry.Parameters = hotp.DefaultTOTP
		seed, err := hotp.ParseSeed(text)
		entry.Seed = seed
		return entry, named(entry, err)
	}
	t, err := otpauth.Parse(text)
	if err != nil {
		return entry, err
	}
	if t.Issuer == "" && t.Account == "" {
		t.Issuer, t.Account = issuer, account
	}
	return t, named(t, nil)
}

func named(t *seedfile.Token, err error) error {
	if err == nil && t.Issuer == "" && t.Account == "" {
		return errNoName
	}
	return err
}

// appendURI appends a key and the URI of a token as a JSON string. Nothing in such a URI needs an escape.
func appendURI(out []byte, key, format string, t *seedfile.Token) ([]byte, error) {
	if err := otpauth.CheckNames(format, t); err != nil {
		return out, err
	}
	out, err := otpauth.Append(append(append(out, key...), '"'), t)
	return append(out, '"'), err
}
