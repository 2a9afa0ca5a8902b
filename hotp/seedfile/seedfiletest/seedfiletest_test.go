package seedfiletest

import (
	"testing"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// capacities are of formats as different as they get.
var capacities = map[string]seedfile.Capacity{
	"all": {Kinds: seedfile.HOTP | seedfile.TOTP | seedfile.YubicoOTP, Algorithms: allAlgorithms, Fields: 1<<31 - 1},
	"little": {Kinds: seedfile.TOTP, Algorithms: []hotp.Algorithm{hotp.SHA1}, Digits: []int{6}, Periods: []int{30, 60},
		MaxSeed: 20},
	"needs": {Kinds: seedfile.HOTP, Algorithms: allAlgorithms, Fields: seedfile.FieldSerial | seedfile.FieldCounter,
		Needs: seedfile.FieldSerial | seedfile.FieldUser},
	"yubico": {Kinds: seedfile.YubicoOTP, Fields: seedfile.FieldPublicID | seedfile.FieldSerial,
		Needs: seedfile.FieldPublicID},
}

func TestLines(t *testing.T) {
	for name, c := range capacities {
		t.Run(name, func(t *testing.T) {
			RoundTrip(t, Lines(c))
			Refuses(t, Lines(c))
		})
	}
}

// TestLimits: there is a token behind each limit, of each kind, and no other.
func TestLimits(t *testing.T) {
	for name, want := range map[string]int{
		"all": 0,
		// kinds: 2; seed; 2 algorithms; 4 numbers of digits; periods of 1, 59 and a day; of fields t0, drift, serial, id,
		// account, issuer, user, manufacturer, model, start, expiry
		"little": 2 + 1 + 2 + 4 + 3 + 11,
		// kinds: 2; id, account, issuer, manufacturer, model, start, expiry; 2 that are missing
		"needs": 2 + 7 + 2,
		// kinds: 2; id, account, issuer, user, manufacturer, model, start, expiry, access code; 1 that is missing
		"yubico": 2 + 9 + 1,
	} {
		trip := Trip{}.complete()
		if got := newGenerator(Lines(capacities[name])).limits(trip); len(got) != want {
			t.Errorf("%s: %d limits, expected %d", name, len(got), want)
		}
	}
}

// TestTokensAreFull: the random tokens have each of the fields now and then, and lack it now and then.
func TestTokensAreFull(t *testing.T) {
	g := newGenerator(Lines(capacities["all"]))
	empty := plain(&seedfile.Token{})
	with, without := make([]int, len(empty)), make([]int, len(empty))
	for range roundTrips {
		for i, field := range plain(g.token(alphabets[0]))[:len(empty)] {
			if field == empty[i] {
				without[i]++
			} else {
				with[i]++
			}
		}
	}
	for i := range empty {
		if with[i] == 0 || without[i] == 0 && i > 1 { // parameters and seed are always there
			t.Errorf("field %q: %d times, and %d times not", empty[i], with[i], without[i])
		}
	}
}

// TestDiff: each change of a token is a difference.
func TestDiff(t *testing.T) {
	g := newGenerator(Lines(capacities["all"]))
	for i := range roundTrips {
		a, b := g.token(alphabets[0]), g.token(alphabets[0])
		if Diff(a, Clone(a)) != "" || Diff(a, b) == "" {
			t.Fatalf("token %d: %q, %q", i, Diff(a, Clone(a)), Diff(a, b))
		}
		b = Clone(a)
		b.Seed[len(b.Seed)-1] ^= 1
		if Diff(a, b) == "" {
			t.Error("another seed is no difference")
		}
	}
}

func FuzzLines(f *testing.F) {
	format := Lines(capacities["all"])
	g := newGenerator(format)
	for range 5 {
		sample, err := WriteAll(format, []*seedfile.Token{g.token(alphabets[0])}, seedfile.WriteOptions{})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sample)
	}
	Fuzz(f, format)
}
