package emulator

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"fob/fido/ctap"
)

// Attestation is how a key proves what model it is (WebAuthn §6.5.3).
type Attestation string

const (
	SelfAttestation  Attestation = "self"  // the new credential signs for itself
	BasicAttestation Attestation = "basic" // a key of the model signs, whose certificate names the AAGUID
)

// ParseAttestation reads an attestation type as the command line gives it.
func ParseAttestation(s string) (Attestation, error) {
	switch a := Attestation(s); a {
	case SelfAttestation, BasicAttestation:
		return a, nil
	default:
		return "", fmt.Errorf("attestation %q is none of self, basic", s)
	}
}

// batch is the attestation key that a batch of keys of one model has, with its certificates, DER: first that of the key,
// then that of the CA which vouches for it. CTAP1/U2F always attests with it.
type batch struct {
	PrivateKey   []byte   `json:"privateKey"`
	Certificates [][]byte `json:"certificates"`

	signer crypto.Signer // nil until key was called
}

// Object identifiers of FIDO's certificate extensions.
var (
	oidAAGUID     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4} // WebAuthn §8.2.1
	oidTransports = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 2, 1, 1} // FIDO U2F Authenticator Transports Extension
)

// newBatch makes an attestation key and a CA that certifies it, as WebAuthn §8.2.1 asks. The CA's key is thrown away.
func newBatch(p *Profile) (*batch, error) {
	ca, leaf := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := func(name, unit string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))),
			Subject: pkix.Name{Country: []string{"XX"}, Organization: []string{"fob emulated keys"},
				OrganizationalUnit: []string{unit}, CommonName: name},
			NotBefore:             time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
			NotAfter:              time.Date(2049, 12, 31, 0, 0, 0, 0, time.UTC),
			BasicConstraintsValid: true,
		}
	}
	root := template("fob emulated attestation root", "Attestation Root")
	root.IsCA, root.KeyUsage = true, x509.KeyUsageCertSign
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, ca.Public(), ca)
	if err != nil {
		return nil, err
	}
	cert := template("fob emulated key "+p.Name, "Authenticator Attestation")
	cert.ExtraExtensions = []pkix.Extension{
		{Id: oidAAGUID, Value: must(asn1.Marshal(p.AAGUID[:]))},
		{Id: oidTransports, Value: must(asn1.Marshal(asn1.BitString{Bytes: []byte{0b00110000}, BitLength: 4}))}, // USB, NFC
	}
	certDER, err := x509.CreateCertificate(rand.Reader, cert, root, leaf.Public(), ca)
	if err != nil {
		return nil, err
	}
	return &batch{PrivateKey: must(leaf.Bytes()), Certificates: [][]byte{certDER, rootDER}, signer: leaf}, nil
}

func (b *batch) key() (crypto.Signer, error) {
	if b.signer == nil {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), b.PrivateKey)
		if err != nil {
			return nil, ErrStateInvalid
		}
		b.signer = key
	}
	return b.signer, nil
}

// attestationKey gives the batch, which is made when it is first needed.
func (a *Authenticator) attestationKey() (*batch, error) {
	if a.state.Batch != nil {
		return a.state.Batch, nil
	}
	b, err := newBatch(a.Profile)
	if err != nil {
		return nil, err
	}
	return b, a.update(func(s *state) { s.Batch = b })
}

// AttestationRoot gives the certificate, DER, of the CA behind basic attestation, for a relying party to trust.
func (a *Authenticator) AttestationRoot() ([]byte, error) {
	<-a.turn
	defer func() { a.turn <- struct{}{} }()
	b, err := a.attestationKey()
	if err != nil {
		return nil, err
	}
	return b.Certificates[1], nil
}

// statement makes an attestation statement of the format packed (WebAuthn §8.2).
func (a *Authenticator) statement(c *Credential, authData, clientDataHash []byte) (ctap.RawMessage, error) {
	if a.attestation != BasicAttestation {
		key, err := c.signer()
		if err != nil {
			return nil, err
		}
		sig, err := sign(key, authData, clientDataHash)
		if err != nil {
			return nil, err
		}
		return ctap.Marshal(ctap.PackedAttestationStatement{Alg: c.Algorithm, Sig: sig})
	}
	b, err := a.attestationKey()
	if err != nil {
		return nil, err
	}
	key, err := b.key()
	if err != nil {
		return nil, err
	}
	sig, err := sign(key, authData, clientDataHash)
	if err != nil {
		return nil, err
	}
	return ctap.Marshal(ctap.PackedAttestationStatement{Alg: ctap.ES256, Sig: sig, X5C: []ctap.Bytes{b.Certificates[0]}})
}
