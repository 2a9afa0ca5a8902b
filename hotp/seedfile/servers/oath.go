package servers

import (
	"bytes"
	"fmt"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// oathFields are the columns that NetIQ, privacyIDEA and LinOTP have in common.
var oathFields = []seedfile.Field{seedfile.FieldSerial, seedfile.FieldSeed, seedfile.FieldKind, seedfile.FieldDigits,
	seedfile.FieldPeriod | seedfile.FieldCounter, seedfile.FieldAlgorithm}

// oathRow parses what those formats have in common from column at on: serial number, seed, type and digits. Only the
// first two must be there.
func oathRow(r *columns.Row, at int) (t *seedfile.Token, err error) {
	t = &seedfile.Token{Serial: r.Text(at), Parameters: hotp.DefaultHOTP}
	if t.Seed, err = r.Hex(at + 1); err != nil {
		return t, err
	}
	switch strings.ToLower(string(bytes.TrimSpace(r.Bytes(at + 2)))) {
	case "", "hotp":
	case "totp":
		t.Parameters = hotp.DefaultTOTP
	default:
		return t, r.Errorf(at+2, "the type is neither hotp nor totp")
	}
	t.Digits, err = r.Int(at+3, 6)
	return t, err
}

// oathSure tells how sure a row can be, by the columns from at on.
func oathSure(r *columns.Row, at int) int {
	switch n := len(r.Columns) - at; {
	case n > 5:
		return sureShape
	case n > 2:
		return sureTyped
	}
	return sureSerialSeed
}

// oathLine begins a line: serial number, seed, type and digits.
func oathLine(l *columns.Line, t *seedfile.Token) {
	l.Text(seedfile.FieldSerial, t.Serial)
	l.Hex(t.Seed)
	l.Word(t.Type.String())
	l.Number(uint64(t.Digits))
}

// NetIQ is the CSV of NetIQ (OpenText) Advanced Authentication. It has no counter.
var NetIQ = netIQ(&seedfile.Format{
	Name: "netiq", Title: "NetIQ Advanced Authentication, OATH CSV", Extension: ".csv",
	Source: "Advanced Authentication: CSV File Format to Import the OATH Compliant Tokens",
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.TOTP, Algorithms: sha1, Digits: []int{6, 8},
		Fields: seedfile.FieldSerial, Needs: seedfile.FieldSerial},
})

func netIQ(f *seedfile.Format) *seedfile.Format {
	return columns.Complete(f, func(columns.Options) (*columns.Codec, error) {
		return &columns.Codec{
			Layout: columns.Layout{Separator: ',', Spaced: true, Fields: oathFields},
			Parse:  parseNetIQ,
			Fill: func(l *columns.Line, t *seedfile.Token) error {
				oathLine(l, t)
				if t.Type == hotp.TOTP {
					l.Number(uint64(t.Period))
				}
				return nil
			},
			Sure: func(r *columns.Row) int { return oathSure(r, 0) },
		}, nil
	})
}

func parseNetIQ(r *columns.Row) (*seedfile.Token, error) {
	t, err := oathRow(r, 0)
	if err == nil {
		err = r.Between(2, 5)
	}
	if err != nil {
		return t, err
	}
	if t.Type == hotp.HOTP {
		return t, empty(r, 4, "a period, but tokens of type hotp have none")
	}
	t.Period, err = r.Int(4, 30)
	return t, err
}

func empty(r *columns.Row, i int, what string) error {
	if len(r.Bytes(i)) > 0 {
		return r.Errorf(i, "there is %s", what)
	}
	return nil
}

// LinOTP is the OATH CSV of LinOTP. It has no counter. LinOTP skips no comments but lines whose first column is "#".
var LinOTP = linOTP(&seedfile.Format{
	Name: "linotp", Title: "LinOTP, OATH CSV", Extension: ".csv", Source: "LinOTP: lib/ImportOTP/oath.py",
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.TOTP, Digits: []int{6, 8},
		Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512},
		Fields:     seedfile.FieldSerial, Needs: seedfile.FieldSerial},
})

