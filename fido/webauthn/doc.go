// Package webauthn is the client's half of Web Authentication: what a browser does between a web page and a security
// key. JSON options of a relying party go in, an origin is held against their RP ID, client data and a request for the
// key come out; the key's answer, which is not trusted, goes in and a JSON response for the relying party comes out.
//
//	options, err := webauthn.ParseCreationOptions(body)
//	ceremony, err := webauthn.BeginRegistration(options, "https://example.com")
//	hash := ceremony.ClientDataJSON.Hash() // and ceremony.RPID, for the key
//	response, err := ceremony.Finish(made, transports, rk, outputs)
//
// It does no I/O and knows no devices. Sections cited are those of Web Authentication Level 3 (W3C).
package webauthn
