// Package platform is the platform's half of CTAP2: what a computer says to a security key, in Go and over any
// connection. fido/libfido2 uses it where libfido2 has no word for what is asked, or does it in its own way:
// hmac-secret at registration, enterprise attestation, algorithms that it does not know, large blobs with the token of
// the assertion, the credentials on a key with one verification for all, fingerprints.
//
// What a key answers is not trusted. Sections cited are those of CTAP 2.2.
package platform
