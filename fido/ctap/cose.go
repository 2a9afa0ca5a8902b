package ctap

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"filippo.io/mldsa"
)

// Algorithm is a COSE algorithm identifier (IANA COSE Algorithms).
type Algorithm int

const (
	ES256         Algorithm = -7   // ECDSA on P-256 with SHA-256
	EdDSA         Algorithm = -8   // Ed25519
	ES384         Algorithm = -35  // ECDSA on P-384 with SHA-384
	MLDSA44       Algorithm = -48  // ML-DSA-44 (FIPS 204), the post-quantum signature (RFC 9964)
	RS256         Algorithm = -257 // RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8812)
	ecdhESHKDF256 Algorithm = -25  // names a key agreement key, though CTAP does no HKDF with it (§6.5.6)
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
	case MLDSA44:
		return "ML-DSA-44"
	case RS256:
		return "RS256"
	default:
		return fmt.Sprintf("COSE(%d)", int(a))
	}
}

// Known reports whether this package can encode and decode keys of the algorithm.
func (a Algorithm) Known() bool { return slices.Contains(Algorithms, a) }

// Algorithms are the signature algorithms that this package can encode and decode keys of.
var Algorithms = []Algorithm{ES256, EdDSA, ES384, RS256, MLDSA44}

// ParseAlgorithm reads the name of an algorithm as String gives it, in any case.
func ParseAlgorithm(name string) (Algorithm, error) {
	var names []string
	for _, a := range Algorithms {
		if strings.EqualFold(name, a.String()) {
			return a, nil
		}
		names = append(names, a.String())
	}
	return 0, fmt.Errorf("algorithm %q is none of %s", name, strings.Join(names, ", "))
}

// Key types and curves (RFC 9053 §7, RFC 8230 §4, RFC 9964 §3).
const (
	ktyOKP     = 1
	ktyEC2     = 2
	ktyRSA     = 3
	ktyAKP     = 7
	crvP256    = 1
	crvP384    = 2
	crvEd25519 = 6
)

// coseHeader is what every COSE_Key tells of itself (RFC 9052 §7.1).
type coseHeader struct {
	Kty int       `cbor:"1,keyasint"`
	Alg Algorithm `cbor:"3,keyasint"`
}

// coseCurveKey is a COSE_Key of the types OKP and EC2 (RFC 9053 §7).
type coseCurveKey struct {
	coseHeader
	Crv int   `cbor:"-1,keyasint"`
	X   Bytes `cbor:"-2,keyasint"`
	Y   Bytes `cbor:"-3,keyasint,omitempty"`
}

// coseRSAKey is a COSE_Key of the type RSA (RFC 8230 §4). Both numbers are big-endian, without leading zeros.
type coseRSAKey struct {
	coseHeader
	N Bytes `cbor:"-1,keyasint"`
	E Bytes `cbor:"-2,keyasint"`
}

// coseAKPKey is a COSE_Key of the type AKP, whose algorithm says what the public key looks like (RFC 9964 §3).
type coseAKPKey struct {
	coseHeader
	Pub Bytes `cbor:"-1,keyasint"`
}

// ecdsaKeys are the COSE algorithms of ECDSA; COSE binds a curve to each (RFC 9053 §2.1, WebAuthn §5.8.5).
var ecdsaKeys = []struct {
	alg   Algorithm
	crv   int
	curve elliptic.Curve
}{{ES256, crvP256, elliptic.P256()}, {ES384, crvP384, elliptic.P384()}}

// Sizes of RSA moduli that we take, in bits: those below are broken, those above keep a verifier busy.
const (
	minRSABits = 2048
	maxRSABits = 4096
)

// MarshalCOSEKey encodes a public key that verifies signatures: *ecdsa.PublicKey on P-256 or P-384, ed25519.PublicKey,
// *rsa.PublicKey, or *mldsa.PublicKey of ML-DSA-44.
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
		return Marshal(coseCurveKey{coseHeader: coseHeader{ktyOKP, EdDSA}, Crv: crvEd25519, X: Bytes(pub)})
	case *rsa.PublicKey:
		return Marshal(coseRSAKey{coseHeader{ktyRSA, RS256}, pub.N.Bytes(), big.NewInt(int64(pub.E)).Bytes()})
	case *mldsa.PublicKey:
		if pub.Parameters() == mldsa.MLDSA44() {
			return Marshal(coseAKPKey{coseHeader{ktyAKP, MLDSA44}, pub.Bytes()})
		}
	}
	return nil, ErrUnsupportedAlgorithm
}

