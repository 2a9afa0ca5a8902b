package seedfile_test

import (
	"errors"
	"slices"
	"testing"

	"fob/hotp"
	"fob/hotp/seedfile"
)

const unsaid = seedfile.FieldKind | seedfile.FieldAlgorithm | seedfile.FieldDigits | seedfile.FieldPeriod

var mute = &seedfile.Format{Name: "mute", Carries: seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.TOTP,
	Algorithms: []hotp.Algorithm{hotp.SHA1}, Digits: []int{8, 6}, Periods: []int{60, 30}}}

// TestUnsaidSettings: there is a setting for what the format has more than one value of.
func TestUnsaidSettings(t *testing.T) {
	var got []string
	for _, s := range seedfile.UnsaidSettings(mute.Carries, unsaid) {
		got = append(append(got, s.Name), s.Values...)
	}
	if want := []string{"type", "hotp", "totp", "digits", "6", "8", "period", "30", "60"}; !slices.Equal(got, want) {
		t.Errorf("%q, expected %q", got, want)
	}
}

// TestUnsaidFill: a setting comes before what is to be assumed, and that before the format's first value.
func TestUnsaidFill(t *testing.T) {
	for _, test := range []struct {
		settings map[string]string
		assume   hotp.Parameters
		want     hotp.Parameters
	}{
		{nil, hotp.Parameters{Type: hotp.TOTP}, hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA1, Digits: 8, Period: 60}},
		{map[string]string{"type": "hotp", "digits": "6"}, hotp.Parameters{Type: hotp.TOTP, Digits: 8},
			hotp.Parameters{Type: hotp.HOTP, Algorithm: hotp.SHA1, Digits: 6}},
		{map[string]string{"type": "totp"}, hotp.Parameters{Digits: 6, Period: 30},
			hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA1, Digits: 6, Period: 30}},
	} {
		u, err := seedfile.NewUnsaid(mute, unsaid, test.settings)
		if err == nil {
			err = u.Assume(test.assume)
		}
		var token seedfile.Token
		if err == nil {
			u.Fill(&token)
		}
		if err != nil || token.Parameters != test.want {
			t.Errorf("%v, %+v: %+v, %v, expected %+v", test.settings, test.assume, token.Parameters, err, test.want)
		}
	}
}

// TestUnsaidErrors: a type is never guessed, and no setting may have a value that the format does not know.
func TestUnsaidErrors(t *testing.T) {
	u, err := seedfile.NewUnsaid(mute, unsaid, nil)
	if err != nil {
		t.Fatal(err)
	}
	var wrong *seedfile.SettingError
	if err := u.Assume(hotp.Parameters{Digits: 6}); !errors.As(err, &wrong) || wrong.Name != "type" {
		t.Errorf("without a type: %v", err)
	}
	for name, value := range map[string]string{"type": "motp", "algorithm": "MD5", "digits": "7", "period": ""} {
		if _, err := seedfile.NewUnsaid(mute, unsaid, map[string]string{name: value}); !errors.As(err, &wrong) ||
			wrong.Name != name {
			t.Errorf("%s %q: %v", name, value, err)
		}
	}
}

// TestUnsaidCheck: the first token of a file says how all are; for the period, the first of TOTP.
func TestUnsaidCheck(t *testing.T) {
	u, err := seedfile.NewUnsaid(mute, seedfile.FieldDigits|seedfile.FieldPeriod, nil)
	if err != nil {
		t.Fatal(err)
	}
	token := func(k hotp.Type, digits, period int) *seedfile.Token {
		return &seedfile.Token{Parameters: hotp.Parameters{Type: k, Algorithm: hotp.SHA1, Digits: digits, Period: period}}
	}
	for _, test := range []struct {
		token *seedfile.Token
		lost  seedfile.Field
	}{
		{token(hotp.HOTP, 6, 0), 0}, {token(hotp.TOTP, 8, 30), seedfile.FieldDigits}, {token(hotp.TOTP, 6, 60), 0},
		{token(hotp.TOTP, 6, 30), seedfile.FieldPeriod}, {token(hotp.HOTP, 6, 0), 0},
	} {
		var loss *seedfile.LossError
		err := u.Check(test.token)
		if (test.lost == 0) != (err == nil) || err != nil && (!errors.As(err, &loss) || loss.Field != test.lost) {
			t.Errorf("%+v: %v, expected the loss of %q", test.token.Parameters, err, test.lost)
		}
	}
}
