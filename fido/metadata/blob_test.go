package metadata

import (
	"bytes"
	"crypto/dsa" //lint:ignore SA1019 it is refused
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	judge "github.com/go-webauthn/webauthn/metadata"

	"fob/fido/ctap"
	"fob/fido/metadata/metadatatest"
)

const (
	yubikey = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
	feitian = "77010bd7-212a-4fc9-b236-d2ca5e9d4084"
)

var today = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

// blobPayload is what most tests import.
var blobPayload = metadatatest.Payload(277, "2026-11-01",
	metadatatest.Entry(feitian, "Feitian \x1b[31mred",
		metadatatest.Report{"status": "REVOKED", "effectiveDate": "2026-01-31"}),
	metadatatest.Entry(yubikey, "YubiKey 5 Series with NFC",
		metadatatest.Report{"status": "FIDO_CERTIFIED_L1", "effectiveDate": "2020-05-12",
			"certificateNumber": "FIDO20020180918001", "certificationPolicyVersion": "1.1.0"}),
	map[string]any{"aaid": "4e4e#4005", "timeOfLastStatusChange": "2020-05-12"})

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// newService makes a service of our own, and who signs for it.
func newService(t *testing.T, algorithm string, now time.Time, change func(*x509.Certificate)) (
	*metadatatest.Authority, Service) {

	t.Helper()
	a := must[*metadatatest.Authority](t)(metadatatest.New(Name, algorithm, now, change))
	return a, Service{Name: Name, Roots: []*x509.Certificate{a.Root}}
}

// TestVerify: a BLOB in each algorithm is read, and go-webauthn reads the same in it.
func TestVerify(t *testing.T) {
	for _, algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			a, s := newService(t, algorithm, now, nil)
			blob := must[[]byte](t)(a.Sign(blobPayload))
			index := must[*Index](t)(s.Verify(append(blob, '\n'), now)) // as editors leave it
			checkIndex(t, index, a, now)
			compareWithJudge(t, index, a, blob)
		})
	}
}

func checkIndex(t *testing.T, index *Index, a *metadatatest.Authority, now time.Time) {
	t.Helper()
	want := Signer{Subject: "CN=" + Name, Root: "CN=Test Root", Certificate: fingerprint(a.Chain[0]), Algorithm: a.Algorithm}
	if index.Signer != want || index.Service != Name || !index.Imported.Equal(now.Truncate(time.Second)) {
		t.Errorf("signer %+v of %q at %v", index.Signer, index.Service, index.Imported)
	}
	if index.Number != 277 || index.NextUpdate != "2026-11-01" || index.Others != 1 || index.Unreadable != 0 ||
		len(index.Models) != 2 {
		t.Errorf("%+v", index)
	}
	m, ok := index.Lookup(must[AAGUID](t)(ParseAAGUID(strings.ToUpper(yubikey))))
	if !ok || !reflect.DeepEqual(m, Model{AAGUID: m.AAGUID, Description: "YubiKey 5 Series with NFC", ProtocolFamily: "fido2",
		AuthenticatorVersion: 327682, UPV: []Version{{1, 0}, {1, 1}}, StatusReports: []StatusReport{{
			Status: "FIDO_CERTIFIED_L1", EffectiveDate: "2020-05-12", CertificateNumber: "FIDO20020180918001"}}}) {
		t.Errorf("%+v, %v", m, ok)
	}
	if m, _ := index.Lookup(must[AAGUID](t)(ParseAAGUID(feitian))); m.Description != "Feitian [31mred" {
		t.Errorf("%q is not fit for a terminal", m.Description)
	}
	if _, ok := index.Lookup(AAGUID{1}); ok {
		t.Error("found what is not there")
	}
}

// compareWithJudge has go-webauthn check and read the BLOB.
func compareWithJudge(t *testing.T, index *Index, a *metadatatest.Authority, blob []byte) {
	t.Helper()
	root := base64.StdEncoding.EncodeToString(a.Root.Raw)
	d := must[*judge.Decoder](t)(judge.NewDecoder(judge.WithRootCertificate(root)))
	read := must[*judge.Metadata](t)(d.Parse(must[*judge.PayloadJSON](t)(d.DecodeBytes(blob))))
	if int64(read.Parsed.Number) != index.Number || read.Parsed.NextUpdate.Format(time.DateOnly) != index.NextUpdate ||
		len(read.Parsed.Entries) != len(index.Models)+index.Others {
		t.Errorf("go-webauthn reads %+v", read.Parsed)
	}
	for _, m := range index.Models {
		e, ok := read.ToMap()[[16]byte(m.AAGUID)]
		if !ok || e.AaGUID.String() != m.AAGUID.String() ||
			uint64(e.MetadataStatement.AuthenticatorVersion) != m.AuthenticatorVersion ||
			e.MetadataStatement.ProtocolFamily != m.ProtocolFamily || len(e.StatusReports) != len(m.StatusReports) ||
			string(e.StatusReports[0].Status) != string(m.StatusReports[0].Status) ||
			e.StatusReports[0].EffectiveDate.Format(time.DateOnly) != m.StatusReports[0].EffectiveDate {
			t.Errorf("go-webauthn reads %+v, we %+v", e, m)
		}
	}
}

