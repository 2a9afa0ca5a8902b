package oathapplet

// Tags of data objects.
const (
	tagName      = 0x71
	tagList      = 0x72
	tagKey       = 0x73
	tagChallenge = 0x74
	tagResponse  = 0x75
	tagTruncated = 0x76
	tagHOTP      = 0x77
	tagProperty  = 0x78
	tagVersion   = 0x79
	tagCounter   = 0x7a
	tagAlgorithm = 0x7b
	tagTouch     = 0x7c
)

// cut reads the object with this tag with which b begins. Lengths of one byte, or of two beginning with 81, are all
// that an account needs.
func cut(b []byte, tag byte) (value, rest []byte, ok bool) {
	if len(b) < 2 || b[0] != tag {
		return nil, nil, false
	}
	n, b := int(b[1]), b[2:]
	if n == 0x81 && len(b) > 0 {
		n, b = int(b[0]), b[1:]
	} else if n > 0x7f {
		return nil, nil, false
	}
	if len(b) < n {
		return nil, nil, false
	}
	return b[:n:n], b[n:], true
}

// parse reads objects with these tags, and nothing else.
func parse(b []byte, tags ...byte) (values [][]byte, ok bool) {
	for _, tag := range tags {
		var value []byte
		if value, b, ok = cut(b, tag); !ok {
			return nil, false
		}
		values = append(values, value)
	}
	return values, len(b) == 0
}

// appendTLV appends an object of at most 127 bytes, as all of ours are.
func appendTLV(b []byte, tag byte, value []byte) []byte {
	return append(append(b, tag, byte(len(value))), value...)
}
