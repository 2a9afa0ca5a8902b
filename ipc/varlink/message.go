package varlink

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// Call is one method call. A [Handler] may use it until it returns; then the parameters are zeroed.
type Call struct {
	Method     string          // the full name: interface, dot, method
	Parameters json.RawMessage // a JSON object, or nil for none
	More       bool            // the caller takes more than one reply
	Oneway     bool            // the caller takes no reply, not even an error
	Peer       Peer            // who calls

	upgrade bool
	conn    *conn
}

// Reply is one of the replies to a call with "more".
type Reply struct {
	Parameters json.RawMessage // a JSON object, or nil for none; zeroed when the next reply is asked for
	Continues  bool            // another reply follows

	err string // the error's name, in a reply that is one
}

// Bind decodes the parameters into the struct that v points to; absent parameters count as {}, unknown ones are
// ignored, but for those that are another's in other case. Values of the wrong type, and bools that are absent though their
// tag has a name and no omitempty, give [InvalidParameter] with the parameter's name (dotted inside a struct). An error with
// a name of its own, from an UnmarshalJSON or UnmarshalText method, is returned as it is.
func (c *Call) Bind(v any) error {
	if err := checkNames(c.Parameters, v); err != nil {
		return err
	}
	err := bind(c.Parameters, v)
	var typeErr *json.UnmarshalTypeError
	switch {
	case err == nil:
		return checkFlags(c.Parameters, v)
	case errors.As(err, new(Named)), errors.As(err, new(*json.InvalidUnmarshalError)):
		return err
	case errors.As(err, &typeErr) && typeErr.Field != "":
		return InvalidParameter{typeErr.Field}
	}
	return InvalidParameter{c.culprit(v)}
}

// culprit finds the parameter that can't be decoded when encoding/json doesn't say, as for bad base64.
func (c *Call) culprit(v any) string {
	values, err := object(c.Parameters)
	if err != nil {
		return "parameters"
	}
	defer wipe(values)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		alone := slices.Concat([]byte("{"), quote(name), []byte(":"), values[name], []byte("}"))
		err := json.Unmarshal(alone, reflect.New(reflect.TypeOf(v).Elem()).Interface())
		clear(alone)
		if err != nil {
			return name
		}
	}
	return "parameters"
}

// Bind decodes the parameters into the struct that v points to; nil drops them.
func (r Reply) Bind(v any) error {
	if v == nil {
		return nil
	}
	if err := bind(r.Parameters, v); err != nil {
		return fmt.Errorf("varlink: unexpected reply: %w", err)
	}
	return nil
}

func bind(parameters json.RawMessage, v any) error {
	if parameters == nil {
		parameters = json.RawMessage("{}")
	}
	return json.Unmarshal(parameters, v)
}

// marshal gives a copy of its own, so that the caller may zero it.
func marshal(v any) (json.RawMessage, error) {
	var parameters json.RawMessage
	var err error
	switch v := v.(type) {
	case nil:
		return json.RawMessage("{}"), nil
	case json.RawMessage: // not through json.Marshal, whose pooled buffer would keep a copy
		if !json.Valid(v) {
			return nil, ErrMalformed
		}
		parameters = slices.Clone(v)
	default:
		if parameters, err = json.Marshal(v); err != nil {
			return nil, fmt.Errorf("varlink: %w", err)
		}
	}
	if !isObject(parameters) {
		clear(parameters)
		return nil, fmt.Errorf("%w: %T is no JSON object", ErrMalformed, v)
	}
	return parameters, nil
}

