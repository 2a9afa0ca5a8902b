package emulator

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"math/big"

	"filippo.io/mldsa"

	"fob/fido/ctap"
)

// secretSize is the length of a private key, in bytes: a P-256 or P-384 scalar, the seed of Ed25519 or ML-DSA, or the
// two primes of RSA.
var secretSize = map[ctap.Algorithm]int{
	ctap.ES256: 32, ctap.EdDSA: ed25519.SeedSize, ctap.ES384: 48, ctap.MLDSA44: mldsa.PrivateKeySize,
	ctap.RS256: 2 * rsaPrimeSize,
}

const (
	rsaPrimeSize = 128 // bytes; RS256 keys have 2048 bits, as those of the TPMs that WebAuthn has it for
	rsaExponent  = 65537

	nonceSize  = 12                     // of AES-GCM
	wrapMargin = nonceSize + 2 + 1 + 16 // nonce, algorithm, traits and tag around a private key

	rs256IDLength = wrapMargin + 2*rsaPrimeSize // the longest of IDs
)

// Credential is a public key credential source (WebAuthn §4). Discoverable ones are kept in the state; the others
// live, encrypted, in their own credential ID (WebAuthn §6.2, "client-side" storage).
type Credential struct {
	ID                []byte           `json:"id"`
	RPID              string           `json:"rpId"`
	RPName            string           `json:"rpName,omitempty"`
	UserID            []byte           `json:"userId"`
	UserName          string           `json:"userName,omitempty"`
	UserDisplayName   string           `json:"userDisplayName,omitempty"`
	Algorithm         ctap.Algorithm   `json:"alg"`
	PrivateKey        []byte           `json:"privateKey"`
	CredProtect       ctap.CredProtect `json:"credProtect,omitempty"`
	HMACSecret        bool             `json:"hmacSecret,omitempty"`
	ThirdPartyPayment bool             `json:"thirdPartyPayment,omitempty"`
	CredBlob          []byte           `json:"credBlob,omitempty"`
	LargeBlobKey      []byte           `json:"largeBlobKey,omitempty"`
	SignCount         uint32           `json:"signCount,omitempty"` // where each credential has its own

	discoverable bool
	key          crypto.Signer // nil until signer was called
}

// newCredential makes a key pair and a credential around it.
func newCredential(alg ctap.Algorithm) *Credential {
	c := &Credential{Algorithm: alg, PrivateKey: make([]byte, secretSize[alg])}
	switch alg {
	case ctap.ES256, ctap.ES384:
		key := must(ecdsa.GenerateKey(curve(alg), rand.Reader))
		c.PrivateKey, c.key = must(key.Bytes()), key
	case ctap.EdDSA, ctap.MLDSA44:
		rand.Read(c.PrivateKey)
	case ctap.RS256:
		key := must(rsa.GenerateKey(rand.Reader, 16*rsaPrimeSize))
		key.Primes[0].FillBytes(c.PrivateKey[:rsaPrimeSize])
		key.Primes[1].FillBytes(c.PrivateKey[rsaPrimeSize:])
		c.key = key
	}
	return c
}

// signer gives the private key; ErrInvalidCredential when the bytes are none. The credential keeps it, because parsing
// one computes its public key, which takes half as long as a signature.
func (c *Credential) signer() (crypto.Signer, error) {
	var err error
	if c.key == nil {
		c.key, err = c.parsePrivateKey()
	}
	return c.key, err
}

func (c *Credential) parsePrivateKey() (crypto.Signer, error) {
	if size, ok := secretSize[c.Algorithm]; !ok || len(c.PrivateKey) != size {
		return nil, ctap.ErrInvalidCredential
	}
	switch c.Algorithm {
	case ctap.ES256, ctap.ES384:
		key, err := ecdsa.ParseRawPrivateKey(curve(c.Algorithm), c.PrivateKey)
		if err != nil {
			return nil, ctap.ErrInvalidCredential
		}
		return key, nil
	case ctap.EdDSA:
		return ed25519.NewKeyFromSeed(c.PrivateKey), nil
	case ctap.MLDSA44:
		return mldsa.NewPrivateKey(mldsa.MLDSA44(), c.PrivateKey)
	default:
		return rsaKey(c.PrivateKey)
	}
}

// rsaKey makes a key of its two primes.
func rsaKey(primes []byte) (crypto.Signer, error) {
	one := big.NewInt(1)
	p, q := new(big.Int).SetBytes(primes[:rsaPrimeSize]), new(big.Int).SetBytes(primes[rsaPrimeSize:])
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	d := new(big.Int).ModInverse(big.NewInt(rsaExponent), phi)
	if p.Sign() == 0 || q.Sign() == 0 || d == nil {
		return nil, ctap.ErrInvalidCredential
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: rsaExponent}, D: d, Primes: []*big.Int{p, q},
	}
	key.Precompute()
	if err := key.Validate(); err != nil {
		return nil, ctap.ErrInvalidCredential
	}
	return key, nil
}

// curve is that of an algorithm of ECDSA.
func curve(alg ctap.Algorithm) elliptic.Curve {
	if alg == ctap.ES384 {
		return elliptic.P384()
	}
	return elliptic.P256()
}

// publicKey gives the COSE_Key.
func (c *Credential) publicKey() ([]byte, error) {
	key, err := c.signer()
	if err != nil {
		return nil, err
	}
	return ctap.MarshalCOSEKey(key.Public())
}

