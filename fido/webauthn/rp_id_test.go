package webauthn

import (
	"errors"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/publicsuffix"
)

func TestCheckRPID(t *testing.T) {
	for _, c := range []struct{ rpID, origin, want string }{
		{"", "https://example.com", "example.com"},
		{"", "https://login.example.com:8443", "login.example.com"},
		{"example.com", "https://example.com", "example.com"},
		{"example.com", "https://login.example.com", "example.com"},
		{"login.example.com", "https://a.login.example.com", "login.example.com"},
		{"example.co.uk", "https://www.example.co.uk", "example.co.uk"},
		{"", "http://localhost:8080", "localhost"},
		{"localhost", "http://localhost", "localhost"},
		{"localhost", "https://localhost:8443", "localhost"},
		{"", "https://app.localhost", "app.localhost"},
		{"", "https://intranet", "intranet"}, // equal to the host, so good, though it would be a suffix
		{"github.io", "https://github.io", "github.io"},
		{"alice.github.io", "https://blog.alice.github.io", "alice.github.io"},
		{"xn--bcher-kva.example", "https://www.xn--bcher-kva.example", "xn--bcher-kva.example"},
		{"r3---sn.example.com", "https://r3---sn.example.com", "r3---sn.example.com"},
		{"1.example.com", "https://1.example.com", "1.example.com"},
	} {
		if got, err := CheckRPID(c.rpID, c.origin); err != nil || got != c.want {
			t.Errorf("%q for %q: %q, %v", c.rpID, c.origin, got, err)
		}
	}
}

