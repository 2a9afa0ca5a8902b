package ctap

import (
	"errors"

	"github.com/fxamacker/cbor/v2"
)

var (
	encMode = must(cbor.CTAP2EncOptions().EncMode())
	decMode = must(cbor.DecOptions{
		DupMapKey:       cbor.DupMapKeyEnforcedAPF,
		IndefLength:     cbor.IndefLengthForbidden,
		TagsMd:          cbor.TagsForbidden,
		MaxNestedLevels: maxNesting,
		UTF8:            cbor.UTF8RejectInvalid,
		// Only int32-sized and short-string keys are ever matched, so names must match to the letter.
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
	}.DecMode())
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the options above are constants: a mistake in them is ours
	}
	return v
}

// Marshal encodes v in the CTAP2 canonical CBOR encoding form.
func Marshal(v any) ([]byte, error) { return encMode.Marshal(v) }

// mustMarshal encodes our own message types, which always can be.
func mustMarshal(v any) []byte { return must(encMode.Marshal(v)) }

// Unmarshal decodes one canonical CBOR item into v. The error is ErrInvalidCBOR for what is not canonical CBOR and
// ErrCBORUnexpectedType for a value of another type than v has for it. Unknown map keys are ignored (§8).
func Unmarshal(b []byte, v any) error {
	if err := CheckCanonical(b); err != nil {
		return err
	}
	err := decMode.Unmarshal(b, v)
	var status StatusCode
	var typeErr *cbor.UnmarshalTypeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &status): // from an UnmarshalCBOR of ours
		return status
	case errors.As(err, &typeErr):
		return ErrCBORUnexpectedType
	default:
		return ErrInvalidCBOR
	}
}

// RawMessage is one encoded CBOR item that is passed on as it came.
type RawMessage = cbor.RawMessage

// Bytes is a byte string that decodes from a CBOR byte string and from nothing else; the library's []byte would take
// an array of numbers as well.
type Bytes []byte

// UnmarshalCBOR implements cbor.Unmarshaler.
func (b *Bytes) UnmarshalCBOR(data []byte) error {
	if len(data) == 0 || data[0]>>5 != majorBytes {
		return ErrCBORUnexpectedType
	}
	return decMode.Unmarshal(data, (*[]byte)(b))
}
