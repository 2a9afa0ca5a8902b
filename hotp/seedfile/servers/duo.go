package servers

import (
	"encoding/binary"
	"strconv"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// Duo is the list of tokens that Duo's Admin Panel imports: serial number, seed, and for HOTP perhaps the counter. The
// person who imports it says there whether they are HOTP or TOTP, and of how many digits. TOTP has 30 seconds.
var Duo = serialSeedList(&seedfile.Format{
	Name: "duo", Title: "Duo, HOTP and TOTP tokens", Extension: ".csv",
	Source: "Duo: Managing 2FA Devices, Import Hardware Tokens; Admin API, Create Hardware Token",
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.TOTP, Algorithms: sha1, Digits: []int{6, 8},
		Periods: []int{30}, Fields: seedfile.FieldSerial | seedfile.FieldCounter, Needs: seedfile.FieldSerial},
})

// PingID is the list of tokens that PingID imports: as Duo's, but for tokens of 6 digits alone, and 30 or 60 seconds.
var PingID = serialSeedList(&seedfile.Format{
	Name: "pingid", Title: "PingID", Extension: ".csv",
	Source: "PingID Administration Guide: Configuring OATH token authentication",
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.TOTP, Algorithms: sha1, Digits: []int{6},
		Periods: []int{30, 60}, Fields: seedfile.FieldSerial | seedfile.FieldCounter, Needs: seedfile.FieldSerial},
})

const unsaidOfLists = seedfile.FieldKind | seedfile.FieldDigits | seedfile.FieldPeriod

// serialSeedList completes a format whose lines are a serial number, a seed in hexadecimal digits, and perhaps a
// counter.
func serialSeedList(f *seedfile.Format) *seedfile.Format {
	f.Settings = seedfile.UnsaidSettings(f.Carries, unsaidOfLists)
	return columns.Complete(f, func(o columns.Options) (*columns.Codec, error) {
		u, err := o.Unsaid(f, unsaidOfLists)
		return &columns.Codec{
			Layout: columns.Layout{Separator: ',', Fields: []seedfile.Field{seedfile.FieldSerial, seedfile.FieldSeed,
				seedfile.FieldCounter}},
			Parse: func(r *columns.Row) (*seedfile.Token, error) { return serialSeed(r, u) },
			Fill: func(l *columns.Line, t *seedfile.Token) error {
				l.Text(seedfile.FieldSerial, t.Serial)
				l.Hex(t.Seed)
				if t.Counter != 0 {
					l.Number(t.Counter)
				}
				return checked(l, u, t)
			},
			Sure: func(*columns.Row) int { return sureSerialSeed },
		}, err
	})
}

func serialSeed(r *columns.Row, u *seedfile.Unsaid) (t *seedfile.Token, err error) {
	t = &seedfile.Token{Serial: r.Text(0), Parameters: hotp.Parameters{Algorithm: hotp.SHA1}}
	u.Fill(t)
	if err := r.Between(2, 3); err != nil {
		return t, err
	}
	if t.Seed, err = r.Hex(1); err != nil {
		return t, err
	}
	if len(r.Bytes(2)) > 0 && t.Type != hotp.HOTP {
		return t, r.Errorf(2, "there is a counter, but tokens of type totp have none")
	}
	t.Counter, err = r.Number(2, 0)
	return t, err
}

// checked ends a line: only a token that is written counts for those behind it.
func checked(l *columns.Line, u *seedfile.Unsaid, t *seedfile.Token) error {
	if l.Err() != nil {
		return l.Err()
	}
	return u.Check(t)
}

// DuoYubiKey is the list of YubiKeys that Duo's Admin Panel imports: serial number, private ID and AES key. It has no
// public ID, of which Duo knows that it is made of the serial number, as YubiKey Manager does it. With the setting
// public-id=any other ones are written too, and get lost.
var DuoYubiKey = duoYubiKey(&seedfile.Format{
	Name: "duo-yubikey", Title: "Duo, YubiKeys", Extension: ".csv",
	Source: "Duo: YubiKey Configuration; Admin API, Create Hardware Token",
	Carries: seedfile.Capacity{Kinds: seedfile.YubicoOTP, Needs: seedfile.FieldSerial,
		Fields: seedfile.FieldSerial | seedfile.FieldPublicID | seedfile.FieldPrivateID},
	Settings: []seedfile.Setting{{Name: "public-id", Values: []string{"serial", "any"},
		Usage: "serial: it must be made of the serial number, as YubiKey Manager does it; any: it gets lost"}},
})

func duoYubiKey(f *seedfile.Format) *seedfile.Format {
	return columns.Complete(f, func(o columns.Options) (*columns.Codec, error) {
		anyID := o.Any || o.Setting("public-id", "serial") == "any"
		return &columns.Codec{
			Layout: columns.Layout{Separator: ',', Fields: []seedfile.Field{seedfile.FieldSerial | seedfile.FieldPublicID,
				seedfile.FieldPrivateID, seedfile.FieldSeed}},
			Parse: func(r *columns.Row) (*seedfile.Token, error) { return parseDuoYubiKey(r, anyID) },
			Fill: func(l *columns.Line, t *seedfile.Token) error {
				l.Text(seedfile.FieldSerial, t.Serial)
				l.Hex(t.Yubico.PrivateID)
				l.Hex(t.Seed)
				if id, _ := publicID(t.Serial); !anyID && (id == "" || id != t.Yubico.PublicID) {
					return &seedfile.ValueError{Format: f.Name, Token: t.Name(), Field: seedfile.FieldPublicID,
						Problem: "is not made of the serial number (setting public-id=any gives it up)"}
				}
				return nil
			},
			Sure: func(*columns.Row) int { return sureTyped },
		}, nil
	})
}

func parseDuoYubiKey(r *columns.Row, anyID bool) (t *seedfile.Token, err error) {
	t = &seedfile.Token{Serial: r.Text(0), Yubico: &seedfile.Yubico{}}
	if err := r.Between(3, 3); err != nil {
		return t, err
	}
	if t.Yubico.PrivateID, err = r.Hex(1); err != nil {
		return t, err
	}
	if t.Seed, err = r.Hex(2); err != nil || anyID {
		return t, err
	}
	id, ok := publicID(t.Serial)
	if !ok {
		return t, r.Errorf(0, "the serial number is no decimal number, so that there is no public ID to it "+
			"(setting public-id=any does without)")
	}
	t.Yubico.PublicID = id
	return t, nil
}

// publicID gives the public ID that YubiKey Manager makes of a serial number: FF 00 and its four bytes, in modhex.
func publicID(serial string) (id string, ok bool) {
	const digits = "cbdefghijklnrtuv"
	n, err := strconv.ParseUint(serial, 10, 32)
	if err != nil || strconv.FormatUint(n, 10) != serial {
		return "", false
	}
	text := make([]byte, 0, 12)
	for _, b := range binary.BigEndian.AppendUint32([]byte{0xff, 0x00}, uint32(n)) {
		text = append(text, digits[b>>4], digits[b&15])
	}
	return string(text), true
}
