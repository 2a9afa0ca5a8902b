package emulator

import (
	"context"
	"crypto/sha256"
	"testing"

	"fob/fido/ctap"
)

// FuzzSequence performs commands one after another, as bytes choose them, and watches what must hold whatever comes: PIN
// retries grow by a right PIN, a new PIN or a reset alone, the signature counter only grows, credentials stay within
// the limit, and no answer is empty.
func FuzzSequence(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	f.Add([]byte{4, 5, 5, 5, 5, 11, 5, 5, 5, 11, 5, 5, 6, 10, 4, 6})
	f.Add([]byte{0, 0, 1, 2, 2, 4, 7, 8, 9, 3, 3, 0x40, 1, 0x80})
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 64 {
			return
		}
		profile, err := LookupProfile("fingerprint")
		if err != nil {
			t.Fatal(err)
		}
		refuse := false
		p := newPlatform(t, Options{Profile: profile, Presence: func(context.Context, PresenceRequest) error {
			if refuse {
				return ErrNoMatch
			}
			return nil
		}})
		s := &sequence{platform: p, retries: maxPINRetries}
		for _, step := range steps {
			refuse = step&0x80 != 0
			s.channel = uint32(step >> 6 & 1)
			s.step(step & 0x3f)
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
}

const rightPIN, badPIN = "1234", "9999"

func (s *sequence) step(n byte) {
	switch n % 16 {
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
		if _, err := s.pinToken(ctap.PINProtocolTwo, rightPIN, 0); err == nil {
			s.refill = true
		}
	case 7:
		if token, err := s.pinToken(ctap.PINProtocolTwo, rightPIN, ctap.PermissionMakeCredential); err == nil {
			s.refill = true
			s.makeCredential(credentialRequest(discoverable, authorized(ctap.PINProtocolTwo, token)))
		}
	case 8:
		if s.changePIN(ctap.PINProtocolTwo, rightPIN, rightPIN) == nil {
			s.refill = true
		}
	case 9:
		s.changePIN(ctap.PINProtocolOne, badPIN, rightPIN)
	case 10:
		if _, err := s.send([]byte{byte(ctap.CommandReset)}); err == nil {
			s.pin, s.refill, s.count = "", true, 0 // the counter counts for credentials that are gone
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
	if s.a.state.SignCount < s.count {
		s.t.Fatal("the counter went back")
	}
}
