package transcript

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/fxamacker/cbor/v2"

	"fob/fido/ctap"
)

// compare finds the differences between the recorded answer and another one.
func (x *exchange) compare(got ctap.Response, touch bool, s Strictness) []Difference {
	c := &comparison{number: x.number, name: x.request.Name()}
	switch {
	case x.response == nil: // the recording ended before it
		return nil
	case s == Strict && !bytes.Equal(x.response, got):
		c.differ("bytes", digits(x.response), digits(got))
	case s == Loose && x.request.U2F:
		c.u2f(x.response, got)
	case s == Loose:
		c.ctap2(x.request.message().response, x.response, got)
	}
	c.equal("touch", strconv.FormatBool(x.touch()), strconv.FormatBool(touch))
	return c.differences
}

// comparison is that of one answer.
type comparison struct {
	number      int
	name        string
	differences []Difference
}

func (c *comparison) differ(where, recorded, got string) {
	c.differences = append(c.differences,
		Difference{c.number, c.name, where, shorten(recorded), shorten(got)})
}

func (c *comparison) equal(where, recorded, got string) {
	if recorded != got {
		c.differ(where, recorded, got)
	}
}

func (c *comparison) u2f(recorded Response, got ctap.Response) {
	c.equal("status", statusWord(recorded), statusWord(got))
	c.equal("data", strconv.FormatBool(len(recorded) > 2), strconv.FormatBool(len(got) > 2))
}

func statusWord(apdu []byte) string {
	if len(apdu) < 2 {
		return "no status word"
	}
	return fmt.Sprintf("%04X", binary.BigEndian.Uint16(apdu[len(apdu)-2:]))
}

func (c *comparison) ctap2(names map[int]string, recorded Response, got ctap.Response) {
	if len(recorded) == 0 || len(got) == 0 {
		c.equal("length", strconv.Itoa(len(recorded)), strconv.Itoa(len(got)))
		return
	}
	if recorded[0] != got[0] {
		c.differ("status", ctap.StatusCode(recorded[0]).Error(), ctap.StatusCode(got[0]).Error())
		return
	}
	a, b := decode(recorded[1:]), decode(got[1:])
	parameters, known := a.(map[any]any)
	others, alike := b.(map[any]any)
	if !known || !alike {
		c.values("parameters", a, b)
		return
	}
	for _, key := range keys(parameters, others) {
		where := fmt.Sprint(key)
		if n, ok := key.(int64); ok && names[int(n)] != "" {
			where = names[int(n)]
		}
		c.members(where, key, parameters, others)
	}
}

// undecodable is what is not CBOR, told by its bytes.
type undecodable string

var (
	decoding = must(cbor.DecOptions{IntDec: cbor.IntDecConvertSignedOrBigInt}.DecMode())
	encoding = must(cbor.CoreDetEncOptions().EncMode()) // equal maps are told equally
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // the options above are constants
	}
	return v
}

func decode(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	var v any
	if err := decoding.Unmarshal(b, &v); err != nil {
		return undecodable(digits(b))
	}
	return v
}

// keys are those of either map, in one order.
func keys(a, b map[any]any) []any {
	all := make(map[any]bool, len(a))
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b any) int { return bytes.Compare(sortKey(a), sortKey(b)) })
}

// sortKey orders small numbers by their size.
func sortKey(k any) []byte { return fmt.Appendf(nil, "%8v", k) }

func (c *comparison) members(where string, key any, recorded, got map[any]any) {
	a, inRecorded := recorded[key]
	b, inGot := got[key]
	switch {
	case !inRecorded && !inGot: // not a number, which is never found
	case !inGot:
		c.differ(where, told(a), "nothing")
	case !inRecorded:
		c.differ(where, "nothing", told(b))
	default:
		c.values(where, a, b)
	}
}

// values compares two items of CBOR.
func (c *comparison) values(where string, recorded, got any) {
	switch a := recorded.(type) {
	case map[any]any:
		if b, ok := got.(map[any]any); ok {
			for _, key := range keys(a, b) {
				c.members(fmt.Sprintf("%s.%v", where, key), key, a, b)
			}
			return
		}
	case []any:
		if b, ok := got.([]any); ok && len(a) == len(b) {
			for i := range a {
				c.values(fmt.Sprintf("%s[%d]", where, i), a[i], b[i])
			}
			return
		}
	case []byte:
		if b, ok := got.([]byte); ok {
			c.binaries(where, a, b)
			return
		}
	}
	c.equal(where, told(recorded), told(got))
}

// told gives an item in a few words.
func told(v any) string {
	b, err := encoding.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return diagnose(b)
}

// binaries compares byte strings: only what is authenticator data has something in it that must not differ.
func (c *comparison) binaries(where string, recorded, got []byte) {
	if where != "authData" {
		return
	}
	a, errA := ctap.ParseAuthenticatorData(recorded)
	b, errB := ctap.ParseAuthenticatorData(got)
	if errA != nil || errB != nil {
		c.equal(where, authDataOr(errA), authDataOr(errB))
		return
	}
	c.equal("authData.rpIdHash", digits(a.RPIDHash[:]), digits(b.RPIDHash[:]))
	c.equal("authData.flags", flagWords(a.Flags), flagWords(b.Flags))
	if a.Attested != nil && b.Attested != nil {
		c.equal("authData.aaguid", digits(a.Attested.AAGUID[:]), digits(b.Attested.AAGUID[:]))
		c.values("authData.credentialPublicKey", decode(a.Attested.PublicKey), decode(b.Attested.PublicKey))
	}
	if a.Extensions != nil && b.Extensions != nil {
		c.values("authData.extensions", decode(a.Extensions), decode(b.Extensions))
	}
}

// authDataOr says whether something is authenticator data.
func authDataOr(err error) string {
	if err != nil {
		return err.Error()
	}
	return "authenticator data"
}
