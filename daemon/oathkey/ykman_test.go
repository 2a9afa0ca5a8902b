package oathkey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"fob/fido/pcsc/pcscdtest"
	"fob/hotp"
	"fob/hotp/ykoath"
)

// TestYkman has Debian's ykman judge applet and client: what one of them puts into the key, the others read, and
// oathtool makes the same codes.
func TestYkman(t *testing.T) {
	pcscdtest.Start(t)
	key := newApplet()
	insert(t, addr0, key, nil)
	sha256, sha512 := hotp.NewSeed(32), hotp.NewSeed(128)

	ykman(t, "accounts", "add", "--issuer", "ACME", "bob", base32(sha256), "--algorithm", "SHA256", "--period", "60",
		"--digits", "8")
	ykman(t, "accounts", "add", "counts", base32(seed20), "--oath-type", "HOTP", "--counter", "3")
	ykman(t, "accounts", "uri", "otpauth://totp/Big:eve?algorithm=SHA512&digits=7&secret="+base32(sha512))
	ykman(t, "accounts", "add", "short", "GEZA", "--touch")
	use(t, func(ctx context.Context, s *ykoath.Session) error {
		all, err := s.List(ctx)
		var ids []string
		for _, c := range all {
			ids = append(ids, fmt.Sprint(c.ID, " ", c.Type, " ", c.Algorithm, " ", c.Period))
		}
		want := "60/ACME:bob totp SHA256 60, counts hotp SHA1 0, Big:eve totp SHA512 30, short totp SHA1 30"
		if got := strings.Join(ids, ", "); got != want {
			t.Errorf("%s, and not %s", got, want)
		}
		bob, _ := s.Code(ctx, "60/ACME:bob", 20000000000/60)
		if want := oathtool(t, sha256, "--totp=SHA256", "-d8", "-s60s", "-N@20000000000"); bob != want {
			t.Errorf("bob: %s, and not %s", bob, want)
		}
		eve, _ := s.Code(ctx, "Big:eve", 20000000000/30)
		if want := oathtool(t, sha512, "--totp=SHA512", "-d7", "-N@20000000000"); eve != want {
			t.Errorf("eve: %s, and not %s", eve, want)
		}
		counted, _ := s.Next(ctx, "counts")
		if want := oathtool(t, seed20, "-c3"); counted != want {
			t.Errorf("counts: %s, and not %s", counted, want)
		}
		return err
	})
	if got := ykman(t, "accounts", "code", "-s", "counts"); strings.TrimSpace(got) != "338314" { // RFC 4226, count 4
		t.Errorf("ykman: %s", got)
	}

	// What our client writes.
	mine := totp("Mine", "ann", 15)
	use(t, func(ctx context.Context, s *ykoath.Session) error {
		return errors.Join(s.Delete(ctx, "short"), s.Put(ctx, mine, seed20), s.Verify(ctx, mine, seed20),
			s.Rename(ctx, "Big:eve", "Big:mallory"))
	})
	listed := strings.Fields(ykman(t, "accounts", "list"))
	slices.Sort(listed)
	if got := strings.Join(listed, " "); got != "15/Mine:ann 60/ACME:bob Big:mallory counts" {
		t.Errorf("ykman lists %q", got)
	}
	sameCode(t, "Mine:ann", func(now time.Time) string {
		return oathtool(t, seed20, "--totp=SHA1", "-s15s", "-N", at(now.Unix()))
	})
	sameCode(t, "ACME:bob", func(now time.Time) string {
		return oathtool(t, sha256, "--totp=SHA256", "-d8", "-s60s", "-N", at(now.Unix()))
	})
	ykman(t, "accounts", "rename", "-f", "Mine:ann", "Ours:ann")
	ykman(t, "accounts", "delete", "-f", "Big:mallory")
	use(t, func(ctx context.Context, s *ykoath.Session) error {
		ours := totp("Ours", "ann", 15)
		return s.Verify(ctx, ours, seed20)
	})
	if id := device(t); ykman(t, "info") == "" || id == "" {
		t.Error("no info")
	}
}

