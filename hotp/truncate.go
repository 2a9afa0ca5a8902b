package hotp

import (
	"encoding/binary"
	"fmt"
)

// Truncate gives the code of an HMAC that something else has computed, such as a TPM, of the moving factor in eight
// bytes, the first the most significant. The error is a *ParameterError, also where the HMAC is not of the algorithm.
func (p Parameters) Truncate(mac []byte) (string, error) {
	if err := p.Valid(); err != nil {
		return "", err
	}
	if len(mac) != p.Algorithm.Size() {
		return "", &ParameterError{"algorithm",
			fmt.Sprintf("is %v, whose HMAC has %d bytes, and not %d", p.Algorithm, p.Algorithm.Size(), len(mac))}
	}
	return truncate(mac, p.Digits), nil
}

// truncate makes a code of an HMAC (RFC 4226 §5.3).
func truncate(mac []byte, digits int) string {
	offset := mac[len(mac)-1] & 0xf
	truncated := uint64(binary.BigEndian.Uint32(mac[offset:]) & 0x7fffffff)
	modulus := uint64(1)
	for range digits {
		modulus *= 10
	}
	return fmt.Sprintf("%0*d", digits, truncated%modulus)
}
