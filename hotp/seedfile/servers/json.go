package servers

import (
	"encoding/json"
	"errors"
	"io"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// seedText is a JSON string with a seed in letters and digits. Decoding makes no Go string of it, which could not be
// wiped. encoding/json keeps a copy in its buffer, until that is collected.
type seedText []byte

var errSeedText = errors.New("the seed is no text of letters and digits")

// UnmarshalJSON takes a string without escapes.
func (s *seedText) UnmarshalJSON(data []byte) error {
	if len(data) < 2 || data[0] != '"' {
		return errSeedText
	}
	for _, c := range data[1 : len(data)-1] {
		if c == '\\' || c < ' ' || c > '~' {
			return errSeedText
		}
	}
	*s = append((*s)[:0], data[1:len(data)-1]...)
	return nil
}

// seed decodes it, and wipes the text.
func (s seedText) seed(parse func([]byte) (hotp.Seed, error)) (hotp.Seed, error) {
	defer clear(s)
	seed, err := parse(s)
	if err != nil {
		seed.Wipe()
		return nil, err
	}
	return seed, nil
}

// jsonProblem says what is wrong with JSON without repeating any of it.
func jsonProblem(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, errSeedText):
		return errSeedText
	case errors.As(err, &kind):
		return errors.New("the value of " + kind.Field + " is of another kind")
	case errors.As(err, &syntax), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("it is no JSON, or ends too early")
	}
	return err
}

// quoted gives a text as JSON.
func quoted(text string) string {
	out, _ := json.Marshal(text) // a string always has a JSON form
	return string(out)
}

// requests is the layout of files that have a request a line, as a JSON object: method, path and body.
var requests = columns.Layout{Separator: '\n'}

// request is a line of such a file.
type request[Body any] struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   Body   `json:"body"`
}

// parseRequest decodes a line.
func parseRequest[Body any](r *columns.Row) (q request[Body], err error) {
	if err := json.Unmarshal(r.Bytes(0), &q); err != nil {
		return q, r.Error(0, jsonProblem(err))
	}
	if q.Method != "POST" {
		return q, r.Errorf(0, "it is no request with the method POST")
	}
	return q, nil
}

// pathText tells why a text can't be a part of the path of a request.
func pathText(f *seedfile.Format, t *seedfile.Token, field seedfile.Field, text string) error {
	if text == "." || text == ".." {
		return &seedfile.ValueError{Format: f.Name, Token: t.Name(), Field: field, Problem: "is a step in a path"}
	}
	return nil
}
