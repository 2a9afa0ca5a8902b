package metadata

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"fob/fido/durable"
)

const (
	// IndexVersion is the version of the indexes that this package writes and reads.
	IndexVersion = 1
	// MaxIndexSize is the size of the largest index, in bytes. That of the FIDO Alliance's BLOB has some 300 KB.
	MaxIndexSize = 4 << 20
)

// Index is what is kept of a BLOB. Whoever can change it decides what fob says about models.
type Index struct {
	Version    int       `json:"version"`
	Service    string    `json:"service"`             // whom the signing certificate is for
	Roots      []string  `json:"roots"`               // SHA-256 of the service's roots, in hex
	Number     int64     `json:"no"`                  // serial number of the BLOB
	NextUpdate string    `json:"nextUpdate,omitzero"` // YYYY-MM-DD: when another BLOB was to come at latest
	Imported   time.Time `json:"imported"`            // RFC 3339
	Signer     Signer    `json:"signer"`
	Others     int       `json:"others"`     // entries without an AAGUID: U2F and UAF
	Unreadable int       `json:"unreadable"` // entries that make no sense
	Models     []Model   `json:"models"`     // by AAGUID, ascending
}

// Signer is who signed a BLOB.
type Signer struct {
	Subject     string `json:"subject"`     // of the certificate
	Root        string `json:"root"`        // subject of the root that vouches for it
	Certificate string `json:"certificate"` // its SHA-256, in hex
	Algorithm   string `json:"algorithm"`   // of the signature, as in JSON Web Signatures
}

// Overdue reports whether a newer BLOB should be there.
func (x *Index) Overdue(now time.Time) bool {
	return x.NextUpdate != "" && x.NextUpdate < now.UTC().Format(time.DateOnly)
}

// Lookup finds a model.
func (x *Index) Lookup(id AAGUID) (Model, bool) {
	i, ok := slices.BinarySearchFunc(x.Models, Model{AAGUID: id}, compareAAGUID)
	if !ok {
		return Model{}, false
	}
	return x.Models[i], true
}

func compareAAGUID(a, b Model) int { return bytes.Compare(a.AAGUID[:], b.AAGUID[:]) }

// Encode gives the index as it is written. The error is an *IndexError, for one that could not be read again.
func (x *Index) Encode() ([]byte, error) {
	b, err := json.Marshal(x)
	if err == nil {
		_, err = parseIndex(append(b, '\n'))
	}
	if err != nil {
		return nil, &IndexError{Problem: err}
	}
	return append(b, '\n'), nil
}

// ParseIndex reads an index, at most MaxIndexSize bytes. It takes what Encode gives, and nothing else. The error is an
// *IndexError.
func ParseIndex(b []byte) (*Index, error) {
	x, err := parseIndex(b)
	if err != nil {
		return nil, &IndexError{Problem: err}
	}
	return x, nil
}

func parseIndex(b []byte) (*Index, error) {
	if len(b) > MaxIndexSize {
		return nil, ErrIndexSize
	}
	if err := checkNesting(b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndexForm, err)
	}
	var head struct{ Version int } // first of all, for a later version may have any form
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndexForm, err)
	}
	if head.Version != IndexVersion {
		return nil, ErrIndexVersion
	}
	x := new(Index)
	if err := json.Unmarshal(b, x); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndexForm, err)
	}
	if again, err := json.Marshal(x); err != nil || !bytes.Equal(append(again, '\n'), b) {
		return nil, ErrIndexForm
	}
	return x, x.check()
}

// check checks what an index says.
func (x *Index) check() error {
	fingerprints := append([]string{x.Signer.Certificate}, x.Roots...)
	switch {
	case x.Number < 0 || x.Number > maxSerial || x.Others < 0 || x.Unreadable < 0 || date(x.NextUpdate) != x.NextUpdate,
		len(x.Models) > maxEntries, slices.ContainsFunc(fingerprints, notFingerprint),
		!areClean(maxText, x.Service, x.Signer.Subject, x.Signer.Root, x.Signer.Algorithm),
		!slices.IsSortedFunc(x.Models, compareAAGUID):
		return ErrIndexForm
	}
	for i, m := range x.Models {
		if m.check() != nil || i > 0 && m.AAGUID == x.Models[i-1].AAGUID {
			return ErrIndexForm
		}
	}
	return nil
}

