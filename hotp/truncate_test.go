package hotp

import (
	"encoding/hex"
	"errors"
	"testing"
)

// RFC 4226 §5.4 has this HMAC, and what comes of it.
func TestTruncate(t *testing.T) {
	mac, err := hex.DecodeString("1f8698690e02ca16618550ef7f19da8e945b555a")
	if err != nil {
		t.Fatal(err)
	}
	for digits, want := range map[int]string{6: "872921", 8: "57872921", 10: "1357872921"} {
		p := Parameters{Type: HOTP, Algorithm: SHA1, Digits: digits}
		if got, err := p.Truncate(mac); err != nil || got != want {
			t.Errorf("%d digits: %s, %v, expected %s", digits, got, err, want)
		}
	}
	var wrong *ParameterError
	for _, p := range []Parameters{{Type: HOTP, Algorithm: SHA256, Digits: 6}, {Type: HOTP, Algorithm: SHA1, Digits: 5}} {
		if got, err := p.Truncate(mac); !errors.As(err, &wrong) || got != "" {
			t.Errorf("%+v: %q, %v", p, got, err)
		}
	}
}
