package ykoath_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fob/fido/oathapplet"
	"fob/hotp"
	"fob/hotp/ykoath"
)

// TestRFC6238 makes the codes of RFC 6238, appendix B.
func TestRFC6238(t *testing.T) {
	s := newKey().open(t)
	times := []int64{59, 1111111109, 1111111111, 1234567890, 2000000000, 20000000000}
	for _, test := range []struct {
		algorithm hotp.Algorithm
		seed      hotp.Seed
		want      string
	}{
		{hotp.SHA1, seed20, "94287082 07081804 14050471 89005924 69279037 65353130"},
		{hotp.SHA256, seed32, "46119246 68084774 67062674 91819424 90698825 77737706"},
		{hotp.SHA512, seed64, "90693936 25091201 99943326 93441116 38618901 47863826"},
	} {
		a := totp("", test.algorithm.String())
		a.Algorithm, a.Digits = test.algorithm, 8
		id := put(t, s, a, test.seed)
		var got []string
		for _, at := range times {
			code, err := s.Code(t.Context(), id, uint64(at)/30)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, code)
		}
		if got := strings.Join(got, " "); got != test.want {
			t.Errorf("%v: %s, and not %s", test.algorithm, got, test.want)
		}
		if err := s.Verify(t.Context(), a, test.seed); err != nil {
			t.Errorf("%v: %v", test.algorithm, err)
		}
	}
}

// TestRFC4226 makes the codes of RFC 4226, appendix D, after the seed was verified, which spends none.
func TestRFC4226(t *testing.T) {
	s := newKey().open(t)
	a := ykoath.Account{Account: "hotp", Parameters: hotp.DefaultHOTP}
	id := put(t, s, a, seed20)
	if err := s.Verify(t.Context(), a, seed20); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 10 {
		code, err := s.Next(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, code)
	}
	want := "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489"
	if got := strings.Join(got, " "); got != want {
		t.Errorf("%s, and not %s", got, want)
	}
	a.Account, a.Counter = "later", 7
	later := put(t, s, a, seed20)
	if code, err := s.Next(t.Context(), later); code != "162583" {
		t.Error(code, err)
	}
}

// TestSeeds: keys that are hashed, or filled up, make the codes of the seed as it is.
func TestSeeds(t *testing.T) {
	s := newKey().open(t)
	for _, algorithm := range []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512} {
		for _, size := range []int{1, 13, 14, 63, 64, 65, 127, 128} {
			seed := hotp.NewSeed(size)
			a := totp("", fmt.Sprint(algorithm, size))
			a.Algorithm, a.Digits = algorithm, 7
			id := put(t, s, a, seed)
			want, err := a.Code(seed, 1234567)
			if err != nil {
				t.Fatal(err)
			}
			if code, err := s.Code(t.Context(), id, 1234567); code != want {
				t.Errorf("%v, %d bytes: %s, and not %s, %v", algorithm, size, code, want, err)
			}
			is(t, s.Verify(t.Context(), a, seed), nil)
			is(t, s.Verify(t.Context(), a, hotp.NewSeed(size)), ykoath.ErrOtherSeed)
		}
	}
}

// TestSeedsAreWiped: nothing of a seed or password stays in the buffers that went to the card.
func TestSeedsAreWiped(t *testing.T) {
	k := newKey()
	s := k.open(t)
	put(t, s, totp("ACME", "bob"), seed20)
	access, err := s.AccessKey([]byte("password"))
	if err != nil {
		t.Fatal(err)
	}
	is(t, s.SetPassword(t.Context(), access), nil)
	for _, b := range k.sent {
		if b := b[:cap(b)]; bytes.Contains(b, seed20) || bytes.Contains(b, access) || !bytes.Equal(b, make([]byte, len(b))) {
			t.Errorf("% x", b)
		}
	}
}

