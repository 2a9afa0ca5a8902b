package platform

import (
	"bytes"
	"reflect"
	"testing"

	"fob/fido"
	"fob/fido/ctap"
)

// FuzzLargeBlobArray reads what a key could have for a large-blob array, from the array without its hash.
func FuzzLargeBlobArray(f *testing.F) {
	key := make([]byte, 32)
	array := blobArray{{0xa0}}
	if err := array.replace(key, []byte("blob")); err != nil {
		f.Fatal(err)
	}
	b, err := array.serialize()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b[:len(b)-ctap.LargeBlobHashLength])
	f.Add(ctap.EmptyLargeBlobArray[:1])
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := parseArray(ctap.AppendLargeBlobHash(b))
		if err != nil || len(b) == 0 { // which is damaged
			return
		}
		encoded, err := first.serialize()
		if err != nil || !bytes.Equal(encoded, ctap.AppendLargeBlobHash(b)) {
			t.Fatalf("%x became %x, %v", b, encoded, err)
		}
		others := len(first)
		if first.find(key) != nil {
			others--
		}
		if err := first.replace(key, b); err != nil {
			t.Fatal(err)
		}
		if got := first.find(key); !bytes.Equal(got, b) || len(first) > others+1 {
			t.Fatalf("%x became %x, among %d others", b, got, others)
		}
	})
}

// FuzzInflate holds the size of what is decompressed to what was promised.
func FuzzInflate(f *testing.F) {
	f.Add([]byte{3, 0}, uint64(0)) // nothing, compressed (RFC 1951)
	f.Add([]byte{3, 0}, uint64(1)<<63)
	f.Fuzz(func(t *testing.T, compressed []byte, size uint64) {
		if blob := inflate(compressed, size); blob != nil && (uint64(len(blob)) != size || size > fido.MaxLargeBlob) {
			t.Fatalf("%d bytes, promised were %d", len(blob), size)
		}
	})
}

// TestBomb: a few bytes that decompress to a great many are no blob, whatever size they promise.
func TestBomb(t *testing.T) {
	key := make([]byte, 32)
	entry, err := sealEntry(key, make([]byte, 10<<20))
	if err != nil {
		t.Fatal(err)
	}
	var e blobEntry
	if err := ctap.Unmarshal(entry, &e); err != nil {
		t.Fatal(err)
	}
	aead, err := blobCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	compressed, err := aead.Open(nil, e.Nonce, e.Ciphertext, blobData(e.OrigSize))
	if err != nil || len(compressed) > 20<<10 {
		t.Fatalf("%d bytes, %v", len(compressed), err)
	}
	for _, size := range []uint64{10 << 20, 1<<64 - 1, fido.MaxLargeBlob, 0} {
		if blob := inflate(compressed, size); blob != nil {
			t.Errorf("%d bytes of %d", len(blob), size)
		}
	}
	if got := (blobArray{entry}).find(key); got != nil {
		t.Errorf("found %d bytes", len(got))
	}
}

// TestArrayOfOthers: what other credentials and platforms have written stays as it is, also what we can't read.
func TestArrayOfOthers(t *testing.T) {
	mine, theirs := make([]byte, 32), bytes.Repeat([]byte{1}, 32)
	foreign := ctap.RawMessage{0xa1, 0x18, 0x63, 0x61, 'x'} // {99: "x"}
	array := blobArray{foreign}
	for _, write := range []struct {
		key  []byte
		blob string
	}{{mine, "old"}, {theirs, "theirs"}, {mine, "new"}} {
		if err := array.replace(write.key, []byte(write.blob)); err != nil {
			t.Fatal(err)
		}
	}
	b, err := array.serialize()
	if err != nil {
		t.Fatal(err)
	}
	read, err := parseArray(b)
	if err != nil || !reflect.DeepEqual(read, array) || len(read) != 3 || !bytes.Equal(read[0], foreign) {
		t.Fatalf("%x, %v", read, err)
	}
	if string(read.find(mine)) != "new" || string(read.find(theirs)) != "theirs" || read.find(make([]byte, 31)) != nil {
		t.Errorf("%q, %q", read.find(mine), read.find(theirs))
	}
	b[0] ^= 1 // damaged: it counts as empty
	if read, err := parseArray(b); read != nil || err != nil {
		t.Errorf("%x, %v", read, err)
	}
	if read, err := parseArray(ctap.AppendLargeBlobHash([]byte{0xa0})); err == nil {
		t.Errorf("a map is no array: %x", read)
	}
}
