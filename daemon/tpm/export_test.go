package tpm

import (
	"crypto/hmac"

	"fob/hotp"
)

// SoftwareHMAC is what the TPM should compute.
func SoftwareHMAC(a hotp.Algorithm, key, message []byte) []byte {
	h := hmac.New(algorithms[a].new, key)
	h.Write(message)
	return h.Sum(nil)
}
