package helper

import (
	"bytes"
	"unicode/utf8"

	"fob/fido"
	"fob/fido/ctap"
)

type operation uint

const (
	opDevices operation = iota + 1
	opOpen
	opGetInfo
	opPINRetries
	opMakeCredential
	opGetAssertion
	opCancel
	opSelect
	opSetPIN
	opChangePIN
	opConfigure
	opWink
	opConfine
	opUVRetries
	opCredentials
	opUpdateUser
	opDeleteCredential
	opLargeBlob
	opSetLargeBlob
	opReset
	opSensor
	opAuthorizeEnrollment
	opFingerprints
	opEnrollBegin
	opEnrollNext
	opEnrollCancel
	opRenameFingerprint
	opRemoveFingerprint
)

// request is one message to the helper. Whoever has it wipes the PINs.
type request struct {
	ID   uint32     `cbor:"1,keyasint"`
	Op   operation  `cbor:"2,keyasint"`
	Body ctap.Bytes `cbor:"3,keyasint,omitempty"`
	PIN  fido.PIN   `cbor:"-"`
	New  fido.PIN   `cbor:"-"` // the PIN that the key shall have
}

func (r *request) wipe() {
	r.PIN.Wipe()
	r.New.Wipe()
}

// frame gives the request as it travels; writeFrame wipes it.
func (r *request) frame() ([]byte, error) {
	if len(r.PIN) > fido.MaxPINLength || len(r.New) > fido.MaxPINLength {
		return nil, ctap.ErrPINPolicyViolation
	}
	item, err := ctap.Marshal(r)
	if err != nil {
		return nil, err
	}
	defer clear(item) // there may be salts in it
	n := 2 + len(r.PIN) + len(r.New) + len(item)
	if n > maxRequest {
		return nil, ctap.ErrRequestTooLarge
	}
	f := newFrame(n)
	for _, pin := range []fido.PIN{r.PIN, r.New} {
		f = append(append(f, byte(len(pin))), pin...)
	}
	return append(f, item...), nil
}

// parseRequest decodes a frame without its length, and wipes it.
func parseRequest(frame []byte) (*request, error) {
	defer clear(frame)
	pin, rest, ok := cutPIN(frame)
	if !ok {
		return nil, ErrFrame
	}
	chosen, rest, ok := cutPIN(rest)
	var r request
	if !ok || ctap.Unmarshal(rest, &r) != nil {
		return nil, ErrFrame
	}
	r.PIN, r.New = bytes.Clone(pin), bytes.Clone(chosen)
	return &r, nil
}

// cutPIN takes a PIN from the front of b, nil for an empty one.
func cutPIN(b []byte) (pin fido.PIN, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	n, rest := int(b[0]), b[1:]
	if n > fido.MaxPINLength || n > len(rest) {
		return nil, nil, false
	}
	if n > 0 {
		pin = rest[:n:n]
	}
	return pin, rest[n:], true
}

// Limits of WebAuthn: a user handle (§5.4.3), a domain name.
const (
	maxUserHandle = 64
	maxRPID       = 253
	maxText       = 1024 // names; keys cut them to 64 bytes
	hashLength    = 32
	saltLength    = 32
)

func checkHash(hash []byte) error {
	if len(hash) != hashLength {
		return ctap.ErrInvalidLength
	}
	return nil
}

func checkRPID(id string) error {
	if id == "" {
		return ctap.ErrMissingParameter
	}
	return checkText(id, maxRPID)
}

func checkText(s string, limit int) error {
	if len(s) > limit {
		return ctap.ErrInvalidLength
	}
	if !utf8.ValidString(s) {
		return ctap.ErrInvalidParameter
	}
	return nil
}

func checkPIN(pin fido.PIN) error {
	if pin != nil && (len(pin) == 0 || len(pin) > fido.MaxPINLength) {
		return ctap.ErrPINPolicyViolation // an empty PIN must not pass for none
	}
	return nil
}

