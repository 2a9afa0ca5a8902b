package webauthn

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Problems that an RPIDError unwraps to.
var (
	ErrOriginSyntax   = errors.New("an origin is scheme://host or scheme://host:port and nothing more")
	ErrInsecureOrigin = errors.New("an origin must be https; http is for localhost alone")
	ErrOriginPort     = errors.New("a port is a number from 1 to 65535, left out when it is the scheme's own")
	ErrNotDomain      = errors.New("not a domain in lower-case ASCII")
	ErrIPAddress      = errors.New("an IP address can't have an RP ID")
	ErrNotSuffix      = errors.New("the RP ID is neither the origin's host nor a domain that it belongs to")
	ErrPublicSuffix   = errors.New("the RP ID is a public suffix, which belongs to more than one party")
)

// RPIDError says why an origin may not use an RP ID: SecurityError in §5.1.3 and §5.1.4.
type RPIDError struct {
	RPID    string // empty when it was left out
	Origin  string
	Problem error
}

func (e *RPIDError) Error() string {
	if e.RPID == "" {
		return fmt.Sprintf("origin %.300q: %v", e.Origin, e.Problem)
	}
	return fmt.Sprintf("RP ID %.300q for origin %.300q: %v", e.RPID, e.Origin, e.Problem)
}

// Unwrap gives the problem.
func (e *RPIDError) Unwrap() error { return e.Problem }

// CheckRPID reports whether pages of origin may use credentials of rpID, and gives the effective RP ID: rpID, or the
// origin's host when rpID is empty. The rule is "is a registrable domain suffix of or is equal to" of the HTML
// standard (https://html.spec.whatwg.org/#is-a-registrable-domain-suffix-of-or-is-equal-to). By it the host itself
// always is a good RP ID, even if it is a public suffix: https://github.io may use github.io, https://a.github.io may
// not. Host and RP ID must be written the way browsers normalise them, in lower-case ASCII. The error is an *RPIDError.
func CheckRPID(rpID, origin string) (effectiveRPID string, err error) {
	host, err := hostOf(origin)
	if err == nil && rpID != "" {
		err = checkSuffix(rpID, host)
	}
	if err != nil {
		return "", &RPIDError{rpID, origin, err}
	}
	return cmp.Or(rpID, host), nil
}

// hostOf gives the host of an origin that is a secure context.
func hostOf(origin string) (string, error) {
	scheme, authority, ok := strings.Cut(origin, "://")
	if !ok || strings.ContainsAny(authority, `/?#@\`) {
		return "", ErrOriginSyntax
	}
	if strings.HasPrefix(authority, "[") {
		return "", ErrIPAddress
	}
	host, port, hasPort := strings.Cut(authority, ":")
	if err := checkDomain(host); err != nil {
		return "", err
	}
	switch {
	case scheme == "https", scheme == "http" && host == "localhost":
	case scheme == "http":
		return "", ErrInsecureOrigin
	default:
		return "", fmt.Errorf("%w: the scheme must be https", ErrOriginSyntax)
	}
	if hasPort && !goodPort(scheme, port) {
		return "", ErrOriginPort
	}
	return host, nil
}

// goodPort checks that a port is as browsers write it: the relying party compares origins as strings.
func goodPort(scheme, port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
		return false
	}
	return !(scheme == "https" && n == 443 || scheme == "http" && n == 80)
}

func checkSuffix(rpID, host string) error {
	if rpID == host {
		return nil
	}
	if err := checkDomain(rpID); err != nil {
		return err
	}
	if !strings.HasSuffix(host, "."+rpID) {
		return ErrNotSuffix
	}
	own, _ := publicsuffix.PublicSuffix(rpID)
	hosts, _ := publicsuffix.PublicSuffix(host)
	if rpID == own || rpID == hosts || strings.HasSuffix(hosts, "."+rpID) {
		return ErrPublicSuffix
	}
	return nil
}

// checkDomain checks that s is a domain (RFC 1034 §3.5) as browsers write it.
func checkDomain(s string) error {
	const longest, longestLabel = 253, 63
	if len(s) > longest {
		return fmt.Errorf("%w: it is longer than %d bytes", ErrNotDomain, longest)
	}
	if ascii, err := idna.Lookup.ToASCII(s); err == nil && ascii != s && ascii != "" {
		return fmt.Errorf("%w: write it as %s", ErrNotDomain, ascii)
	}
	labels := strings.Split(s, ".")
	for _, label := range labels {
		switch {
		case label == "":
			return fmt.Errorf("%w: it has an empty label, or a dot at the end", ErrNotDomain)
		case len(label) > longestLabel:
			return fmt.Errorf("%w: a label is longer than %d bytes", ErrNotDomain, longestLabel)
		case strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "", label[0] == '-',
			label[len(label)-1] == '-':
			return fmt.Errorf("%w: labels are of a-z, 0-9 and inner hyphens", ErrNotDomain)
		case strings.HasPrefix(label, "xn--") && !goodPunycode(label):
			return fmt.Errorf("%w: a label that begins with xn-- is not Punycode", ErrNotDomain)
		}
	}
	if looksNumeric(labels[len(labels)-1]) {
		return ErrIPAddress
	}
	return nil
}

func goodPunycode(label string) bool {
	u, err := idna.Lookup.ToUnicode(label)
	if err != nil || u == label {
		return false
	}
	ascii, err := idna.Lookup.ToASCII(u)
	return err == nil && ascii == label
}

// looksNumeric is the "ends in a number" checker of the URL standard: a host whose last label is one is parsed as an
// IPv4 address, in any of its odd spellings.
func looksNumeric(label string) bool {
	if strings.Trim(label, "0123456789") == "" {
		return true
	}
	hex, ok := strings.CutPrefix(label, "0x")
	return ok && strings.Trim(hex, "0123456789abcdef") == ""
}
