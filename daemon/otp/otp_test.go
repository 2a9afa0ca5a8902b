package otp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fob/daemon/seal"
	"fob/daemon/store"
	"fob/hotp"
)

// rfcSeed is that of the test vectors of RFC 4226, appendix D, and RFC 6238, appendix B, with SHA-1.
var rfcSeed = hotp.Seed("12345678901234567890")

func openStore(t testing.TB, dir string) *store.Store {
	t.Helper()
	s := store.Open(store.Options{
		Dir: dir, Sealers: []seal.Sealer{seal.KeyFile{Path: filepath.Join(dir, store.KeyName)}}, Program: "test"})
	t.Cleanup(func() { s.Close() })
	return s
}

func newTokens(t testing.TB) *Tokens {
	t.Helper()
	return &Tokens{Store: openStore(t, t.TempDir())}
}

func named(name string, p hotp.Parameters) Token {
	return Token{Name: name, Parameters: p, Keeper: InStore}
}

func add(t testing.TB, all *Tokens, token Token) Token {
	t.Helper()
	made, err := all.Add(t.Context(), token, rfcSeed)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func code(t testing.TB, all *Tokens, name string, at time.Time) Code {
	t.Helper()
	c, err := all.Code(t.Context(), name, at)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTokens(t *testing.T) {
	dir := t.TempDir()
	all := &Tokens{Store: openStore(t, dir)}
	if list, err := all.List(); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	begin := now()
	bob := named("bob", hotp.DefaultHOTP)
	bob.Counter, bob.Issuer, bob.Account = 7, "ACME", "bob@example.com"
	made := add(t, all, bob)
	if made.SeedSize != 20 || made.Created.Before(begin) || made.Counter != 7 || !made.Used.IsZero() {
		t.Errorf("%+v", made)
	}
	odd := hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA512, Digits: 8, Period: 60, T0: -5}
	alice := add(t, all, named("alice ☺", odd))
	all.Store.Close()

	all = &Tokens{Store: openStore(t, dir)}
	list, err := all.List()
	if n, _ := all.Count(); err != nil || n != 2 || !slices.Equal(list, []Token{alice, made}) {
		t.Errorf("%+v, %v", list, err)
	}
	if found, err := all.Find("bob"); err != nil || found != made {
		t.Errorf("%+v, %v", found, err)
	}
	if err := all.Rename("bob", "robert"); err != nil {
		t.Error(err)
	}
	if _, err := all.Find("bob"); err != ErrNotFound {
		t.Error(err)
	}
	made.Name = "robert"
	if found, err := all.Find("robert"); err != nil || found != made {
		t.Errorf("%+v, %v", found, err)
	}
	if _, seed, err := all.Reveal(t.Context(), "robert"); err != nil || !seed.Equal(rfcSeed) {
		t.Error(err)
	}
	if err := errors.Join(all.Remove(t.Context(), "robert"), all.Remove(t.Context(), "alice ☺")); err != nil {
		t.Error(err)
	}
	if list, err := all.List(); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if s := all.Store.Status(); s.Records != 0 {
		t.Errorf("%+v", s)
	}
}

func TestRefused(t *testing.T) {
	all := newTokens(t)
	add(t, all, named("a", hotp.DefaultTOTP))
	add(t, all, named("b", hotp.DefaultTOTP))
	ctx := t.Context()
	for want, err := range map[error]error{
		ErrExists:   second(all.Add(ctx, named("a", hotp.DefaultTOTP), rfcSeed)),
		ErrNoKeeper: second(all.Add(ctx, Token{Name: "c", Parameters: hotp.DefaultTOTP, Keeper: "tpm"}, rfcSeed)),
		ErrNotFound: errors.Join(all.Rename("c", "d"), all.Remove(ctx, "c"), second(all.Code(ctx, "c", time.Now()))),
	} {
		if !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if err := all.Rename("a", "b"); err != ErrExists {
		t.Error(err)
	}
	if err := all.Rename("a", "a"); err != nil {
		t.Error(err)
	}
	for name, problem := range map[string]string{
		"": "is missing", strings.Repeat("x", MaxName+1): "longer", "a\nb": "print", " a": "space", "\xff": "UTF-8",
	} {
		var text *TextError
		if _, err := all.Add(ctx, named(name, hotp.DefaultTOTP), rfcSeed); !errors.As(err, &text) ||
			text.Field != "name" || !strings.Contains(text.Problem, problem) {
			t.Errorf("%q: %v", name, err)
		}
		if err := all.Rename("a", name); !errors.As(err, &text) {
			t.Errorf("%q: %v", name, err)
		}
	}
	moved, counted := named("c", hotp.DefaultHOTP), named("c", hotp.DefaultTOTP)
	moved.Counter, counted.Counter = MaxCounter+1, 1
	for _, bad := range []Token{moved, counted, named("c", hotp.Parameters{})} {
		if _, err := all.Add(ctx, bad, rfcSeed); !errors.As(err, new(*hotp.ParameterError)) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	for _, seed := range []hotp.Seed{nil, make(hotp.Seed, hotp.MaxSeed+1)} {
		if _, err := all.Add(ctx, named("c", hotp.DefaultTOTP), seed); !errors.As(err, new(*hotp.SeedError)) {
			t.Error(err)
		}
	}
	if n, err := all.Count(); n != 2 || err != nil {
		t.Error(n, err)
	}
}

func second[T any](_ T, err error) error { return err }

// There are at most so many tokens, and one that goes makes room for another.
func TestTooMany(t *testing.T) {
	all := newTokens(t)
	err := all.Store.Update(func(tx *store.Tx) error {
		var errs []error
		for i := range MaxTokens {
			errs = append(errs, put(tx, &record{Token: named(fmt.Sprint(i), hotp.DefaultTOTP), handle: Handle(rfcSeed)}))
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := all.Add(t.Context(), named("one more", hotp.DefaultTOTP), rfcSeed); err != ErrTooMany {
		t.Error(err)
	}
	if err := all.Remove(t.Context(), "500"); err != nil {
		t.Error(err)
	}
	add(t, all, named("one more", hotp.DefaultTOTP))
}

// The codes of RFC 4226, appendix D; each is given once, also by a store that is opened anew.
func TestHOTP(t *testing.T) {
	dir := t.TempDir()
	all := &Tokens{Store: openStore(t, dir)}
	add(t, all, named("a", hotp.DefaultHOTP))
	for i, want := range []string{
		"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} {
		if i == 5 {
			all.Store.Close()
			all = &Tokens{Store: openStore(t, dir)}
		}
		if c := code(t, all, "a", time.Time{}); c.Code != want || c.Token.Counter != uint64(i) || !c.End.IsZero() {
			t.Errorf("%d: %+v", i, c)
		}
	}
	if found, err := all.Find("a"); err != nil || found.Counter != 10 || found.Used.IsZero() {
		t.Errorf("%+v, %v", found, err)
	}
}

// The times of RFC 6238, appendix B, and those at which a period begins and ends.
func TestTOTP(t *testing.T) {
	all := newTokens(t)
	add(t, all, named("a", hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA1, Digits: 8, Period: 30}))
	for at, want := range map[int64]string{
		59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037",
		20000000000: "65353130",
	} {
		c := code(t, all, "a", time.Unix(at, 999))
		if c.Code != want || c.Begin.Unix() != at/30*30 || c.End.Unix() != at/30*30+30 {
			t.Errorf("%d: %+v", at, c)
		}
	}
	late := named("late", hotp.DefaultTOTP)
	late.T0 = 1000
	add(t, all, late)
	if _, err := all.Code(t.Context(), "late", time.Unix(999, 0)); !errors.As(err, new(*hotp.ClockError)) {
		t.Error(err)
	}
	if c := code(t, all, "late", time.Unix(1029, 0)); c.Begin.Unix() != 1000 || c.End.Unix() != 1030 {
		t.Errorf("%+v", c)
	}
}

// Calls at the same time get different codes of HOTP.
func TestEachCodeOnce(t *testing.T) {
	all := newTokens(t)
	add(t, all, named("a", hotp.DefaultHOTP))
	const calls, each = 8, 5
	var mu sync.Mutex
	var counters []uint64
	var wait sync.WaitGroup
	for range calls {
		wait.Go(func() {
			for range each {
				c, err := all.Code(t.Context(), "a", time.Time{})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				counters = append(counters, c.Token.Counter)
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	slices.Sort(counters)
	for i, c := range counters {
		if c != uint64(i) {
			t.Fatalf("counters %v", counters)
		}
	}
}

func TestExhausted(t *testing.T) {
	all := newTokens(t)
	last := named("a", hotp.DefaultHOTP)
	last.Counter = MaxCounter - 1
	add(t, all, last)
	if c := code(t, all, "a", time.Time{}); c.Token.Counter != MaxCounter-1 {
		t.Errorf("%+v", c)
	}
	if _, err := all.Code(t.Context(), "a", time.Time{}); err != ErrExhausted {
		t.Error(err)
	}
}

// safe is a keeper of seeds that gives none out again.
type safe struct {
	mu    sync.Mutex
	seeds map[string]hotp.Seed
	full  error
}

func (s *safe) Put(_ context.Context, name string, _ hotp.Parameters, seed hotp.Seed) (Handle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full != nil {
		return nil, s.full
	}
	s.seeds[name] = bytes.Clone(seed)
	return Handle(name), nil
}

func (s *safe) Code(_ context.Context, h Handle, p hotp.Parameters, movingFactor uint64) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return p.Code(s.seeds[string(h)], movingFactor)
}

func (s *safe) Delete(_ context.Context, h Handle) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.seeds, string(h))
	return nil
}

// A seed that another place keeps is nowhere else: its handle stays with the token, whatever that is called.
func TestKeeper(t *testing.T) {
	place := &safe{seeds: make(map[string]hotp.Seed)}
	all := newTokens(t)
	all.Keepers = map[string]Keeper{"safe": place}
	token := named("a", hotp.DefaultHOTP)
	token.Keeper = "safe"
	add(t, all, token)
	if err := all.Rename("a", "b"); err != nil {
		t.Fatal(err)
	}
	if c := code(t, all, "b", time.Time{}); c.Code != "755224" {
		t.Error(c)
	}
	if _, seed, err := all.Reveal(t.Context(), "b"); !errors.Is(err, ErrStays) || seed != nil {
		t.Error(err)
	}
	err := all.Store.View(func(tx *store.Tx) error {
		value, err := tx.Get(bucket, "b")
		if bytes.Contains(value, rfcSeed) {
			t.Error("the seed is in the store")
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	gone := &Tokens{Store: all.Store}
	if _, err := gone.Code(t.Context(), "b", time.Time{}); !errors.Is(err, ErrNoKeeper) {
		t.Error(err)
	}
	if err := gone.Remove(t.Context(), "b"); !errors.Is(err, ErrNoKeeper) {
		t.Error(err)
	}
	if err := all.Remove(t.Context(), "b"); err != nil || len(place.seeds) != 0 {
		t.Error(err, len(place.seeds))
	}
	place.full = errors.New("no room")
	if _, err := all.Add(t.Context(), token, rfcSeed); !errors.Is(err, place.full) {
		t.Error(err)
	}
	if n, err := all.Count(); n != 0 || err != nil {
		t.Error(n, err)
	}
}

// A token that can't be kept leaves no seed behind.
func TestKeeperIsCleared(t *testing.T) {
	place := &safe{seeds: make(map[string]hotp.Seed)}
	all := newTokens(t)
	all.Keepers = map[string]Keeper{"slow": &overtaken{place, func() { add(t, all, named("a", hotp.DefaultHOTP)) }}}
	token := named("a", hotp.DefaultHOTP)
	token.Keeper = "slow"
	if _, err := all.Add(t.Context(), token, rfcSeed); !errors.Is(err, ErrExists) || len(place.seeds) != 0 {
		t.Error(err, len(place.seeds))
	}
}

// overtaken is a keeper that takes so long that another call is faster.
type overtaken struct {
	*safe
	meanwhile func()
}

func (o *overtaken) Put(ctx context.Context, name string, p hotp.Parameters, seed hotp.Seed) (Handle, error) {
	o.meanwhile()
	return o.safe.Put(ctx, name, p, seed)
}

// A record that makes no sense is in the way of nothing but itself, and can be removed.
func TestDamaged(t *testing.T) {
	all := newTokens(t)
	add(t, all, named("a", hotp.DefaultTOTP))
	keep := func(value string) {
		t.Helper()
		if err := all.Store.Update(func(tx *store.Tx) error { return tx.Put(bucket, "b", []byte(value)) }); err != nil {
			t.Fatal(err)
		}
	}
	keep(`{"version":2}` + "\n")
	if _, err := all.Find("b"); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
	if err := all.Remove(t.Context(), "b"); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
	keep(`{"version":1,"type":"totp"}` + "\n")
	if _, err := all.Code(t.Context(), "b", time.Now()); !errors.Is(err, ErrDamaged) {
		t.Error(err)
	}
	if _, err := all.List(); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), `"b"`) {
		t.Error(err)
	}
	code(t, all, "a", time.Now())
	if err := all.Remove(t.Context(), "b"); err != nil {
		t.Error(err)
	}
	if list, err := all.List(); err != nil || len(list) != 1 {
		t.Error(list, err)
	}
}

// A store with a passphrase gives nothing before it is open.
func TestLockedStore(t *testing.T) {
	all := newTokens(t)
	add(t, all, named("count", hotp.DefaultHOTP))
	if _, err := all.Store.Seal(seal.Passphrase{Passphrase: []byte("sesame")}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(all.Store.Status().Path)
	all.Store.Close()
	all = &Tokens{Store: openStore(t, dir)}
	for _, err := range []error{
		second(all.List()), second(all.Find("count")), second(all.Code(t.Context(), "count", time.Now())),
		second(all.Add(t.Context(), named("b", hotp.DefaultTOTP), rfcSeed)), all.Remove(t.Context(), "count"),
	} {
		if !errors.Is(err, store.ErrLocked) {
			t.Error(err)
		}
	}
}

// What can't be written gives no code of a counter; those of the time need no writing.
func TestReadOnlyStore(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("NOT RUN: only root may mount a disk: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	all := &Tokens{Store: openStore(t, filepath.Join(dir, "fob"))}
	add(t, all, named("clock", hotp.DefaultTOTP))
	add(t, all, named("count", hotp.DefaultHOTP))
	all.Store.Close()
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	all = &Tokens{Store: openStore(t, filepath.Join(dir, "fob"))}
	if c := code(t, all, "clock", time.Unix(59, 0)); c.Code != "287082" {
		t.Error(c)
	}
	if c, err := all.Code(t.Context(), "count", time.Time{}); !errors.Is(err, store.ErrReadOnly) || c.Code != "" {
		t.Error(c, err)
	}
	all.Store.Close()
}
