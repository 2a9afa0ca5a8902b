package platform

import (
	"bytes"
	"reflect"
	"testing"

	"fob/fido/ctap"
)

// FuzzLargeBlobArray gives a credential a blob in what a key could have for a large-blob array, from the array without
// its hash.
func FuzzLargeBlobArray(f *testing.F) {
	key := make([]byte, 32)
	array, err := blobArray{{0xa0}}.with(key, []byte("blob"))
	if err != nil {
		f.Fatal(err)
	}
	b := ctap.EncodeLargeBlobArray(array)
	f.Add(b[:len(b)-ctap.LargeBlobHashLength])
	f.Add(ctap.EmptyLargeBlobArray[:1])
	f.Fuzz(func(t *testing.T, b []byte) {
		parsed, err := ctap.ParseLargeBlobArray(ctap.AppendLargeBlobHash(b))
		if err != nil {
			return
		}
		first := blobArray(parsed)
		others := first.without(key)
		changed, err := first.with(key, b)
		if err != nil || len(changed) != len(others)+1 || !reflect.DeepEqual(changed[:len(others)], others) && len(others) > 0 {
			t.Fatalf("%x became %x, %v", first, changed, err)
		}
		if got, err := changed.find(key); err != nil || !bytes.Equal(got, b) {
			t.Fatalf("%x became %x, %v", b, got, err)
		}
	})
}

// FuzzCanonical: what a key answers, in whatever encoding, is refused or means one thing.
func FuzzCanonical(f *testing.F) {
	f.Add([]byte{0xa2, 1, 1, 2, 2})
	f.Add([]byte{0xa2, 2, 2, 1, 1})
	f.Add([]byte{0xbf, 1, 0x18, 1, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		tidy, err := canonical(b)
		if err != nil {
			return
		}
		first, err := ctap.ParseCredentialManagementResponse(tidy)
		if err != nil {
			return
		}
		encoded := first.Encode()[1:]
		second, err := ctap.ParseCredentialManagementResponse(encoded)
		if err != nil || !bytes.Equal(second.Encode()[1:], encoded) {
			t.Fatalf("%+v, then %+v, %v", first, second, err)
		}
	})
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
		var err error
		if array, err = array.with(write.key, []byte(write.blob)); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := ctap.ParseLargeBlobArray(ctap.EncodeLargeBlobArray(array))
	read := blobArray(parsed)
	if err != nil || !reflect.DeepEqual(read, array) || len(read) != 3 || !bytes.Equal(read[0], foreign) {
		t.Fatalf("%x, %v", read, err)
	}
	for key, want := range map[string]string{string(mine): "new", string(theirs): "theirs", string(make([]byte, 31)): ""} {
		if got, err := read.find([]byte(key)); string(got) != want || err != nil {
			t.Errorf("%q, %v, want %q", got, err, want)
		}
	}
}
