package ctap

import (
	"bytes"
	"testing"
)

// TestMembers opens what python3-cryptography has encrypted: token 32 times 0x11, IV 16 times 0x22.
func TestMembers(t *testing.T) {
	token := bytes.Repeat([]byte{0x11}, 32)
	for label, member := range map[string]string{
		LabelIdentifier:     "22222222222222222222222222222222432bedc89993ff7dd0d747fd701e4d5a",
		LabelCredStoreState: "222222222222222222222222222222225b02b9e72d55d5cad8c755e049b0d541",
	} {
		value, err := DecryptMember(token, label, unhex(t, member))
		if err != nil || string(value[:]) != "identifier-12345" {
			t.Errorf("%s: %q, %v", label, value, err)
		}
		if again, err := DecryptMember(token, label, EncryptMember(token, label, value)); err != nil || again != value {
			t.Errorf("%s: %x, %v", label, again, err)
		}
	}
}
