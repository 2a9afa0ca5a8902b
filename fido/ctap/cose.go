package ctap

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"fmt"
)

// Algorithm is a COSE algorithm identifier (IANA COSE Algorithms).
type Algorithm int

const (
	ES256          Algorithm = -7  // ECDSA on P-256 with SHA-256
	EdDSA          Algorithm = -8  // Ed25519
	ecdhESHKDF256  Algorithm = -25 // names a key agreement key, though CTAP does no HKDF with it (§6.5.6)
	coordinateSize           = 32  // bytes of a P-256 coordinate and of an Ed25519 key
)

// String gives the name in the IANA registry.
func (a Algorithm) String() string {
	switch a {
	case ES256:
		return "ES256"
	case EdDSA:
		return "EdDSA"
	default:
		return fmt.Sprintf("COSE(%d)", int(a))
	}
}

// Key types and curves (RFC 9053 §7).
const (
	ktyOKP     = 1
	ktyEC2     = 2
	crvP256    = 1
	crvEd25519 = 6
)

// coseKey is a COSE_Key of the types OKP and EC2 (RFC 9052 §7, RFC 9053 §7).
type coseKey struct {
	Kty int       `cbor:"1,keyasint"`
	Alg Algorithm `cbor:"3,keyasint"`
	Crv int       `cbor:"-1,keyasint"`
	X   Bytes     `cbor:"-2,keyasint"`
	Y   Bytes     `cbor:"-3,keyasint,omitempty"`
}

// MarshalCOSEKey encodes a public key that verifies signatures: *ecdsa.PublicKey on P-256 or ed25519.PublicKey.
func MarshalCOSEKey(pub crypto.PublicKey) ([]byte, error) {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		point, err := pub.Bytes()
		if err != nil || pub.Curve != elliptic.P256() {
			return nil, ErrUnsupportedAlgorithm
		}
		return Marshal(ec2(ES256, point))
	case ed25519.PublicKey:
		return Marshal(coseKey{Kty: ktyOKP, Alg: EdDSA, Crv: crvEd25519, X: Bytes(pub)})
	default:
		return nil, ErrUnsupportedAlgorithm
	}
}

// ParseCOSEKey decodes what MarshalCOSEKey encodes. ErrUnsupportedAlgorithm tells of an algorithm, key type or curve
// that we don't know, ErrInvalidParameter of a point that is not on its curve.
func ParseCOSEKey(b []byte) (crypto.PublicKey, Algorithm, error) {
	var k coseKey
	if err := Unmarshal(b, &k); err != nil {
		return nil, 0, err
	}
	switch {
	case k.Alg == ES256 && k.Kty == ktyEC2 && k.Crv == crvP256:
		point, err := k.point()
		if err != nil {
			return nil, 0, err
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			return nil, 0, ErrInvalidParameter
		}
		return pub, ES256, nil
	case k.Alg == EdDSA && k.Kty == ktyOKP && k.Crv == crvEd25519:
		if len(k.X) != ed25519.PublicKeySize {
			return nil, 0, ErrInvalidParameter
		}
		return ed25519.PublicKey(k.X), EdDSA, nil
	default:
		return nil, 0, ErrUnsupportedAlgorithm
	}
}

// ec2 makes a COSE_Key of an uncompressed P-256 point, 0x04 || x || y.
func ec2(alg Algorithm, point []byte) coseKey {
	return coseKey{Kty: ktyEC2, Alg: alg, Crv: crvP256, X: point[1 : 1+coordinateSize], Y: point[1+coordinateSize:]}
}

func (k *coseKey) point() ([]byte, error) {
	if len(k.X) != coordinateSize || len(k.Y) != coordinateSize {
		return nil, ErrInvalidParameter
	}
	return append(append([]byte{4}, k.X...), k.Y...), nil
}

// KeyAgreement is the public key of a PIN/UV auth protocol's key agreement (§6.5.6, getPublicKey).
type KeyAgreement struct{ *ecdh.PublicKey }

// MarshalCBOR encodes the key as a COSE_Key with algorithm -25.
func (k KeyAgreement) MarshalCBOR() ([]byte, error) {
	return encMode.Marshal(ec2(ecdhESHKDF256, k.PublicKey.Bytes()))
}

// UnmarshalCBOR decodes a COSE_Key and checks that the point is on P-256.
func (k *KeyAgreement) UnmarshalCBOR(b []byte) error {
	var c coseKey
	if err := Unmarshal(b, &c); err != nil {
		return err
	}
	if c.Kty != ktyEC2 || c.Crv != crvP256 || c.Alg != ecdhESHKDF256 {
		return ErrInvalidParameter
	}
	point, err := c.point()
	if err != nil {
		return err
	}
	if k.PublicKey, err = ecdh.P256().NewPublicKey(point); err != nil {
		return ErrInvalidParameter
	}
	return nil
}
