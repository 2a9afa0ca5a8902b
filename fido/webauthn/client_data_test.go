package webauthn

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"
)

func TestSerializeClientData(t *testing.T) {
	for want, in := range map[string]CollectedClientData{
		`{"type":"webauthn.create","challenge":"AAEC","origin":"https://example.com","crossOrigin":false}`: {
			Type: CeremonyCreate, Challenge: Base64URL{0, 1, 2}, Origin: "https://example.com"},
		`{"type":"webauthn.get","challenge":"_w","origin":"https://a.example","crossOrigin":true,` +
			`"topOrigin":"https://b.example"}`: {Type: CeremonyGet, Challenge: Base64URL{0xff},
			Origin: "https://a.example", CrossOrigin: true, TopOrigin: "https://b.example"},
		`{"type":"webauthn.get","challenge":"","origin":"x","crossOrigin":false}`: {Type: CeremonyGet, Origin: "x",
			TopOrigin: "https://same-origin-pages-have-no-top-origin.example"},
		// Escapes: quote, backslash and control characters, and nothing else, not even < > & DEL and U+2028.
		`{"type":"webauthn.get","challenge":"","origin":"\"\\\u0000\u000a\u001f/<>&` + "\x7f\u2028é😀\ufffd" +
			`","crossOrigin":false}`: {Type: CeremonyGet, Origin: "\"\\\x00\n\x1f/<>&\x7f\u2028é😀\xff"},
	} {
		got := in.Serialize()
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestClientDataHash(t *testing.T) {
	hash := ClientDataJSON("abc").Hash() // FIPS 180-2, appendix B.1
	if hex.EncodeToString(hash[:]) != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Errorf("%x", hash)
	}
}

// FuzzClientData checks that an ordinary JSON parser finds in client data what we put there.
func FuzzClientData(f *testing.F) {
	f.Add("webauthn.get", []byte{1}, "https://example.com", "", false)
	f.Add("\"\\\x00\x1f", []byte{}, "\u2028<>\xff\xed\xa0\x80", "https://top.example", true)
	f.Fuzz(func(t *testing.T, ceremony string, challenge []byte, origin, top string, cross bool) {
		c := CollectedClientData{Ceremony(ceremony), challenge, origin, cross, top}
		b := c.Serialize()
		var got struct{ Type, Challenge, Origin, TopOrigin string }
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if !cross {
			top = ""
		}
		if got.Type != clean(ceremony) || got.Origin != clean(origin) || got.TopOrigin != clean(top) ||
			got.Challenge != Base64URL(challenge).String() {
			t.Errorf("%s says %+v", b, got)
		}
		if err := CheckJSON(b); len(b) <= MaxJSONSize && err != nil {
			t.Errorf("%s: %v", b, err)
		}
		if b.Hash() != sha256.Sum256(b) {
			t.Error("the hash is not that of the bytes")
		}
	})
}

// clean replaces what is not UTF-8, byte by byte.
func clean(s string) string { return string([]rune(s)) }