func checkMakeCredential(r *fido.MakeCredentialRequest) error {
	if n := len(r.User.ID); n == 0 || n > maxUserHandle {
		return ctap.ErrInvalidLength
	}
	for _, text := range []string{r.RP.Name, r.User.Name, r.User.DisplayName} {
		if err := checkText(text, maxText); err != nil {
			return err
		}
	}
	x := &r.Extensions
	if x.HMACSecretMC != nil || x.CredProtect > ctap.UserVerificationRequired ||
		r.EnterpriseAttestation > ctap.PlatformManaged {
		return ctap.ErrInvalidParameter
	}
	if err := checkSalts(r.Salts); err != nil {
		return err
	}
	return checkRequest(r.RP.ID, r.ClientDataHash, r.ExcludeList, r.PIN)
}

// checkSalts checks the salts of hmac-secret: none, one or two.
func checkSalts(salts fido.Secret) error {
	if n := len(salts); salts != nil && n != saltLength && n != 2*saltLength {
		return ctap.ErrInvalidLength
	}
	return nil
}

func checkGetAssertion(r *fido.GetAssertionRequest) error {
	switch {
	case r.WriteLargeBlob != nil && (r.ReadLargeBlob || len(r.AllowList) != 1):
		return ctap.ErrInvalidParameter
	case len(r.WriteLargeBlob) > fido.MaxLargeBlob:
		return ctap.ErrInvalidLength
	}
	if err := checkSalts(r.Salts); err != nil {
		return err
	}
	return checkRequest(r.RPID, r.ClientDataHash, r.AllowList, r.PIN)
}

func checkRequest(rpID string, hash []byte, list [][]byte, pin fido.PIN) error {
	if err := checkRPID(rpID); err != nil {
		return err
	}
	if err := checkHash(hash); err != nil {
		return err
	}
	for _, id := range list {
		if len(id) == 0 || len(id) > ctap.MaxCredentialIDLength {
			return ctap.ErrInvalidLength
		}
	}
	return checkPIN(pin)
}

// makeCredentialBody is the body of a request to make a credential.
type makeCredentialBody struct {
	Request ctap.Bytes `cbor:"1,keyasint"` // authenticatorMakeCredential without the PIN's part
	Salts   ctap.Bytes `cbor:"2,keyasint,omitzero"`
}

// encodeMakeCredential gives a makeCredentialBody.
func encodeMakeCredential(r *fido.MakeCredentialRequest) ([]byte, error) {
	if err := checkMakeCredential(r); err != nil {
		return nil, err
	}
	m := &ctap.MakeCredentialRequest{
		ClientDataHash:   r.ClientDataHash,
		RP:               &r.RP,
		User:             &r.User,
		PubKeyCredParams: []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: r.Algorithm}},
		ExcludeList:      descriptors(r.ExcludeList),
		Extensions:       ctap.EncodeExtensions(r.Extensions),
		Options:          ctap.Options{RK: ifTrue(r.RK), UV: ifTrue(r.UV)},
	}
	if r.EnterpriseAttestation != 0 {
		m.EnterpriseAttestation = &r.EnterpriseAttestation
	}
	return ctap.Marshal(makeCredentialBody{m.Encode()[1:], ctap.Bytes(r.Salts)})
}

