package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"fob/fido"
)

// CredentialName is the name of the systemd credential.
const CredentialName = "fob.store"

// Sizes of a credential, in bytes. One that is shorter than a key could be guessed; systemd passes 1 MiB at most.
const (
	minCredential = 32
	maxCredential = 1 << 20
)

// Credential is a Sealer with a secret that systemd passes to the service, and that no person has to remember: 32 bytes
// at least, of which all are used (systemd.exec(5), CREDENTIALS).
type Credential struct {
	Dir string // $CREDENTIALS_DIRECTORY
}

var _ Sealer = Credential{}

// Kind implements Sealer.
func (Credential) Kind() Kind { return KindCredential }

// Given reports whether the service has got the credential.
func (c Credential) Given() bool {
	_, err := os.Stat(c.path())
	return c.Dir != "" && err == nil
}

func (c Credential) path() string { return filepath.Join(c.Dir, CredentialName) }

// Seal implements Sealer.
func (c Credential) Seal(key fido.Secret) ([]byte, error) {
	secret, err := c.read()
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	return wrap(KindCredential, key, fromKey(secret))
}

// Unseal implements Sealer.
func (c Credential) Unseal(payload []byte) (fido.Secret, error) {
	secret, err := c.read()
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	return unwrap(KindCredential, payload, fromKey(secret))
}

func (c Credential) read() (fido.Secret, error) {
	if c.Dir == "" {
		return nil, fmt.Errorf("%w: fobd has got no credentials", ErrMissing)
	}
	f, err := os.Open(c.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: fobd has got no credential %s", ErrMissing, CredentialName)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if size := info.Size(); size < minCredential || size > maxCredential {
		return nil, fmt.Errorf("the credential %s is %w: it has %d bytes, and needs at least %d",
			CredentialName, ErrUnfit, size, minCredential)
	}
	secret := make(fido.Secret, info.Size())
	_, err = io.ReadFull(f, secret)
	return secret, err
}