// decodeCall copies the call out of a message. The error is an [InvalidParameter] that names the field.
func decodeCall(message []byte) (*Call, error) {
	fields, err := object(message)
	if err != nil {
		return nil, InvalidParameter{"message"}
	}
	defer wipe(fields)
	c := new(Call)
	for _, field := range []struct {
		name string
		to   any
	}{{"method", &c.Method}, {"more", &c.More}, {"oneway", &c.Oneway}, {"upgrade", &c.upgrade}} {
		if err := decodeField(fields, field.name, field.to); err != nil {
			return nil, InvalidParameter{field.name}
		}
	}
	switch {
	case c.Method == "":
		return nil, InvalidParameter{"method"}
	case c.More && c.Oneway: // several replies and none at all
		return nil, InvalidParameter{"oneway"}
	}
	if c.Parameters, err = takeParameters(fields); err != nil {
		return nil, InvalidParameter{"parameters"}
	}
	return c, nil
}

// encode gives the message with its NUL.
func (c *Call) encode() []byte {
	b := newMessage(c.Method, c.Parameters)
	b = append(append(b, `{"method":`...), quote(c.Method)...)
	b = appendParameters(b, c.Parameters)
	b = appendFlag(b, "more", c.More)
	b = appendFlag(b, "oneway", c.Oneway)
	b = appendFlag(b, "upgrade", c.upgrade)
	return append(b, '}', 0)
}

// decodeReply copies the reply out of a message.
func decodeReply(message []byte) (Reply, error) {
	fields, err := object(message)
	if err != nil {
		return Reply{}, err
	}
	defer wipe(fields)
	var r Reply
	if decodeField(fields, "continues", &r.Continues) != nil || decodeField(fields, "error", &r.err) != nil {
		return Reply{}, ErrMalformed
	}
	r.Parameters, err = takeParameters(fields)
	return r, err
}

// encode gives the message with its NUL.
func (r Reply) encode() []byte {
	b := append(newMessage(r.err, r.Parameters), '{')
	if r.err != "" {
		b = append(append(b, `"error":`...), quote(r.err)...)
	}
	b = appendParameters(b, r.Parameters)
	b = appendFlag(b, "continues", r.Continues)
	return append(b, '}', 0)
}

// object copies the members of a JSON object, their names exactly as they are: a struct would also take "Method" for
// "method".
func object(b []byte) (map[string]json.RawMessage, error) {
	list, err := members(b)
	if err != nil {
		return nil, err
	}
	fields := make(map[string]json.RawMessage, len(list))
	for _, m := range list {
		fields[m.name] = slices.Clone(m.value)
	}
	return fields, nil
}

func decodeField(fields map[string]json.RawMessage, name string, to any) error {
	if raw, ok := fields[name]; ok {
		return json.Unmarshal(raw, to)
	}
	return nil
}

// takeParameters moves the parameters out of the fields; null counts as absent.
func takeParameters(fields map[string]json.RawMessage) (json.RawMessage, error) {
	parameters := fields["parameters"]
	switch {
	case parameters == nil, string(parameters) == "null":
		return nil, nil
	case !isObject(parameters):
		return nil, ErrMalformed
	}
	delete(fields, "parameters")
	return parameters, nil
}

func wipe(fields map[string]json.RawMessage) {
	for _, raw := range fields {
		clear(raw)
	}
}

// isObject reports whether valid JSON is an object.
func isObject(b []byte) bool {
	i := slices.IndexFunc(b, func(c byte) bool { return c != ' ' && c != '\t' && c != '\r' && c != '\n' })
	return i >= 0 && b[i] == '{'
}

// newMessage has room for all that encode appends: growing would leave a copy of the parameters behind.
func newMessage(name string, parameters []byte) []byte {
	const syntax = 96 // keys, flags and punctuation of the longest message
	return make([]byte, 0, syntax+6*len(name)+len(parameters))
}

func appendParameters(b []byte, parameters json.RawMessage) []byte {
	if parameters == nil {
		return b
	}
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(append(b, `"parameters":`...), parameters...)
}

func appendFlag(b []byte, name string, set bool) []byte {
	if !set {
		return b
	}
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(strconv.AppendQuote(b, name), ":true"...)
}

// quote gives a JSON string.
func quote(s string) []byte {
	b, _ := json.Marshal(s) // never fails for a string
	return b
}
