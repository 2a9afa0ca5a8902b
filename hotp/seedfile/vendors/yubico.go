package vendors

import (
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// yubicoFields are what both logs of the YubiKey Personalization Tool can hold. Of the ID of a HOTP token, its OATH
// token identifier, a token of Yubico's own kind has none: it has a public ID. They have no counter. The access code of
// a slot with HOTP is skipped, and so are the slot and the time at which it was written.
const yubicoFields = seedfile.FieldID | seedfile.FieldPublicID | seedfile.FieldPrivateID | seedfile.FieldAccessCode

// YubicoTraditional is the log of the YubiKey Personalization Tool in its traditional format, a slot a line.
var YubicoTraditional = yubicoTraditional(&seedfile.Format{
	Name: "yubico-traditional", Title: "YubiKey Personalization Tool, traditional log", Extension: ".csv",
	Source: "privacyIDEA: lib/importotp.py; YubiKey Personalization Tool, Settings, Logging",
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.YubicoOTP, Algorithms: sha1, Digits: []int{6, 8},
		MaxSeed: 20, Fields: yubicoFields},
	Settings: []seedfile.Setting{{Name: "slot", Values: []string{"1", "2"},
		Usage: "slot of all tokens in the file; else 1"}},
})

// The columns of the traditional log that have a meaning here.
const (
	logKind = iota
	_       // when
	logSlot
	logPublicID
	logPrivateID
	logKey
	_ // the access code before
	logAccessCode
	logDigits  = 11
	logColumns = 18
)

func yubicoTraditional(f *seedfile.Format) *seedfile.Format {
	fields := make([]seedfile.Field, logColumns)
	fields[logKind], fields[logPublicID] = seedfile.FieldKind, seedfile.FieldPublicID|seedfile.FieldID
	fields[logPrivateID], fields[logKey] = seedfile.FieldPrivateID, seedfile.FieldSeed
	fields[logAccessCode], fields[logDigits] = seedfile.FieldAccessCode, seedfile.FieldDigits
	return columns.Complete(f, func(o columns.Options) (*columns.Codec, error) {
		assumed := 6
		if o.Reading != nil && o.Reading.Digits != 0 {
			assumed = o.Reading.Digits
		}
		slot := o.Setting("slot", "1")
		return &columns.Codec{
			Layout: columns.Layout{Separator: ',', Fields: fields},
			Parse:  func(r *columns.Row) (*seedfile.Token, error) { return parseLog(r, assumed) },
			Fill: func(l *columns.Line, t *seedfile.Token) error {
				fillLog(l, t, slot)
				return lostID(f, o, t)
			},
			Sure: func(*columns.Row) int { return sureHeader },
		}, nil
	})
}

func parseLog(r *columns.Row, digits int) (t *seedfile.Token, err error) {
	switch strings.ToLower(r.Text(logKind)) {
	case "logging start":
		return nil, nil
	case "yubico otp":
		if err := r.Between(logKey+1, logColumns); err != nil {
			return nil, err
		}
		return yubicoToken(r, logPublicID, logPrivateID, logKey, logAccessCode)
	case "oath-hotp":
	default:
		return nil, r.Errorf(logKind, "it is neither Yubico OTP nor OATH-HOTP")
	}
	t = &seedfile.Token{ID: r.Text(logPublicID), Parameters: hotp.DefaultHOTP}
	if err := r.Between(logKey+1, logColumns); err != nil {
		return t, err
	}
	if t.Digits, err = r.Int(logDigits, digits); err != nil {
		return t, err
	}
	t.Seed, err = r.Hex(logKey)
	return t, err
}

// yubicoToken parses what a token of Yubico's kind has, in columns given by their numbers.
func yubicoToken(r *columns.Row, publicID, privateID, key, accessCode int) (t *seedfile.Token, err error) {
	t = &seedfile.Token{Yubico: &seedfile.Yubico{PublicID: r.Text(publicID)}}
	if t.Yubico.PrivateID, err = r.Hex(privateID); err != nil {
		return t, err
	}
	if t.Seed, err = r.Hex(key); err != nil {
		return t, err
	}
	if len(r.Bytes(accessCode)) > 0 {
		t.Yubico.AccessCode, err = r.Hex(accessCode)
	}
	return t, err
}