func TestAccounts(t *testing.T) {
	ctx := t.Context()
	s := newKey().open(t)
	if all, err := s.List(ctx); len(all) != 0 || err != nil {
		t.Error(all, err)
	}
	sixty := totp("ACME", "bob")
	sixty.Period, sixty.Algorithm = 60, hotp.SHA256
	bob := put(t, s, sixty, seed32)
	is(t, s.Put(ctx, sixty, seed20), ykoath.ErrExists)
	is(t, s.Verify(ctx, sixty, seed32), nil)
	sixty.Replace = true
	put(t, s, sixty, seed20)
	is(t, s.Verify(ctx, sixty, seed32), ykoath.ErrOtherSeed)
	counted := put(t, s, ykoath.Account{Issuer: "ACME", Account: "bob", Parameters: hotp.DefaultHOTP}, seed20)
	all, err := s.List(ctx)
	want := []ykoath.Credential{
		{ID: "60/ACME:bob", Name: ykoath.Name{Issuer: "ACME", Account: "bob", Period: 60}, Type: hotp.TOTP,
			Algorithm: hotp.SHA256},
		{ID: "ACME:bob", Name: ykoath.Name{Issuer: "ACME", Account: "bob"}, Type: hotp.HOTP, Algorithm: hotp.SHA1},
	}
	if fmt.Sprint(all) != fmt.Sprint(want) || err != nil {
		t.Errorf("%v, and not %v; %v", all, want, err)
	}
	is(t, s.Rename(ctx, counted, bob), ykoath.ErrExists)
	is(t, s.Rename(ctx, "nobody", "somebody"), ykoath.ErrNotFound)
	is(t, s.Rename(ctx, counted, counted), nil)
	is(t, s.Rename(ctx, counted, "ACME:eve"), nil)
	if code, err := s.Next(ctx, "ACME:eve"); code != "755224" {
		t.Error(code, err)
	}
	is(t, s.Delete(ctx, counted), ykoath.ErrNotFound)
	is(t, s.Delete(ctx, "ACME:eve"), nil)
	is(t, s.Delete(ctx, "ACME:eve"), ykoath.ErrNotFound)
	_, err = s.Code(ctx, "ACME:eve", 1)
	is(t, err, ykoath.ErrNotFound)
	before, now, err := s.Pair(ctx, bob, 1000)
	wantBefore, _ := sixty.Code(seed20, 999)
	wantNow, _ := sixty.Code(seed20, 1000)
	if before != wantBefore || now != wantNow || err != nil {
		t.Error(before, now, err)
	}
	if _, _, err := s.Pair(ctx, bob, 0); !errors.As(err, new(*hotp.ParameterError)) {
		t.Error(err)
	}
}

func TestNotForKeys(t *testing.T) {
	s := newKey().open(t)
	digits, t0, counter, long := totp("", "a"), totp("", "a"), totp("", "a"), totp("ACME", strings.Repeat("n", 60))
	digits.Digits, t0.T0, counter.Counter = 10, 30, 1
	unsupported(t, s.Put(t.Context(), digits, seed20), "a code of 10 digits is not supported by security keys")
	unsupported(t, s.Put(t.Context(), t0, seed20), "a first time step other than 0 is not supported by security keys")
	for _, err := range []error{s.Put(t.Context(), counter, seed20), s.Put(t.Context(), totp("", "a"), nil),
		s.Put(t.Context(), ykoath.Account{Account: "a"}, seed20), s.Put(t.Context(), long, seed20),
		s.Delete(t.Context(), ""), s.Rename(t.Context(), "a", strings.Repeat("n", 65))} {
		if err == nil || errors.As(err, new(*ykoath.CommandError)) {
			t.Error(err)
		}
	}
	if all, err := s.List(t.Context()); len(all) > 0 || err != nil {
		t.Error(all, err)
	}
}

