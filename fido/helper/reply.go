package helper

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"fob/fido"
	"fob/fido/ctap"
)

// reply is one message from the helper; without a Kind it tells of success.
type reply struct {
	ID     uint32          `cbor:"1,keyasint"`
	Kind   string          `cbor:"2,keyasint,omitempty"`
	Status ctap.StatusCode `cbor:"3,keyasint,omitempty"`
	Text   string          `cbor:"4,keyasint,omitempty"`
	Body   ctap.Bytes      `cbor:"5,keyasint,omitempty"`
}

func parseReply(frame []byte) (*reply, error) {
	var r reply
	if ctap.Unmarshal(frame, &r) != nil {
		return nil, ErrFrame
	}
	return &r, nil
}

// Limits of what a helper may answer. A helper whose key has taken it over is hostile.
const (
	maxDevices    = 64
	maxAssertions = 64
	maxPath       = 255  // bytes
	maxName       = 128  // bytes of a manufacturer, a product
	maxUserName   = 256  // bytes
	maxSignature  = 1024 // bytes; RSA has up to 512
	maxRetries    = 255
	maxList       = 32 // entries of a list in authenticatorGetInfo
	maxToken      = 64 // bytes of a version, an extension, an option
	maxURL        = 1024
	maxMissing    = 4 // layers of a sandbox
	maxPINLength  = fido.MaxPINLength
)

// Sandbox says what keeps a helper process in, beside its limits.
type Sandbox struct {
	// Landlock is the version of Landlock's ABI that is in force, 0 for none.
	Landlock uint `cbor:"1,keyasint" json:"landlock"`
	Seccomp  bool `cbor:"2,keyasint" json:"seccomp"`
	// Missing has, in words, what could not be had and why.
	Missing []string `cbor:"3,keyasint,omitempty" json:"missing,omitempty"`
}

func parseSandbox(body []byte) (s Sandbox, err error) {
	if err := ctap.Unmarshal(body, &s); err != nil {
		return s, err
	}
	return s.checked()
}

func (s Sandbox) checked() (Sandbox, error) {
	if len(s.Missing) > maxMissing {
		return s, ctap.ErrLimitExceeded
	}
	for i, text := range s.Missing {
		s.Missing[i] = clean(text, maxErrorText)
	}
	return s, nil
}

// openBody is the body of the reply that a key is open.
type openBody struct {
	Sandbox Sandbox    `cbor:"1,keyasint"`
	Info    ctap.Bytes `cbor:"2,keyasint,omitempty"` // of authenticatorGetInfo
}

// openReply is what the helper says of a key that it has opened.
type openReply struct {
	sandbox Sandbox
	info    *ctap.GetInfoResponse // nil when the key did not tell
}

func parseOpened(body []byte) (o openReply, err error) {
	var b openBody
	if err := ctap.Unmarshal(body, &b); err != nil {
		return o, err
	}
	if o.sandbox, err = b.Sandbox.checked(); err == nil && b.Info != nil {
		o.info, err = parseInfo(b.Info)
	}
	return o, err
}

type device struct {
	Path         string `cbor:"1,keyasint"`
	VendorID     uint16 `cbor:"2,keyasint"`
	ProductID    uint16 `cbor:"3,keyasint"`
	Manufacturer string `cbor:"4,keyasint,omitempty"`
	Product      string `cbor:"5,keyasint,omitempty"`
}

func encodeDevices(infos []fido.DeviceInfo) ([]byte, error) {
	devices := make([]device, len(infos))
	for i, d := range infos {
		devices[i] = device{
			d.Path, d.VendorID, d.ProductID,
			clean(d.Manufacturer, maxName), clean(d.Product, maxName),
		}
	}
	return ctap.Marshal(devices)
}

func parseDevices(body []byte) ([]fido.DeviceInfo, error) {
	var devices []device
	if err := ctap.Unmarshal(body, &devices); err != nil {
		return nil, err
	}
	if len(devices) > maxDevices {
		return nil, ctap.ErrLimitExceeded
	}
	infos := make([]fido.DeviceInfo, len(devices))
	for i, d := range devices {
		if len(d.Path) > maxPath || !path.IsAbs(d.Path) || clean(d.Path, maxPath) != d.Path {
			return nil, ctap.ErrInvalidParameter
		}
		infos[i] = fido.DeviceInfo{
			Path: d.Path, VendorID: d.VendorID, ProductID: d.ProductID,
			Manufacturer: clean(d.Manufacturer, maxName), Product: clean(d.Product, maxName),
		}
	}
	return infos, nil
}

