// Package platform is the platform's half of CTAP2: what a computer says to a security key, in Go and over any
// connection. fido/libfido2 uses it where libfido2 has no word for what is asked: hmac-secret at registration,
// enterprise attestation, algorithms that it does not know, large blobs with the token of the assertion.
//
// What a key answers is not trusted. Sections cited are those of CTAP 2.2.
package platform
