package otpauth

import (
	"encoding/binary"
	"errors"
	"iter"
)

var errMessage = errors.New("is no such message")

// field is a field of a message of Protocol Buffers: bytes, or a value where there are none.
type field struct {
	number uint64
	value  uint64
	bytes  []byte // never nil, where it has any; a part of the message
}

// Wire types (Protocol Buffers, "Encoding").
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// fields gives the fields of a message, and after an error no more.
func fields(message []byte) iter.Seq2[field, error] {
	return func(yield func(field, error) bool) {
		for len(message) > 0 {
			f, rest, ok := cutField(message)
			if !ok {
				yield(field{}, errMessage)
				return
			}
			message = rest
			if !yield(f, nil) {
				return
			}
		}
	}
}

func cutField(in []byte) (f field, rest []byte, ok bool) {
	tag, in, ok := cutVarint(in)
	if !ok || tag>>3 == 0 {
		return f, nil, false
	}
	f.number = tag >> 3
	size := uint64(0)
	switch tag & 7 {
	case wireVarint:
		f.value, in, ok = cutVarint(in)
		return f, in, ok
	case wireFixed64:
		size = 8
	case wireFixed32:
		size = 4
	case wireBytes:
		size, in, ok = cutVarint(in)
	default:
		ok = false
	}
	if !ok || size > uint64(len(in)) {
		return f, nil, false
	}
	f.bytes = in[:size:size]
	return f, in[size:], true
}

func cutVarint(in []byte) (value uint64, rest []byte, ok bool) {
	value, n := binary.Uvarint(in)
	if n <= 0 {
		return 0, nil, false
	}
	return value, in[n:], true
}

func appendNumber(out []byte, number, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(out, number<<3|wireVarint), value)
}

func appendBytes(out []byte, number uint64, value []byte) []byte {
	out = binary.AppendUvarint(out, number<<3|wireBytes)
	return append(binary.AppendUvarint(out, uint64(len(value))), value...)
}