func fillLog(l *columns.Line, t *seedfile.Token, slot string) {
	if y := t.Yubico; y != nil {
		l.Word("Yubico OTP,," + slot)
		l.Text(seedfile.FieldPublicID, y.PublicID)
		l.Hex(y.PrivateID)
		l.Hex(t.Seed)
		l.Word("")
		l.Hex(y.AccessCode)
		l.Word("0,0,0,0,0,0,0,0,0,0")
		return
	}
	l.Word("OATH-HOTP,," + slot)
	l.Text(seedfile.FieldID, t.ID)
	l.Word("")
	l.Hex(t.Seed)
	l.Word(",,0,0,0")
	l.Number(uint64(t.Digits))
	l.Word("0,0,0,0,0,0")
}

// lostID tells whether the ID of a token gets lost: one of Yubico's kind has its public ID where others have it.
func lostID(f *seedfile.Format, o columns.Options, t *seedfile.Token) error {
	if t.Yubico == nil || t.ID == "" || o.Drop&seedfile.FieldID != 0 {
		return nil
	}
	return &seedfile.LossError{Format: f.Name, Token: t.Name(), Field: seedfile.FieldID, Value: t.ID}
}

// YubicoFlat is the log of the YubiKey Personalization Tool in "Yubico format": serial number, public ID, private ID,
// key, access code, time. A private ID of 0 stands for HOTP, of which the file has no word for the digits.
var YubicoFlat = yubicoFlat(&seedfile.Format{
	Name: "yubico-flat", Title: "YubiKey Personalization Tool, log in Yubico format", Extension: ".csv",
	Source: "privacyIDEA: lib/importotp.py; YubiKey Personalization Tool, Settings, Logging",
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.YubicoOTP, Algorithms: sha1, Digits: []int{6, 8},
		MaxSeed: 20, Fields: yubicoFields | seedfile.FieldSerial, Needs: seedfile.FieldSerial},
})

func yubicoFlat(f *seedfile.Format) *seedfile.Format {
	f.Settings = seedfile.UnsaidSettings(f.Carries, seedfile.FieldDigits)
	fields := []seedfile.Field{seedfile.FieldSerial, seedfile.FieldPublicID | seedfile.FieldID,
		seedfile.FieldPrivateID | seedfile.FieldKind, seedfile.FieldSeed, seedfile.FieldAccessCode}
	return columns.Complete(f, func(o columns.Options) (*columns.Codec, error) {
		u, err := o.Unsaid(f, seedfile.FieldDigits)
		return &columns.Codec{
			Layout: columns.Layout{Separator: ',', Comment: '#', Fields: fields},
			Parse:  func(r *columns.Row) (*seedfile.Token, error) { return parseFlat(r, u) },
			Fill: func(l *columns.Line, t *seedfile.Token) error {
				if !decimal(t.Serial) {
					return &seedfile.ValueError{Format: f.Name, Token: t.Name(), Field: seedfile.FieldSerial,
						Problem: "is no decimal number"}
				}
				fillFlat(l, t)
				if err := lostID(f, o, t); err != nil || l.Err() != nil || t.Yubico != nil {
					return err
				}
				return u.Check(t)
			},
			Sure: func(*columns.Row) int { return sureShape },
		}, err
	})
}

func decimal(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func parseFlat(r *columns.Row, u *seedfile.Unsaid) (t *seedfile.Token, err error) {
	if err := r.Between(6, 7); err != nil {
		return nil, err
	}
	if !decimal(r.Text(0)) {
		return nil, r.Errorf(0, "the serial number is no decimal number")
	}
	switch r.Text(2) {
	case "":
		return nil, r.Errorf(2, "there is no private ID, so that it is a static password")
	case "0":
		t = &seedfile.Token{ID: r.Text(1), Parameters: hotp.DefaultHOTP}
		u.Fill(t)
		t.Seed, err = r.Hex(3)
	default:
		t, err = yubicoToken(r, 1, 2, 3, 4)
	}
	t.Serial = r.Text(0)
	return t, err
}

func fillFlat(l *columns.Line, t *seedfile.Token) {
	l.Text(seedfile.FieldSerial, t.Serial)
	if y := t.Yubico; y != nil {
		l.Text(seedfile.FieldPublicID, y.PublicID)
		l.Hex(y.PrivateID)
		l.Hex(t.Seed)
		l.Hex(y.AccessCode)
	} else {
		l.Text(seedfile.FieldID, t.ID)
		l.Word("0")
		l.Hex(t.Seed)
		l.Word("")
	}
	l.Word(",")
}