func parseMakeCredential(body []byte, pin fido.PIN) (*fido.MakeCredentialRequest, error) {
	var b makeCredentialBody
	if err := ctap.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	c, err := ctap.ParseMakeCredentialRequest(b.Request)
	if err != nil {
		return nil, err
	}
	extensions, err := ctap.DecodeExtensions[ctap.MakeCredentialExtensionInputs](c.Extensions)
	if err != nil {
		return nil, err
	}
	if c.RP == nil || c.User == nil || len(c.PubKeyCredParams) != 1 {
		return nil, ctap.ErrMissingParameter
	}
	r := &fido.MakeCredentialRequest{
		ClientDataHash: c.ClientDataHash,
		RP:             *c.RP,
		User:           *c.User,
		Algorithm:      c.PubKeyCredParams[0].Alg,
		ExcludeList:    credentialIDs(c.ExcludeList),
		RK:             ctap.True(c.Options.RK),
		UV:             ctap.True(c.Options.UV),
		PIN:            pin,
		Extensions:     *extensions,
		Salts:          fido.Secret(b.Salts),
	}
	if c.EnterpriseAttestation != nil {
		r.EnterpriseAttestation = *c.EnterpriseAttestation
	}
	return r, checkMakeCredential(r)
}

// getAssertionBody is the body of a request to make an assertion.
type getAssertionBody struct {
	Request        ctap.Bytes `cbor:"1,keyasint"` // authenticatorGetAssertion without the PIN's part
	Salts          ctap.Bytes `cbor:"2,keyasint,omitzero"`
	ReadLargeBlob  bool       `cbor:"3,keyasint,omitzero"`
	WriteLargeBlob ctap.Bytes `cbor:"4,keyasint,omitzero"`
}

// encodeGetAssertion gives a getAssertionBody.
func encodeGetAssertion(r *fido.GetAssertionRequest) ([]byte, error) {
	if err := checkGetAssertion(r); err != nil {
		return nil, err
	}
	m := &ctap.GetAssertionRequest{
		RPID:           &r.RPID,
		ClientDataHash: r.ClientDataHash,
		AllowList:      descriptors(r.AllowList),
		Extensions:     ctap.EncodeExtensions(ctap.GetAssertionExtensionInputs{CredBlob: ifTrue(r.CredBlob)}),
		Options:        ctap.Options{UV: ifTrue(r.UV), UP: ifSilent(r.Silent)},
	}
	return ctap.Marshal(getAssertionBody{m.Encode()[1:], ctap.Bytes(r.Salts), r.ReadLargeBlob, r.WriteLargeBlob})
}

func parseGetAssertion(body []byte, pin fido.PIN) (*fido.GetAssertionRequest, error) {
	var b getAssertionBody
	if err := ctap.Unmarshal(body, &b); err != nil {
		return nil, err
	}
	c, err := ctap.ParseGetAssertionRequest(b.Request)
	if err != nil {
		return nil, err
	}
	extensions, err := ctap.DecodeExtensions[ctap.GetAssertionExtensionInputs](c.Extensions)
	if err != nil {
		return nil, err
	}
	if c.RPID == nil {
		return nil, ctap.ErrMissingParameter
	}
	r := &fido.GetAssertionRequest{
		RPID:           *c.RPID,
		ClientDataHash: c.ClientDataHash,
		AllowList:      credentialIDs(c.AllowList),
		Silent:         ctap.False(c.Options.UP),
		UV:             ctap.True(c.Options.UV),
		PIN:            pin,
		CredBlob:       ctap.True(extensions.CredBlob),
		Salts:          fido.Secret(b.Salts),
		ReadLargeBlob:  b.ReadLargeBlob,
		WriteLargeBlob: b.WriteLargeBlob,
	}
	return r, checkGetAssertion(r)
}

func descriptors(ids [][]byte) (list []ctap.PublicKeyCredentialDescriptor) {
	for _, id := range ids {
		list = append(list, ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: id})
	}
	return list
}

func credentialIDs(list []ctap.PublicKeyCredentialDescriptor) (ids [][]byte) {
	for _, d := range list {
		ids = append(ids, d.ID)
	}
	return ids
}

// ifSilent gives the option "up" of a request that wants no touch.
func ifSilent(silent bool) *bool {
	if !silent {
		return nil
	}
	return new(bool)
}

// ifTrue leaves an option out unless it is asked for: "uv": false is an error to some keys without user verification.
func ifTrue(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}