func TestCheckRPIDErrors(t *testing.T) {
	label64, long := strings.Repeat("a", 64), strings.Repeat("abcdefghi.", 26)+"com"
	for _, c := range []struct {
		rpID, origin string
		problem      error
	}{
		{"", "", ErrOriginSyntax},
		{"", "example.com", ErrOriginSyntax},
		{"", "null", ErrOriginSyntax},
		{"", "https:example.com", ErrOriginSyntax},
		{"", "https://example.com/", ErrOriginSyntax},
		{"", "https://example.com?x", ErrOriginSyntax},
		{"", "https://example.com#x", ErrOriginSyntax},
		{"", "https://alice@example.com", ErrOriginSyntax},
		{"", `https://example.com\`, ErrOriginSyntax},
		{"", "HTTPS://example.com", ErrOriginSyntax},
		{"", "ftp://example.com", ErrOriginSyntax},
		{"", "android:apk-key-hash://x", ErrOriginSyntax},
		{"", "http://example.com", ErrInsecureOrigin},
		{"", "http://app.localhost", ErrInsecureOrigin},
		{"localhost", "http://example.com", ErrInsecureOrigin},
		{"", "https://example.com:", ErrOriginPort},
		{"", "https://example.com:443", ErrOriginPort},
		{"", "http://localhost:80", ErrOriginPort},
		{"", "https://example.com:0", ErrOriginPort},
		{"", "https://example.com:65536", ErrOriginPort},
		{"", "https://example.com:08443", ErrOriginPort},
		{"", "https://example.com:+8443", ErrOriginPort},
		{"", "https://example.com:1:2", ErrOriginPort},
		{"", "https://", ErrNotDomain},
		{"", "https://Example.com", ErrNotDomain},
		{"", "https://example.com.", ErrNotDomain},
		{"", "https://.example.com", ErrNotDomain},
		{"", "https://a..example.com", ErrNotDomain},
		{"", "https://bücher.example", ErrNotDomain},
		{"", "https://exam ple.com", ErrNotDomain},
		{"", "https://exam%70le.com", ErrNotDomain},
		{"", "https://a_b.example.com", ErrNotDomain},
		{"", "https://-a.example.com", ErrNotDomain},
		{"", "https://a-.example.com", ErrNotDomain},
		{"", "https://xn--a.example.com", ErrNotDomain},
		{"", "https://xn--.example.com", ErrNotDomain},
		{"", "https://xn--example-.com", ErrNotDomain},
		{"", "https://" + label64 + ".com", ErrNotDomain},
		{"", "https://" + long, ErrNotDomain},
		{"", "https://127.0.0.1", ErrIPAddress},
		{"127.0.0.1", "https://127.0.0.1", ErrIPAddress},
		{"", "https://127.1", ErrIPAddress},
		{"", "https://0x7f.0x1", ErrIPAddress},
		{"", "https://0x", ErrIPAddress},
		{"", "https://1.2.3.4.5", ErrIPAddress},
		{"", "https://[::1]", ErrIPAddress},
		{"", "https://[::1]:8443", ErrIPAddress},
		{"0.0.1", "https://localhost", ErrIPAddress},
		{"example.com", "https://example.org", ErrNotSuffix},
		{"example.com", "https://badexample.com", ErrNotSuffix},
		{"www.example.com", "https://example.com", ErrNotSuffix},
		{"ample.com", "https://www.example.com", ErrNotSuffix},
		{"localhost", "https://example.com", ErrNotSuffix},
		{"example.com.", "https://www.example.com", ErrNotDomain},
		{".example.com", "https://www.example.com", ErrNotDomain},
		{"EXAMPLE.com", "https://www.example.com", ErrNotDomain},
		{"https://example.com", "https://www.example.com", ErrNotDomain},
		{"example.com:8443", "https://www.example.com:8443", ErrNotDomain},
		{"com", "https://example.com", ErrPublicSuffix},
		{"co.uk", "https://example.co.uk", ErrPublicSuffix},
		{"uk", "https://example.co.uk", ErrPublicSuffix},
		{"io", "https://github.io", ErrPublicSuffix},
		{"github.io", "https://alice.github.io", ErrPublicSuffix},
		{"localhost", "https://app.localhost", ErrPublicSuffix},
		{"corp", "https://sso.corp", ErrPublicSuffix},
		// Not a public suffix itself, but shorter than the host's: s3.amazonaws.com is one, amazonaws.com is not.
		{"amazonaws.com", "https://bucket.s3.amazonaws.com", ErrPublicSuffix},
	} {
		got, err := CheckRPID(c.rpID, c.origin)
		var e *RPIDError
		if got != "" || !errors.As(err, &e) || e.RPID != c.rpID || e.Origin != c.origin || !errors.Is(err, c.problem) {
			t.Errorf("%q for %q: %q, %v; want %v", c.rpID, c.origin, got, err, c.problem)
		}
	}
}

func TestCheckRPIDHints(t *testing.T) {
	for origin, hint := range map[string]string{
		"https://Bücher.example": "write it as xn--bcher-kva.example",
		"https://Example.COM":    "write it as example.com",
	} {
		if _, err := CheckRPID("", origin); err == nil || !strings.Contains(err.Error(), hint) {
			t.Errorf("%s: %v", origin, err)
		}
	}
}

// FuzzCheckRPID checks what must hold of every RP ID that was let through.
func FuzzCheckRPID(f *testing.F) {
	f.Add("example.com", "https://www.example.com")
	f.Add("", "http://localhost:8080")
	f.Add("github.io", "https://alice.github.io")
	f.Add("xn--bcher-kva.example", "https://xn--bcher-kva.example:1")
	f.Add("0.1", "https://127.0.0.1")
	f.Fuzz(func(t *testing.T, rpID, origin string) {
		got, err := CheckRPID(rpID, origin)
		if err != nil {
			var e *RPIDError
			if got != "" || !errors.As(err, &e) || len(err.Error()) > 20_000 {
				t.Fatalf("%q, %v", got, err)
			}
			return
		}
		scheme, rest, _ := strings.Cut(origin, "://")
		host, _, _ := strings.Cut(rest, ":")
		if got != host && (got != rpID || !strings.HasSuffix(host, "."+got)) {
			t.Errorf("%q accepted for %q", got, origin)
		}
		if suffix, _ := publicsuffix.PublicSuffix(got); got == suffix && got != host {
			t.Errorf("public suffix %q accepted for %q", got, origin)
		}
		if net.ParseIP(got) != nil || got != strings.ToLower(got) || strings.HasSuffix(got, ".") || len(got) > 253 {
			t.Errorf("%q is not a domain as browsers write it", got)
		}
		if scheme != "https" && (scheme != "http" || host != "localhost") {
			t.Errorf("%q accepted", origin)
		}
		if again, err := CheckRPID(got, origin); err != nil || again != got {
			t.Errorf("the effective RP ID %q is not accepted: %v", got, err)
		}
	})
}
