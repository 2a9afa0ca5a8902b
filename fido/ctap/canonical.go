package ctap

import (
	"bytes"
	"encoding/binary"
)

// maxNesting is how deep arrays and maps may nest in a message (§8, "Message Encoding").
const maxNesting = 4

// Major types of CBOR (RFC 8949 §3.1).
const (
	majorUnsigned = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

// CheckCanonical reports whether b is exactly one data item in the CTAP2 canonical CBOR encoding form (§8): shortest
// integers and lengths, definite lengths, no tags, map keys in order and so without duplicates, at most four levels
// of nesting, nothing behind the item. The error is ErrInvalidCBOR, or ErrCBORUnexpectedType for null, undefined
// and floating-point values: they are well-formed, but no CTAP message has a place for them, and a decoder that takes
// null for "absent" would hide a missing parameter.
func CheckCanonical(b []byte) error {
	rest, err := skipItem(b, maxNesting)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return ErrInvalidCBOR
	}
	return nil
}

// skipItem checks the data item that b begins with and returns what follows it.
func skipItem(b []byte, nesting int) ([]byte, error) {
	if len(b) == 0 {
		return nil, ErrInvalidCBOR
	}
	major, additional := b[0]>>5, b[0]&0x1f
	if major == majorSimple {
		return skipSimple(b, additional)
	}
	n, rest, err := argument(b, additional)
	if err != nil {
		return nil, err
	}
	switch major {
	case majorUnsigned, majorNegative:
		return rest, nil
	case majorBytes, majorText:
		if n > uint64(len(rest)) {
			return nil, ErrInvalidCBOR
		}
		return rest[n:], nil
	case majorArray:
		return skipArray(rest, n, nesting)
	case majorMap:
		return skipMap(rest, n, nesting)
	default: // a tag
		return nil, ErrInvalidCBOR
	}
}

// argument reads the number in the head of an item and refuses any but its shortest form.
func argument(b []byte, additional byte) (uint64, []byte, error) {
	rest := b[1:]
	switch {
	case additional < 24:
		return uint64(additional), rest, nil
	case additional == 24 && len(rest) >= 1 && rest[0] >= 24:
		return uint64(rest[0]), rest[1:], nil
	case additional == 25 && len(rest) >= 2:
		if n := binary.BigEndian.Uint16(rest); n > 0xff {
			return uint64(n), rest[2:], nil
		}
	case additional == 26 && len(rest) >= 4:
		if n := binary.BigEndian.Uint32(rest); n > 0xffff {
			return uint64(n), rest[4:], nil
		}
	case additional == 27 && len(rest) >= 8:
		if n := binary.BigEndian.Uint64(rest); n > 0xffffffff {
			return n, rest[8:], nil
		}
	}
	return 0, nil, ErrInvalidCBOR // longer than needed, cut short, or of indefinite length
}

func skipSimple(b []byte, additional byte) ([]byte, error) {
	const (
		simpleFalse = 20
		float16     = 25
		float64     = 27
	)
	switch {
	case additional == simpleFalse, additional == simpleFalse+1:
		return b[1:], nil
	case additional == simpleFalse+2, additional == simpleFalse+3: // null, undefined
		return nil, ErrCBORUnexpectedType
	case additional >= float16 && additional <= float64 && len(b) > 1<<(additional-24):
		return nil, ErrCBORUnexpectedType
	}
	return nil, ErrInvalidCBOR
}

func skipArray(rest []byte, n uint64, nesting int) ([]byte, error) {
	if nesting == 0 {
		return nil, ErrInvalidCBOR
	}
	var err error
	for range n { // each item takes a byte at least, so the loop ends with the input
		if rest, err = skipItem(rest, nesting-1); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

func skipMap(rest []byte, n uint64, nesting int) ([]byte, error) {
	if nesting == 0 {
		return nil, ErrInvalidCBOR
	}
	var last []byte
	for i := range n {
		value, err := skipItem(rest, nesting-1)
		if err != nil {
			return nil, err
		}
		key := rest[:len(rest)-len(value)]
		if i > 0 && compareKeys(last, key) >= 0 {
			return nil, ErrInvalidCBOR
		}
		last = key
		if rest, err = skipItem(value, nesting-1); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// compareKeys orders encoded map keys: by major type, then the shorter first, then byte by byte (§8). Comparing the
// heads does the first step: the major type is in the top bits.
func compareKeys(a, b []byte) int {
	if x, y := int(a[0]>>5), int(b[0]>>5); x != y {
		return x - y
	}
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return bytes.Compare(a, b)
}