// TestOpenSSL: openssl finds the chain and the signature of the BLOBs of these tests good, too.
func TestOpenSSL(t *testing.T) {
	now := time.Now()
	a, s := newService(t, "RS256", now, nil)
	blob := must[[]byte](t)(a.Sign(blobPayload))
	dir := t.TempDir()
	parts := bytes.Split(blob, []byte("."))
	for name, content := range map[string][]byte{"root.pem": a.RootPEM(), "signed": bytes.Join(parts[:2], []byte(".")),
		"leaf.pem": certificatePEM(a.Chain[0]), "middle.pem": certificatePEM(a.Chain[1]),
		"signature": must[[]byte](t)(base64.RawURLEncoding.DecodeString(string(parts[2])))} {

		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, line := range []string{
		"openssl verify -CAfile root.pem -untrusted middle.pem -verify_hostname " + Name + " leaf.pem",
		"openssl x509 -in leaf.pem -pubkey -noout -out key.pem",
		"openssl dgst -sha256 -verify key.pem -signature signature signed",
	} {
		c := exec.Command("sh", "-c", line)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
	if _, err := s.Verify(blob, now); err != nil {
		t.Error(err)
	}
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

// checkRefused checks why a BLOB was refused, and that the person hears what to do.
func checkRefused(t *testing.T, err, problem error) {
	t.Helper()
	var r *Refused
	if !errors.As(err, &r) || !errors.Is(err, problem) || r.Hint() == "" || len(r.Error()) > 700 {
		t.Errorf("%v; expected %v", err, problem)
	}
}

// TestRefused: what an attacker could send is refused for the right reason.
func TestRefused(t *testing.T) {
	a, s := newService(t, "ES256", today, nil)
	good := must[[]byte](t)(a.Sign(blobPayload))
	if _, err := s.Verify(good, today); err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(good), ".")
	with := func(name string, value any) string {
		h := a.Header()
		h[name] = value
		return string(must[[]byte](t)(a.SignWith(h, blobPayload)))
	}
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	headed := func(header string) string { return encode(header) + "." + parts[1] + "." + parts[2] }
	older := encode(strings.Replace(string(blobPayload), "REVOKED", "RETIRED", 1))
	x5c := a.Header()["x5c"].([]string)
	tests := map[string]struct {
		blob    string
		problem error
	}{
		"nothing":                {"", ErrNoToken},
		"a page":                 {"<!DOCTYPE html><title>404.</title>.", ErrNoToken},
		"gzip":                   {"\x1f\x8b\x08.a.b", ErrNoToken},
		"two segments":           {parts[0] + "." + parts[1], ErrNoToken},
		"four segments":          {string(good) + ".", ErrNoToken},
		"padding":                {parts[0] + "=." + parts[1] + "." + parts[2], ErrNoToken},
		"a line break":           {parts[0] + "." + parts[1] + "." + parts[2][:40] + "\n" + parts[2][40:], ErrNoToken},
		"too large":              {strings.Repeat("a", MaxBlobSize+1), ErrTooLarge},
		"a million dots":         {strings.Repeat(".", 1<<20), ErrNoToken},
		"a deep header":          {headed(strings.Repeat("[", 1000) + strings.Repeat("]", 1000)), ErrNoToken},
		"a large header":         {headed(`{"alg":"ES256","x":"` + strings.Repeat("a", 1<<20) + `"}`), ErrNoToken},
		"alg twice":              {headed(`{"alg":"none","alg":"ES256"}`), ErrNoToken},
		"no alg":                 {headed(`{}`), ErrNoToken},
		"alg in capitals":        {headed(`{"ALG":"ES256"}`), ErrNoToken},
		"alg none":               {with("alg", "none"), ErrAlgorithm},
		"alg none, unsigned":     {encode(`{"alg":"none"}`) + "." + parts[1] + ".", ErrAlgorithm},
		"alg NONE":               {with("alg", "NONE"), ErrAlgorithm},
		"alg HS256":              {with("alg", "HS256"), ErrAlgorithm},
		"alg of another key":     {with("alg", "RS256"), ErrSignature},
		"alg of another hash":    {with("alg", "ES384"), ErrSignature},
		"alg a number":           {with("alg", 7), ErrNoToken},
		"crit":                   {with("crit", []string{"exp"}), ErrHeader},
		"x5u":                    {with("x5u", "https://mds.fidoalliance.org/chain"), ErrHeader},
		"no x5c":                 {with("x5c", nil), ErrCertificate},
		"x5c empty":              {with("x5c", []string{}), ErrCertificate},
		"x5c a text":             {with("x5c", x5c[0]), ErrCertificate},
		"x5c of numbers":         {with("x5c", []int{1}), ErrCertificate},
		"x5c too long":           {with("x5c", slices.Repeat(x5c, 5)), ErrCertificate},
		"x5c no base64":          {with("x5c", []string{"-----BEGIN"}), ErrCertificate},
		"x5c no certificate":     {with("x5c", []string{"AAAA"}), ErrCertificate},
		"no intermediate":        {with("x5c", x5c[:1]), ErrChain},
		"the intermediate alone": {with("x5c", x5c[1:]), ErrName},
		"another order":          {with("x5c", []string{x5c[1], x5c[0]}), ErrName},
		"another payload":        {parts[0] + "." + older + "." + parts[2], ErrSignature},
		"no signature":           {parts[0] + "." + parts[1] + ".", ErrSignature},
		"a second spelling":      {parts[0] + "." + parts[1] + "." + respelt(parts[2]), ErrNoToken},
		"a cut signature":        {parts[0] + "." + parts[1] + "." + encode("short"), ErrSignature},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			index, err := s.Verify([]byte(test.blob), today)
			if index != nil {
				t.Errorf("taken: %+v", index)
			}
			checkRefused(t, err, test.problem)
		})
	}
}

