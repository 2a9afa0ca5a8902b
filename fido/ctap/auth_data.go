package ctap

import (
	"crypto/sha256"
	"encoding/binary"
)

// Flags are the flags of authenticator data (WebAuthn §6.1).
type Flags byte

const (
	FlagUP Flags = 1 << 0 // user present
	FlagUV Flags = 1 << 2 // user verified
	FlagBE Flags = 1 << 3 // backup eligible: a synced passkey
	FlagBS Flags = 1 << 4 // backup state: backed up now
	FlagAT Flags = 1 << 6 // attested credential data included
	FlagED Flags = 1 << 7 // extension data included
)

// MaxCredentialIDLength is the longest credential ID that WebAuthn allows, in bytes (WebAuthn §6.5.1).
const MaxCredentialIDLength = 1023

const (
	authDataHead   = sha256.Size + 1 + 4 // rpIdHash, flags, signCount
	attestedHead   = 16 + 2              // aaguid, credentialIdLength
	lengthOfAAGUID = 16
)

// AuthenticatorData is what an authenticator signs (WebAuthn §6.1). The flags AT and ED follow from the members when
// it is encoded.
type AuthenticatorData struct {
	RPIDHash   [sha256.Size]byte
	Flags      Flags
	SignCount  uint32
	Attested   *AttestedCredentialData
	Extensions RawMessage // a CBOR map, or nil
}

// AttestedCredentialData describes a new credential (WebAuthn §6.5.1). PublicKey is a COSE_Key.
type AttestedCredentialData struct {
	AAGUID       AAGUID
	CredentialID []byte
	PublicKey    RawMessage
}

// Encode gives the bytes that are signed.
func (d *AuthenticatorData) Encode() []byte {
	flags := d.Flags &^ (FlagAT | FlagED)
	if d.Attested != nil {
		flags |= FlagAT
	}
	if len(d.Extensions) > 0 {
		flags |= FlagED
	}
	b := append(make([]byte, 0, 256), d.RPIDHash[:]...)
	b = append(b, byte(flags))
	b = binary.BigEndian.AppendUint32(b, d.SignCount)
	if a := d.Attested; a != nil {
		b = append(b, a.AAGUID[:]...)
		b = binary.BigEndian.AppendUint16(b, uint16(len(a.CredentialID)))
		b = append(b, a.CredentialID...)
		b = append(b, a.PublicKey...)
	}
	return append(b, d.Extensions...)
}

// ParseAuthenticatorData decodes authenticator data strictly: lengths and flags must agree, nothing may follow.
func ParseAuthenticatorData(b []byte) (*AuthenticatorData, error) {
	if len(b) < authDataHead {
		return nil, ErrInvalidLength
	}
	d := &AuthenticatorData{
		RPIDHash:  [sha256.Size]byte(b[:sha256.Size]),
		Flags:     Flags(b[sha256.Size]),
		SignCount: binary.BigEndian.Uint32(b[sha256.Size+1:]),
	}
	rest := b[authDataHead:]
	var err error
	if d.Flags&FlagAT != 0 {
		if d.Attested, rest, err = parseAttested(rest); err != nil {
			return nil, err
		}
	}
	if d.Flags&FlagED != 0 {
		if len(rest) == 0 || rest[0]>>5 != majorMap {
			return nil, ErrInvalidCBOR
		}
		if err := CheckCanonical(rest); err != nil {
			return nil, err
		}
		d.Extensions, rest = RawMessage(rest), nil
	}
	if len(rest) != 0 {
		return nil, ErrInvalidLength
	}
	return d, nil
}

func parseAttested(b []byte) (*AttestedCredentialData, []byte, error) {
	if len(b) < attestedHead {
		return nil, nil, ErrInvalidLength
	}
	n := int(binary.BigEndian.Uint16(b[lengthOfAAGUID:]))
	if n > MaxCredentialIDLength || len(b) < attestedHead+n {
		return nil, nil, ErrInvalidLength
	}
	key := b[attestedHead+n:]
	rest, err := skipItem(key, maxNesting)
	if err != nil {
		return nil, nil, err
	}
	return &AttestedCredentialData{
		AAGUID:       AAGUID(b[:lengthOfAAGUID]),
		CredentialID: b[attestedHead : attestedHead+n],
		PublicKey:    RawMessage(key[:len(key)-len(rest)]),
	}, rest, nil
}
