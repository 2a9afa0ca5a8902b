package servers

import (
	"net/url"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// Okta is the requests by which Okta's Factors API enrols tokens as custom TOTP factors, one a line with its path and
// body: there is no file that it imports. The factor profile has the algorithm, the digits and the period, so that all
// tokens of one file have the same. The user of a token is Okta's ID or login.
var Okta = okta(&seedfile.Format{
	Name: "okta", Title: "Okta, requests of the Factors API", Extension: ".jsonl",
	Source: "Okta: Factors API, Enroll a custom HOTP factor; Custom TOTP Factor",
	Carries: seedfile.Capacity{Kinds: seedfile.TOTP, Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512},
		Digits: []int{6, 8, 10}, Periods: []int{30, 60, 15}, Fields: seedfile.FieldUser, Needs: seedfile.FieldUser},
})

const (
	unsaidOfOkta  = seedfile.FieldAlgorithm | seedfile.FieldDigits | seedfile.FieldPeriod
	oktaPath      = "/api/v1/users/"
	oktaPathEnd   = "/factors?activate=true"
	oktaFactor    = "token:hotp" // Okta's name of custom factors, TOTP too
	profileIDName = "factor-profile-id"
)

type oktaBody struct {
	FactorType      string `json:"factorType"`
	Provider        string `json:"provider"`
	FactorProfileID string `json:"factorProfileId"`
	Profile         struct {
		SharedSecret seedText `json:"sharedSecret"`
	} `json:"profile"`
}

func okta(f *seedfile.Format) *seedfile.Format {
	f.Settings = append(seedfile.UnsaidSettings(f.Carries, unsaidOfOkta), columns.Encoding("hex", "base32"),
		seedfile.Setting{Name: profileIDName, Must: true, Usage: "ID of the factor profile in Okta, fpr…"})
	return columns.Complete(f, func(o columns.Options) (*columns.Codec, error) {
		u, err := o.Unsaid(f, unsaidOfOkta)
		file := &oktaFile{format: f, unsaid: u, base32: o.Setting("encoding", "hex") == "base32", any: o.Any,
			profile: o.Setting(profileIDName, "")}
		if o.Reading == nil && file.profile == "" {
			return nil, &seedfile.SettingError{Format: f.Name, Name: profileIDName, Problem: "must be given"}
		}
		return &columns.Codec{Layout: requests, Parse: file.parse, Fill: file.fill,
			Sure: func(*columns.Row) int { return sureHeader }}, err
	})
}

type oktaFile struct {
	format  *seedfile.Format
	unsaid  *seedfile.Unsaid
	base32  bool
	any     bool   // the file is looked at alone
	profile string // empty for a reader that takes any
}

func (o *oktaFile) parse(r *columns.Row) (*seedfile.Token, error) {
	q, err := parseRequest[oktaBody](r)
	defer clear(q.Body.Profile.SharedSecret)
	if err != nil {
		return nil, err
	}
	path, found := strings.CutSuffix(strings.TrimPrefix(q.Path, oktaPath), oktaPathEnd)
	user, err := url.PathUnescape(path)
	if !found || err != nil || !strings.HasPrefix(q.Path, oktaPath) || strings.Contains(path, "/") ||
		q.Body.FactorType != oktaFactor || q.Body.Provider != "CUSTOM" {
		return nil, r.Errorf(0, "it is no request to enrol a custom factor")
	}
	if o.profile != "" && q.Body.FactorProfileID != o.profile {
		return nil, r.Errorf(0, "its factor profile is not the one of the setting %s", profileIDName)
	}
	t := &seedfile.Token{User: user, Parameters: hotp.Parameters{Type: hotp.TOTP}}
	o.unsaid.Fill(t)
	parse := hotp.ParseHexSeed
	if o.base32 {
		parse = hotp.ParseSeed
	}
	if o.any {
		return t, nil
	}
	if t.Seed, err = q.Body.Profile.SharedSecret.seed(parse); err != nil {
		return t, r.Error(0, err)
	}
	return t, nil
}

func (o *oktaFile) fill(l *columns.Line, t *seedfile.Token) error {
	if err := pathText(o.format, t, seedfile.FieldUser, t.User); err != nil {
		return err
	}
	l.Word(`{"method":"POST","path":` + quoted(oktaPath+url.PathEscape(t.User)+oktaPathEnd) + `,"body":{"factorType":"` +
		oktaFactor + `","provider":"CUSTOM","factorProfileId":` + quoted(o.profile) + `,"profile":{"sharedSecret":"`)
	if o.base32 {
		l.Append(t.Seed.AppendBase32)
	} else {
		l.Append(t.Seed.AppendHex)
	}
	l.Append(func(b []byte) []byte { return append(b, `"}}}`...) })
	return o.unsaid.Check(t)
}
