package emulator

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"time"

	"fob/fido/ctap"
)

// Attestation is how a key proves what model it is (WebAuthn §6.5.3).
type Attestation string

const (
	SelfAttestation  Attestation = "self"  // the new credential signs for itself
	BasicAttestation Attestation = "basic" // a key of the model signs, whose certificate names the AAGUID
	NoAttestation    Attestation = "none"  // nothing is signed

	// enterpriseAttestation is basic attestation by a certificate that names this very key (§7.1).
	enterpriseAttestation Attestation = "enterprise"
)

// ParseAttestation reads an attestation type as the command line gives it.
func ParseAttestation(s string) (Attestation, error) {
	switch a := Attestation(s); a {
	case SelfAttestation, BasicAttestation, NoAttestation:
		return a, nil
	default:
		return "", fmt.Errorf("attestation %q is none of self, basic, none", s)
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
// serial is that of the key, for enterprise attestation; empty for a batch of keys that can't be told apart.
func newBatch(p *Profile, serial string) (*batch, error) {
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
	cert.Subject.SerialNumber = serial
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
	b, err := newBatch(a.Profile, "")
	if err != nil {
		return nil, err
	}
	return b, a.update(func(s *state) { s.Batch = b })
}

// enterpriseKey gives the key whose certificate names this very authenticator, by a serial number of 8 random bytes.
func (a *Authenticator) enterpriseKey() (*batch, error) {
	if a.state.Enterprise != nil {
		return a.state.Enterprise, nil
	}
	serial := make([]byte, 8)
	rand.Read(serial)
	b, err := newBatch(a.Profile, hex.EncodeToString(serial))
	if err != nil {
		return nil, err
	}
	return b, a.update(func(s *state) { s.Enterprise = b })
}

// EnterpriseRoot gives the certificate, DER, of the CA behind enterprise attestation.
func (a *Authenticator) EnterpriseRoot() ([]byte, error) {
	<-a.turn
	defer a.endTurn()
	b, err := a.enterpriseKey()
	if err != nil {
		return nil, err
	}
	return b.Certificates[1], nil
}

// chooseAttestation decides how a new credential is attested: for an enterprise, where that is enabled and asked for,
// and in the first format of the platform's preference that this key has (§6.1.2 steps 9 and 19).
func (a *Authenticator) chooseAttestation(req *ctap.MakeCredentialRequest) Attestation {
	how := cmp.Or(a.attestation, SelfAttestation)
	asked := req.EnterpriseAttestation
	if asked != nil && (*asked == ctap.PlatformManaged || slices.Contains(a.enterprise, req.RP.ID)) {
		how = enterpriseAttestation
	}
	i := slices.IndexFunc(req.AttestationFormatsPreference, func(format string) bool {
		return slices.Contains(a.AttestationFormats, format)
	})
	switch {
	case i < 0:
		return how
	case req.AttestationFormatsPreference[i] == ctap.FormatNone:
		return NoAttestation
	case how == NoAttestation:
		return SelfAttestation
	default:
		return how
	}
}

// AttestationRoot gives the certificate, DER, of the CA behind basic attestation, for a relying party to trust.
func (a *Authenticator) AttestationRoot() ([]byte, error) {
	<-a.turn
	defer a.endTurn()
	b, err := a.attestationKey()
	if err != nil {
		return nil, err
	}
	return b.Certificates[1], nil
}

// statement makes an attestation statement, and gives its format: packed (WebAuthn §8.2) or none (§8.7).
func (a *Authenticator) statement(how Attestation, c *Credential, authData, clientDataHash []byte) (
	string, ctap.RawMessage, error) {

	if how == NoAttestation {
		return ctap.FormatNone, ctap.RawMessage{0xa0}, nil
	}
	alg, key, x5c, err := a.attester(how, c)
	if err != nil {
		return "", nil, err
	}
	sig, err := sign(key, authData, clientDataHash)
	if err != nil {
		return "", nil, err
	}
	b, err := ctap.Marshal(ctap.PackedAttestationStatement{Alg: alg, Sig: sig, X5C: x5c})
	return ctap.FormatPacked, b, err
}

// attester gives the key that signs an attestation, its algorithm and its certificate, where it has one.
func (a *Authenticator) attester(how Attestation, c *Credential) (ctap.Algorithm, crypto.Signer, []ctap.Bytes, error) {
	if how == SelfAttestation {
		key, err := c.signer()
		return c.Algorithm, key, nil, err
	}
	find := a.attestationKey
	if how == enterpriseAttestation {
		find = a.enterpriseKey
	}
	b, err := find()
	if err != nil {
		return 0, nil, nil, err
	}
	key, err := b.key()
	return ctap.ES256, key, []ctap.Bytes{b.Certificates[0]}, err
}

// check reports what is wrong with an attestation key from a file.
func (b *batch) check() error {
	if len(b.Certificates) != 2 {
		return ErrStateInvalid
	}
	_, err := b.key()
	return err
}
