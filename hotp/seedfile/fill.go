package seedfile

import (
	"fmt"
	"strings"
)

// Fill gives a text to tokens that lack it.
type Fill struct {
	Field Field  // one of those that are texts, FieldSerial to FieldModel
	Text  string // the same for all
	From  Field  // in place of Text: another text of the token
}

// Fillable are the fields that a Fill may give.
const Fillable = FieldSerial | FieldID | FieldAccount | FieldIssuer | FieldUser | FieldManufacturer | FieldModel

// FillError says why a text is no Fill.
type FillError struct{ Text, Problem string }

func (e *FillError) Error() string { return fmt.Sprintf("%q %s", e.Text, e.Problem) }

// ParseFill reads "issuer=ACME", or "account=@user" for what stands in another field.
func ParseFill(text string) (f Fill, err error) {
	name, value, ok := strings.Cut(text, "=")
	f.Field, f.Text = fillable(name), value
	if !ok || f.Field == 0 || value == "" {
		return f, &FillError{text, "is not of the form FIELD=TEXT or FIELD=@FIELD; fields are " + Fillable.String()}
	}
	if from, ok := strings.CutPrefix(value, "@"); ok {
		f.From, f.Text = fillable(from), ""
		if f.From == 0 {
			return f, &FillError{text, "takes a text from a field that there is not; fields are " + Fillable.String()}
		}
	}
	return f, nil
}

func fillable(name string) Field {
	f, ok := ParseField(name)
	if !ok {
		return 0
	}
	return f & Fillable
}

// Apply gives the text to a token, unless it has one.
func (f Fill) Apply(t *Token) {
	to := t.place(f.Field)
	if *to != "" {
		return
	}
	if f.From != 0 {
		*to = t.text(f.From)
		return
	}
	*to = f.Text
}

// place is where a token has a text.
func (t *Token) place(f Field) *string {
	switch f {
	case FieldSerial:
		return &t.Serial
	case FieldID:
		return &t.ID
	case FieldAccount:
		return &t.Account
	case FieldIssuer:
		return &t.Issuer
	case FieldUser:
		return &t.User
	case FieldManufacturer:
		return &t.Manufacturer
	}
	return &t.Model
}
