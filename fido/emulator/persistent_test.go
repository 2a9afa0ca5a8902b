package emulator

import (
	"bytes"
	"path/filepath"
	"testing"

	"fob/fido/ctap"
)

// told decrypts the identifier and the state of the credential store that getInfo tells.
func (p *platform) told(token []byte) (identifier, store [16]byte) {
	p.t.Helper()
	info := p.info()
	identifier, err := ctap.DecryptMember(token, ctap.LabelIdentifier, info.EncIdentifier)
	p.must(err)
	store, err = ctap.DecryptMember(token, ctap.LabelCredStoreState, info.EncCredStoreState)
	p.must(err)
	return identifier, store
}

// TestPersistentToken: pcmr reads and nothing else, and outlives power-ups until the PIN changes.
func TestPersistentToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	f := openState(t, path)
	p := newPlatform(t, Options{Profile: &fido22, File: f})
	c, err := p.makeCredential(credentialRequest(discoverable))
	p.must(err)
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))

	_, err = p.manage(p.a.state.PersistentToken, ctap.SubcommandGetCredsMetadata, nil)
	p.wants(err, ctap.ErrPINAuthInvalid) // granted to nobody yet
	ordinary := p.tokenFor("1234", ctap.PermissionCredentialManagement, "")
	token := p.tokenFor("1234", ctap.PermissionPersistentReadOnly, "")
	_, err = p.manage(ordinary, ctap.SubcommandGetCredsMetadata, nil)
	p.wants(err, nil) // the one does not end the other
	if again := p.tokenFor("1234", ctap.PermissionPersistentReadOnly, ""); !bytes.Equal(again, token) {
		t.Error("another persistent token")
	}
	reads := func(want error) {
		t.Helper()
		_, err := p.manage(token, ctap.SubcommandGetCredsMetadata, nil)
		p.wants(err, want)
		_, err = p.manage(token, ctap.SubcommandEnumerateRPsBegin, nil)
		p.wants(err, want)
		_, err = p.manage(token, ctap.SubcommandEnumerateCredentialsBegin,
			&ctap.CredentialManagementParams{RPIDHash: rpIDHash("example.com")})
		p.wants(err, want)
	}
	reads(nil)
	named := &ctap.CredentialManagementParams{
		CredentialID: &ctap.PublicKeyCredentialDescriptor{Type: ctap.TypePublicKey, ID: c.id},
		User:         &ctap.PublicKeyCredentialUserEntity{ID: p.a.Credentials()[0].UserID},
	}
	_, err = p.manage(token, ctap.SubcommandDeleteCredential, named)
	p.wants(err, ctap.ErrPINAuthInvalid)
	_, err = p.manage(token, ctap.SubcommandUpdateUserInformation, named)
	p.wants(err, ctap.ErrPINAuthInvalid)

	p.must(f.Close())
	p = newPlatform(t, Options{File: openState(t, path)}) // plugged in another day
	reads(nil)
	p.must(p.changePIN(ctap.PINProtocolTwo, "1234", "5678"))
	reads(ctap.ErrPINAuthInvalid)
	if fresh := p.tokenFor("5678", ctap.PermissionPersistentReadOnly, ""); bytes.Equal(fresh, token) {
		t.Error("the token survives a change of PIN")
	}
}

func TestPersistentTokenIsAskedForAlone(t *testing.T) {
	for _, test := range []struct {
		permissions ctap.Permission
		profile     *Profile
	}{
		{ctap.PermissionPersistentReadOnly | ctap.PermissionCredentialManagement, &fido22},
		{ctap.PermissionPersistentReadOnly, &fido21},
	} {
		p := newPlatform(t, Options{Profile: test.profile})
		p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
		x := p.agree(ctap.PINProtocolTwo)
		r := x.request(ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions)
		r.PINHashEnc, r.Permissions = x.pinHash("1234"), &test.permissions
		_, err := p.send(r.Encode())
		p.wants(err, ctap.ErrUnauthorizedPerm)
	}
}

// TestEncryptedMembers: who has the persistent token knows the key again, and sees that its credentials have changed.
func TestEncryptedMembers(t *testing.T) {
	p := newPlatform(t, Options{Profile: &fido22})
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	token := p.tokenFor("1234", ctap.PermissionPersistentReadOnly, "")
	if first, second := p.info(), p.info(); bytes.Equal(first.EncIdentifier, second.EncIdentifier) {
		t.Error("the key can be recognized without a token")
	}
	id, empty := p.told(token)
	if again, same := p.told(token); again != id || same != empty {
		t.Error("the members change by themselves")
	}
	r := credentialRequest(discoverable)
	forCredential := p.tokenFor("1234", ctap.PermissionMakeCredential, "example.com")
	param := ctap.Bytes(ctap.PINProtocolTwo.Authenticate(forCredential, r.ClientDataHash))
	r.PINUVAuthParam, r.PINUVAuthProtocol = &param, ctap.PINProtocolTwo
	_, err := p.makeCredential(r)
	p.must(err)
	again, filled := p.told(token)
	if again != id || filled == empty {
		t.Errorf("identifier the same: %v, store the same: %v", again == id, filled == empty)
	}
	p.a.PowerCycle()
	_, err = p.send([]byte{byte(ctap.CommandReset)})
	p.must(err)
	p.must(p.setPIN(ctap.PINProtocolTwo, "1234"))
	if reset, _ := p.told(p.tokenFor("1234", ctap.PermissionPersistentReadOnly, "")); reset == id {
		t.Error("the key is the same after a reset")
	}
	if _, err := ctap.DecryptMember(token, ctap.LabelIdentifier, make([]byte, 31)); err != ctap.ErrInvalidLength {
		t.Errorf("a short member: %v", err)
	}
}
