package ctap

import (
	"bytes"
	"compress/zlib"
	"errors"
	"testing"
)

func sealed(t testing.TB, key, blob []byte) RawMessage {
	t.Helper()
	element, err := SealLargeBlob(key, blob)
	if err != nil {
		t.Fatal(err)
	}
	return element
}

func TestLargeBlobMap(t *testing.T) {
	ours, theirs := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32)
	blob := bytes.Repeat([]byte("a long blob that compresses well. "), 60)
	element := sealed(t, ours, blob)
	if len(element) >= len(blob) || len(element) != LargeBlobSize(blob) {
		t.Errorf("%d bytes, LargeBlobSize says %d", len(element), LargeBlobSize(blob))
	}
	again := sealed(t, ours, blob)
	if bytes.Equal(element, again) {
		t.Error("a nonce was used twice")
	}
	array, err := ParseLargeBlobArray(EncodeLargeBlobArray([]RawMessage{element, again}))
	if err != nil || len(array) != 2 || !bytes.Equal(array[0], element) {
		t.Fatal(len(array), err)
	}
	m, err := ParseLargeBlobMap(array[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, mine, err := m.Open(ours, 4096); !mine || err != nil || !bytes.Equal(got, blob) {
		t.Errorf("%q, %v, %v", got, mine, err)
	}
	if got, mine, err := m.Open(theirs, 4096); mine || err != nil || got != nil {
		t.Errorf("%q, %v, %v", got, mine, err)
	}
	if _, mine, err := m.Open(ours, 100); !mine || !errors.Is(err, ErrLimitExceeded) {
		t.Errorf("over the limit: %v, %v", mine, err)
	}
	if m.IsUnder(theirs) || !m.IsUnder(ours) || m.IsUnder(nil) {
		t.Error("wrong key")
	}
}

// TestLargeBlobWithHeader: RFC 1951 has no header, but platforms before libfido2 1.11 wrote that of RFC 1950.
func TestLargeBlobWithHeader(t *testing.T) {
	var compressed bytes.Buffer
	w := zlib.NewWriter(&compressed)
	w.Write([]byte("an old blob"))
	w.Close()
	m := LargeBlobMap{Nonce: make([]byte, largeBlobNonce), OrigSize: 11}
	key := make([]byte, 32)
	m.Ciphertext = largeBlobCipher(key).Seal(nil, m.Nonce, compressed.Bytes(), m.associatedData())
	if blob, _, err := m.Open(key, 100); err != nil || string(blob) != "an old blob" {
		t.Errorf("%q, %v", blob, err)
	}
}

// TestLargeBlobThatLies: what is under the right key may still be a decompression bomb, or be cut short.
func TestLargeBlobThatLies(t *testing.T) {
	key := bytes.Repeat([]byte{7}, 32)
	for name, size := range map[string]uint{"bomb": 10, "short": 2000} {
		m := LargeBlobMap{Nonce: make([]byte, largeBlobNonce), OrigSize: size}
		m.Ciphertext = largeBlobCipher(key).Seal(nil, m.Nonce, deflate(make([]byte, 1000)), m.associatedData())
		if blob, mine, err := m.Open(key, 4096); blob != nil || !mine || !errors.Is(err, ErrIntegrityFailure) {
			t.Errorf("%s: %d bytes, %v, %v", name, len(blob), mine, err)
		}
	}
	m := LargeBlobMap{Nonce: make([]byte, largeBlobNonce), OrigSize: 10}
	m.Ciphertext = largeBlobCipher(key).Seal(nil, m.Nonce, []byte("no deflate"), m.associatedData())
	if _, _, err := m.Open(key, 4096); !errors.Is(err, ErrIntegrityFailure) {
		t.Error(err)
	}
}

func TestLargeBlobArrayThatIsNone(t *testing.T) {
	element := sealed(t, make([]byte, 32), []byte("x"))
	good := EncodeLargeBlobArray([]RawMessage{element})
	for name, b := range map[string][]byte{
		"nothing":      nil,
		"hash alone":   good[:16],
		"wrong hash":   append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1),
		"a map":        AppendLargeBlobHash([]byte{0xa0}),
		"cut short":    AppendLargeBlobHash(good[:20]),
		"indefinite":   AppendLargeBlobHash([]byte{0x9f, 0xff}),
		"more behind":  AppendLargeBlobHash([]byte{0x80, 0x80}),
		"null":         AppendLargeBlobHash([]byte{0xf6}),
		"endless list": AppendLargeBlobHash([]byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
	} {
		if _, err := ParseLargeBlobArray(b); !errors.Is(err, ErrIntegrityFailure) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := ParseLargeBlobArray(EmptyLargeBlobArray); err != nil || len(list) != 0 {
		t.Error(list, err)
	}
	if !bytes.Equal(EncodeLargeBlobArray(nil), EmptyLargeBlobArray) {
		t.Errorf("%x", EncodeLargeBlobArray(nil))
	}
}

// FuzzLargeBlobArray: elements come back as they were, and none opens under a key that it was not made with.
func FuzzLargeBlobArray(f *testing.F) {
	f.Add([]byte{0x80})
	f.Add(EncodeLargeBlobArray([]RawMessage{sealed(f, make([]byte, 32), []byte("blob"))}))
	f.Add([]byte{0x82, 0x00, 0xa3, 1, 0x40, 2, 0x40, 3, 1})
	f.Add([]byte{0x82, 0xca, 0x30, 0x30}) // with a tag
	f.Fuzz(func(t *testing.T, b []byte) {
		elements, err := ParseLargeBlobArray(AppendLargeBlobHash(b))
		if err != nil {
			return
		}
		again, err := ParseLargeBlobArray(EncodeLargeBlobArray(elements))
		if err != nil || len(again) != len(elements) {
			t.Fatal(elements, again, err)
		}
		for i, e := range elements {
			if !bytes.Equal(e, again[i]) {
				t.Fatalf("%x, then %x", e, again[i])
			}
			m, err := ParseLargeBlobMap(e)
			if err != nil {
				continue
			}
			same, err := ParseLargeBlobMap(mustMarshal(m))
			if err != nil || same.OrigSize != m.OrigSize || !bytes.Equal(same.Ciphertext, m.Ciphertext) {
				t.Fatal(m, same, err)
			}
			m.Open(make([]byte, 32), 1<<16)
		}
	})
}