func linOTP(f *seedfile.Format) *seedfile.Format {
	return columns.Complete(f, func(columns.Options) (*columns.Codec, error) {
		return &columns.Codec{
			Layout: columns.Layout{Separator: ',', Spaced: true, Comment: '#', Fields: oathFields},
			Parse:  parseLinOTP,
			Fill: func(l *columns.Line, t *seedfile.Token) error {
				oathLine(l, t)
				if t.Type == hotp.TOTP {
					l.Number(uint64(t.Period))
				} else {
					l.Word("")
				}
				l.Word(strings.ToLower(t.Algorithm.String()))
				return nil
			},
			Sure: func(r *columns.Row) int { return oathSure(r, 0) },
		}, nil
	})
}

func parseLinOTP(r *columns.Row) (*seedfile.Token, error) {
	t, err := oathRow(r, 0)
	if err == nil {
		err = r.Between(2, 6)
	}
	if err != nil {
		return t, err
	}
	if t.Type == hotp.HOTP {
		err = empty(r, 4, "a period, but tokens of type hotp have none")
	} else {
		t.Period, err = r.Int(4, 30)
	}
	if err != nil {
		return t, err
	}
	t.Algorithm, err = linOTPHash(r, len(t.Seed))
	return t, err
}

// linOTPHash is LinOTP's rule: what the file says, or the algorithm whose hash is as long as the seed.
func linOTPHash(r *columns.Row, seed int) (hotp.Algorithm, error) {
	switch strings.ToLower(string(r.Bytes(5))) {
	case "sha1":
		return hotp.SHA1, nil
	case "sha256":
		return hotp.SHA256, nil
	case "sha512":
		return hotp.SHA512, nil
	case "":
	default:
		return 0, r.Errorf(5, "the algorithm is none of sha1, sha256 and sha512")
	}
	switch seed {
	case hotp.SHA512.Size():
		return hotp.SHA512, nil
	case hotp.SHA256.Size():
		return hotp.SHA256, nil
	}
	return hotp.SHA1, nil
}

// PrivacyIDEA is the OATH CSV of privacyIDEA. It has no word for the algorithm: privacyIDEA takes a seed of 32 bytes
// for one of SHA-256, and all others for SHA-1, so that another token with such a seed is refused.
var PrivacyIDEA = privacyIDEA(&seedfile.Format{
	Name: "privacyidea", Title: "privacyIDEA, OATH CSV", Extension: ".csv", Source: "privacyIDEA: lib/importotp.py",
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.TOTP, Digits: []int{6, 8},
		Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256},
		Fields:     seedfile.FieldSerial | seedfile.FieldCounter, Needs: seedfile.FieldSerial},
}, 0)

// PrivacyIDEA2 is version 2 of PrivacyIDEA, in which a user stands before each token. Tokens have no place for the
// resolver and the realm of a user, which are settings: a writer puts them beside all users, a reader takes only rows
// that have them, or with "*" all rows.
var PrivacyIDEA2 = privacyIDEA(&seedfile.Format{
	Name: "privacyidea-2", Title: "privacyIDEA, OATH CSV of version 2, with users", Extension: ".csv",
	Source: "privacyIDEA: lib/importotp.py",
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.TOTP, Digits: []int{6, 8},
		Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256},
		Fields:     seedfile.FieldSerial | seedfile.FieldCounter | seedfile.FieldUser, Needs: seedfile.FieldSerial},
	Settings: []seedfile.Setting{
		{Name: "resolver", Usage: "resolver of all users in the file; on reading, * for any"},
		{Name: "realm", Usage: "realm of all users in the file; on reading, * for any"}},
}, 3)

// users are the columns before those of a token in version 2.
var users = []seedfile.Field{seedfile.FieldUser, 0, 0}

// privacyIDEA completes a format that has some columns before those of a token.
func privacyIDEA(f *seedfile.Format, before int) *seedfile.Format {
	return columns.Complete(f, func(o columns.Options) (*columns.Codec, error) {
		p := &privacyIDEAFile{format: f, before: before}
		p.owners = [...]string{o.Setting("resolver", ""), o.Setting("realm", "")}
		if o.Any {
			p.owners = [...]string{"*", "*"}
		}
		c := &columns.Codec{Parse: p.parse, Fill: p.fill,
			Layout: columns.Layout{Separator: ',', Spaced: true, Fields: append(users[:before:before], oathFields...)},
			Sure: func(r *columns.Row) int {
				if before > 0 {
					return sureHeader
				}
				return oathSure(r, 0)
			}}
		if before > 0 {
			c.Head = "# version: 2\n"
		}
		if o.Reading == nil {
			c.Comment = '#' // a reader looks into comments
			return c, p.settings()
		}
		return c, nil
	})
}

