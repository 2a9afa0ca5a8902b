package oathkey

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"fob/fido/ctapnfc"
	"fob/fido/pcsc"
	"fob/fido/pcsc/pcscdtest"
	"fob/hotp/ykoath"
)

func TestNobodyThere(t *testing.T) {
	pcscdtest.Start(t)
	if _, err := (Keys{}).List(until(t)); !errors.Is(err, ErrNoKey) || Hint(err) == "" {
		t.Error(err)
	}
	if _, err := (Keys{Socket: "/nonexistent"}).List(until(t)); !errors.Is(err, ErrNoPCSCD) || Hint(err) == "" {
		t.Error(err)
	}
}

// TestWhichKey has two keys, then another one in the place of the first.
func TestWhichKey(t *testing.T) {
	pcscdtest.Start(t)
	first, second := newApplet(), newApplet()
	takeOut := insert(t, addr0, first, nil)
	insert(t, addr1, second, nil)
	all, err := Keys{}.List(until(t))
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	put := func(account string) func(context.Context, *ykoath.Session) error {
		return func(ctx context.Context, s *ykoath.Session) error { return s.Put(ctx, totp("", account, 30), seed20) }
	}
	if err := (Keys{}).Use(until(t), "", put("a")); !errors.Is(err, ErrSeveral) || Hint(err) == "" {
		t.Error(err)
	}
	for i, k := range all {
		if err := (Keys{}).Use(until(t), k.DeviceID, put(fmt.Sprint("for", i))); err != nil {
			t.Error(err)
		}
	}
	accounts := fmt.Sprint(first.State().Accounts[0].Name, len(first.State().Accounts), second.State().Accounts[0].Name,
		len(second.State().Accounts))
	if accounts != "for01for11" {
		t.Error(accounts)
	}
	takeOut()
	insert(t, addr0, newApplet(), nil)
	err = Keys{}.Use(until(t), all[0].DeviceID, put("not this one"))
	if !errors.Is(err, ErrOther) || Hint(err) == "" {
		t.Error(err)
	}
}

// trap has something happen while the card works on an APDU with an instruction, which gets no answer.
type trap struct {
	at     byte // 0: none
	after  bool // it has done what it was asked for
	spring func()
}

func (p *trap) wrap(next ctapnfc.Exchange) ctapnfc.Exchange {
	return func(ctx context.Context, command []byte) []byte {
		if command[1] != p.at {
			return next(ctx, command)
		}
		if p.after {
			next(ctx, command)
		}
		p.spring()
		<-ctx.Done()
		return nil
	}
}

// faults are operations and the instruction in the middle of which they are interrupted.
var faults = []struct {
	name     string
	do       func(context.Context, *ykoath.Session) error
	at       byte
	after    bool
	pcscd    bool // ends; else the card is taken out
	accounts int  // after it; one before
}{
	{"put", add, 0x01, false, false, 1},
	{"put that was done", add, 0x01, true, false, 2},
	{"put that was done", add, 0x01, true, true, 2},
	{"verify", add, 0xa2, false, false, 2},
	{"list", list, 0xa1, false, true, 1},
	{"delete", func(ctx context.Context, s *ykoath.Session) error { return s.Delete(ctx, "a") }, 0x02, true, false, 0},
}

func list(ctx context.Context, s *ykoath.Session) error {
	_, err := s.List(ctx)
	return err
}

func add(ctx context.Context, s *ykoath.Session) error {
	if err := s.Put(ctx, totp("", "b", 30), seed20); err != nil {
		return err
	}
	return s.Verify(ctx, totp("", "b", 30), seed20)
}

// TestLost takes the card out, or ends pcscd, in the middle of operations. The error has a name, the key is as it was
// or as it should be.
func TestLost(t *testing.T) {
	restart := pcscdtest.Start(t)
	for _, f := range faults {
		if f.pcscd && restart == nil {
			t.Log("the pcscd of the system stays")
			continue
		}
		key := newApplet()
		p := &trap{after: f.after}
		takeOut := insert(t, addr0, key, p.wrap)
		use(t, func(ctx context.Context, s *ykoath.Session) error { return s.Put(ctx, totp("", "a", 30), seed20) })
		happened := make(chan struct{})
		p.spring = func() {
			go func() {
				defer close(happened)
				if f.pcscd {
					restart()
					return
				}
				takeOut()
			}()
		}
		p.at = f.at
		err := Keys{}.Use(until(t), "", f.do)
		<-happened
		if want := map[bool]error{false: ErrLost, true: ErrNoPCSCD}[f.pcscd]; !errors.Is(err, want) || Hint(err) == "" {
			t.Errorf("%s: %v, and not %v", f.name, err, want)
		}
		takeOut()
		if s := key.State(); s.Check() != nil || len(s.Accounts) != f.accounts {
			t.Errorf("%s: %+v", f.name, s)
		}
	}
}

// TestShares: a program that holds the key keeps us waiting, and we let it have the key between two uses.
func TestShares(t *testing.T) {
	pcscdtest.Start(t)
	insert(t, addr0, newApplet(), nil)
	c, err := pcsc.Dial(until(t), "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	card, err := c.Connect(until(t), reader, pcsc.Shared, protocols)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		use(t, list)
		if err := card.Begin(until(t)); err != nil {
			t.Fatal(err)
		}
		if err := card.End(until(t), pcsc.LeaveCard); err != nil {
			t.Fatal(err)
		}
	}
	if err := card.Begin(until(t)); err != nil {
		t.Fatal(err)
	}
	_, err = Keys{Patience: 200 * time.Millisecond}.List(until(t))
	if !errors.Is(err, ErrBusy) || Hint(err) == "" {
		t.Error(err)
	}
}