func parsePINRetries(body []byte) (r fido.PINRetries, err error) {
	if err := ctap.Unmarshal(body, &r); err != nil {
		return r, err
	}
	if r.Left > maxRetries {
		return fido.PINRetries{}, ctap.ErrLimitExceeded
	}
	return r, nil
}

func parseUVRetries(body []byte) (n uint, err error) {
	if err := ctap.Unmarshal(body, &n); err != nil {
		return 0, err
	}
	if n > maxRetries {
		return 0, ctap.ErrLimitExceeded
	}
	return n, nil
}

func parseInfo(body []byte) (*ctap.GetInfoResponse, error) {
	r, err := ctap.ParseGetInfoResponse(body)
	if err != nil {
		return nil, err
	}
	for _, list := range [][]string{
		r.Versions, r.Extensions, r.Transports, r.AttestationFormats, r.TransportsForReset,
		slices.Collect(maps.Keys(r.Certifications)),
	} {
		if len(list) > maxList || !allTokens(list) {
			return nil, ctap.ErrLimitExceeded
		}
	}
	if len(r.Options) > maxList || len(r.PINUVAuthProtocols) > maxList || len(r.Algorithms) > maxList ||
		len(r.VendorConfigCommands) > maxList || len(r.ConfigCommands) > maxList || len(r.EncIdentifier) > maxToken ||
		len(r.EncCredStoreState) > maxToken || len(r.PINComplexityPolicyURL) > maxURL || r.MinPINLength > maxPINLength {
		return nil, ctap.ErrLimitExceeded
	}
	r.PINComplexityPolicyURL = []byte(clean(string(r.PINComplexityPolicyURL), maxURL))
	for name := range r.Options {
		if !isToken(name) {
			return nil, ctap.ErrInvalidParameter
		}
	}
	for _, a := range r.Algorithms {
		if !isToken(a.Type) {
			return nil, ctap.ErrInvalidParameter
		}
	}
	return r, nil
}

// credentialBody is the body of a reply with a new credential.
type credentialBody struct {
	Response   ctap.Bytes `cbor:"1,keyasint"` // of authenticatorMakeCredential, without largeBlobKey
	HMACSecret ctap.Bytes `cbor:"2,keyasint,omitzero"`
	LargeBlob  bool       `cbor:"3,keyasint,omitzero"`
}

func encodeCredential(c *fido.MakeCredentialResponse) ([]byte, error) {
	b, err := ctap.Marshal(&c.MakeCredentialResponse)
	if err != nil {
		return nil, err
	}
	return ctap.Marshal(credentialBody{b, ctap.Bytes(c.HMACSecret), c.LargeBlob})
}

// parseCredential decodes what encodeCredential encodes, the answer to a request with these salts.
func parseCredential(body []byte, salts fido.Secret) (*fido.MakeCredentialResponse, error) {
	var b credentialBody
	if err := ctap.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	r, err := ctap.ParseMakeCredentialResponse(b.Response)
	if err != nil {
		return nil, err
	}
	if len(r.LargeBlobKey) > 0 {
		return nil, ctap.ErrInvalidParameter
	}
	if err := checkSecrets(b.HMACSecret, salts); err != nil {
		return nil, err
	}
	d, err := ctap.ParseAuthenticatorData(r.AuthData)
	if err != nil {
		return nil, err
	}
	const emptyMap = 0xa0 // and above, up to 0xbf, all other maps
	if d.Attested == nil || len(d.Attested.CredentialID) == 0 || !isToken(r.Format) ||
		len(r.AttStmt) == 0 || r.AttStmt[0]&0xe0 != emptyMap {
		return nil, ctap.ErrInvalidParameter
	}
	return &fido.MakeCredentialResponse{
		MakeCredentialResponse: *r, HMACSecret: fido.Secret(b.HMACSecret), LargeBlob: b.LargeBlob}, nil
}

// checkSecrets checks what hmac-secret gave: nothing, or as much as was asked for.
func checkSecrets(secrets ctap.Bytes, salts fido.Secret) error {
	if secrets != nil && (len(secrets) == 0 || len(secrets) != len(salts)) {
		return ctap.ErrInvalidLength
	}
	return nil
}

// assertionBody is one assertion in the body of a reply.
type assertionBody struct {
	Response         ctap.Bytes `cbor:"1,keyasint"` // of authenticatorGetAssertion, without largeBlobKey
	HMACSecret       ctap.Bytes `cbor:"2,keyasint,omitzero"`
	LargeBlob        ctap.Bytes `cbor:"3,keyasint,omitzero"`
	LargeBlobWritten bool       `cbor:"4,keyasint,omitzero"`
}

