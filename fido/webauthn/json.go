package webauthn

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Limits on what we read. WebAuthn sets none for most of them; these are far beyond what relying parties send.
const (
	MaxJSONSize     = 64 << 10 // bytes of one document
	MaxListLength   = 64       // elements of a list
	MaxTextLength   = 1024     // bytes of a text
	maxJSONNesting  = 16       // objects and lists within one another
	MaxUserIDLength = 64       // bytes of a user handle (§5.4.3)
)

// Problems that a MemberError unwraps to.
var (
	ErrTooLarge        = fmt.Errorf("is larger than %d bytes", MaxJSONSize)
	ErrSyntax          = errors.New("is not JSON in UTF-8")
	ErrNesting         = fmt.Errorf("nests deeper than %d levels", maxJSONNesting)
	ErrDuplicateMember = errors.New("occurs twice")
	ErrMissing         = errors.New("is missing")
	ErrType            = errors.New("has the wrong type")
	ErrLength          = errors.New("has the wrong length")
	ErrRange           = errors.New("is out of range")
	ErrNotPublicKey    = errors.New(`has no element of the type "public-key"`)
	ErrValue           = errors.New("has the wrong value")
)

// MemberError says which member of a JSON document is at fault, e.g. "user.id" or "pubKeyCredParams[2].alg", and
// what its problem is. Member is empty when the document as a whole is at fault.
type MemberError struct {
	Member  string
	Problem error
}

func (e *MemberError) Error() string {
	if e.Member == "" {
		return "the document " + e.Problem.Error()
	}
	return e.Member + " " + e.Problem.Error()
}

// Unwrap gives the problem.
func (e *MemberError) Unwrap() error { return e.Problem }

// CheckJSON reports whether b is a JSON document that every reader understands alike: UTF-8, no member twice, nothing
// behind it; at most MaxJSONSize bytes. The error is a *MemberError.
func CheckJSON(b []byte) error {
	if len(b) > MaxJSONSize {
		return &MemberError{Problem: ErrTooLarge}
	}
	if !utf8.Valid(b) {
		return &MemberError{Problem: ErrSyntax}
	}
	var whole json.RawMessage
	if err := json.Unmarshal(b, &whole); err != nil {
		return &MemberError{Problem: fmt.Errorf("%w: %w", ErrSyntax, err)}
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return checkValue(d, "", maxJSONNesting)
}

// checkValue reads one value of a document that is known to be well-formed.
func checkValue(d *json.Decoder, path string, nesting int) error {
	token, err := d.Token()
	if err != nil {
		return &MemberError{path, ErrSyntax}
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if nesting == 0 {
		return &MemberError{Problem: ErrNesting}
	}
	seen := make(map[string]bool)
	for i := 0; d.More(); i++ {
		member := fmt.Sprintf("%s[%d]", path, i)
		if open == '{' {
			token, err := d.Token()
			name, ok := token.(string)
			if err != nil || !ok {
				return &MemberError{path, ErrSyntax}
			}
			member = join(path, name)
			if seen[name] {
				return &MemberError{member, ErrDuplicateMember}
			}
			seen[name] = true
		}
		if err := checkValue(d, member, nesting-1); err != nil {
			return err
		}
	}
	if _, err = d.Token(); err != nil { // the closing bracket
		return &MemberError{path, ErrSyntax}
	}
	return nil
}

// join gives the path to a member, cut to MaxTextLength bytes: a hostile document has long names, and nests them.
func join(path, name string) string {
	path, name = path[:min(len(path), MaxTextLength)], name[:min(len(name), MaxTextLength)]
	switch {
	case path == "":
		return name
	case name == "": // an element of a list
		return path
	}
	joined := path + "." + name
	return joined[:min(len(joined), MaxTextLength)]
}
