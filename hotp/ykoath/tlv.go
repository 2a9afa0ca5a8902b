package ykoath

import "encoding/binary"

// Tags of data objects.
const (
	tagName      = 0x71
	tagListed    = 0x72 // type and algorithm, name
	tagKey       = 0x73 // type and algorithm, digits, key
	tagChallenge = 0x74
	tagFull      = 0x75 // digits and HMAC; in VALIDATE and SET CODE an HMAC alone
	tagTruncated = 0x76 // digits and four bytes of the HMAC (RFC 4226 §5.3)
	tagHOTP      = 0x77 // a code that CALCULATE ALL leaves out, since it would move the counter
	tagProperty  = 0x78 // the one object without a length
	tagVersion   = 0x79
	tagCounter   = 0x7a // initial moving factor
	tagAlgorithm = 0x7b // of the password's HMAC
	tagTouch     = 0x7c // a code that CALCULATE ALL leaves out, since it needs a touch

	tagPINRetries = 0x82 // Nitrokey
	tagSerial     = 0x8f // Nitrokey
)

// object is a data object: a tag of one byte, a length (ISO 7816-4, "BER-TLV length fields") of one to three, a value.
type object struct {
	tag   byte
	value []byte
}

// cutObject reads the object with which b begins. Its value is a part of b.
func cutObject(b []byte) (o object, rest []byte, err error) {
	if len(b) < 2 {
		return object{}, nil, badReply("object of %d bytes", len(b))
	}
	tag, n := b[0], int(b[1])
	size := 2
	switch {
	case n == 0x81 && len(b) > 2 && b[2] >= 0x80:
		n, size = int(b[2]), 3
	case n == 0x82 && len(b) > 3 && b[2] > 0:
		n, size = int(binary.BigEndian.Uint16(b[2:])), 4
	case n >= 0x80:
		return object{}, nil, badReply("object %02x with a bad length", tag)
	}
	if len(b)-size < n {
		return object{}, nil, badReply("object %02x of %d bytes, of which %d are there", tag, n, len(b)-size)
	}
	return object{tag, b[size : size+n : size+n]}, b[size+n:], nil
}

// parseObjects reads one object after the other.
func parseObjects(b []byte) (all []object, err error) {
	for len(b) > 0 {
		var o object
		if o, b, err = cutObject(b); err != nil {
			return nil, err
		}
		all = append(all, o)
	}
	return all, nil
}

// appendObject appends an object whose value is the parts, one after the other, at most 65535 bytes.
func appendObject(out []byte, tag byte, parts ...[]byte) []byte {
	n := 0
	for _, p := range parts {
		n += len(p)
	}
	switch {
	case n < 0x80:
		out = append(out, tag, byte(n))
	case n <= 0xff:
		out = append(out, tag, 0x81, byte(n))
	default:
		out = append(out, tag, 0x82, byte(n>>8), byte(n))
	}
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// only reads the one object of a reply, which must have this tag.
func only(reply []byte, tag byte) ([]byte, error) {
	o, rest, err := cutObject(reply)
	switch {
	case err != nil:
		return nil, err
	case o.tag != tag:
		return nil, badReply("object %02x in place of %02x", o.tag, tag)
	case len(rest) > 0:
		return nil, badReply("%d bytes behind object %02x", len(rest), tag)
	}
	return o.value, nil
}
