package emulator

import (
	"errors"
	"path/filepath"
	"testing"

	"fob/fido/ctap"
)

// TestProfilesKeepTheirWord: what getInfo of a profile does not claim, the key refuses.
func TestProfilesKeepTheirWord(t *testing.T) {
	for _, name := range ProfileNames() {
		t.Run(name, func(t *testing.T) {
			profile, err := LookupProfile(name)
			if err != nil {
				t.Fatal(err)
			}
			if profile.Summary == "" || profile.AAGUID == (ctap.AAGUID{}) {
				t.Errorf("summary %q, AAGUID %x", profile.Summary, profile.AAGUID)
			}
			p := newPlatform(t, Options{Profile: profile})
			if !profile.CTAP2() {
				_, err := p.send([]byte{byte(ctap.CommandGetInfo)})
				p.wants(err, ctap.ErrInvalidCommand)
				return
			}
			info := p.info()
			for command, option := range map[ctap.Command]string{
				ctap.CommandClientPIN:            ctap.OptionClientPIN,
				ctap.CommandCredentialManagement: ctap.OptionCredMgmt,
				ctap.CommandLargeBlobs:           ctap.OptionLargeBlobs,
				ctap.CommandConfig:               ctap.OptionAuthnrCfg,
				ctap.CommandBioEnrollment:        ctap.OptionBioEnroll,

				ctap.CommandCredentialManagementPreview: ctap.OptionCredentialMgmtPreview,
				ctap.CommandBioEnrollmentPreview:        ctap.OptionUserVerificationMgmtPreview,
			} {
				_, has := info.Options[option]
				_, err := p.send([]byte{byte(command), 0xa0})
				if (err == ctap.ErrInvalidCommand) == has {
					t.Errorf("option %s %v, command %#x: %v", option, has, command, err)
				}
			}
			if profile.AlwaysUV {
				_, err := p.makeCredential(credentialRequest(discoverable))
				p.wants(err, ctap.ErrPUATRequired)
				return
			}
			_, err = p.makeCredential(credentialRequest(discoverable))
			if want := info.Options[ctap.OptionRK]; (err == nil) != want {
				t.Errorf("rk %v: %v", want, err)
			}
			for _, protocol := range []ctap.PINProtocol{ctap.PINProtocolOne, ctap.PINProtocolTwo} {
				has := false
				for _, p := range info.PINUVAuthProtocols {
					has = has || p == protocol
				}
				_, err := p.send((&ctap.ClientPINRequest{PINUVAuthProtocol: protocol, Subcommand: ctap.SubcommandGetKeyAgreement}).Encode())
				if (err == nil) != has {
					t.Errorf("protocol %d, claimed %v: %v", protocol, has, err)
				}
			}
			m := p.extended(credentialRequest(asking("hmac-secret", true), asking("credProtect", 2)))
			if (m.HMACSecret != nil) != profile.has(ctap.ExtensionHMACSecret) || (m.CredProtect != 0) != profile.has(ctap.ExtensionCredProtect) {
				t.Errorf("extension outputs %x", m.raw)
			}
		})
	}
	if _, err := LookupProfile("fido3"); err == nil {
		t.Error("a profile that there is not")
	}
}

func TestStateKeepsItsProfile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.json")
	old, err := LookupProfile("fido2.0")
	if err != nil {
		t.Fatal(err)
	}
	f := openState(t, path)
	p := newPlatform(t, Options{Profile: old, File: f})
	p.must(f.Close())

	p = newPlatform(t, Options{File: openState(t, path)})
	if p.a.Name != "fido2.0" {
		t.Errorf("profile %s", p.a.Name)
	}
	other, err := LookupProfile("fido2.1")
	if err != nil {
		t.Fatal(err)
	}
	p.must(p.a.file.Close())
	if _, err := New(Options{Profile: other, File: openState(t, path)}); !errors.Is(err, ErrOtherProfile) {
		t.Errorf("another profile: %v", err)
	}
}