func TestPassword(t *testing.T) {
	ctx := t.Context()
	k := newKey()
	s := k.open(t)
	put(t, s, totp("", "a"), seed20)
	access, err := s.AccessKey([]byte("pass"))
	if err != nil {
		t.Fatal(err)
	}
	wrong, _ := s.AccessKey([]byte("word"))
	is(t, s.Validate(ctx, wrong), nil) // there is none
	is(t, s.SetPassword(ctx, access), nil)
	if s.Locked() || !s.HasPassword() {
		t.Error("the session that has set the password is locked")
	}
	id := s.DeviceID
	s = k.open(t)
	if !s.Locked() || !s.HasPassword() || s.DeviceID != id {
		t.Errorf("%+v", s)
	}
	_, err = s.List(ctx)
	is(t, err, ykoath.ErrLocked)
	_, err = s.Code(ctx, "a", 1)
	is(t, err, ykoath.ErrLocked)
	is(t, s.Validate(ctx, wrong), ykoath.ErrWrongPassword)
	is(t, s.Validate(ctx, access), nil)
	if all, err := s.List(ctx); len(all) != 1 || err != nil {
		t.Error(all, err)
	}
	is(t, s.RemovePassword(ctx), nil)
	if s = k.open(t); s.Locked() || s.HasPassword() {
		t.Errorf("%+v", s)
	}
	is(t, s.SetPassword(ctx, access), nil)
	s = k.open(t)
	is(t, s.Reset(ctx), nil)
	if all, err := s.List(ctx); len(all) != 0 || err != nil || s.Locked() || s.DeviceID == id {
		t.Error(all, err, s.DeviceID)
	}
}

// TestImpostor: a card that takes any password does not pass.
func TestImpostor(t *testing.T) {
	k := newKey()
	s := k.open(t)
	access, _ := s.AccessKey([]byte("pass"))
	is(t, s.SetPassword(t.Context(), access), nil)
	s = k.open(t)
	k.before = func([]byte) []byte { return says(0x9000, append([]byte{0x75, 20}, make([]byte, 20)...)...) }
	is(t, s.Validate(t.Context(), access), ykoath.ErrImpostor)
	if !s.Locked() {
		t.Error("the session is open")
	}
}

func TestAll(t *testing.T) {
	k := newKey()
	s := k.open(t)
	at := time.Unix(1111111111, 0)
	want := make(map[string]string)
	for i := range 30 {
		a := totp("ACME", strings.Repeat("n", 50)+fmt.Sprint(i))
		a.Period = []int{30, 60, 15}[i%3]
		seed := hotp.NewSeed(20)
		id := put(t, s, a, seed)
		step, err := a.Step(at)
		if err != nil {
			t.Fatal(err)
		}
		want[id], _ = a.Code(seed, step)
	}
	touch := totp("", "touch")
	touch.Touch = true
	want[put(t, s, touch, seed20)] = ""
	want[put(t, s, ykoath.Account{Account: "counts", Parameters: hotp.DefaultHOTP}, seed20)] = ""
	all, err := s.All(t.Context(), at)
	if err != nil || len(all) != len(want) {
		t.Fatal(len(all), err)
	}
	for _, c := range all {
		if c.Code != want[c.ID] || c.Touch != (c.ID == "touch") || (c.Type == hotp.HOTP) != (c.ID == "counts") {
			t.Errorf("%+v, and not %s", c, want[c.ID])
		}
		holds := c.End.Sub(c.Begin) == time.Duration(c.Period)*time.Second && !c.Begin.After(at) && c.End.After(at)
		if c.Type == hotp.TOTP && !holds {
			t.Errorf("%+v", c)
		}
	}
	if list, err := s.List(t.Context()); len(list) != len(want) || err != nil {
		t.Error(len(list), err)
	}
	if code, err := s.Next(t.Context(), "counts"); code != "755224" {
		t.Error("the counter has moved:", code, err)
	}
}

func TestTouch(t *testing.T) {
	k := newKey()
	s := k.open(t)
	a := totp("", "touch")
	a.Touch, a.Digits = true, 8
	id := put(t, s, a, seed20)
	asked := ""
	k.Touch = func(_ context.Context, name string) error { asked = name; return nil }
	if code, err := s.Code(t.Context(), id, 1); code != "94287082" || asked != "touch" {
		t.Error(code, asked, err)
	}
	k.Touch = func(context.Context, string) error { return errors.New("no") }
	_, err := s.Code(t.Context(), id, 1)
	is(t, err, ykoath.ErrNoTouch)
	is(t, s.Verify(t.Context(), a, seed20), ykoath.ErrNoTouch)
}

