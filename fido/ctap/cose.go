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
	ES256         Algorithm = -7  // ECDSA on P-256 with SHA-256
	EdDSA         Algorithm = -8  // Ed25519
	ES384         Algorithm = -35 // ECDSA on P-384 with SHA-384
	ecdhESHKDF256 Algorithm = -25 // names a key agreement key, though CTAP does no HKDF with it (§6.5.6)
)

// String gives the name in the IANA registry.
func (a Algorithm) String() string {
	switch a {
	case ES256:
		return "ES256"
	case EdDSA:
		return "EdDSA"
	case ES384:
		return "ES384"
	default:
		return fmt.Sprintf("COSE(%d)", int(a))
	}
}

// Known reports whether this package can encode and decode keys of the algorithm.
func (a Algorithm) Known() bool { return a == ES256 || a == EdDSA || a == ES384 }

// Key types and curves (RFC 9053 §7).
const (
	ktyOKP     = 1
	ktyEC2     = 2
	crvP256    = 1
	crvP384    = 2
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

// ecdsaKeys are the COSE algorithms of ECDSA; COSE binds a curve to each (RFC 9053 §2.1, WebAuthn §5.8.5).
var ecdsaKeys = []struct {
	alg   Algorithm
	crv   int
	curve elliptic.Curve
}{{ES256, crvP256, elliptic.P256()}, {ES384, crvP384, elliptic.P384()}}

// MarshalCOSEKey encodes a public key that verifies signatures: *ecdsa.PublicKey on P-256 or P-384, or
// ed25519.PublicKey.
func MarshalCOSEKey(pub crypto.PublicKey) ([]byte, error) {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		for _, k := range ecdsaKeys {
			if pub.Curve == k.curve {
				point, err := pub.Bytes()
				if err != nil {
					return nil, ErrInvalidParameter
				}
				return Marshal(ec2(k.alg, k.crv, point))
			}
		}
	case ed25519.PublicKey:
		return Marshal(coseKey{Kty: ktyOKP, Alg: EdDSA, Crv: crvEd25519, X: Bytes(pub)})
	}
	return nil, ErrUnsupportedAlgorithm
}

// ParseCOSEKey decodes what MarshalCOSEKey encodes. ErrUnsupportedAlgorithm tells of an algorithm, key type or curve
// that we don't know, ErrInvalidParameter of a point that is not on its curve.
func ParseCOSEKey(b []byte) (crypto.PublicKey, Algorithm, error) {
	var k coseKey
	if err := Unmarshal(b, &k); err != nil {
		return nil, 0, err
	}
	if k.Alg == EdDSA && k.Kty == ktyOKP && k.Crv == crvEd25519 {
		if len(k.X) != ed25519.PublicKeySize {
			return nil, 0, ErrInvalidParameter
		}
		return ed25519.PublicKey(k.X), EdDSA, nil
	}
	for _, e := range ecdsaKeys {
		if k.Alg != e.alg || k.Kty != ktyEC2 || k.Crv != e.crv {
			continue
		}
		point, err := k.point(e.curve)
		if err != nil {
			return nil, 0, err
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(e.curve, point)
		if err != nil {
			return nil, 0, ErrInvalidParameter
		}
		return pub, e.alg, nil
	}
	return nil, 0, ErrUnsupportedAlgorithm
}

// ec2 makes a COSE_Key of an uncompressed point, 0x04 || x || y.
func ec2(alg Algorithm, crv int, point []byte) coseKey {
	half := len(point) / 2
	return coseKey{Kty: ktyEC2, Alg: alg, Crv: crv, X: point[1 : 1+half], Y: point[1+half:]}
}

// point reverses ec2.
func (k *coseKey) point(curve elliptic.Curve) ([]byte, error) {
	size := (curve.Params().BitSize + 7) / 8
	if len(k.X) != size || len(k.Y) != size {
		return nil, ErrInvalidParameter
	}
	return append(append([]byte{4}, k.X...), k.Y...), nil
}

// KeyAgreement is the public key of a PIN/UV auth protocol's key agreement (§6.5.6, getPublicKey).
type KeyAgreement struct{ *ecdh.PublicKey }

// MarshalCBOR encodes the key as a COSE_Key with algorithm -25.
func (k KeyAgreement) MarshalCBOR() ([]byte, error) {
	return encMode.Marshal(ec2(ecdhESHKDF256, crvP256, k.PublicKey.Bytes()))
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
	point, err := c.point(elliptic.P256())
	if err != nil {
		return err
	}
	if k.PublicKey, err = ecdh.P256().NewPublicKey(point); err != nil {
		return ErrInvalidParameter
	}
	return nil
}