// respelt changes the bits of the last character that no byte is made of.
func respelt(segment string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, segment[len(segment)-1])
	return segment[:len(segment)-1] + alphabet[last^1:][:1]
}

// TestRefusedSigners: a good signature of somebody who may not sign.
func TestRefusedSigners(t *testing.T) {
	_, s := newService(t, "ES256", today, nil)
	for name, test := range map[string]struct {
		change  func(*x509.Certificate)
		problem error
	}{
		"expired":       {func(c *x509.Certificate) { c.NotAfter = today.Add(-time.Minute) }, ErrExpired},
		"not valid yet": {func(c *x509.Certificate) { c.NotBefore = today.Add(time.Minute) }, ErrExpired},
		"another name":  {func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} }, ErrName},
		"a longer name": {func(c *x509.Certificate) { c.DNSNames = []string{Name + ".example.com"} }, ErrName},
		"a wildcard":    {func(c *x509.Certificate) { c.DNSNames = []string{"*.fidoalliance.org"} }, ErrName},
		"a common name": {func(c *x509.Certificate) { c.DNSNames = nil }, ErrName},
		"a large certificate": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Value: make([]byte, maxCertificate)}}
		}, ErrCertificate},
		"no signing key": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyAgreement }, ErrCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			a, s := newService(t, "ES256", today, test.change)
			_, err := s.Verify(must[[]byte](t)(a.Sign(blobPayload)), today)
			checkRefused(t, err, test.problem)
		})
	}
	t.Run("another root", func(t *testing.T) {
		a, _ := newService(t, "ES256", today, nil) // the same names as those of s
		_, err := s.Verify(must[[]byte](t)(a.Sign(blobPayload)), today)
		checkRefused(t, err, ErrChain)
		a.Chain = append(a.Chain, a.Root)
		_, err = s.Verify(must[[]byte](t)(a.Sign(blobPayload)), today)
		checkRefused(t, err, ErrChain)
	})
	t.Run("no root", func(t *testing.T) { // where package x509 would ask the system for its roots
		a, s := newService(t, "ES256", today, nil)
		s.Roots = nil
		_, err := s.Verify(must[[]byte](t)(a.Sign(blobPayload)), today)
		checkRefused(t, err, ErrChain)
	})
	t.Run("later", func(t *testing.T) {
		a, s := newService(t, "ES256", today, nil)
		_, err := s.Verify(must[[]byte](t)(a.Sign(blobPayload)), today.AddDate(0, 0, 1))
		checkRefused(t, err, ErrExpired)
	})
	t.Run("a signer that signs signers", func(t *testing.T) {
		a, s := newService(t, "ES256", today, nil)
		evil := must[*metadatatest.Authority](t)(metadatatest.New(Name, "ES256", today, nil))
		c := must[*x509.Certificate](t)(metadatatest.Issue(evil.Chain[0], a.Chain[0], evil.Key.Public(), a.Key))
		evil.Chain = append([]*x509.Certificate{c}, a.Chain...)
		_, err := s.Verify(must[[]byte](t)(evil.Sign(blobPayload)), today)
		checkRefused(t, err, ErrChain)
	})
}

