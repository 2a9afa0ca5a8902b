package transcript

import (
	"github.com/fxamacker/cbor/v2"
)

// member is one entry of a CBOR map.
type member struct {
	key   string // in diagnostic notation
	value []byte // encoded
}

// members takes a CBOR map apart, in the order of its encoding. It gives what comes before the first byte that is not
// CBOR, nothing for an item that is not a map of at most 23 entries: no message has more, but it may be hostile.
func members(b []byte) (all []member) {
	const emptyMap, most = 0xa0, 23
	if len(b) == 0 || b[0] < emptyMap || b[0] > emptyMap+most {
		return nil
	}
	count, rest := b[0]-emptyMap, b[1:]
	for range count {
		key, after, err := cbor.DiagnoseFirst(rest)
		if err != nil {
			return all
		}
		end, err := skip(after)
		if err != nil {
			return all
		}
		all = append(all, member{key, after[:len(after)-len(end)]})
		rest = end
	}
	return all
}

// skip gives what follows the item that b begins with.
func skip(b []byte) ([]byte, error) {
	var item cbor.RawMessage
	return cbor.UnmarshalFirst(b, &item)
}

func (m member) diagnose() string { return diagnose(m.value) }

// diagnose gives an item in diagnostic notation, which is of printable ASCII characters whatever the item holds.
func diagnose(b []byte) string {
	s, err := cbor.Diagnose(b)
	if err != nil {
		return "not well-formed CBOR"
	}
	return s
}