type privacyIDEAFile struct {
	format *seedfile.Format
	before int
	second bool      // the first line says that it is version 2
	owners [2]string // resolver and realm
}

// settings tells whether resolver and realm can stand in a column.
func (p *privacyIDEAFile) settings() error {
	for i, value := range p.owners {
		if strings.ContainsAny(value, ",*\r\n") || strings.TrimSpace(value) != value || strings.HasPrefix(value, "=") {
			return &seedfile.SettingError{Format: p.format.Name, Name: [...]string{"resolver", "realm"}[i],
				Problem: "must be a name"}
		}
	}
	return nil
}

func (p *privacyIDEAFile) parse(r *columns.Row) (*seedfile.Token, error) {
	if bytes.HasPrefix(r.Bytes(0), []byte("#")) {
		p.second = p.second || r.Line == 1 && versionTwo(r.Bytes(0))
		return nil, p.version(r, p.second && p.before == 0)
	}
	if err := p.version(r, p.second != (p.before > 0)); err != nil {
		return nil, err
	}
	t, err := oathRow(r, p.before)
	if p.before > 0 {
		t.User = r.Text(0)
	}
	if err == nil {
		err = p.rest(r, t)
	}
	return t, err
}

// versionTwo is how privacyIDEA finds the version: a digit may stand behind it.
func versionTwo(line []byte) bool {
	line = bytes.TrimLeft(line[1:], " \t")
	line, found := bytes.CutPrefix(line, []byte("version:"))
	line = bytes.TrimLeft(line, " \t")
	return found && bytes.HasPrefix(line, []byte("2")) && (len(line) == 1 || line[1] < '0' || line[1] > '9')
}

func (p *privacyIDEAFile) version(r *columns.Row, wrong bool) error {
	if !wrong {
		return nil
	}
	problem := `the first line must be "# version: 2"`
	if p.before == 0 {
		problem = "it is of version 2, which is the format privacyidea-2"
	}
	return &seedfile.FormatError{Format: p.format.Name, Line: r.Line, Column: 1, Problem: problem}
}

// rest parses what is privacyIDEA's own.
func (p *privacyIDEAFile) rest(r *columns.Row, t *seedfile.Token) (err error) {
	if err := r.Between(p.before+2, p.before+5); err != nil {
		return err
	}
	for i, want := range p.owners[:min(p.before, 2)] {
		if got := r.Text(i + 1); want != "*" && got != want && (got != "" || t.User != "") {
			return r.Errorf(i+1, "the setting %s says %q, and not what stands here (* for any)",
				[...]string{"resolver", "realm"}[i], want)
		}
	}
	t.Algorithm = guessedHash(len(t.Seed))
	if t.Type == hotp.TOTP {
		t.Period, err = r.Int(p.before+4, 30)
		return err
	}
	t.Counter, err = r.Number(p.before+4, 0)
	return err
}

// guessedHash is privacyIDEA's rule, by the length of the seed in bytes.
func guessedHash(seed int) hotp.Algorithm {
	if seed == hotp.SHA256.Size() {
		return hotp.SHA256
	}
	return hotp.SHA1
}

func (p *privacyIDEAFile) fill(l *columns.Line, t *seedfile.Token) error {
	if p.before > 0 {
		owners := p.owners
		if t.User == "" {
			clear(owners[:])
		}
		l.Text(seedfile.FieldUser, t.User)
		l.Word(owners[0])
		l.Word(owners[1])
	}
	oathLine(l, t)
	if t.Type == hotp.TOTP {
		l.Number(uint64(t.Period))
	} else {
		l.Number(t.Counter)
	}
	if guess := guessedHash(len(t.Seed)); guess != t.Algorithm {
		return &seedfile.LossError{Format: p.format.Name, Token: t.Name(), Field: seedfile.FieldAlgorithm,
			Value: fmt.Sprintf("%s, but by its seed of %d bytes privacyIDEA takes it for %s", t.Algorithm, len(t.Seed), guess)}
	}
	return nil
}
