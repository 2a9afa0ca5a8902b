package ctap

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

func TestCheckCanonical(t *testing.T) {
	for _, test := range []struct {
		name, hex string
		want      error
	}{
		{"unsigned", "17", nil},
		{"one byte", "1818", nil},
		{"one byte, not needed", "1817", ErrInvalidCBOR},
		{"two bytes, not needed", "1900ff", ErrInvalidCBOR},
		{"four bytes, not needed", "1a0000ffff", ErrInvalidCBOR},
		{"eight bytes, not needed", "1b00000000ffffffff", ErrInvalidCBOR},
		{"eight bytes", "1b0000000100000000", nil},
		{"negative", "3863", nil},
		{"map", "a201020304", nil},
		{"map out of order", "a203040102", ErrInvalidCBOR},
		{"map with a duplicate key", "a201020103", ErrInvalidCBOR},
		{"map: shorter key first", "a2616201626161" + "02", nil},
		{"map: longer key first", "a262616101616202", ErrInvalidCBOR},
		{"map: unsigned before negative", "a21818012002", nil},
		{"map: negative before unsigned", "a22001181802", ErrInvalidCBOR},
		{"map cut short", "a101", ErrInvalidCBOR},
		{"map of indefinite length", "bf0102ff", ErrInvalidCBOR},
		{"array of indefinite length", "9f01ff", ErrInvalidCBOR},
		{"bytes of indefinite length", "5f4101ff", ErrInvalidCBOR},
		{"text of indefinite length", "7f6161ff", ErrInvalidCBOR},
		{"trailing byte", "0100", ErrInvalidCBOR},
		{"nothing", "", ErrInvalidCBOR},
		{"bytes longer than the message", "5affffffff00", ErrInvalidCBOR},
		{"array longer than the message", "9bffffffffffffffff", ErrInvalidCBOR},
		{"nested four deep", "81818180", nil},
		{"nested five deep", "8181818180", ErrInvalidCBOR},
		{"tag", "c001", ErrInvalidCBOR},
		{"true", "f5", nil},
		{"null", "f6", ErrCBORUnexpectedType},
		{"undefined", "f7", ErrCBORUnexpectedType},
		{"half float", "f93c00", ErrCBORUnexpectedType},
		{"double cut short", "fb3c00", ErrInvalidCBOR},
		{"break", "ff", ErrInvalidCBOR},
		{"unassigned simple value", "f820", ErrInvalidCBOR},
		{"reserved additional information", "1c", ErrInvalidCBOR},
	} {
		b, err := hex.DecodeString(test.hex)
		if err != nil {
			t.Fatal(err)
		}
		if err := CheckCanonical(b); !errors.Is(err, test.want) {
			t.Errorf("%s: %s: %v, want %v", test.name, test.hex, err, test.want)
		}
	}
}

// FuzzCheckCanonical holds our check to the library: what we accept, it decodes and encodes again to the same bytes;
// what it encodes canonically from what it decoded, we accept.
func FuzzCheckCanonical(f *testing.F) {
	for _, seed := range []string{"a201020304", "81818180", "a2616201626161" + "02", "5840", "3863", "f5"} {
		b, _ := hex.DecodeString(seed)
		f.Add(b)
	}
	lax, err := cbor.DecOptions{MaxNestedLevels: 16}.DecMode()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v any
		if CheckCanonical(b) == nil {
			if err := lax.Unmarshal(b, &v); err != nil {
				// The library refuses invalid UTF-8 and map keys that Go can't compare; that is for Unmarshal to say.
				return
			}
			again, err := Marshal(v)
			if err != nil || !bytes.Equal(again, b) {
				t.Fatalf("accepted %x, which is encoded %x (%v)", b, again, err)
			}
			return
		}
		if lax.Unmarshal(b, &v) != nil {
			return
		}
		if again, err := Marshal(v); err == nil && bytes.Equal(again, b) && CheckCanonical(b) == ErrInvalidCBOR && depth(v) <= maxNesting {
			t.Fatalf("refused %x, which is canonical", b)
		}
	})
}

func depth(v any) int {
	deepest := 0
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			deepest = max(deepest, depth(e))
		}
		return deepest + 1
	case map[any]any:
		for k, e := range v {
			deepest = max(deepest, depth(k), depth(e))
		}
		return deepest + 1
	case cbor.Tag, cbor.SimpleValue:
		return maxNesting + 1 // not for CTAP
	default:
		return 0
	}
}
