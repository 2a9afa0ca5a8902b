package servers

import (
	"encoding/base32"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"fob/hotp"
	"fob/hotp/otpauth"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// Vault is the requests by which keys are made in the TOTP secrets engine of HashiCorp Vault and OpenBao, one a line
// with its path and body. A key has the token's serial number for a name, and its account where there is no such
// number. A reader takes keys that are given as an otpauth URI too.
var Vault = vault(&seedfile.Format{
	Name: "vault", Title: "HashiCorp Vault, requests of the TOTP secrets engine", Extension: ".jsonl",
	Source: "HashiCorp Vault: TOTP secrets engine (API), Create key",
	Carries: seedfile.Capacity{Kinds: seedfile.TOTP, Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512},
		Digits: []int{6, 8}, Fields: seedfile.FieldSerial | seedfile.FieldAccount | seedfile.FieldIssuer},
	Settings: []seedfile.Setting{{Name: "mount", Usage: "path at which the engine is mounted; else totp"}},
})

type vaultBody struct {
	Generate  bool     `json:"generate"`
	Key       seedText `json:"key"`
	URL       string   `json:"url"` // it has a seed: this copy stays until it is collected
	Issuer    string   `json:"issuer"`
	Account   string   `json:"account_name"`
	Algorithm string   `json:"algorithm"`
	Digits    int      `json:"digits"`
	Period    int      `json:"period"`
}

// vaultName is what Vault takes for the name of a key, and for a mount.
var vaultName = regexp.MustCompile(`^\w(([\w.@-]+)?\w)?$`)

func vault(f *seedfile.Format) *seedfile.Format {
	return columns.Complete(f, func(o columns.Options) (*columns.Codec, error) {
		v := &vaultFile{format: f, path: "/v1/" + o.Setting("mount", "totp") + "/keys/"}
		for part := range strings.SplitSeq(o.Setting("mount", "totp"), "/") {
			if !vaultName.MatchString(part) {
				return nil, &seedfile.SettingError{Format: f.Name, Name: "mount", Problem: "must be a path such as totp"}
			}
		}
		return &columns.Codec{Layout: requests, Parse: v.parse, Fill: v.fill,
			Sure: func(*columns.Row) int { return sureHeader }}, nil
	})
}

type vaultFile struct {
	format *seedfile.Format
	path   string
}

func (v *vaultFile) parse(r *columns.Row) (*seedfile.Token, error) {
	q, err := parseRequest[vaultBody](r)
	defer clear(q.Body.Key)
	if err != nil {
		return nil, err
	}
	path, found := strings.CutPrefix(q.Path, v.path)
	name, err := url.PathUnescape(path)
	switch {
	case !found || err != nil || !vaultName.MatchString(name):
		return nil, r.Errorf(0, "it is no request to make a key at %sNAME", v.path)
	case q.Body.Generate:
		return nil, r.Errorf(0, "Vault is to generate the key, so that there is none here")
	case len(q.Body.URL) > 0 && len(q.Body.Key) > 0:
		return nil, r.Errorf(0, "it has both a key and a URL")
	}
	t, err := v.token(r, &q.Body)
	if t != nil && name != t.Account {
		t.Serial = name
	}
	return t, err
}

func (v *vaultFile) token(r *columns.Row, b *vaultBody) (*seedfile.Token, error) {
	if len(b.URL) > 0 {
		t, err := otpauth.Parse([]byte(b.URL))
		if err != nil {
			return nil, r.Error(0, err)
		}
		return t, nil
	}
	t := &seedfile.Token{Account: b.Account, Issuer: b.Issuer, Parameters: hotp.DefaultTOTP}
	algorithms := map[string]hotp.Algorithm{"": hotp.SHA1, "SHA1": hotp.SHA1, "SHA256": hotp.SHA256, "SHA512": hotp.SHA512}
	t.Algorithm = algorithms[b.Algorithm]
	if b.Digits != 0 {
		t.Digits = b.Digits
	}
	if b.Period != 0 {
		t.Period = b.Period
	}
	seed, err := b.Key.seed(hotp.ParseSeed)
	if err != nil {
		return t, r.Error(0, err)
	}
	t.Seed = seed
	return t, nil
}

func (v *vaultFile) fill(l *columns.Line, t *seedfile.Token) error {
	name, field := t.Serial, seedfile.FieldSerial
	if name == "" {
		name, field = t.Account, seedfile.FieldAccount
	}
	switch {
	case name == "":
		return &seedfile.MissingError{Format: v.format.Name, Token: t.Name(), Field: seedfile.FieldSerial}
	case !vaultName.MatchString(name):
		return &seedfile.ValueError{Format: v.format.Name, Token: t.Name(), Field: field,
			Problem: "has other characters than letters, digits and .-_@ in it"}
	}
	l.Word(`{"method":"POST","path":` + quoted(v.path+name) + `,"body":{"generate":false,"key":"`)
	// Padded, as every decoder takes it.
	l.Append(func(b []byte) []byte { return base32.StdEncoding.AppendEncode(b, t.Seed) })
	l.Append(func(b []byte) []byte {
		return fmt.Appendf(b, `","issuer":%s,"account_name":%s,"algorithm":"%s","digits":%d,"period":%d}}`,
			quoted(t.Issuer), quoted(t.Account), t.Algorithm, t.Digits, t.Period)
	})
	return nil
}