func encodeAssertions(assertions []fido.GetAssertionResponse) ([]byte, error) {
	list := make([]assertionBody, len(assertions))
	for i := range assertions {
		a := &assertions[i]
		b, err := ctap.Marshal(&a.GetAssertionResponse)
		if err != nil {
			return nil, err
		}
		list[i] = assertionBody{b, ctap.Bytes(a.HMACSecret), a.LargeBlob, a.LargeBlobWritten}
	}
	return ctap.Marshal(list)
}

// parseAssertions decodes what encodeAssertions encodes, the answer to asked. When there is a list of credentials that
// are allowed, nothing else may have signed.
func parseAssertions(body []byte, asked *fido.GetAssertionRequest) ([]fido.GetAssertionResponse, error) {
	var list []assertionBody
	if err := ctap.Unmarshal(body, &list); err != nil {
		return nil, err
	}
	if len(list) == 0 || len(list) > maxAssertions {
		return nil, ctap.ErrLimitExceeded
	}
	assertions := make([]fido.GetAssertionResponse, len(list))
	for i, b := range list {
		a, err := parseAssertion(b.Response)
		if err != nil {
			return nil, err
		}
		signed := func(id []byte) bool { return bytes.Equal(id, a.Credential.ID) }
		if len(asked.AllowList) > 0 && !slices.ContainsFunc(asked.AllowList, signed) {
			return nil, ctap.ErrInvalidCredential
		}
		if err := checkBesides(&b, asked); err != nil {
			return nil, err
		}
		assertions[i] = fido.GetAssertionResponse{GetAssertionResponse: *a, HMACSecret: fido.Secret(b.HMACSecret),
			LargeBlob: b.LargeBlob, LargeBlobWritten: b.LargeBlobWritten}
	}
	return assertions, nil
}

// checkBesides checks what extensions gave beside an assertion: nothing that was not asked for.
func checkBesides(b *assertionBody, asked *fido.GetAssertionRequest) error {
	switch {
	case b.LargeBlob != nil && !asked.ReadLargeBlob, b.LargeBlobWritten && asked.WriteLargeBlob == nil:
		return ctap.ErrInvalidParameter
	case len(b.LargeBlob) > fido.MaxLargeBlob:
		return ctap.ErrLimitExceeded
	}
	return checkSecrets(b.HMACSecret, asked.Salts)
}

func parseAssertion(b []byte) (*ctap.GetAssertionResponse, error) {
	a, err := ctap.ParseGetAssertionResponse(b)
	if err != nil {
		return nil, err
	}
	data, err := ctap.ParseAuthenticatorData(a.AuthData)
	if err != nil {
		return nil, err
	}
	if n := len(a.Credential.ID); n == 0 || n > ctap.MaxCredentialIDLength || a.Credential.Type != ctap.TypePublicKey ||
		len(a.Credential.Transports) > maxList || !allTokens(a.Credential.Transports) || len(a.LargeBlobKey) > 0 {
		return nil, ctap.ErrInvalidCredential
	}
	silent := data.Flags&ctap.FlagUP == 0 // then a U2F key says no more than that it has the credential
	if n := len(a.Signature); n == 0 && !silent || n > maxSignature {
		return nil, ctap.ErrInvalidLength
	}
	if u := a.User; u != nil {
		if n := len(u.ID); n == 0 || n > maxUserHandle {
			return nil, ctap.ErrInvalidLength
		}
		u.Name, u.DisplayName = clean(u.Name, maxUserName), clean(u.DisplayName, maxUserName)
	}
	return a, nil
}

// isToken reports whether s is a word as specifications define them: printable ASCII without spaces, and short.
func isToken(s string) bool {
	notGraphic := func(r rune) bool { return r <= ' ' || r > '~' }
	return s != "" && len(s) <= maxToken && strings.IndexFunc(s, notGraphic) < 0
}

func allTokens(list []string) bool {
	return !slices.ContainsFunc(list, func(s string) bool { return !isToken(s) })
}

// clean makes text from elsewhere fit for a terminal: no control or formatting characters, at most limit bytes.
func clean(s string, limit int) string {
	if len(s) > 4*limit {
		s = s[:4*limit]
	}
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
	for n := limit; len(s) > limit; n-- {
		if utf8.RuneStart(s[n]) {
			s = s[:n]
		}
	}
	return s
}
