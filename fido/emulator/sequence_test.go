package emulator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"testing"
	"time"

	"fob/fido/ctap"
)

// FuzzSequence performs commands one after another, as bytes choose them, on a key with all that there is, and watches
// what must hold whatever comes: PIN retries grow by a right PIN, a new PIN or a reset alone, the signature counter
// only grows, the shortest PIN gets no shorter, who only reads changes nothing, credentials and fingers stay within
// their limits, large blobs keep their hash, and no answer is empty.
func FuzzSequence(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	f.Add([]byte{4, 5, 5, 5, 5, 11, 5, 5, 5, 11, 5, 5, 6, 10, 4, 6})
	f.Add([]byte{0, 0, 1, 2, 2, 4, 7, 8, 9, 3, 3, 0x40, 1, 0x80})
	f.Add([]byte{0, 1, 4, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 18, 25, 26, 27, 28, 29, 30, 31})
	f.Add([]byte{4, 22, 12, 0x82, 0x9c, 0x9c, 0x9c, 0x9c, 28, 6, 28, 8, 24, 25, 31, 10, 11, 10})
	f.Add([]byte{0, 4, 21, 5, 16, 5, 6, 5, 8}) // the right PIN, which has become too short
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 64 {
			return
		}
		profile := withFingerprints(fido22)
		s := &sequence{retries: maxPINRetries, now: time.Now(), minPIN: minPINLength}
		refuse := false
		s.platform = newPlatform(t, Options{
			Profile: &profile, EnterpriseRPIDs: []string{"example.com"}, Now: func() time.Time { return s.now },
			Presence: func(context.Context, PresenceRequest) error {
				if refuse {
					return ErrNoMatch
				}
				return nil
			},
		})
		for _, step := range steps {
			refuse = step&0x80 != 0
			s.channel = uint32(step >> 6 & 1)
			s.step(step & 0x1f)
			s.check()
		}
	})
}

// sequence is a key, and what is known to have been done to it.
type sequence struct {
	*platform
	pin     string // that the key has
	retries uint   // at the last check
	refill  bool   // retries may have grown since then
	count   uint32
	minPIN  uint
	now     time.Time
	handle  []byte // of a U2F registration
	reader  []byte // the persistent token
	written int    // large blobs
}

const rightPIN, badPIN = "1234", "9999"

func (s *sequence) step(n byte) {
	switch n {
	case 0:
		s.makeCredential(credentialRequest(discoverable, forUser(string(rune('a'+n)))))
	case 1:
		s.makeCredential(credentialRequest())
	case 2:
		s.assert(assertionRequest())
	case 3:
		if _, d, err := s.getNextAssertion(); err == nil {
			s.counted(d.SignCount)
		}
	case 4:
		if s.setPIN(ctap.PINProtocolTwo, rightPIN) == nil {
			s.pin, s.refill = rightPIN, true
		}
	case 5:
		s.pinToken(ctap.PINProtocolOne, badPIN, 0)
	case 6:
		_, err := s.pinToken(ctap.PINProtocolTwo, rightPIN, 0)
		s.knewPIN(err)
	case 7:
		token, err := s.pinToken(ctap.PINProtocolTwo, rightPIN, ctap.PermissionMakeCredential)
		if s.knewPIN(err); err == nil {
			s.makeCredential(credentialRequest(discoverable, authorized(ctap.PINProtocolTwo, token)))
		}
	case 8:
		s.knewPIN(s.changePIN(ctap.PINProtocolTwo, rightPIN, rightPIN))
	case 9:
		s.changePIN(ctap.PINProtocolOne, badPIN, rightPIN)
	case 10:
		if _, err := s.send([]byte{byte(ctap.CommandReset)}); err == nil {
			s.pin, s.refill, s.count, s.minPIN = "", true, 0, minPINLength // the counter counts for credentials that are gone
		}
	case 11:
		s.a.PowerCycle()
	case 12:
		s.configure(nil, ctap.SubcommandToggleAlwaysUV, nil)
	case 13:
		s.bio(nil, ctap.SubcommandEnrollBegin, nil)
	case 14:
		s.blobs(nil, &ctap.LargeBlobsRequest{Set: ctap.EmptyLargeBlobArray, Offset: number(0), Length: number(len(ctap.EmptyLargeBlobArray))})
	case 15:
		s.send([]byte{n, 0xa1, 1, n})
	default:
		s.manageStep(n)
	}
}

