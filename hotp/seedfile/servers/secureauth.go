package servers

import (
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// SecureAuthHOTP is the values of the column Hotptoken in the CSV file of users that SecureAuth imports, one a line:
// name of the device, seed and counter. The file has no word for the digits.
var SecureAuthHOTP = secureAuth(&seedfile.Format{
	Name: "secureauth-hotp", Title: "SecureAuth, HOTP", Extension: ".txt", Source: secureAuthSource,
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP, Algorithms: sha1, Digits: []int{6, 8},
		Fields: seedfile.FieldSerial | seedfile.FieldCounter, Needs: seedfile.FieldSerial},
}, "hotptoken", secureAuthHOTP{})

// SecureAuthTOTP is the values of the column Totptoken: seed and serial number. The file has no word for the digits
// and the period.
var SecureAuthTOTP = secureAuth(&seedfile.Format{
	Name: "secureauth-totp", Title: "SecureAuth, TOTP", Extension: ".txt", Source: secureAuthSource,
	Carries: seedfile.Capacity{Kinds: seedfile.TOTP, Algorithms: sha1, Digits: []int{6, 8}, Periods: []int{30, 60},
		Fields: seedfile.FieldSerial},
}, "totptoken", secureAuthTOTP{})

const secureAuthSource = "SecureAuth Identity Platform: Bulk upload hardware OATH tokens using CSV file"

// seedColumn decodes the seed in a column.
type seedColumn = func(*columns.Row, int) (hotp.Seed, error)

// secureAuthKind is what differs between both.
type secureAuthKind interface {
	fields() []seedfile.Field
	parse(*columns.Row, *seedfile.Token, seedColumn) error
	fill(*columns.Line, *seedfile.Token, func(hotp.Seed))
	sure(*columns.Row) int
}

func secureAuth(f *seedfile.Format, header string, kind secureAuthKind) *seedfile.Format {
	const unsaid = seedfile.FieldDigits | seedfile.FieldPeriod
	f.Settings = append(seedfile.UnsaidSettings(f.Carries, unsaid), columns.Encoding("base32", "hex"))
	columns.Complete(f, func(o columns.Options) (*columns.Codec, error) {
		u, err := o.Unsaid(f, unsaid)
		hex, decode := o.Setting("encoding", "base32") == "hex", o.BySetting("base32")
		return &columns.Codec{
			Layout: columns.Layout{Separator: '|', Fields: kind.fields()},
			Parse: func(r *columns.Row) (*seedfile.Token, error) {
				if r.Line == 1 && len(r.Columns) == 1 && strings.EqualFold(r.Text(0), header) {
					return nil, nil
				}
				t := &seedfile.Token{Parameters: hotp.Parameters{Type: hotp.HOTP, Algorithm: hotp.SHA1}}
				if f.Carries.Kinds == seedfile.TOTP {
					t.Type = hotp.TOTP
				}
				u.Fill(t)
				return t, kind.parse(r, t, decode)
			},
			Fill: func(l *columns.Line, t *seedfile.Token) error {
				seed := l.Base32
				if hex {
					seed = l.Hex
				}
				kind.fill(l, t, seed)
				return checked(l, u, t)
			},
			Sure: kind.sure,
		}, err
	})
	return f
}

type secureAuthHOTP struct{}

func (secureAuthHOTP) fields() []seedfile.Field {
	return []seedfile.Field{seedfile.FieldSerial, seedfile.FieldSeed, seedfile.FieldCounter}
}

func (secureAuthHOTP) parse(r *columns.Row, t *seedfile.Token, seed seedColumn) (err error) {
	t.Serial = r.Text(0)
	if err := r.Between(3, 3); err != nil {
		return err
	}
	if t.Seed, err = seed(r, 1); err != nil {
		return err
	}
	t.Counter, err = r.Number(2, 0)
	return err
}

func (secureAuthHOTP) fill(l *columns.Line, t *seedfile.Token, seed func(hotp.Seed)) {
	l.Text(seedfile.FieldSerial, t.Serial)
	seed(t.Seed)
	l.Number(t.Counter)
}

func (secureAuthHOTP) sure(*columns.Row) int { return sureShape }

type secureAuthTOTP struct{}

func (secureAuthTOTP) fields() []seedfile.Field {
	return []seedfile.Field{seedfile.FieldSeed, seedfile.FieldSerial}
}

func (secureAuthTOTP) parse(r *columns.Row, t *seedfile.Token, seed seedColumn) (err error) {
	t.Serial = r.Text(1)
	if err := r.Between(1, 2); err != nil {
		return err
	}
	t.Seed, err = seed(r, 0)
	return err
}

func (secureAuthTOTP) fill(l *columns.Line, t *seedfile.Token, seed func(hotp.Seed)) {
	seed(t.Seed)
	if t.Serial != "" {
		l.Text(seedfile.FieldSerial, t.Serial)
	}
}

// sure: a seed alone may be anything.
func (secureAuthTOTP) sure(r *columns.Row) int {
	if len(r.Columns) == 1 {
		return 0
	}
	return sureShape
}
