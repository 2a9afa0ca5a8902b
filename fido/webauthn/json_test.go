package webauthn

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestCheckJSON(t *testing.T) {
	deep := strings.Repeat("[", maxJSONNesting) + strings.Repeat("]", maxJSONNesting)
	for _, good := range []string{`{}`, ` {"a":{"b":1},"c":{"b":2}} `, `[{"a":1},{"a":1}]`, `1e999`, deep,
		`{"a":"a","A":"a"}`} {
		if err := CheckJSON([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []struct {
		in, member string
		problem    error
	}{
		{``, "", ErrSyntax},
		{`{`, "", ErrSyntax},
		{`{} {}`, "", ErrSyntax},
		{`{"a":1,}`, "", ErrSyntax},
		{"\"\xff\"", "", ErrSyntax},
		{"\xef\xbb\xbf{}", "", ErrSyntax},
		{`{"a":1,"a":1}`, "a", ErrDuplicateMember},
		{`{"a":1,"\u0061":1}`, "a", ErrDuplicateMember},
		{`{"x":[0,{"y":{"z":1,"z":2}}]}`, "x[1].y.z", ErrDuplicateMember},
		{"[" + deep + "]", "", ErrNesting},
		{strings.Repeat(" ", MaxJSONSize) + "1", "", ErrTooLarge},
	} {
		checkMember(t, bad.in, CheckJSON([]byte(bad.in)), bad.member, bad.problem)
	}
}

// checkMember checks that err is the MemberError that is wanted.
func checkMember(t *testing.T, in string, err error, member string, problem error) {
	t.Helper()
	var e *MemberError
	if !errors.As(err, &e) || e.Member != member || !errors.Is(err, problem) {
		t.Errorf("%.200s: error %v, want %q %v", in, err, member, problem)
	}
}

// TestMemberIsShort: the path to a member is no longer than a member's name may be, however deep it is. It is made for each
// element of a list.
func TestMemberIsShort(t *testing.T) {
	name := `{"` + strings.Repeat("n", MaxTextLength) + `":`
	for _, end := range []string{`{"a":1,"a":2}`, `[0,{"a":1,"a":2}]`} {
		err := CheckJSON([]byte(strings.Repeat(name, 10) + end + strings.Repeat("}", 10)))
		var member *MemberError
		if !errors.As(err, &member) || member.Problem != ErrDuplicateMember || len(member.Member) > MaxTextLength+16 {
			t.Errorf("%s: %.100v, %d bytes", end, err, len(member.Member))
		}
	}
}

func TestBase64URL(t *testing.T) {
	for in, want := range map[string]string{`""`: "", `"_-8"`: "\xff\xef", `"AA"`: "\x00", `"\u0041A"`: "\x00"} {
		var b Base64URL
		if err := json.Unmarshal([]byte(in), &b); err != nil || string(b) != want {
			t.Errorf("%s: %x, %v", in, []byte(b), err)
		}
	}
	for _, bad := range []string{`"AA=="`, `"A"`, `"+/8"`, `"AB"`, `"A\nA"`, `"A\rA"`, `null`, `7`, `["AA"]`} {
		var b Base64URL
		if err := b.UnmarshalJSON([]byte(bad)); !errors.Is(err, ErrNotBase64URL) {
			t.Errorf("%s: %x, %v", bad, []byte(b), err)
		}
	}
	if out, err := json.Marshal(Base64URL{0xff, 0xef}); err != nil || string(out) != `"_-8"` {
		t.Errorf("%s, %v", out, err)
	}
}
