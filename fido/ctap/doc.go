// Package ctap holds the messages of the Client to Authenticator Protocol: the CTAP2 commands and their canonical CBOR,
// COSE keys, authenticator data, status codes and the cryptography of the PIN/UV auth protocols.
//
// It does no I/O. Transports (ctaphid) carry what it encodes, authenticators (emulator) and platforms (helper) decide
// what it means. Sections cited are those of CTAP 2.2 (FIDO Alliance) unless another standard is named.
package ctap

// Command is the first byte of a CTAP2 request (§6, "Authenticator API").
type Command byte

const (
	CommandMakeCredential       Command = 0x01 // authenticatorMakeCredential, §6.1
	CommandGetAssertion         Command = 0x02 // authenticatorGetAssertion, §6.2
	CommandGetInfo              Command = 0x04 // authenticatorGetInfo, §6.4
	CommandClientPIN            Command = 0x06 // authenticatorClientPIN, §6.5
	CommandReset                Command = 0x07 // authenticatorReset, §6.6
	CommandGetNextAssertion     Command = 0x08 // authenticatorGetNextAssertion, §6.3
	CommandBioEnrollment        Command = 0x09 // authenticatorBioEnrollment, §6.7
	CommandCredentialManagement Command = 0x0A // authenticatorCredentialManagement, §6.8
	CommandSelection            Command = 0x0B // authenticatorSelection, §6.9
	CommandLargeBlobs           Command = 0x0C // authenticatorLargeBlobs, §6.10
	CommandConfig               Command = 0x0D // authenticatorConfig, §6.11

	CommandBioEnrollmentPreview        Command = 0x40 // authenticatorBioEnrollment before CTAP 2.1
	CommandCredentialManagementPreview Command = 0x41 // authenticatorCredentialManagement before CTAP 2.1
)
