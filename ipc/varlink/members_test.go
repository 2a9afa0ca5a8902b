package varlink

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

// FuzzMembers holds our splitting of objects to encoding/json.
func FuzzMembers(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"b":[1,{"c":"}"}]}`, ` { "a" : "\"" , "b" : null } `, `{"a":1,"a":2}`, `[]`, `{"a":-1.5e3}`, `{"\u0061":true,"b":{}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var want map[string]json.RawMessage
		wantErr := json.Unmarshal(b, &want)
		got, err := members(b)
		if err != nil {
			return // duplicates are ours to refuse; the rest is checked below
		}
		if wantErr != nil || len(got) != len(want) {
			t.Fatalf("%q: %d members, encoding/json has %d (%v)", b, len(got), len(want), wantErr)
		}
		for _, m := range got {
			if !bytes.Equal(m.value, want[m.name]) {
				t.Fatalf("%q: %s is %q, want %q", b, m.name, m.value, want[m.name])
			}
		}
	})
}

func TestMembersAreTakenOnce(t *testing.T) {
	for text, ok := range map[string]bool{
		`{"a":1,"b":2}`: true, `{"a":1,"A":2}`: true, `{"a":1,"a":2}`: false, `{"a":1,"\u0061":2}`: false, `{} {}`: false, `[1]`: false,
	} {
		if _, err := members([]byte(text)); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestBindIsExact(t *testing.T) {
	for parameters, want := range map[string]string{
		`{"origin":"x"}`:              "",
		`{"origin":"x","more":1}`:     "",
		`{"origin":"x","ORIGIN":"y"}`: "ORIGIN",
		`{"Origin":"y"}`:              "Origin",
		`{"origin":"x","origin":"y"}`: "parameters",
	} {
		var in struct {
			Origin string `json:"origin"`
		}
		err := (&Call{Parameters: json.RawMessage(parameters)}).Bind(&in)
		var invalid InvalidParameter
		if errors.As(err, &invalid); invalid.Parameter != want || (err == nil && in.Origin != "x") {
			t.Errorf("%s: %v, %+v", parameters, err, in)
		}
	}
}

// TestBindWantsFlags: a parameter that is left out, or misspelt, is not taken for false.
func TestBindWantsFlags(t *testing.T) {
	for parameters, want := range map[string]string{
		`{"on":true}`:               "",
		`{"on":false,"device":"k"}`: "",
		`{"on":true,"device":null}`: "",
		`{"enabled":true}`:          "on",
		`{"on":null}`:               "on",
		`{"on":1}`:                  "on",
		`{}`:                        "on",
		``:                          "on",
	} {
		var in struct {
			Device string `json:"device,omitempty"`
			On     bool   `json:"on"`
		}
		call := &Call{Parameters: json.RawMessage(parameters)}
		if parameters == "" {
			call.Parameters = nil
		}
		err := call.Bind(&in)
		var invalid InvalidParameter
		if errors.As(err, &invalid); invalid.Parameter != want {
			t.Errorf("%s: %v, %+v", parameters, err, in)
		}
	}
}
