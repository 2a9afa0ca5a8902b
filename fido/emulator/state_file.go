package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"fob/fido/ctap"
	"fob/fido/durable"
)

// Errors of a StateFile.
var (
	ErrStateInUse   = errors.New("another program uses this state file")
	ErrStateInvalid = errors.New("not a state file of an emulated key")
)

const maxStateSize = 1 << 20 // bytes; a full key has some 50 KiB

// StateFile keeps an emulated key in a file, which holds its private keys, in the clear unless there is a passphrase.
// Each change replaces the file as a whole and is on the disk before the key answers. One program at a time may use it.
type StateFile struct {
	path       string
	lock       *os.File
	passphrase Passphrase // until the file is loaded; nil for none
	seal       *seal      // nil while the file is not encrypted
}

// OpenStateFile opens or prepares the file at path for one Authenticator. A lock file is kept beside it. What is there
// and no regular file, such as a symbolic link, gives durable.ErrNotRegular: it could not be replaced, and two links to a
// file would have two locks. With a passphrase that is not nil the file is encrypted; New tells ErrPassphraseWrong and
// the like, and after it the caller may wipe the passphrase.
func OpenStateFile(path string, passphrase Passphrase) (*StateFile, error) {
	if err := durable.CheckRegular(path); err != nil { // a FIFO would have us wait for a writer
		return nil, err
	}
	lock, err := durable.Lock(path + ".lock")
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", path, ErrStateInUse)
	}
	if err != nil {
		return nil, err
	}
	f := &StateFile{path: path, lock: lock, passphrase: passphrase}
	if err := durable.RemoveLeftovers(path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Close lets other programs use the file.
func (f *StateFile) Close() error { return f.lock.Close() }

// load reads the file into s. When there is no file yet it writes s.
func (f *StateFile) load(s *state) error {
	b, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return f.begin(s)
	}
	if err != nil {
		return err
	}
	parsed, err := f.open(b)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	*s = *parsed
	return nil
}

// begin writes the first state of a file.
func (f *StateFile) begin(s *state) (err error) {
	if f.passphrase != nil {
		if f.seal, err = newSeal(f.passphrase); err != nil {
			return err
		}
	}
	return f.save(s)
}

func (f *StateFile) read() ([]byte, error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxSealedSize+1))
}

// open decrypts, where that is needed, and decodes what the file holds.
func (f *StateFile) open(b []byte) (*state, error) {
	sealed, err := parseSealed(b)
	switch {
	case err != nil:
		return nil, err
	case sealed == nil && f.passphrase != nil:
		if _, err := parseState(b); err != nil {
			return nil, err
		}
		return nil, ErrNotEncrypted
	case sealed == nil:
		return parseState(b)
	case f.passphrase == nil:
		return nil, ErrPassphraseMissing
	}
	if f.seal, err = openSeal(sealed.SealedKey, f.passphrase); err != nil {
		return nil, err
	}
	clearText, err := f.seal.decode(sealed.Sealed)
	if err != nil {
		return nil, err
	}
	defer clear(clearText)
	return parseState(clearText)
}

// parseState decodes a state file; a file that was cut short or is of another kind is refused, never repaired.
func parseState(b []byte) (*state, error) {
	if len(b) > maxStateSize {
		return nil, fmt.Errorf("%w: over %d bytes", ErrStateInvalid, maxStateSize)
	}
	var s state
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStateInvalid, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("%w: something follows the state", ErrStateInvalid)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	return &s, nil
}

// check looks for values that no key of ours has written.
func (s *state) check() error {
	profile, err := LookupProfile(s.Profile)
	switch {
	case s.Version != stateVersion:
		return fmt.Errorf("%w: version %d is not %d", ErrStateInvalid, s.Version, stateVersion)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrStateInvalid, err)
	case len(s.WrappingKey) != 32, len(s.PersistentToken) != tokenSecretBytes, len(s.DeviceID) != 16,
		len(s.CredStoreState) != 16, s.PINRetries > maxPINRetries, s.hasPIN() && len(s.PINHash) != pinHashSize,
		uint(len(s.Credentials)) > profile.MaxDiscoverable, uint(len(s.LargeBlobs)) > profile.MaxLargeBlobArray,
		s.LargeBlobs != nil && ctap.CheckLargeBlobArray(s.LargeBlobs) != nil, s.MinPINLength > maxPINLength,
		uint(len(s.Fingerprints)) > profile.MaxFingerprints:
		return fmt.Errorf("%w: a value is out of range", ErrStateInvalid)
	}
	if s.OATH != nil && s.OATH.Check() != nil {
		return fmt.Errorf("%w: accounts of OATH", ErrStateInvalid)
	}
	for _, b := range []*batch{s.Batch, s.Enterprise} {
		if b != nil && b.check() != nil {
			return fmt.Errorf("%w: attestation key", ErrStateInvalid)
		}
	}
	for i := range s.Credentials {
		c := &s.Credentials[i]
		if _, err := c.signer(); err != nil || len(c.ID) == 0 || c.RPID == "" || c.CredProtect > ctap.UserVerificationRequired {
			return fmt.Errorf("%w: credential %d", ErrStateInvalid, i)
		}
		c.discoverable = true
	}
	return nil
}

// save replaces the file and returns when the disk has it.
func (f *StateFile) save(s *state) error {
	b, err := s.encode()
	if err != nil {
		return err
	}
	defer clear(b)
	if f.seal != nil {
		if b, err = f.seal.encode(b); err != nil {
			return err
		}
	}
	return durable.Replace(f.path, b)
}

// encode gives the state as text that parseState reads; ErrKeyStoreFull when it would be too long for that.
func (s *state) encode() ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return nil, err
	}
	if len(b) >= maxStateSize {
		return nil, ctap.ErrKeyStoreFull
	}
	return append(b, '\n'), nil
}
