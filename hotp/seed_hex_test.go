package hotp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestHexSeed(t *testing.T) {
	seed, err := ParseHexSeed([]byte("00fFa5"))
	if err != nil || !bytes.Equal(seed, []byte{0, 0xff, 0xa5}) {
		t.Errorf("%x, %v", []byte(seed), err)
	}
	if got := string(seed.AppendHex([]byte("x"))); got != "x00ffa5" {
		t.Errorf("appended %q", got)
	}
	for _, bad := range []string{"", "0", "0g", "00 ff", strings.Repeat("00", MaxSeed+1)} {
		var is *SeedError
		if _, err := ParseHexSeed([]byte(bad)); !errors.As(err, &is) {
			t.Errorf("%.10q: %v", bad, err)
		}
	}
}