// TestWeakKeys: no RSA key that is short, or so long that checking takes a while.
func TestWeakKeys(t *testing.T) {
	for _, bits := range []uint{1024, maxRSA + 8} {
		n := new(big.Int).Lsh(big.NewInt(1), bits-1)
		c := &x509.Certificate{PublicKey: &rsa.PublicKey{N: n, E: 65537}}
		checkRefused(t, checkKey(c), ErrAlgorithm)
	}
	checkRefused(t, checkKey(&x509.Certificate{PublicKeyAlgorithm: x509.DSA, PublicKey: new(dsa.PublicKey)}), ErrAlgorithm)
}

// TestChains: the FIDO Alliance sends its root along, or the root as an older root vouches for it. Each will do, with
// either root.
func TestChains(t *testing.T) {
	a, s := newService(t, "ES256", today, nil)
	older := must[*metadatatest.Authority](t)(metadatatest.New("older", "ES256", today, func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.DNSNames, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil, nil
	}))
	root := *a.Root
	crossed := must[*x509.Certificate](t)(metadatatest.Issue(&root, older.Chain[0], a.Root.PublicKey, older.Key))
	plain := a.Chain
	for name, chain := range map[string][]*x509.Certificate{
		"without the root": plain,
		"with the root":    append(slices.Clone(plain), a.Root),
		"cross-signed":     append(append(slices.Clone(plain), crossed), older.Chain...),
	} {
		a.Chain = chain
		blob := must[[]byte](t)(a.Sign(blobPayload))
		if _, err := s.Verify(blob, today); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		both := Service{Name: Name, Roots: []*x509.Certificate{older.Root, a.Root}}
		if _, err := both.Verify(blob, today); err != nil {
			t.Errorf("%s, with both roots: %v", name, err)
		}
		before := Service{Name: Name, Roots: []*x509.Certificate{older.Root}}
		if _, err := before.Verify(blob, today); (err == nil) != (name == "cross-signed") {
			t.Errorf("%s, with the older root: %v", name, err)
		}
	}
}

// TestFIDORoots: what is built in are GlobalSign's roots, as they publish their SHA-256, as go-webauthn trusts the
// newer one, and as Debian has them.
func TestFIDORoots(t *testing.T) {
	s := must[Service](t)(FIDO())
	want := []string{"4fa3126d8d3a11d1c4855a4f807cbad6cf919d3a5a88b03bea2c6372d93c40c9",
		"cbb522d7b7f127ad6a0113865bdf1cd4102e7d0759af635a7cf4720dc963c53b"}
	if !slices.Equal(s.fingerprints(), want) || s.Name != "mds.fidoalliance.org" {
		t.Errorf("%q, %v", s.Name, s.fingerprints())
	}
	if base64.StdEncoding.EncodeToString(s.Roots[1].Raw) != judge.ProductionMDSRoot {
		t.Error("go-webauthn trusts another root")
	}
	for i, name := range []string{"GlobalSign_Root_CA_-_R3", "GlobalSign_Root_R46"} {
		b, err := os.ReadFile("/usr/share/ca-certificates/mozilla/" + name + ".crt")
		if err != nil {
			continue // not Debian
		}
		if roots := must[[]*x509.Certificate](t)(ParseRoots(b)); !roots[0].Equal(s.Roots[i]) {
			t.Errorf("Debian's %s is another", name)
		}
	}
	a, _ := newService(t, "ES256", today, nil)
	_, err := s.Verify(must[[]byte](t)(a.Sign(blobPayload)), today)
	checkRefused(t, err, ErrChain)
}

