package account

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"fob/daemon/store"
	"fob/hotp"
)

// samples gives what is in a store, by buckets.
func samples(t testing.TB) map[store.Bucket][]byte {
	w := newWorld(t)
	w.must(w.enrolTOTP(Root, "app", Authority{}))
	_, err := w.enrolKey(newSoftKey(true), Root, "key", admin)
	w.must(err)
	w.session(Root, "app")
	_, err = w.IssueTicket("home", "alice", 0, admin)
	w.must(err)
	found := make(map[store.Bucket][]byte)
	w.must(w.store.View(func(tx *store.Tx) error {
		for _, b := range []store.Bucket{realmBucket, principalBucket, tokenBucket, sessionBucket, ticketBucket} {
			names, err := tx.List(b)
			w.must(err)
			value, err := tx.Get(b, names[len(names)-1])
			w.must(err)
			found[b] = bytes.Clone(value)
		}
		return nil
	}))
	return found
}

// again decodes and encodes.
func again[T any, R record[T]](value []byte) ([]byte, error) {
	r, err := decode[T, R](value)
	if err != nil {
		return nil, err
	}
	return json.Marshal(r)
}

func againAs(b store.Bucket, value []byte) ([]byte, error) {
	switch b {
	case realmBucket:
		return again[Realm](value)
	case principalBucket:
		return again[Principal](value)
	case sessionBucket:
		return again[session](value)
	case ticketBucket:
		return again[ticket](value)
	case nonceBucket:
		return again[nonces](value)
	}
	t, seed, err := decodeToken(value)
	if err != nil {
		return nil, err
	}
	return encodeToken(t, seed)
}

func TestRecordsThatAreNone(t *testing.T) {
	for b, value := range samples(t) {
		if got, err := againAs(b, value); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%s: %q, %v", b, got, err)
		}
		for _, bad := range []string{"", "null", "[]", `{"version":1,"x":1}`, string(value[1:]),
			strings.Replace(string(value), `"version":1`, `"version":1,"more":true`, 1),
			strings.Replace(string(value), `"version":1`, `"version":"1"`, 1)} {
			if _, err := againAs(b, []byte(bad)); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNewer) {
				t.Errorf("%s: %q: %v", b, bad, err)
			}
		}
		newer := strings.Replace(string(value), `"version":1`, `"version":2`, 1)
		if _, err := againAs(b, []byte(newer)); !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v", b, err)
		}
	}
}

// FuzzRecord: what can be read is written so that it reads the same.
func FuzzRecord(f *testing.F) {
	kinds := []store.Bucket{realmBucket, principalBucket, tokenBucket, sessionBucket, ticketBucket, nonceBucket}
	for i, b := range kinds[:5] {
		f.Add(uint8(i), samples(f)[b])
	}
	f.Add(uint8(5), []byte(`{"version":1,"used":{"a":1}}`))
	f.Fuzz(func(t *testing.T, kind uint8, value []byte) {
		b := kinds[int(kind)%len(kinds)]
		once, err := againAs(b, value)
		if err != nil {
			return
		}
		twice, err := againAs(b, once)
		if err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%q\n%q, %v", once, twice, err)
		}
	})
}

// A token that another device's record names is not taken for its own.
func TestTokenOfAnother(t *testing.T) {
	w := newWorld(t)
	w.must(w.enrolTOTP("alice", "a", Authority{}))
	w.must(w.enrolTOTP("bob", "b", Authority{}))
	w.must(w.store.Update(func(tx *store.Tx) error {
		p, err := getPrincipal(tx, "home", "bob")
		w.must(err)
		p.Devices[0].Serial = virtual + "home/a"
		return putPrincipal(tx, p)
	}))
	_, err := w.signInCode("bob", w.code(w.seeds["a"], 0))
	want(t, err, ErrDamaged)
}

// Seeds leave the store with their tokens.
func TestRemoved(t *testing.T) {
	w := newWorld(t)
	seed := hotp.NewSeed(20)
	w.must(w.ImportToken("S1", hotp.DefaultTOTP, seed))
	w.must(w.enrolTOTP("alice", "app", Authority{}))
	w.must(w.enrolTOTP(Root, "safe", Authority{}))
	want(t, w.RemoveRealm("home", Authority{}), ErrNeedsAdmin)
	want(t, w.RemovePrincipal("home", Root, admin), ErrRootPrincipal)
	want(t, w.RemovePrincipal("home", "alice", w.session("alice", "app")), ErrNeedsAdmin)
	w.must(w.RemovePrincipal("home", "alice", admin))
	w.must(w.RemoveRealm("home", admin))
	w.must(w.RemoveToken("s1"))
	if s := w.store.Status(); s.Records != 0 {
		t.Errorf("%d records are left", s.Records)
	}
}
