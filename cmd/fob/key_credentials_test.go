package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"fob/ipc"
)

// TestShortest: what is printed of an ID is enough to mean the credential.
func TestShortest(t *testing.T) {
	var list []ipc.Credential
	for _, id := range []string{"abcdefghij", "abcdefghik", "abcdefgh", "xyz", "zzzzzzzzzzzzzzzz"} {
		list = append(list, ipc.Credential{ID: id})
	}
	if got := shortest(list); !slices.Equal(got, []int{10, 10, 8, 3, 8}) {
		t.Error(got)
	}
}

// TestPrintCredentials: what a key makes up moves no cursor, and RP IDs that it has cut short are marked.
func TestPrintCredentials(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out}
	list := &ipc.CredentialList{Existing: 3, Remaining: 7, Credentials: []ipc.Credential{
		{ID: "aaaaaaaaaa", RPID: "…long.example", RPIDHash: "1", RPIDCut: true, Name: "a\x1b[2Jlice",
			CredProtect: ipc.UserVerificationRequired},
		{ID: "bbbbbbbbbb", RPID: "…long.example", RPIDHash: "1", RPIDCut: true, DisplayName: "Bob"},
		{ID: "cccccccccc", RPID: "c.example", RPIDHash: "2", UserID: "Y2Fyb2w"},
	}}
	if err := a.printCredentials(list); err != nil {
		t.Fatal(err)
	}
	want := `RELYING PARTY    ACCOUNT       DISPLAY NAME  CREDENTIAL  PROTECTION
…long.example *  a�[2Jlice                   aaaaaaaa    PIN
                               Bob           bbbbbbbb    -
c.example        user Y2Fyb2w                cccccccc    -
* the key has cut this RP ID short, or it is not what the credential is for
3 of 10 used
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), strings.TrimSpace(want))
	}
}