func TestParseRoots(t *testing.T) {
	a, _ := newService(t, "ES256", today, nil)
	two := append([]byte("# ours\n"), append(a.RootPEM(), certificatePEM(a.Chain[1])...)...)
	if roots := must[[]*x509.Certificate](t)(ParseRoots(two)); len(roots) != 2 || !roots[0].Equal(a.Root) {
		t.Errorf("%d roots", len(roots))
	}
	for name, b := range map[string][]byte{"empty": nil, "DER": a.Root.Raw, "not a CA": certificatePEM(a.Chain[0]),
		"too large": append(a.RootPEM(), make([]byte, MaxRootsSize)...),
		"a key":     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: a.Root.Raw})} {

		if _, err := ParseRoots(b); !errors.Is(err, ErrRoots) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRead(t *testing.T) {
	if b, err := Read(strings.NewReader("x")); err != nil || string(b) != "x" {
		t.Errorf("%q, %v", b, err)
	}
	_, err := Read(endless{})
	checkRefused(t, err, ErrTooLarge)
}

// endless is a file without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestPayloads: what is signed may make no sense all the same.
func TestPayloads(t *testing.T) {
	a, s := newService(t, "ES256", today, nil)
	list := func(element string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(element+",", n), ",") + "]"
	}
	entry := func(members string) string { // beside another one, which is good
		return `{"no":1,"nextUpdate":"2026-11-01","entries":[{"aaguid":"` + feitian + `"},{"aaguid":"` + yubikey + `",` + members + `}]}`
	}
	if _, err := s.Verify(must[[]byte](t)(a.Sign([]byte(entry(`"x":1`)))), today); err != nil {
		t.Fatal(err)
	}
	for name, payload := range map[string]string{
		"no JSON":              `{"no":1,`,
		"a list":               `[]`,
		"not UTF-8":            entry("\"x\":\"\xff\""),
		"something behind":     entry(`"x":1`) + "{}",
		"no entries":           `{"no":1,"nextUpdate":"2026-11-01"}`,
		"entries null":         `{"no":1,"nextUpdate":"2026-11-01","entries":null}`,
		"no model":             `{"no":1,"nextUpdate":"2026-11-01","entries":[{"aaid":"4e4e#4005"}]}`,
		"no number":            strings.Replace(entry(`"x":1`), `"no":1,`, "", 1),
		"a negative number":    strings.Replace(entry(`"x":1`), `"no":1,`, `"no":-1,`, 1),
		"a fraction":           strings.Replace(entry(`"x":1`), `"no":1,`, `"no":1.5,`, 1),
		"a huge number":        strings.Replace(entry(`"x":1`), `"no":1,`, `"no":99999999999999999999,`, 1),
		"deep":                 entry(`"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)),
		"deep behind a string": entry(`"x":["\"]",` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "]"),
		"many entries":         `{"no":1,"nextUpdate":"2026-11-01","entries":` + list("{}", 4<<20) + `}`,
		"many reports":         entry(`"statusReports":` + list("{}", maxReports+1)),
		"many versions":        entry(`"metadataStatement":{"upv":` + list("{}", maxVersions+1) + "}"),
		"many reports in two": `{"no":1,"entries":[` + strings.TrimSuffix(strings.Repeat(`{"aaguid":"`+yubikey+`","statusReports":`+
			list("{}", maxReports)+`},`, 2), ",") + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Verify(must[[]byte](t)(a.Sign([]byte(payload))), today)
			checkRefused(t, err, ErrPayload)
		})
	}
}

// TestLeniency: entries of the real BLOB break the specification now and then; the others count all the same, and a
// report whose date makes no sense counts as well.
func TestLeniency(t *testing.T) {
	payload := `{"no":1,"unknown":{"a":[]},"entries":[{"aaguid":7},{"aaguid":"x"},{"aaguid":"00000000-0000-0000-0000-000000000000"},
		{"aaguid":"` + yubikey + `","metadataStatement":{"description":"` + strings.Repeat("ü", 200) + `"},
		"statusReports":[{"status":"REVOKED","effectiveDate":"31.12.2099","sunsetDate":"soon"}]},
		{"aaguid":"` + strings.ToUpper(yubikey) + `","statusReports":[{"status":"NEWER_THAN_WE","url":"http://\u202eexample.com"}]}]}`
	index := must[*Index](t)(parsePayload([]byte(payload)))
	if index.Unreadable != 3 || len(index.Models) != 1 || index.NextUpdate != "" || index.Overdue(today) {
		t.Fatalf("%+v", index)
	}
	m := index.Models[0]
	if m.Description != strings.Repeat("ü", maxText/2) || len(m.StatusReports) != 2 {
		t.Errorf("%+v", m)
	}
	v := m.Verdict(today)
	want := Verdict{Warnings: []string{"revoked: the FIDO Alliance says not to trust it"},
		Notes: []string{"status NEWER_THAN_WE (http:// example.com)"}}
	if !reflect.DeepEqual(v, want) {
		t.Errorf("%+v", v)
	}
}

func TestAAGUID(t *testing.T) {
	a := must[AAGUID](t)(ParseAAGUID(strings.ToUpper(yubikey)))
	if a.String() != yubikey || ctap.AAGUID(a)[0] != 0x2f {
		t.Error(a)
	}
	for _, s := range []string{"", "2fc0579f", strings.ReplaceAll(yubikey, "-", ""), yubikey + "0", "{" + yubikey + "}",
		strings.Replace(yubikey, "2", "g", 1), strings.Replace(yubikey, "-", "", 1) + "-", strings.Repeat("-", 1000)} {

		if _, err := ParseAAGUID(s); !errors.Is(err, ErrAAGUID) {
			t.Errorf("%.50q: %v", s, err)
		}
	}
}

func FuzzToken(f *testing.F) {
	a, err := metadatatest.New(Name, "ES256", today, nil)
	if err != nil {
		f.Fatal(err)
	}
	blob, err := a.Sign(blobPayload)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(blob)
	f.Add([]byte("e30.e30."))
	f.Fuzz(func(t *testing.T, in []byte) {
		token, err := parseToken(in)
		if err != nil {
			if !errors.As(err, new(*Refused)) {
				t.Fatal(err)
			}
			return
		}
		var x5c []string
		for _, c := range token.chain {
			x5c = append(x5c, base64.StdEncoding.EncodeToString(c.Raw))
		}
		header, err := json.Marshal(map[string]any{"alg": token.algorithm, "x5c": x5c})
		if err != nil {
			t.Fatal(err)
		}
		encode := base64.RawURLEncoding.EncodeToString
		if out := token.signed + "." + encode(token.signature); out != string(bytes.TrimSpace(in)) {
			t.Errorf("%q became %q", in, out)
		}
		again, err := parseToken([]byte(encode(header) + "." + encode(token.payload) + "." + encode(token.signature)))
		if err != nil || again.algorithm != token.algorithm || !bytes.Equal(again.payload, token.payload) ||
			!slices.EqualFunc(again.chain, token.chain, (*x509.Certificate).Equal) {
			t.Errorf("read again: %+v, %v", again, err)
		}
	})
}

// FuzzPayload: what is taken from a payload can be kept, read again and put into words.
func FuzzPayload(f *testing.F) {
	f.Add(blobPayload)
	f.Add([]byte(`{"no":1,"entries":[{"aaguid":"` + yubikey + `","statusReports":[{"status":"","url":"\u2028<"}]}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		index, err := parsePayload(in)
		if err != nil {
			return
		}
		index.Signer.Certificate = strings.Repeat("0", 64)
		again := must[*Index](t)(ParseIndex(must[[]byte](t)(index.Encode())))
		if !reflect.DeepEqual(again, index) {
			t.Errorf("%+v became %+v", index, again)
		}
		for _, m := range index.Models {
			for _, r := range m.StatusReports {
				if m.Words(r) == "" {
					t.Errorf("no words for %+v", r)
				}
			}
			if text := fmt.Sprint(m.Verdict(today)); clean(text, len(text)) != strings.Join(strings.Fields(text), " ") {
				t.Errorf("%q is not fit for a terminal", text)
			}
		}
	})
}

func FuzzParseRoots(f *testing.F) {
	for _, name := range []string{"r3", "r46"} {
		b, err := rootFiles.ReadFile("roots/globalsign-" + name + ".pem")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		roots, err := ParseRoots(in)
		if err != nil {
			return
		}
		var out []byte
		for _, c := range roots {
			out = append(out, certificatePEM(c)...)
		}
		if again, err := ParseRoots(out); err != nil || !slices.EqualFunc(again, roots, (*x509.Certificate).Equal) {
			t.Errorf("read again: %v", err)
		}
	})
}

func FuzzParseAAGUID(f *testing.F) {
	f.Add(yubikey)
	f.Fuzz(func(t *testing.T, in string) {
		if a, err := ParseAAGUID(in); err == nil && a.String() != strings.ToLower(in) {
			t.Errorf("%q became %v", in, a)
		}
	})
}