func notFingerprint(s string) bool {
	b, err := hex.DecodeString(s)
	return err != nil || len(b) != 32 || strings.ToLower(s) != s
}

func (m Model) check() error {
	if m.AAGUID == (AAGUID{}) || len(m.UPV) > maxVersions || len(m.StatusReports) > maxReports ||
		!areClean(maxText, m.Description, m.ProtocolFamily) {
		return ErrIndexForm
	}
	for _, r := range m.StatusReports {
		if date(r.EffectiveDate) != r.EffectiveDate || date(r.SunsetDate) != r.SunsetDate ||
			!areClean(maxText, string(r.Status), r.CertificateNumber) || !areClean(maxURL, r.URL) {
			return ErrIndexForm
		}
	}
	return nil
}

// areClean reports whether clean has nothing to do.
func areClean(most int, texts ...string) bool {
	return !slices.ContainsFunc(texts, func(s string) bool { return clean(s, most) != s })
}

// DefaultPath is where a user's index is: fob/models.json in $XDG_DATA_HOME, or in ~/.local/share.
func DefaultPath() (string, error) {
	dir := os.Getenv("XDG_DATA_HOME")
	if !filepath.IsAbs(dir) { // the XDG Base Directory Specification says to ignore others
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = filepath.Join(home, ".local", "share")
	}
	return filepath.Join(dir, "fob", "models.json"), nil
}

// ReadIndex reads the index in a file. The error is an *IndexError; it unwraps to fs.ErrNotExist where there is no such
// file.
func ReadIndex(path string) (*Index, error) {
	x, _, err := readIndex(path)
	return x, err
}

// readIndex also tells which file it has read.
func readIndex(path string) (*Index, os.FileInfo, error) {
	b, info, err := readBounded(path)
	var x *Index
	if err == nil {
		x, err = parseIndex(b)
	}
	if err != nil {
		return nil, info, &IndexError{path, err}
	}
	return x, info, nil
}

func readBounded(path string) ([]byte, os.FileInfo, error) {
	// Opening a FIFO would wait for its writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, info, errors.Join(durable.ErrNotRegular, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxIndexSize+1))
	return b, info, err
}

// Save writes the index to a file that only its owner can read; folders are made. When it returns nil the index will
// survive a crash; else the old one is still there, whole. An index that is newer, or of another service, is only
// replaced where the caller says so, and so is a file that can't be read. The errors are *Refused and *IndexError.
func (x *Index) Save(path string, replace bool) error {
	b, err := x.Encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return &IndexError{path, err}
	}
	lock, err := durable.Lock(path + ".lock")
	if err != nil {
		return &IndexError{path, err}
	}
	defer lock.Close()
	if !replace {
		if err := x.checkAfter(path); err != nil {
			return err
		}
	}
	err = durable.RemoveLeftovers(path)
	if err == nil {
		err = durable.Replace(path, b)
	}
	if err != nil {
		return &IndexError{path, err}
	}
	return nil
}

// checkAfter refuses to go back to an older BLOB: somebody may want a revocation forgotten (§3.2).
func (x *Index) checkAfter(path string) error {
	old, err := ReadIndex(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case old.Service != x.Service || !slices.ContainsFunc(old.Roots, x.trusts):
		return refused(ErrOther, fmt.Errorf("that one is of %q", old.Service))
	case old.Number > x.Number:
		return refused(ErrOlder, fmt.Errorf("number %d, after number %d", x.Number, old.Number))
	}
	return nil
}

// trusts reports whether a root with this SHA-256 is one of the service's. Roots come and go one by one.
func (x *Index) trusts(root string) bool { return slices.Contains(x.Roots, root) }