func TestFull(t *testing.T) {
	s := newKey().open(t)
	for i := range oathapplet.Capacity {
		put(t, s, totp("", fmt.Sprint(i)), seed20)
	}
	err := s.Put(t.Context(), totp("", "more"), seed20)
	is(t, err, ykoath.ErrFull)
	is(t, err, ykoath.StatusFull)
	again := totp("", "1")
	again.Replace = true
	put(t, s, again, seed32)
}

func TestNoApplet(t *testing.T) {
	for _, status := range []ykoath.Status{0x6a82, 0x6d00, 0x6e00, 0x6a86} {
		_, err := ykoath.Select(t.Context(), &script{says(status)})
		is(t, err, ykoath.ErrNoApplet)
	}
	_, err := ykoath.Select(t.Context(), &script{})
	if err == nil || err.Error() != "the card was asked too often" {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = ykoath.Select(ctx, newKey())
	is(t, err, context.Canceled)
}

// TestRefusals: what status words mean depends on the command.
func TestRefusals(t *testing.T) {
	access := hotp.NewSeed(16)
	list := func(s *ykoath.Session) error { _, err := s.List(t.Context()); return err }
	code := func(s *ykoath.Session) error { _, err := s.Code(t.Context(), "a", 1); return err }
	put := func(s *ykoath.Session) error { return s.Put(t.Context(), totp("", "a"), seed20) }
	remove := func(s *ykoath.Session) error { return s.RemovePassword(t.Context()) }
	validate := func(s *ykoath.Session) error { return s.Validate(t.Context(), access) }
	locked := append(yubikey(5, 4, 3)[:15], 0x74, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0x7b, 1, 1, 0x90, 0)
	for _, test := range []struct {
		do        func(*ykoath.Session) error
		responses [][]byte
		want      error
		text      string
		hint      string
	}{
		{list, [][]byte{yubikey(5, 4, 3), says(0x6982)}, ykoath.ErrLocked,
			"the key wants the password of its OATH application (LIST: SW 6982)", ""},
		{code, [][]byte{yubikey(5, 4, 3), says(0x6982)}, ykoath.ErrNoTouch,
			"the key was not touched in time (CALCULATE: SW 6982)", "touch the key when it blinks, within 15 seconds"},
		{code, [][]byte{nitrokey, says(0x6985)}, ykoath.ErrNoTouch,
			"the key was not touched in time (CALCULATE: SW 6985)", "touch the key when it blinks, within 15 seconds"},
		{code, [][]byte{locked, says(0x6982)}, ykoath.ErrLocked,
			"the key wants the password of its OATH application (CALCULATE: SW 6982)", ""},
		{code, [][]byte{nitrokey, says(0x6a82)}, ykoath.ErrNotFound,
			"the key has no such account (CALCULATE: SW 6a82)", ""},
		{code, [][]byte{yubikey(5, 4, 3), says(0x6581)}, ykoath.StatusMemory, "CALCULATE: memory failure (SW 6581)", ""},
		{code, [][]byte{yubikey(5, 4, 3), says(0x1234)}, ykoath.Status(0x1234),
			"CALCULATE: unknown status word 1234", ""},
		{put, [][]byte{yubikey(5, 4, 3), says(0x9000), says(0x6a84)}, ykoath.ErrFull,
			"the key has no room for another account (PUT: SW 6a84)",
			"delete an account of the key that is not used any more"},
		{put, [][]byte{nitrokey, says(0x9000), says(0x6983)}, ykoath.ErrExists,
			"the key has an account of this name already (PUT: SW 6983)",
			"the key wants its PIN, or refuses to replace an account: use its vendor's program"},
		{remove, [][]byte{yubikey(5, 4, 3), says(0x6984)}, ykoath.StatusNoObject, "SET CODE: no such object (SW 6984)", ""},
		{validate, [][]byte{locked, says(0x6984)}, ykoath.ErrNoPassword,
			"the key's OATH application has no password (VALIDATE: SW 6984)", ""},
	} {
		err := test.do(scripted(t, test.responses...))
		is(t, err, test.want)
		var c *ykoath.CommandError
		if !errors.As(err, &c) || c.Error() != test.text || c.Hint() != test.hint {
			t.Errorf("%v, %q; and not %s, %q", err, c.Hint(), test.text, test.hint)
		}
	}
}

func TestOldFirmware(t *testing.T) {
	touch, big := totp("", "a"), totp("", "a")
	touch.Touch, big.Algorithm = true, hotp.SHA512
	neo := func() *ykoath.Session { return scripted(t, yubikey(3, 4, 9)) }
	unsupported(t, neo().Put(t.Context(), touch, seed20), "touch is not supported by firmware 3.4.9")
	unsupported(t, scripted(t, yubikey(4, 2, 3)).Put(t.Context(), touch, seed20),
		"touch is not supported by firmware 4.2.3")
	unsupported(t, scripted(t, yubikey(4, 3, 0)).Put(t.Context(), big, seed20),
		"SHA512 is not supported by firmware 4.3.0")
	unsupported(t, scripted(t, yubikey(5, 3, 0)).Rename(t.Context(), "a", "b"),
		"renaming an account is not supported by firmware 5.3.0")
	listed := says(0x9000, append([]byte{0x72, 3, 0x21}, "ab"...)...)
	unsupported(t, scripted(t, yubikey(4, 3, 4), listed).Put(t.Context(), totp("", "a"), seed20),
		"an account whose name begins another one's is not supported by firmware 4.3.4")
	is(t, scripted(t, yubikey(4, 3, 5), listed, says(0x9000)).Put(t.Context(), totp("", "a"), seed20), nil)
	locked := append(yubikey(5, 4, 3)[:15], 0x74, 1, 1, 0x7b, 1, 2, 0x90, 0)
	_, err := ykoath.Select(t.Context(), &script{locked})
	unsupported(t, err, "algorithm 02 of its password is not supported by this program")
}

// TestNitrokey: what is the same works, what is not is named.
func TestNitrokey(t *testing.T) {
	nk := func(responses ...[]byte) *ykoath.Session {
		return scripted(t, append([][]byte{nitrokey}, responses...)...)
	}
	s := nk()
	if !s.Nitrokey || s.DeviceID != "c0ffee01" || s.Locked() || s.Version.String() != "4.13.0" {
		t.Errorf("%+v", s)
	}
	withPIN := says(0x9000, 0x79, 3, 4, 13, 0, 0x82, 1, 8, 0x8f, 4, 0xc0, 0xff, 0xee, 1)
	if s := scripted(t, withPIN); s.DeviceID != "c0ffee01" {
		t.Errorf("%+v", s)
	}
	ctx := t.Context()
	_, err := s.HMAC(ctx, "a", make([]byte, 8))
	unsupported(t, err, "the whole HMAC is not supported by a Nitrokey")
	_, err = s.All(ctx, time.Unix(1e9, 0))
	unsupported(t, err, "all codes at once is not supported by a Nitrokey")
	unsupported(t, s.Rename(ctx, "a", "b"), "renaming an account by RENAME is not supported by a Nitrokey")
	unsupported(t, s.SetPassword(ctx, hotp.NewSeed(16)), "a password in place of the PIN is not supported by a Nitrokey")
	unsupported(t, s.RemovePassword(ctx), "a password in place of the PIN is not supported by a Nitrokey")
	touch := totp("", "a")
	touch.Touch = true
	unsupported(t, s.Verify(ctx, touch, seed20),
		"verifying a seed that needs a touch by one touch is not supported by a Nitrokey")
	unsupported(t, s.Verify(ctx, ykoath.Account{Account: "a", Parameters: hotp.DefaultHOTP}, seed20),
		"verifying a HOTP seed without spending codes is not supported by a Nitrokey")
	// A password entry (type 40) among the accounts.
	all, err := nk(says(0x9000, 0x72, 2, 0x41, 'p', 0x72, 2, 0x21, 'a')).List(ctx)
	if len(all) != 1 || all[0].ID != "a" || err != nil {
		t.Error(all, err)
	}
	is(t, nk(says(0x9000), says(0x9000)).Put(ctx, touch, seed20), nil)

	k := newKey()
	k.before = func(command []byte) []byte {
		if command[1] == 0xa4 && command[2] == 4 {
			k.card.Exchange(ctx, command)
			return nitrokey
		}
		return nil
	}
	s = k.open(t)
	a := totp("", "a")
	put(t, s, a, seed20)
	is(t, s.Verify(ctx, a, seed20), nil)
	is(t, s.Verify(ctx, a, seed32), ykoath.ErrOtherSeed)
}

// TestHostileReplies: what breaks the protocol is a *ReplyError, however much there is of it.
func TestHostileReplies(t *testing.T) {
	endless := make(script, 5000)
	for i := range endless {
		endless[i] = says(0x61ff, 0x72, 2, 0x21, 'a')
	}
	for name, card := range map[string]script{
		"no status":          {{0x90}},
		"too long":           {make([]byte, 259)},
		"no version":         {says(0x9000, 0x71, 1, 1)},
		"no ID":              {says(0x9000, 0x79, 3, 5, 4, 3)},
		"short version":      {says(0x9000, 0x79, 1, 5, 0x71, 1, 1)},
		"challenge alone":    {says(0x9000, 0x79, 3, 5, 4, 3, 0x74, 1, 1, 0x8f, 4, 1, 2, 3, 4)},
		"long ID":            {says(0x9000, append([]byte{0x79, 3, 5, 4, 3, 0x71, 65}, make([]byte, 65)...)...)},
		"object cut off":     {says(0x9000, 0x79)},
		"value cut off":      {says(0x9000, 0x79, 3, 5)},
		"empty part":         {yubikey(5, 4, 3), says(0x6101)},
		"parts without end":  append(script{yubikey(5, 4, 3)}, endless...),
		"longest length":     {yubikey(5, 4, 3), says(0x9000, 0x72, 0x84, 0xff, 0xff, 0xff, 0xff)},
		"length not minimal": {yubikey(5, 4, 3), says(0x9000, 0x72, 0x81, 2, 0x21, 'a')},
		"other object":       {yubikey(5, 4, 3), says(0x9000, 0x71, 2, 0x21, 'a')},
		"name too long":      {yubikey(5, 4, 3), says(0x9000, append([]byte{0x72, 66, 0x21}, make([]byte, 65)...)...)},
	} {
		s, err := ykoath.Select(t.Context(), &card)
		if err == nil {
			_, err = s.List(t.Context())
		}
		if !errors.As(err, new(*ykoath.ReplyError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, reply := range []string{"", "\x76", "\x75\x01\x06", "\x76\x05\x06\x80\x00\x00\x00",
		"\x76\x05\x05\x00\x00\x00\x00",
		"\x76\x05\x0b\x00\x00\x00\x00", "\x76\x04\x06\x00\x00\x00", "\x76\x05\x06\x00\x00\x00\x00\x00"} {
		_, err := scripted(t, yubikey(5, 4, 3), says(0x9000, []byte(reply)...)).Code(t.Context(), "a", 1)
		if !errors.As(err, new(*ykoath.ReplyError)) {
			t.Errorf("% x: %v", reply, err)
		}
		_, err = scripted(t, yubikey(5, 4, 3), says(0x9000, []byte(reply)...)).HMAC(t.Context(), "a", make([]byte, 8))
		if !errors.As(err, new(*ykoath.ReplyError)) {
			t.Errorf("% x: %v", reply, err)
		}
	}
	for _, reply := range []string{"\x71\x01a", "\x71\x00\x77\x00", "\x72\x01a\x77\x00", "\x71\x01a\x78\x00"} {
		_, err := scripted(t, yubikey(5, 4, 3), says(0x9000, []byte(reply)...)).All(t.Context(), time.Unix(1e9, 0))
		if !errors.As(err, new(*ykoath.ReplyError)) {
			t.Errorf("% x: %v", reply, err)
		}
	}
}
