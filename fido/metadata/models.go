package metadata

import (
	"os"
	"sync"

	"fob/fido/ctap"
)

// Models looks models up in an index that other processes replace now and then. It is safe for concurrent use.
type Models struct {
	path string

	mu   sync.Mutex
	info os.FileInfo // of what was read; nil when there was nothing
	read *Index
	err  error
}

// Open looks models up in the index at path, which need not be there yet.
func Open(path string) *Models { return &Models{path: path} }

// Lookup finds a model. There is none where the index is missing or can't be read; Index tells.
func (m *Models) Lookup(aaguid ctap.AAGUID) (Model, bool) {
	x, err := m.Index()
	if err != nil {
		return Model{}, false
	}
	return x.Lookup(AAGUID(aaguid))
}

// Index gives the index as it is now; the caller must not change it. It is read when the file has changed since the
// last call. The error is an *IndexError.
func (m *Models) Index() (*Index, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	info, err := os.Stat(m.path)
	if err != nil {
		m.read, m.info, m.err = nil, nil, &IndexError{m.path, err}
	} else if !same(info, m.info) {
		m.read, m.info, m.err = readIndex(m.path)
	}
	return m.read, m.err
}

// same reports whether a file is the one that was read. A file that was replaced is another.
func same(now, before os.FileInfo) bool {
	return before != nil && os.SameFile(now, before) && now.Size() == before.Size() &&
		now.ModTime().Equal(before.ModTime())
}