// ParseCOSEKey decodes what MarshalCOSEKey encodes. ErrUnsupportedAlgorithm tells of an algorithm, key type or curve
// that we don't know, ErrInvalidParameter of a point that is not on its curve, and the like.
func ParseCOSEKey(b []byte) (crypto.PublicKey, Algorithm, error) {
	var h coseHeader
	if err := Unmarshal(b, &h); err != nil {
		return nil, 0, err
	}
	parse := map[coseHeader]func([]byte) (crypto.PublicKey, error){
		{ktyOKP, EdDSA}:   parseEd25519Key,
		{ktyEC2, ES256}:   parseECDSAKey,
		{ktyEC2, ES384}:   parseECDSAKey,
		{ktyRSA, RS256}:   parseRSAKey,
		{ktyAKP, MLDSA44}: parseMLDSAKey,
	}[h]
	if parse == nil {
		return nil, 0, ErrUnsupportedAlgorithm
	}
	pub, err := parse(b)
	if err != nil {
		return nil, 0, err
	}
	return pub, h.Alg, nil
}

func parseEd25519Key(b []byte) (crypto.PublicKey, error) {
	var k coseCurveKey
	if err := Unmarshal(b, &k); err != nil {
		return nil, err
	}
	switch {
	case k.Crv != crvEd25519:
		return nil, ErrUnsupportedAlgorithm
	case len(k.X) != ed25519.PublicKeySize:
		return nil, ErrInvalidParameter
	}
	return ed25519.PublicKey(k.X), nil
}

func parseECDSAKey(b []byte) (crypto.PublicKey, error) {
	var k coseCurveKey
	if err := Unmarshal(b, &k); err != nil {
		return nil, err
	}
	for _, e := range ecdsaKeys {
		if k.Alg != e.alg || k.Crv != e.crv {
			continue
		}
		point, err := k.point(e.curve)
		if err != nil {
			return nil, err
		}
		pub, err := ecdsa.ParseUncompressedPublicKey(e.curve, point)
		if err != nil {
			return nil, ErrInvalidParameter
		}
		return pub, nil
	}
	return nil, ErrUnsupportedAlgorithm
}

func parseRSAKey(b []byte) (crypto.PublicKey, error) {
	var k coseRSAKey
	if err := Unmarshal(b, &k); err != nil {
		return nil, err
	}
	n, e := new(big.Int).SetBytes(k.N), new(big.Int).SetBytes(k.E)
	switch {
	case n.BitLen() < minRSABits, n.BitLen() > maxRSABits, n.Bit(0) == 0:
		return nil, ErrInvalidParameter
	case e.BitLen() > 31, e.Bit(0) == 0, e.Int64() < 3:
		return nil, ErrInvalidParameter
	case len(k.N) != len(n.Bytes()), len(k.E) != len(e.Bytes()): // leading zeros
		return nil, ErrInvalidParameter
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, nil
}

func parseMLDSAKey(b []byte) (crypto.PublicKey, error) {
	var k coseAKPKey
	if err := Unmarshal(b, &k); err != nil {
		return nil, err
	}
	pub, err := mldsa.NewPublicKey(mldsa.MLDSA44(), k.Pub)
	if err != nil {
		return nil, ErrInvalidParameter
	}
	return pub, nil
}

// ec2 makes a COSE_Key of an uncompressed point, 0x04 || x || y.
func ec2(alg Algorithm, crv int, point []byte) coseCurveKey {
	half := len(point) / 2
	return coseCurveKey{coseHeader: coseHeader{ktyEC2, alg}, Crv: crv, X: point[1 : 1+half], Y: point[1+half:]}
}

// point reverses ec2.
func (k *coseCurveKey) point(curve elliptic.Curve) ([]byte, error) {
	size := (curve.Params().BitSize + 7) / 8
	if len(k.X) != size || len(k.Y) != size {
		return nil, ErrInvalidParameter
	}
	return append(append([]byte{4}, k.X...), k.Y...), nil
}

// KeyAgreement is the public key of a PIN/UV auth protocol's key agreement (§6.5.6, getPublicKey). PublicKey is nil for
// a COSE_Key that is none on P-256: that is for decapsulate to refuse, behind what the steps check before it.
type KeyAgreement struct {
	*ecdh.PublicKey
	other RawMessage // what came in place of a key
}

// MarshalCBOR encodes the key as a COSE_Key with algorithm -25.
func (k KeyAgreement) MarshalCBOR() ([]byte, error) {
	if k.PublicKey == nil {
		return k.other, nil
	}
	return encMode.Marshal(ec2(ecdhESHKDF256, crvP256, k.PublicKey.Bytes()))
}

// UnmarshalCBOR decodes a COSE_Key. The error is that of the encoding alone.
func (k *KeyAgreement) UnmarshalCBOR(b []byte) error {
	var c coseCurveKey
	if err := Unmarshal(b, &c); err != nil {
		return err
	}
	*k = KeyAgreement{other: slices.Clone(b)}
	if c.Kty != ktyEC2 || c.Crv != crvP256 || c.Alg != ecdhESHKDF256 {
		return nil
	}
	if point, err := c.point(elliptic.P256()); err == nil {
		if key, err := ecdh.P256().NewPublicKey(point); err == nil {
			*k = KeyAgreement{PublicKey: key}
		}
	}
	return nil
}