// sameCode wants ykman to give the code of now, whenever that was.
func sameCode(t *testing.T, name string, want func(time.Time) string) {
	t.Helper()
	before := want(time.Now())
	lines := strings.Fields(ykman(t, "accounts", "code", "-s", name)) // perhaps "Touch your YubiKey..." first
	got := lines[len(lines)-1]
	if after := want(time.Now()); got != before && got != after {
		t.Errorf("%s: ykman gives %s, and not %s or %s", name, got, before, after)
	}
}

func device(t *testing.T) string {
	t.Helper()
	all, err := Keys{}.List(until(t))
	if err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	return all[0].DeviceID
}

// TestYkmanPassword: either opens what the other has locked.
func TestYkmanPassword(t *testing.T) {
	pcscdtest.Start(t)
	insert(t, addr0, newApplet(), nil)
	ykman(t, "access", "change", "-n", "pass")
	open := func(password string) error {
		return Keys{}.Use(until(t), "", func(ctx context.Context, s *ykoath.Session) error {
			key, err := s.AccessKey([]byte(password))
			if err != nil {
				return err
			}
			defer key.Wipe()
			return s.Validate(ctx, key)
		})
	}
	if err := open("word"); !errors.Is(err, ykoath.ErrWrongPassword) {
		t.Error(err)
	}
	if err := open("pass"); err != nil {
		t.Error(err)
	}
	use(t, func(ctx context.Context, s *ykoath.Session) error {
		old, _ := s.AccessKey([]byte("pass"))
		changed, _ := s.AccessKey([]byte("größer"))
		return errors.Join(s.Validate(ctx, old), s.SetPassword(ctx, changed))
	})
	if out, err := tryYkman("accounts", "list", "-p", "pass"); err == nil {
		t.Error("the old password: ", out)
	}
	ykman(t, "accounts", "add", "-p", "größer", "a", base32(seed20))
	id := device(t)
	ykman(t, "reset", "-f")
	if again := device(t); again == id {
		t.Error("after a reset the key has the same device ID")
	}
	use(t, func(ctx context.Context, s *ykoath.Session) error {
		all, err := s.List(ctx)
		if len(all) > 0 || s.Locked() {
			t.Errorf("after a reset: %v", all)
		}
		return err
	})
}

// TestYkmanChains has 15 accounts with names of 64 bytes, whose lists need several responses, and a touch.
func TestYkmanChains(t *testing.T) {
	pcscdtest.Start(t)
	key := newApplet()
	touched := 0
	key.Touch = func(context.Context, string) error { touched++; return nil }
	insert(t, addr0, key, nil)
	use(t, func(ctx context.Context, s *ykoath.Session) error {
		for i := range 14 {
			a := totp("", fmt.Sprintf("%02d", i)+strings.Repeat("n", 62), 30)
			if err := s.Put(ctx, a, seed20); err != nil {
				return err
			}
		}
		a := totp("", strings.Repeat("t", 64), 30)
		a.Touch = true
		return s.Put(ctx, a, seed20)
	})
	if got := strings.Count(ykman(t, "accounts", "list"), "n\n"); got != 14 {
		t.Errorf("ykman lists %d accounts", got)
	}
	codes := ykman(t, "accounts", "code")
	if !strings.Contains(codes, "[Requires Touch]") || strings.Count(codes, "\n") != 15 {
		t.Errorf("ykman: %s", codes)
	}
	sameCode(t, strings.Repeat("t", 64), func(now time.Time) string {
		return oathtool(t, seed20, "--totp=SHA1", "-N", at(now.Unix()))
	})
	if touched != 1 {
		t.Errorf("%d touches", touched)
	}
	ykman(t, "accounts", "add", "more", base32(seed20))
	use(t, func(ctx context.Context, s *ykoath.Session) error {
		all, err := s.All(ctx, time.Now())
		if len(all) != 16 {
			t.Errorf("%d codes", len(all))
		}
		return err
	})
}

var seed20 = hotp.Seed("12345678901234567890")
