package account

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/golang-jwt/jwt/v5"

	"fob/daemon/store"
)

// The algorithms that sign JWTs (RFC 7518 §3.1, RFC 8037 §3.1).
const (
	ES256 = "ES256"
	EdDSA = "EdDSA"
)

// The values of "acr": phr and phrh are those of OpenID Connect's Extended Authentication Profile; the last one is
// ours.
const (
	ACRHardware = "phrh" // phishing-resistant, and the key is bound to hardware
	ACRPasskey  = "phr"  // phishing-resistant
	ACRCode     = "otp"  // a code, which a person can be tricked into giving away
)

// newKey makes a key that signs JWTs, in PKCS #8. The caller wipes it.
func newKey(algorithm string) ([]byte, error) {
	if algorithm == EdDSA {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		return x509.MarshalPKCS8PrivateKey(key)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	return x509.MarshalPKCS8PrivateKey(key)
}

func getKey(tx *store.Tx, realm string) (crypto.Signer, jwt.SigningMethod, error) {
	der, err := tx.Get(keyBucket, place(realm))
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil, fmt.Errorf("%w: it has no key", ErrDamaged)
	}
	if err != nil {
		return nil, nil, err
	}
	return parseKey(der)
}

func parseKey(der []byte) (crypto.Signer, jwt.SigningMethod, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: its key can't be read", ErrDamaged)
	}
	switch key := parsed.(type) {
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P256() {
			return key, jwt.SigningMethodES256, nil
		}
	case ed25519.PrivateKey:
		return key, jwt.SigningMethodEdDSA, nil
	}
	return nil, nil, fmt.Errorf("%w: its key is of another kind", ErrDamaged)
}

// JWK is a public key (RFC 7517 §4).
type JWK struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	Y         string `json:"y,omitempty"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	ID        string `json:"kid,omitempty"`
}

// JWKS is a set of them (RFC 7517 §5).
type JWKS struct {
	Keys []JWK `json:"keys"`
}

// newJWK describes a public key. Its ID is the thumbprint of RFC 7638.
func newJWK(public crypto.PublicKey) (k JWK, err error) {
	b64 := base64.RawURLEncoding.EncodeToString
	var thumb any // the required members, sorted (RFC 7638 §3.2, RFC 8037 §2)
	switch key := public.(type) {
	case ed25519.PublicKey:
		k = JWK{KeyType: "OKP", Curve: "Ed25519", X: b64(key), Algorithm: EdDSA}
		thumb = struct {
			Curve   string `json:"crv"`
			KeyType string `json:"kty"`
			X       string `json:"x"`
		}{k.Curve, k.KeyType, k.X}
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 4, X, Y (SEC 1 §2.3.3)
		if err != nil {
			return k, err
		}
		k = JWK{KeyType: "EC", Curve: "P-256", X: b64(point[1:33]), Y: b64(point[33:]), Algorithm: ES256}
		thumb = struct {
			Curve   string `json:"crv"`
			KeyType string `json:"kty"`
			X       string `json:"x"`
			Y       string `json:"y"`
		}{k.Curve, k.KeyType, k.X, k.Y}
	}
	text, err := json.Marshal(thumb)
	sum := sha256.Sum256(text)
	k.Use, k.ID = "sig", b64(sum[:])
	return k, err
}

// Keys gives the public keys by which the JWTs of a realm are verified, without fobd.
func (a *Accounts) Keys(realm string) (set JWKS, err error) {
	err = a.store.View(func(tx *store.Tx) error {
		if _, err := getRealm(tx, realm); err != nil {
			return err
		}
		key, _, err := getKey(tx, realm)
		if err != nil {
			return err
		}
		k, err := newJWK(key.Public())
		set = JWKS{Keys: []JWK{k}}
		return err
	})
	return set, err
}

// Issuer is the "iss" of the JWTs of a realm.
func Issuer(realm string) string { return "fob:" + realm }

// token makes the JWT of a sign-in.
func (a *Accounts) token(tx *store.Tx, r *Realm, s *signIn, in *SignIn) (string, error) {
	key, method, err := getKey(tx, r.Name)
	if err != nil {
		return "", err
	}
	public, err := newJWK(key.Public())
	if err != nil {
		return "", err
	}
	now := a.now().Unix()
	claims := jwt.MapClaims{
		"iss": Issuer(r.Name), "sub": in.Principal, "iat": now, "nbf": now, "auth_time": now, "exp": in.Expires.Unix(),
		"jti": rand.Text(), "amr": methods(in), "acr": class(in.Device.Kind),
		"device": in.Device.Name, "device_kind": in.Device.Kind}
	if s.Nonce != "" {
		claims["nonce"] = s.Nonce
	}
	if s.Audience != "" {
		claims["aud"] = s.Audience
	}
	t := jwt.NewWithClaims(method, claims)
	t.Header["kid"] = public.ID
	return t.SignedString(key)
}

// methods are the authentication methods of a sign-in (RFC 8176 §2).
func methods(in *SignIn) []string {
	if !in.Device.Kind.FIDO() {
		return []string{"otp"}
	}
	list := []string{"hwk", "user"}
	if in.Device.Kind == Passkey {
		list[0] = "swk"
	}
	if in.UserVerified { // the key, and a PIN or a finger
		list = append(list, "mfa")
	}
	return list
}

func class(k Kind) string {
	switch k {
	case SecurityKey:
		return ACRHardware
	case Passkey:
		return ACRPasskey
	}
	return ACRCode
}
