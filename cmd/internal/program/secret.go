package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/emulator"
)

// maxPassphraseLength is the longest passphrase, in bytes, and maxSeedLength the longest seed or otpauth URI.
const (
	maxPassphraseLength = 1024
	maxSeedLength       = 4096
)

var (
	// ErrPINLength is a PIN that no key can have.
	ErrPINLength = fmt.Errorf("a PIN has at least %d characters and at most %d bytes",
		fido.MinPINLength, fido.MaxPINLength)
	// ErrPassphraseLength is a passphrase that is none, or that is no line of text any more.
	ErrPassphraseLength = fmt.Errorf("a passphrase has at least 1 and at most %d bytes", maxPassphraseLength)

	// ErrSeedLength is a seed of one-time passwords, or its otpauth URI, that is none.
	ErrSeedLength = fmt.Errorf("a seed, or the URI with it, has at least 1 and at most %d bytes", maxSeedLength)

	errLineTooLong = errors.New("line too long")
	errKeyTooLong  = fmt.Errorf("it is longer than %d bytes", maxKeyLength)
)

// ReadPIN reads a PIN from a file descriptor, up to a line feed or the end, and closes it. The caller wipes the PIN.
// It returns ctx.Err() when ctx ends first.
func ReadPIN(ctx context.Context, fd int) (fido.PIN, error) {
	pin, err := readFD(ctx, fd, ReadLine)
	if err != nil {
		pin.Wipe()
		return nil, whichSecret("PIN", err)
	}
	return pin, nil
}

// ReadPassphrase is ReadPIN for the passphrase of a file.
func ReadPassphrase(ctx context.Context, fd int) (emulator.Passphrase, error) {
	line, err := readFD(ctx, fd, ReadPassphraseLine)
	if err != nil {
		clear(line)
		return nil, whichSecret("passphrase", err)
	}
	return line, nil
}

// maxKeyLength is longer than any key is, in bytes, as hexadecimal digits too.
const maxKeyLength = 256

// ReadKey is ReadPIN for a key: all up to the end, as it may have any bytes.
func ReadKey(ctx context.Context, fd int) ([]byte, error) {
	key, err := readFD(ctx, fd, readKey)
	if err != nil {
		clear(key)
		return nil, whichSecret("key", err)
	}
	return key, nil
}

func readKey(r io.Reader) ([]byte, error) {
	key := make([]byte, maxKeyLength+1)
	n, err := io.ReadFull(r, key)
	switch {
	case err == nil:
		return key, errKeyTooLong
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return key[:n], nil
	}
	return key, err
}

// ReadPassphraseLine is ReadLine for a passphrase.
func ReadPassphraseLine(r io.Reader) ([]byte, error) {
	line, err := readLine(r, maxPassphraseLength)
	if err == errLineTooLong || err == nil && len(line) == 0 {
		err = ErrPassphraseLength
	}
	if err != nil {
		clear(line)
		return nil, err
	}
	return line, nil
}

// ReadSeed is ReadPIN for the seed of one-time passwords, or for its otpauth URI.
func ReadSeed(ctx context.Context, fd int) ([]byte, error) {
	line, err := readFD(ctx, fd, ReadSeedLine)
	if err != nil {
		clear(line)
		return nil, whichSecret("seed", err)
	}
	return line, nil
}

// ReadSeedLine is ReadLine for a seed or its otpauth URI.
func ReadSeedLine(r io.Reader) ([]byte, error) {
	line, err := readLine(r, maxSeedLength)
	if err == errLineTooLong || err == nil && len(line) == 0 {
		err = ErrSeedLength
	}
	if err != nil {
		clear(line)
		return nil, err
	}
	return line, nil
}

func whichSecret(name string, err error) error {
	var usage UsageError
	if errors.As(err, &usage) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("no %s read: %w", name, err)
}

// readFD reads from a file descriptor by read, and closes it. What was read comes with an error, too, to be wiped.
func readFD[T ~[]byte](ctx context.Context, fd int, read func(io.Reader) (T, error)) (T, error) {
	// What we opened ourselves, the runtime's files among it, is closed on exec; what we were given is not.
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
		return nil, Usage(fmt.Errorf("file descriptor %d is not open; a shell opens it with %d<FILE", fd, fd))
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that the read can be ended
		return nil, err
	}
	f := os.NewFile(uintptr(fd), fmt.Sprintf("file descriptor %d", fd))
	defer f.Close()
	defer unix.SetNonblock(fd, false) // it may be shared with a shell
	release := context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })
	defer release()
	secret, err := read(f)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return secret, err
}

// ReadLine reads a PIN, byte by byte so that nothing behind it is taken, and without making copies.
func ReadLine(r io.Reader) (fido.PIN, error) {
	line, err := readLine(r, fido.MaxPINLength)
	if err == errLineTooLong || err == nil && utf8.RuneCount(line) < fido.MinPINLength {
		err = ErrPINLength
	}
	if err != nil {
		clear(line)
		return nil, err
	}
	return line, nil
}

// readLine reads up to a line feed or the end. What was read comes with an error, too.
func readLine(r io.Reader, limit int) ([]byte, error) {
	line := make([]byte, 0, limit+1)
	for one := make([]byte, 1); ; {
		_, err := io.ReadFull(r, one)
		switch {
		case errors.Is(err, io.EOF), err == nil && one[0] == '\n':
			return line, nil
		case err != nil:
			return line, err
		case len(line) == limit:
			return line, errLineTooLong
		}
		line = append(line, one[0])
		one[0] = 0
	}
}
