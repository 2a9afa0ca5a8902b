package emulator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrStateExists is a state file that is there already, where a new one was to be made.
var ErrStateExists = errors.New("the state file exists already")

// A fixture is the whole state of an emulated key as text, private keys in the clear: what a test begins with. The
// clear state file is one.

// Export gives the key's state as a fixture.
func (a *Authenticator) Export() ([]byte, error) {
	<-a.turn
	defer a.endTurn()
	return a.state.encode()
}

// ExportFile gives the state in a file as a fixture. The errors are those of OpenStateFile and New; fs.ErrNotExist when
// there is no file.
func ExportFile(path string, passphrase Passphrase) ([]byte, error) {
	if _, err := os.Lstat(path); err != nil { // before a lock file is made
		return nil, err
	}
	f, err := OpenStateFile(path, passphrase)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := f.read()
	if err != nil {
		return nil, err
	}
	s, err := f.open(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s.encode()
}

// ImportFile makes a state file of a fixture, encrypted when passphrase is not nil. ErrStateExists when there is a
// file, ErrStateInvalid when the fixture is none.
func ImportFile(path string, passphrase Passphrase, fixture []byte) error {
	s, err := parseState(fixture)
	if err != nil {
		return err
	}
	f, err := OpenStateFile(path, passphrase)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.mustNotExist(); err != nil {
		return err
	}
	return f.begin(s)
}

func (f *StateFile) mustNotExist() error {
	_, err := os.Lstat(f.path)
	if err == nil {
		return fmt.Errorf("%s: %w", f.path, ErrStateExists)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
