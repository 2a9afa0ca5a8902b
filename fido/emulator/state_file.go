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

// StateFile keeps an emulated key in a file, which holds its private keys in the clear. Each change replaces the file
// as a whole and is on the disk before the key answers. One program at a time may use it.
type StateFile struct {
	path string
	lock *os.File
}

// OpenStateFile opens or prepares the file at path for one Authenticator. A lock file is kept beside it.
func OpenStateFile(path string) (*StateFile, error) {
	lock, err := durable.Lock(path + ".lock")
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", path, ErrStateInUse)
	}
	if err != nil {
		return nil, err
	}
	return &StateFile{path: path, lock: lock}, nil
}

// Close lets other programs use the file.
func (f *StateFile) Close() error { return f.lock.Close() }

// load reads the file into s, which stays as it is when there is no file yet.
func (f *StateFile) load(s *state) error {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return f.save(s)
	}
	if err != nil {
		return err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxStateSize+1))
	if err != nil {
		return err
	}
	parsed, err := parseState(b)
	if err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	*s = *parsed
	return nil
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
	case len(s.WrappingKey) != 32, len(s.PersistentToken) != tokenSecretBytes, s.PINRetries > maxPINRetries, s.hasPIN() && len(s.PINHash) != pinHashSize,
		uint(len(s.Credentials)) > profile.MaxDiscoverable, uint(len(s.LargeBlobs)) > profile.MaxLargeBlobArray,
		s.LargeBlobs != nil && ctap.CheckLargeBlobArray(s.LargeBlobs) != nil, s.MinPINLength > maxPINLength,
		uint(len(s.Fingerprints)) > profile.MaxFingerprints:
		return fmt.Errorf("%w: a value is out of range", ErrStateInvalid)
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
	b, err := json.MarshalIndent(s, "", "\t")
	if err != nil {
		return err
	}
	defer clear(b)
	if len(b) >= maxStateSize { // it could not be read again
		return ctap.ErrKeyStoreFull
	}
	return durable.Replace(f.path, append(b, '\n'))
}
