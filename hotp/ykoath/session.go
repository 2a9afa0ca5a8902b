package ykoath

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"fob/hotp"
)

// AID is the application identifier of the OATH application.
const AID = "\xa0\x00\x00\x05\x27\x21\x01"

// Version is that of the application, which is the firmware's of a YubiKey.
type Version struct{ Major, Minor, Patch byte }

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// before tells whether v is older.
func (v Version) before(major, minor, patch byte) bool {
	if v.Major != major {
		return v.Major < major
	}
	if v.Minor != minor {
		return v.Minor < minor
	}
	return v.Patch < patch
}

// Session is the OATH application of a key from its selection on. Its methods must not be called at the same time.
type Session struct {
	Version Version
	// DeviceID names the key until it is reset: 22 characters of Base64, as Yubico's programs have it; of a Nitrokey its
	// serial number, 8 hexadecimal digits.
	DeviceID string
	// Nitrokey: the application is Secrets, which has a PIN in place of the password.
	Nitrokey bool

	card      Card
	salt      []byte // of the password
	challenge []byte // to be answered by Validate; nil when the application is open
	password  bool   // one is set
}

// Select selects the OATH application. A card without one gives ErrNoApplet.
func Select(ctx context.Context, card Card) (*Session, error) {
	s := &Session{card: card}
	reply, err := s.call(ctx, command{name: "SELECT", ins: insSelect, p1: selectByName, data: []byte(AID)})
	if err != nil {
		return nil, err
	}
	if err := s.parseSelect(reply); err != nil {
		return nil, err
	}
	return s, nil
}

// parseSelect reads the answer to SELECT.
func (s *Session) parseSelect(reply []byte) error {
	objects, err := parseObjects(reply)
	if err != nil {
		return err
	}
	var version, serial []byte
	algorithm := byte(hotp.SHA1)
	for _, o := range objects {
		switch {
		case o.tag == tagVersion && len(o.value) == 3:
			version = o.value
		case o.tag == tagName && len(o.value) > 0 && len(o.value) <= maxSalt:
			s.salt = o.value
		case o.tag == tagChallenge && len(o.value) > 0:
			s.challenge = o.value
		case o.tag == tagAlgorithm && len(o.value) == 1:
			algorithm = o.value[0]
		case o.tag == tagSerial && len(o.value) == 4:
			serial = o.value
		case o.tag == tagPINRetries: // of a Nitrokey whose PIN is set
		default:
			return badReply("object %02x of %d bytes", o.tag, len(o.value))
		}
	}
	switch {
	case version == nil:
		return badReply("no version")
	case serial == nil && s.salt == nil:
		return badReply("no ID")
	case s.challenge != nil && s.salt == nil:
		return badReply("a challenge without an ID")
	case algorithm&0x0f != byte(hotp.SHA1):
		return &UnsupportedError{fmt.Sprintf("algorithm %02x of its password", algorithm), "this program"}
	}
	s.Version = Version{version[0], version[1], version[2]}
	s.password = s.challenge != nil
	s.identify(serial)
	return nil
}

// maxSalt is how long an ID may be, in bytes; known keys have 8.
const maxSalt = 64

func (s *Session) identify(serial []byte) {
	if s.Nitrokey = serial != nil; s.Nitrokey {
		s.DeviceID = hex.EncodeToString(serial)
		return
	}
	sum := sha256.Sum256(s.salt)
	s.DeviceID = base64.RawStdEncoding.EncodeToString(sum[:16])
}

// Locked tells whether Validate must come first.
func (s *Session) Locked() bool { return s.challenge != nil }

// HasPassword tells whether the application has a password.
func (s *Session) HasPassword() bool { return s.password }

// needs fails with an *UnsupportedError when the key is too old for a feature.
func (s *Session) needs(feature string, major, minor, patch byte) error {
	if !s.Nitrokey && s.Version.before(major, minor, patch) {
		return &UnsupportedError{feature, "firmware " + s.Version.String()}
	}
	return nil
}

// notNitrokey fails with an *UnsupportedError on a Nitrokey.
func (s *Session) notNitrokey(feature string) error {
	if s.Nitrokey {
		return &UnsupportedError{feature, "a Nitrokey"}
	}
	return nil
}

// call sends a command and says what a refusal means.
func (s *Session) call(ctx context.Context, c command) ([]byte, error) {
	reply, err := call(ctx, s.card, c)
	if refused, ok := err.(*CommandError); ok {
		refused.Meaning = s.meaning(c, refused.Status)
	}
	return reply, err
}

// meaning is what a status word says of a command.
func (s *Session) meaning(c command, status Status) error {
	if c.name == "SELECT" {
		return meaningOfSelect(status)
	}
	touches := c.ins == insCalculate || s.Nitrokey
	aboutPassword := c.ins == insValidate || c.ins == insSetCode
	switch {
	case status == StatusSecurity && touches && !s.Locked(), status == StatusConditions && touches:
		return ErrNoTouch
	case status == StatusSecurity:
		return ErrLocked
	case status == StatusWrongData && c.ins == insValidate:
		return ErrWrongPassword
	case status == StatusNoObject && c.ins == insValidate:
		return ErrNoPassword
	case (status == StatusNoObject || status == StatusNoFile) && !aboutPassword:
		return ErrNotFound
	case status == StatusFull:
		return ErrFull
	case status == StatusBlocked && c.ins == insPut:
		return ErrExists
	}
	return nil
}

func meaningOfSelect(status Status) error {
	switch status {
	case StatusNoFile, StatusNoInstruction, StatusClass, 0x6a86: // of cards that know no SELECT by name
		return ErrNoApplet
	}
	return nil
}

// Reset deletes all accounts and the password. The key has another DeviceID after it.
func (s *Session) Reset(ctx context.Context) error {
	_, err := s.call(ctx, command{name: "RESET", ins: insReset, p1: resetP1P2 >> 8, p2: resetP1P2 & 0xff})
	if err != nil {
		return err
	}
	again, err := Select(ctx, s.card)
	if err != nil {
		return err
	}
	*s = *again
	return nil
}
