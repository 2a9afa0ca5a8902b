package metadata

import (
	"crypto/sha256"
	"crypto/x509"
	"embed"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"slices"
)

const (
	// URL is where the FIDO Alliance publishes its BLOB.
	URL = "https://mds3.fidoalliance.org/"
	// Name is whom the FIDO Alliance's signing certificate is for.
	Name = "mds.fidoalliance.org"
	// MaxRootsSize is the size of the largest file of roots, in bytes.
	MaxRootsSize = 64 << 10
)

// The FIDO Alliance's chain ended at GlobalSign Root CA - R3 until August 2026, and at Root R46 since. Both come from
// Mozilla's list.
//
//go:embed roots/globalsign-r3.pem roots/globalsign-r46.pem
var rootFiles embed.FS

// ErrRoots is a file of roots that holds none, or something else.
var ErrRoots = errors.New("holds no certificates of certification authorities in PEM")

// Service is a metadata service: whom its signing certificate is for, and which roots vouch for that. Name is compared
// with the certificate's DNS names, in lower case and without wildcards.
type Service struct {
	Name  string
	Roots []*x509.Certificate
}

// FIDO is the FIDO Alliance's service.
func FIDO() (Service, error) {
	s := Service{Name: Name}
	for _, file := range []string{"roots/globalsign-r3.pem", "roots/globalsign-r46.pem"} {
		b, err := rootFiles.ReadFile(file)
		if err != nil {
			return Service{}, err
		}
		roots, err := ParseRoots(b)
		if err != nil {
			return Service{}, err
		}
		s.Roots = append(s.Roots, roots...)
	}
	return s, nil
}

// ParseRoots reads the certificates of certification authorities in PEM, at most MaxRootsSize bytes. It gives ErrRoots.
func ParseRoots(b []byte) ([]*x509.Certificate, error) {
	if len(b) > MaxRootsSize {
		return nil, ErrRoots
	}
	var roots []*x509.Certificate
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" || !c.IsCA {
			return nil, ErrRoots
		}
		roots = append(roots, c)
	}
	if len(roots) == 0 {
		return nil, ErrRoots
	}
	return roots, nil
}

// fingerprints gives the SHA-256 of each root, sorted: a name for all of them.
func (s Service) fingerprints() []string {
	var list []string
	for _, r := range s.Roots {
		list = append(list, fingerprint(r))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// fingerprint gives the SHA-256 of a certificate in hex.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}
