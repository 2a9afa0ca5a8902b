package metadata

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"fob/fido/webauthn"
)

const (
	// MaxBlobSize is the size of the largest BLOB that is read, in bytes.
	MaxBlobSize = 32 << 20

	maxChain       = 8       // certificates
	maxCertificate = 8 << 10 // bytes of DER
	minRSA, maxRSA = 2048, 8192
	tokenSegments  = 3 // header, payload, signature
)

// algorithms are those that a BLOB may be signed with (RFC 7518 §3.1, RFC 8037 §3.1). None of them works without a
// private key.
var algorithms = []string{"ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}

// Read reads a BLOB. It gives a *Refused with ErrTooLarge for more than MaxBlobSize bytes.
func Read(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxBlobSize+1))
	if err != nil {
		return nil, err
	}
	if len(b) > MaxBlobSize {
		return nil, refused(ErrTooLarge, nil)
	}
	return b, nil
}

// Verify checks a BLOB as §3.2 asks for, but for revoked certificates, and gives what it says. The errors are *Refused.
// A BLOB whose next update is overdue is no error: Index.Overdue tells.
func (s Service) Verify(blob []byte, now time.Time) (*Index, error) {
	if len(blob) > MaxBlobSize {
		return nil, refused(ErrTooLarge, nil)
	}
	t, err := parseToken(blob)
	if err != nil {
		return nil, err
	}
	signer, err := s.verify(t, now)
	if err != nil {
		return nil, err
	}
	// Nothing of the content was looked at before its signature was.
	index, err := parsePayload(t.payload)
	if err != nil {
		return nil, refused(ErrPayload, err)
	}
	index.Service, index.Roots, index.Signer = s.Name, s.fingerprints(), signer
	index.Imported = now.UTC().Truncate(time.Second)
	if _, err := index.Encode(); err != nil {
		return nil, refused(ErrPayload, err)
	}
	return index, nil
}

// token is a JSON Web Signature (RFC 7515 §3.1) with a chain of certificates.
type token struct {
	algorithm string
	chain     []*x509.Certificate // x5c (§4.1.6): the signer's first
	signed    string              // what the signature is over
	payload   []byte
	signature []byte
}

// segments is base64url without padding and without a second way to write the same bytes.
var segments = base64.RawURLEncoding.Strict()

func parseToken(blob []byte) (*token, error) {
	text := string(bytes.TrimSpace(blob))
	parts := strings.SplitN(text, ".", tokenSegments+1)
	if len(parts) != tokenSegments {
		return nil, refused(ErrNoToken, nil)
	}
	var decoded [tokenSegments][]byte
	for i, p := range parts {
		b, err := decodeSegment(p)
		if err != nil {
			return nil, refused(ErrNoToken, err)
		}
		decoded[i] = b
	}
	t := &token{payload: decoded[1], signature: decoded[2], signed: text[:len(parts[0])+1+len(parts[1])]}
	return t, t.parseHeader(decoded[0])
}

// decodeSegment refuses line breaks too, which package base64 skips.
func decodeSegment(s string) ([]byte, error) {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return nil, base64.CorruptInputError(i)
	}
	return segments.DecodeString(s)
}

// parseHeader reads the JOSE header. Members that we don't know are ignored, unless there is "crit" (RFC 7515 §4.1.11).
func (t *token) parseHeader(b []byte) error {
	if err := webauthn.CheckJSON(b); err != nil {
		return refused(ErrNoToken, err)
	}
	var header map[string]json.RawMessage // a struct would take members in capitals, too
	if err := json.Unmarshal(b, &header); err != nil {
		return refused(ErrNoToken, err)
	}
	for _, name := range []string{"crit", "x5u", "b64"} {
		if _, ok := header[name]; ok {
			return refused(ErrHeader, fmt.Errorf("it has %q", name))
		}
	}
	if err := json.Unmarshal(header["alg"], &t.algorithm); err != nil {
		return refused(ErrNoToken, errors.New("its header names no algorithm"))
	}
	if !slices.Contains(algorithms, t.algorithm) {
		return refused(ErrAlgorithm, fmt.Errorf("algorithm %.20q", t.algorithm))
	}
	var x5c []string
	if err := json.Unmarshal(header["x5c"], &x5c); err != nil {
		return refused(ErrCertificate, errors.New("there are none in its header"))
	}
	return t.parseChain(x5c)
}

func (t *token) parseChain(x5c []string) error {
	if len(x5c) == 0 || len(x5c) > maxChain {
		return refused(ErrCertificate, fmt.Errorf("%d of them, expected 1 to %d", len(x5c), maxChain))
	}
	for _, text := range x5c {
		der, err := base64.StdEncoding.Strict().DecodeString(text)
		if err == nil && len(der) > maxCertificate {
			err = fmt.Errorf("one is larger than %d bytes", maxCertificate)
		}
		if err != nil {
			return refused(ErrCertificate, err)
		}
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return refused(ErrCertificate, err)
		}
		if err := checkKey(c); err != nil {
			return err
		}
		t.chain = append(t.chain, c)
	}
	return nil
}

// checkKey refuses keys that are too weak, and some that only take time.
func checkKey(c *x509.Certificate) error {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA || n > maxRSA {
			return refused(ErrAlgorithm, fmt.Errorf("an RSA key of %d bits", n))
		}
		return nil
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return nil
	}
	return refused(ErrAlgorithm, fmt.Errorf("a key for %v", c.PublicKeyAlgorithm))
}

// verify checks who has signed, whether a root vouches for it, and the signature.
func (s Service) verify(t *token, now time.Time) (Signer, error) {
	leaf := t.chain[0]
	opts := x509.VerifyOptions{Roots: pool(s.Roots), Intermediates: pool(t.chain[1:]), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	chains, err := leaf.Verify(opts)
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return Signer{}, refused(ErrExpired, err)
	case err != nil:
		return Signer{}, refused(ErrChain, err)
	case !slices.Contains(leaf.DNSNames, s.Name):
		return Signer{}, refused(ErrName, fmt.Errorf("the certificate is for %.200q, not for %q",
			leaf.DNSNames, s.Name))
	case leaf.KeyUsage != 0 && leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return Signer{}, refused(ErrCertificate, errors.New("the signer's may not sign"))
	}
	if err := jwt.GetSigningMethod(t.algorithm).Verify(t.signed, t.signature, leaf.PublicKey); err != nil {
		return Signer{}, refused(ErrSignature, err)
	}
	root := chains[0][len(chains[0])-1]
	return Signer{Subject: clean(leaf.Subject.String(), maxText), Root: clean(root.Subject.String(), maxText),
		Certificate: fingerprint(leaf), Algorithm: t.algorithm}, nil
}

func pool(list []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range list {
		p.AddCert(c)
	}
	return p
}
