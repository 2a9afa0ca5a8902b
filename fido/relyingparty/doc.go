// Package relyingparty is the server of fob's own ceremonies: "fob register" saves a Record of a new credential and
// "fob sign-in" verifies an assertion against it, so that a person or a CI job can prove a key without a web site.
//
// It makes the options that a server would send (JSON, for fido/webauthn) and judges the responses. Challenges come
// from go-webauthn, which takes them from crypto/rand, 32 bytes each; all verification is go-webauthn's. What this
// package adds is memory: sessions that serve one ceremony once, and records on disk, which hold public data only.
// Sections cited are those of Web Authentication Level 3 (W3C).
package relyingparty
