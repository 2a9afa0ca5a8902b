// Package metadatatest plays a FIDO metadata service in tests: certificates, and BLOBs that they sign.
package metadatatest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Authority signs BLOBs. Its chain is root, intermediate, signer.
type Authority struct {
	Root      *x509.Certificate
	Chain     []*x509.Certificate // the signer's first; without the root
	Key       crypto.Signer       // of the signer
	Algorithm string              // such as ES256
}

// New makes an Authority whose signer is for name, and whose certificates are valid at now and an hour before and
// after it. The root's and intermediate's keys are P-256; change may change the signer's certificate, or be nil.
func New(name, algorithm string, now time.Time, change func(*x509.Certificate)) (*Authority, error) {
	a := &Authority{Algorithm: algorithm}
	rootKey, err := NewKey("ES256")
	if err != nil {
		return nil, err
	}
	root := template("Test Root", now)
	root.IsCA, root.KeyUsage = true, x509.KeyUsageCertSign
	if a.Root, err = Issue(root, root, rootKey.Public(), rootKey); err != nil {
		return nil, err
	}
	middleKey, err := NewKey("ES256")
	if err != nil {
		return nil, err
	}
	middle := template("Test CA", now)
	middle.IsCA, middle.KeyUsage = true, x509.KeyUsageCertSign
	if middle, err = Issue(middle, a.Root, middleKey.Public(), rootKey); err != nil {
		return nil, err
	}
	if a.Key, err = NewKey(algorithm); err != nil {
		return nil, err
	}
	leaf := template(name, now)
	leaf.DNSNames, leaf.KeyUsage = []string{name}, x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} // as the FIDO Alliance's has
	if change != nil {
		change(leaf)
	}
	if leaf, err = Issue(leaf, middle, a.Key.Public(), middleKey); err != nil {
		return nil, err
	}
	a.Chain = []*x509.Certificate{leaf, middle}
	return a, nil
}

func template(name string, now time.Time) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: name}, SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), BasicConstraintsValid: true}
}

// Issue makes a certificate.
func Issue(c, issuer *x509.Certificate, public crypto.PublicKey, key crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, public, key)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

// NewKey makes a key for an algorithm of JSON Web Signatures.
func NewKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case "ES256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ES384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ES512":
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return rsa.GenerateKey(rand.Reader, 2048)
}

// RootPEM is the root's certificate, for --root.
func (a *Authority) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Root.Raw})
}

// Header is the JOSE header of the BLOBs.
func (a *Authority) Header() map[string]any {
	var x5c []string
	for _, c := range a.Chain {
		x5c = append(x5c, base64.StdEncoding.EncodeToString(c.Raw))
	}
	return map[string]any{"alg": a.Algorithm, "typ": "JWT", "x5c": x5c}
}

// Sign makes a BLOB of a payload.
func (a *Authority) Sign(payload []byte) ([]byte, error) { return a.SignWith(a.Header(), payload) }

// SignWith makes a BLOB with another header, which need not tell the truth about the signature.
func (a *Authority) SignWith(header any, payload []byte) ([]byte, error) {
	h, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	text := base64.RawURLEncoding.EncodeToString(h) + "." + base64.RawURLEncoding.EncodeToString(payload)
	signature, err := jwt.GetSigningMethod(a.Algorithm).Sign(text, a.Key)
	if err != nil {
		return nil, err
	}
	return []byte(text + "." + base64.RawURLEncoding.EncodeToString(signature)), nil
}

// Report is a status report of an entry.
type Report map[string]any

// Entry is an entry of a FIDO2 model, complete enough for other readers.
func Entry(aaguid, description string, reports ...Report) map[string]any {
	return map[string]any{
		"aaguid": aaguid,
		"metadataStatement": map[string]any{
			"legalHeader": "for tests", "aaguid": aaguid, "description": description, "authenticatorVersion": 327682,
			"protocolFamily": "fido2", "schema": 3,
			"upv":                      []any{map[string]int{"major": 1, "minor": 0}, map[string]int{"major": 1, "minor": 1}},
			"authenticationAlgorithms": []string{"secp256r1_ecdsa_sha256_raw"}, "publicKeyAlgAndEncodings": []string{"cose"},
			"attestationTypes": []string{"basic_full"}, "keyProtection": []string{"hardware", "secure_element"},
			"userVerificationDetails": []any{[]any{map[string]any{"userVerificationMethod": "presence_internal"}}},
			"matcherProtection":       []string{"on_chip"}, "attachmentHint": []string{"external"}, "tcDisplay": []string{},
			"attestationRootCertificates": []string{},
		},
		"statusReports": reports, "timeOfLastStatusChange": "2020-05-12",
	}
}

// Payload is what a BLOB says.
func Payload(number int, nextUpdate string, entries ...map[string]any) []byte {
	b, err := json.Marshal(map[string]any{"legalHeader": "for tests", "no": number, "nextUpdate": nextUpdate,
		"entries": entries})
	if err != nil {
		panic(err) // of maps that hold other than JSON
	}
	return b
}
