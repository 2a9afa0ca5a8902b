package apps

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// maxFile is how large a file may be that is held in memory as a whole, in bytes.
const maxFile = 64 << 20

// readFile reads a file as a whole, and leaves no copy of it elsewhere.
func readFile(in io.Reader, format string) ([]byte, error) {
	data := make([]byte, 0, 64<<10)
	for {
		if len(data) == cap(data) {
			data = grow(data, len(data))
		}
		n, err := in.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case len(data) > maxFile:
			clear(data)
			return nil, &seedfile.FormatError{Format: format, Problem: fmt.Sprintf("it is longer than %d MiB", maxFile>>20)}
		case errors.Is(err, io.EOF):
			return bytes.TrimPrefix(data, []byte("\ufeff")), nil
		case err != nil:
			clear(data)
			return nil, err
		}
	}
}

// grow gives a slice room for n bytes more. Where it must move, it wipes what it leaves.
func grow(data []byte, n int) []byte {
	if cap(data)-len(data) >= n {
		return data
	}
	larger := append(make([]byte, 0, max(2*cap(data), len(data)+n)), data...)
	clear(data)
	return larger
}

// readJSON reads a file of JSON as a whole.
func readJSON(in io.Reader, format string) ([]byte, error) {
	file, err := readFile(in, format)
	if err != nil {
		return nil, err
	}
	if err := checkJSON(file, format); err != nil {
		clear(file)
		return nil, err
	}
	return file, nil
}

// checkJSON tells whether a file is JSON, or where it is not.
func checkJSON(file []byte, format string) error {
	if json.Valid(file) {
		return nil
	}
	problem := &seedfile.FormatError{Format: format, Problem: "it is no JSON"}
	var wrong *json.SyntaxError
	if errors.As(json.Unmarshal(file, new(json.RawMessage)), &wrong) {
		var at position
		problem.Line, problem.Column = at.of(file, int(max(wrong.Offset-1, 0)))
	}
	return problem
}

// position finds lines and columns, of one place after the other. It looks at each byte once: a file may be one line.
type position struct {
	begin, line int // where the line begins, from 0 on, and how many are before it
	seen        int // up to where it has looked
}

// of gives line and column of an offset, which is not before the last one.
func (p *position) of(file []byte, offset int) (line, column int) {
	for i := bytes.IndexByte(file[p.seen:offset], '\n'); i >= 0; i = bytes.IndexByte(file[p.seen:offset], '\n') {
		p.seen += i + 1
		p.begin = p.seen
		p.line++
	}
	p.seen = offset
	return p.line + 1, offset - p.begin + 1
}

// unlock asks for a passphrase, and for another one as long as open says seedfile.ErrWrongKey. Who gives the same one
// twice in a row has no other, and is not asked again.
func unlock(o seedfile.ReadOptions, open func(passphrase []byte) ([]byte, error)) ([]byte, error) {
	if o.Unlock == nil {
		return nil, &seedfile.LockedError{Lock: seedfile.Passphrase}
	}
	var last hotp.Seed
	defer func() { last.Wipe() }()
	for {
		passphrase, err := o.Unlock(seedfile.Passphrase, "")
		if err != nil {
			return nil, err
		}
		if last != nil && passphrase.Equal(last) {
			passphrase.Wipe()
			return nil, seedfile.ErrWrongKey
		}
		last.Wipe()
		last = passphrase
		plain, err := open(passphrase)
		if !errors.Is(err, seedfile.ErrWrongKey) {
			return plain, err
		}
	}
}

// lockOf gives what is to encrypt a file that is written.
func lockOf(f *seedfile.Format, o seedfile.WriteOptions) (seedfile.Lock, error) {
	switch {
	case o.Lock == 0 || o.Lock&f.Writes != o.Lock:
		return 0, &seedfile.SettingError{Format: f.Name, Name: "lock", Problem: "is not one that the format has"}
	case o.Lock == seedfile.Passphrase && len(o.Secret) == 0:
		return 0, &seedfile.SettingError{Format: f.Name, Name: "passphrase", Problem: "is empty"}
	}
	return o.Lock, nil
}
