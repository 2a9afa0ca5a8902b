package ykoath_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"fob/fido/ctapnfc"
	"fob/fido/oathapplet"
	"fob/hotp"
	"fob/hotp/ykoath"
)

// key is a security key in software: the applet that ykman judges, too.
type key struct {
	*oathapplet.Applet
	card ctapnfc.Card
	// before, where it is not nil, sees each command, and may answer it.
	before func(command []byte) (response []byte)
	// after, where it is not nil, changes each response.
	after func(response []byte) []byte
	sent  [][]byte // buffers as they were given, not copies
}

func newKey() *key {
	k := &key{Applet: oathapplet.New(oathapplet.NewState())}
	k.card.Applets = map[string]ctapnfc.Applet{oathapplet.AID: k.Serve}
	return k
}

func (k *key) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	k.sent = append(k.sent, command)
	if k.before != nil {
		if response := k.before(command); response != nil {
			return response, nil
		}
	}
	response := k.card.Exchange(ctx, command)
	if k.after != nil {
		response = k.after(response)
	}
	return response, nil
}

func (k *key) open(t testing.TB) *ykoath.Session {
	t.Helper()
	s, err := ykoath.Select(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func put(t testing.TB, s *ykoath.Session, a ykoath.Account, seed hotp.Seed) string {
	t.Helper()
	if err := s.Put(t.Context(), a, seed); err != nil {
		t.Fatal(a, err)
	}
	id, err := a.ID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// script is a card that answers each command by the next response.
type script [][]byte

func (s *script) Transmit(context.Context, []byte) ([]byte, error) {
	if len(*s) == 0 {
		return nil, errors.New("the card was asked too often")
	}
	r := (*s)[0]
	*s = (*s)[1:]
	return r, nil
}

// says is a response with a status word.
func says(status ykoath.Status, data ...byte) []byte {
	return binary.BigEndian.AppendUint16(bytes.Clone(data), uint16(status))
}

// yubikey answers SELECT as firmware of a version does.
func yubikey(major, minor, patch byte) []byte {
	return says(0x9000, 0x79, 3, major, minor, patch, 0x71, 8, 1, 2, 3, 4, 5, 6, 7, 8)
}

// nitrokey answers SELECT as Secrets does where no PIN is set.
var nitrokey = says(0x9000, 0x79, 3, 4, 13, 0, 0x71, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0x8f, 4, 0xc0, 0xff, 0xee, 1)

func scripted(t testing.TB, responses ...[]byte) *ykoath.Session {
	t.Helper()
	s, err := ykoath.Select(t.Context(), (*script)(&responses))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func totp(issuer, account string) ykoath.Account {
	return ykoath.Account{Issuer: issuer, Account: account, Parameters: hotp.DefaultTOTP}
}

var (
	seed20 = hotp.Seed("12345678901234567890")
	seed32 = hotp.Seed("12345678901234567890123456789012")
	seed64 = hotp.Seed("1234567890123456789012345678901234567890123456789012345678901234")
)

func is(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%v, and not %v", err, want)
	}
}

func unsupported(t testing.TB, err error, want string) {
	t.Helper()
	var u *ykoath.UnsupportedError
	if !errors.As(err, &u) || fmt.Sprint(u) != want {
		t.Errorf("%v, and not %q", err, want)
	}
}