// manageStep does what needs a token of its own.
func (s *sequence) manageStep(n byte) {
	switch n {
	case 16:
		s.token(ctap.PermissionCredentialManagement) // which ends another one
	case 17:
		s.manage(s.token(ctap.PermissionCredentialManagement), ctap.SubcommandEnumerateRPsBegin, nil)
	case 18:
		if list := s.a.state.Credentials; len(list) > 0 {
			s.manage(s.token(ctap.PermissionCredentialManagement), ctap.SubcommandDeleteCredential,
				&ctap.CredentialManagementParams{CredentialID: list[0].descriptor()})
		}
	case 19:
		s.manage(nil, ctap.SubcommandEnumerateRPsGetNextRP, nil)
	case 20:
		s.written++
		content := bytes.Repeat([]byte{0x80}, s.written)
		if token := s.token(ctap.PermissionLargeBlobWrite); token != nil {
			s.writeBlobs(token, ctap.AppendLargeBlobHash(content))
		}
	case 21:
		length := minPINLength + uint(len(s.a.state.Credentials))%3
		s.configure(s.token(ctap.PermissionAuthenticatorConfiguration), ctap.SubcommandSetMinPINLength,
			&ctap.SetMinPINLengthParams{NewMinPINLength: &length})
	case 22:
		token := s.token(ctap.PermissionBioEnrollment)
		resp, err := s.bio(token, ctap.SubcommandEnrollBegin, nil)
		for err == nil && *resp.RemainingSamples > 0 && *resp.LastEnrollSampleStatus == ctap.SampleGood {
			resp, err = s.bio(token, ctap.SubcommandEnrollCaptureNextSample,
				&ctap.BioEnrollmentParams{TemplateID: s.a.enrolling.id})
		}
	case 23:
		yes := true
		r := assertionRequest()
		r.Options.UV = &yes
		s.assert(r)
	case 24:
		if token := s.token(ctap.PermissionPersistentReadOnly); token != nil {
			s.reader = token
		}
	case 25:
		s.read()
	case 26:
		s.configure(s.token(ctap.PermissionAuthenticatorConfiguration), ctap.SubcommandEnableEnterpriseAttestation, nil)
	case 27:
		s.send(credentialRequest(discoverable, asksFor(ctap.VendorFacilitated), prefers("none", "packed")).Encode())
	case 28:
		if data, err := s.u2f(u2fRegister()); err == nil {
			s.handle = data[67 : 67+int(data[66])]
		}
	case 29:
		if data, err := s.u2f(u2fAuthenticate(ctap.U2FEnforceUserPresenceAndSign, s.handle)); err == nil {
			s.counted(binary.BigEndian.Uint32(data[1:]))
		}
	case 30:
		s.send([]byte{byte(ctap.CommandSelection)})
	case 31:
		s.now = s.now.Add(11 * time.Second)
	}
}

// token gets a token for the right PIN; nil when there is none to be had.
func (s *sequence) token(permission ctap.Permission) []byte {
	token, err := s.pinToken(ctap.PINProtocolTwo, rightPIN, permission)
	if s.knewPIN(err); err != nil {
		return nil
	}
	return token
}

// knewPIN notes what came of the right PIN. It fills up the retries even where the key then wants another PIN, one that
// is longer.
func (s *sequence) knewPIN(err error) {
	mustChange := err == ctap.ErrPINPolicyViolation || err == ctap.ErrPINInvalid && s.a.state.ForcePINChange
	s.refill = s.refill || err == nil || mustChange
}

// read uses the persistent token for all that it may be used for, and more.
func (s *sequence) read() {
	if s.reader == nil {
		return
	}
	before, err := json.Marshal(s.a.state)
	s.must(err)
	for subcommand := ctap.SubcommandGetCredsMetadata; subcommand <= ctap.SubcommandUpdateUserInformation; subcommand++ {
		params := &ctap.CredentialManagementParams{RPIDHash: rpIDHash("example.com")}
		if list := s.a.state.Credentials; len(list) > 0 {
			params.CredentialID, params.User = list[0].descriptor(), list[0].user(true)
		}
		s.manage(s.reader, subcommand, params)
	}
	if after, err := json.Marshal(s.a.state); err != nil || !bytes.Equal(after, before) {
		s.t.Fatal("who may only read has changed something")
	}
}

func (s *sequence) assert(r *ctap.GetAssertionRequest) {
	if _, d, err := s.getAssertion(r); err == nil {
		s.counted(d.SignCount)
		if d.RPIDHash != sha256.Sum256([]byte(*r.RPID)) {
			s.t.Fatal("an assertion for another RP")
		}
	}
}

func (s *sequence) counted(n uint32) {
	if n <= s.count {
		s.t.Fatalf("counter %d after %d", n, s.count)
	}
	s.count = n
}

func (s *sequence) check() {
	s.t.Helper()
	retries, _ := s.pinRetries()
	if retries > s.retries && !s.refill || retries > maxPINRetries {
		s.t.Fatalf("%d PIN retries after %d", retries, s.retries)
	}
	s.retries, s.refill = retries, false
	if s.a.state.hasPIN() != (s.pin != "") {
		s.t.Fatal("a PIN came or went")
	}
	if uint(len(s.a.state.Credentials)) > s.a.MaxDiscoverable {
		s.t.Fatal("more credentials than there is room for")
	}
	if s.a.state.minPINLength() < s.minPIN {
		s.t.Fatal("the shortest PIN got shorter")
	}
	s.minPIN = s.a.state.minPINLength()
	if uint(len(s.a.state.Fingerprints)) > s.a.MaxFingerprints || s.a.state.UVMisses > maxUVRetries {
		s.t.Fatal("more fingers, or tries of one, than there may be")
	}
	if err := ctap.CheckLargeBlobArray(s.a.state.largeBlobs()); err != nil {
		s.t.Fatal(err)
	}
	if s.a.state.SignCount < s.count {
		s.t.Fatal("the counter went back")
	}
}
