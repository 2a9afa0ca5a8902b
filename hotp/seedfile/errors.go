package seedfile

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"

	"fob/hotp"
)

// RowError says that one token of a file is bad. The others may be good.
type RowError struct {
	Line    int    // from 1 on; 0 where the format has no lines
	Column  int    // from 1 on, in bytes; 0 for the whole line
	Token   string // its Name, where that could be read
	Problem error  // never has a secret
}

func (e *RowError) Error() string {
	text := ""
	if e.Line > 0 {
		text = fmt.Sprintf("line %d: ", e.Line)
	}
	if e.Line > 0 && e.Column > 0 {
		text = fmt.Sprintf("line %d, column %d: ", e.Line, e.Column)
	}
	if e.Token != "" {
		text += "token " + e.Token + ": "
	}
	return text + e.Problem.Error()
}

func (e *RowError) Unwrap() error { return e.Problem }

// FormatError says that a file as a whole is not what it was taken for, or ends too early.
type FormatError struct {
	Format  string
	Line    int // from 1 on; 0 where it is not known
	Column  int
	Problem string
}

func (e *FormatError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("no %s file: line %d, column %d: %s", e.Format, e.Line, e.Column, e.Problem)
	}
	return fmt.Sprintf("no %s file: %s", e.Format, e.Problem)
}

// LockedError says that a file is encrypted, and that nobody gave what opens it.
type LockedError struct {
	Lock Lock
	Hint string // what the file calls its key
}

func (e *LockedError) Error() string {
	if e.Lock == Key {
		return "the file is encrypted with a key"
	}
	return "the file is encrypted with a passphrase"
}

// SettingError says what is wrong with one of Settings.
type SettingError struct {
	Format, Name, Problem string
}

func (e *SettingError) Error() string {
	return fmt.Sprintf("%s: setting %s %s", e.Format, e.Name, e.Problem)
}

// Errors without details.
var (
	ErrWrongKey = errors.New("the key or passphrase is not the one of the file") // or the file was changed
	ErrMAC      = errors.New("its seed was changed: the MAC is wrong")           // RFC 6030 §6.1.1
	ErrSteam    = errors.New("codes of Steam are not OATH's")
)

// MaxText is how long a text of a token may be, in bytes.
const MaxText = 1024

// TextError says that a text of a token can't be one.
type TextError struct {
	Field   Field
	Problem string
}

func (e *TextError) Error() string { return fmt.Sprintf("its %s %s", e.Field, e.Problem) }

// valid tells whether all of the token is as the type says.
func (t *Token) valid() error {
	if err := t.Seed.Valid(); err != nil {
		return err
	}
	for f := FieldSerial; f <= FieldModel; f <<= 1 {
		if problem := textProblem(t.text(f)); problem != "" {
			return &TextError{f, problem}
		}
	}
	switch {
	case t.Yubico != nil:
		return t.Yubico.valid(t.Seed)
	case t.Type == hotp.TOTP && t.Counter != 0:
		return &hotp.ParameterError{Parameter: "counter", Problem: "is for hotp alone"}
	case t.Type == hotp.HOTP && t.Drift != 0:
		return &hotp.ParameterError{Parameter: "drift", Problem: "is for totp alone"}
	}
	return t.Parameters.Valid()
}

func textProblem(s string) string {
	if len(s) > MaxText {
		return fmt.Sprintf("is longer than %d bytes", MaxText)
	}
	if !utf8.ValidString(s) {
		return "is no UTF-8"
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return "has a control character"
		}
	}
	return ""
}

func (y *Yubico) valid(key hotp.Seed) error {
	switch {
	case len(key) != 16:
		return &hotp.SeedError{Problem: "is no AES key of 16 bytes"}
	case len(y.PrivateID) != 6:
		return &TextError{FieldPrivateID, "is not of 6 bytes"}
	case len(y.AccessCode) != 0 && len(y.AccessCode) != 6:
		return &TextError{FieldAccessCode, "is not of 6 bytes"}
	case !modhex(y.PublicID):
		return &TextError{FieldPublicID, "is not of 0 to 32 digits of modhex"}
	}
	return nil
}

func modhex(s string) bool {
	for _, c := range []byte(s) {
		if !isModhex(c) {
			return false
		}
	}
	return len(s) <= 32 && len(s)%2 == 0
}

func isModhex(c byte) bool {
	const digits = "cbdefghijklnrtuv"
	for i := range len(digits) {
		if digits[i] == c {
			return true
		}
	}
	return false
}
