package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/durable"
)

// KeyFile is a Sealer with a secret in a file, 32 bytes that only its owner can read. It protects copies of the store
// alone: who has the whole disk has the file too. Seal makes the file when there is none.
type KeyFile struct {
	Path string
}

var _ Sealer = KeyFile{}

// Kind implements Sealer.
func (KeyFile) Kind() Kind { return KindKeyFile }

// Seal implements Sealer.
func (f KeyFile) Seal(key fido.Secret) ([]byte, error) {
	secret, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		secret, err = f.create()
	}
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	return wrap(KindKeyFile, key, fromKey(secret))
}

// Unseal implements Sealer.
func (f KeyFile) Unseal(payload []byte) (fido.Secret, error) {
	secret, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no %s", ErrMissing, f.Path)
	}
	if err != nil {
		return nil, err
	}
	defer secret.Wipe()
	return unwrap(KindKeyFile, payload, fromKey(secret))
}

func (f KeyFile) create() (fido.Secret, error) {
	secret := make(fido.Secret, KeySize)
	rand.Read(secret)
	if err := durable.Create(f.Path, secret); err != nil {
		secret.Wipe()
		return nil, err
	}
	return secret, nil
}

// read reads the file, which must be ours alone.
func (f KeyFile) read() (fido.Secret, error) {
	file, err := os.OpenFile(f.Path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0) // a FIFO would have us wait
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return nil, &fs.PathError{Op: "open", Path: f.Path, Err: durable.ErrNotRegular}
	case mode.Perm()&0o077 != 0:
		return nil, fmt.Errorf("%s is %w: others may use it, its mode must be 0600", f.Path, ErrUnfit)
	case info.Size() != KeySize:
		return nil, fmt.Errorf("%s is %w: it has %d bytes, not %d", f.Path, ErrUnfit, info.Size(), KeySize)
	}
	secret := make(fido.Secret, KeySize)
	_, err = io.ReadFull(file, secret)
	return secret, err
}