// descriptor names the credential to the platform.
func (c *Credential) descriptor() *ctap.PublicKeyCredentialDescriptor {
	return &ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: c.ID}
}

// user names the account, with the names when they may be told.
func (c *Credential) user(named bool) *ctap.PublicKeyCredentialUserEntity {
	u := &ctap.PublicKeyCredentialUserEntity{ID: c.UserID}
	if named {
		u.Name, u.DisplayName = c.UserName, c.UserDisplayName
	}
	return u
}

// credRandom is the secret behind hmac-secret: one for a verified user, another for others (§12.7). It comes from the
// private key, and so dies with it.
func (c *Credential) credRandom(verified bool) []byte {
	mac := hmac.New(sha256.New, c.PrivateKey)
	mac.Write([]byte(map[bool]string{true: "CredRandomWithUV", false: "CredRandomWithoutUV"}[verified]))
	return mac.Sum(nil)
}

// sign signs authData || clientDataHash (WebAuthn §6.3.3 step 11).
func sign(key crypto.Signer, authData, clientDataHash []byte) ([]byte, error) {
	message := append(append([]byte(nil), authData...), clientDataHash...)
	switch k := key.(type) {
	case ed25519.PrivateKey, *mldsa.PrivateKey: // which hash for themselves
		return key.Sign(rand.Reader, message, crypto.Hash(0))
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P384() {
			digest := sha512.Sum384(message)
			return key.Sign(rand.Reader, digest[:], crypto.SHA384)
		}
	}
	digest := sha256.Sum256(message)
	return key.Sign(rand.Reader, digest[:], crypto.SHA256)
}

// count gives the next value of the signature counter for c, once it and another change are durable (WebAuthn §6.1.1).
func (a *Authenticator) count(c *Credential, change func(*state)) (uint32, error) {
	own := a.SignCounter == CounterPerCredential && c.discoverable
	next := *c
	next.SignCount++
	err := a.update(func(s *state) {
		change(s)
		switch {
		case own:
			s.replace(next)
		case a.SignCounter != NoCounter:
			s.SignCount++
		}
	})
	switch {
	case err != nil || a.SignCounter == NoCounter:
		return 0, err
	case own:
		return next.SignCount, nil
	default:
		return a.state.SignCount, nil
	}
}

// Traits of a credential that is not discoverable, in its ID. The two lowest bits are its credProtect level.
const (
	traitCredProtect       = 3
	traitHMACSecret        = 1 << 2
	traitThirdPartyPayment = 1 << 3
)

func (c *Credential) traits() byte {
	t := byte(c.CredProtect) & traitCredProtect
	if c.HMACSecret {
		t |= traitHMACSecret
	}
	if c.ThirdPartyPayment {
		t |= traitThirdPartyPayment
	}
	return t
}

// wrap gives the ID of a non-discoverable credential: its algorithm, traits and private key, encrypted with AES-256-GCM
// under a key that only this authenticator has until it is reset. The RP ID is authenticated, so an ID is no use
// elsewhere.
func (s *state) wrap(c *Credential, rpIDHash []byte) []byte {
	plaintext := append(binary.BigEndian.AppendUint16(nil, uint16(c.Algorithm)), c.traits())
	plaintext = append(plaintext, c.PrivateKey...)
	defer clear(plaintext)
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	return s.aead().Seal(nonce, nonce, plaintext, rpIDHash)
}

// unwrappedName is what an ID was unwrapped for. U2F tells the hash of the RP ID alone.
type unwrappedName struct{ id, rpIDHash, rpID string }

// maxUnwrapped is how many unwrapped credentials are kept; when there are more, all are forgotten.
const maxUnwrapped = 128

// unwrap reverses wrap; nil when id is not one of ours for this RP, whose ID is known where the request told it.
func (s *state) unwrap(id, rpIDHash []byte, rpID string) *Credential {
	if len(id) <= wrapMargin {
		return nil
	}
	name := unwrappedName{string(id), string(rpIDHash), rpID}
	if c := s.unwrapped[name]; c != nil {
		return c
	}
	plaintext, err := s.aead().Open(nil, id[:nonceSize], id[nonceSize:], rpIDHash)
	if err != nil {
		return nil
	}
	traits := plaintext[2]
	c := &Credential{
		ID:                bytes.Clone(id),
		RPID:              rpID,
		Algorithm:         ctap.Algorithm(int16(binary.BigEndian.Uint16(plaintext))),
		PrivateKey:        plaintext[3:],
		CredProtect:       ctap.CredProtect(traits & traitCredProtect),
		HMACSecret:        traits&traitHMACSecret != 0,
		ThirdPartyPayment: traits&traitThirdPartyPayment != 0,
	}
	if s.unwrapped == nil || len(s.unwrapped) >= maxUnwrapped {
		s.unwrapped = make(map[unwrappedName]*Credential)
	}
	s.unwrapped[name] = c
	return c
}

func (s *state) aead() cipher.AEAD {
	return must(cipher.NewGCM(must(aes.NewCipher(s.WrappingKey))))
}

func rpIDHash(rpID string) []byte {
	h := sha256.Sum256([]byte(rpID))
	return h[:]
}

// must is for what fails only by a mistake of ours.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
