package policy

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

//go:embed policy.toml
var builtIn []byte

// BuiltIn is the policy of who has no file.
func BuiltIn() *Policy {
	p, err := Parse(builtIn)
	if err != nil {
		panic(err) // a test reads it
	}
	return p
}

// system is the administrator's file.
const system = "/etc/fob/policy.toml"

// Places are where a policy file is looked for, in this order: fob/policy.toml in $XDG_CONFIG_HOME, or in ~/.config where
// that is not set; /etc/fob/policy.toml.
func Places() []string {
	home, err := os.UserConfigDir()
	if err != nil {
		return []string{system}
	}
	return []string{filepath.Join(home, "fob", "policy.toml"), system}
}

// Find reads the first policy file that there is, or gives the policy that is built in. A file that is wrong, or can't
// be read, is an error, and no other is taken in its place.
func Find() (*Policy, error) {
	for _, path := range Places() {
		p, err := Read(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		return p, err
	}
	return BuiltIn(), nil
}

// Read reads a policy file. Neither the file nor its folder may be for others to write. Its error is an *Error.
func Read(path string) (*Policy, error) {
	text, err := read(path)
	if err != nil {
		return nil, &Error{Path: path, Problem: reason(err), Err: err}
	}
	p, err := Parse(text)
	var wrong *Error
	if errors.As(err, &wrong) {
		wrong.Path = path
		return nil, wrong
	}
	p.Path = path
	return p, nil
}

// reason leaves out of an error what Error says by itself.
func reason(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err.Error()
	}
	return err.Error()
}

func read(path string) ([]byte, error) {
	folder, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if err := guarded("its folder", folder); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if err := guarded("it", info); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(f, MaxSize+1))
}

// guarded refuses what others than root and we can write. A folder with the sticky bit keeps others from our files, but
// not from making one that we have not.
func guarded(what string, info fs.FileInfo) error {
	owner := info.Sys().(*syscall.Stat_t).Uid
	if owner != 0 && int(owner) != os.Getuid() {
		return fmt.Errorf("%s belongs to another user, %d", what, owner)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others may write %s (mode %04o); 'chmod go-w' forbids it", what, mode)
	}
	return nil
}

// Holder has the policy that is in force. A nil Holder has none, which allows everything.
type Holder struct {
	find    func() (*Policy, error)
	current atomic.Pointer[Policy]

	mu      sync.Mutex // held by who reloads
	problem error
}

// Open reads the policy of a file, or that which Find gives where path is empty.
func Open(path string) (*Holder, error) {
	h := &Holder{find: Find}
	if path != "" {
		h.find = func() (*Policy, error) { return Read(path) }
	}
	return h, h.Reload()
}

// Fixed has a policy that does not change.
func Fixed(p *Policy) *Holder {
	h := &Holder{find: func() (*Policy, error) { return p, nil }}
	h.current.Store(p)
	return h
}

// Policy is what is in force. It is never changed in place.
func (h *Holder) Policy() *Policy {
	if h == nil {
		return nil
	}
	return h.current.Load()
}

// Reload reads the policy anew. One that is wrong is not taken: what was in force stays, and the error says why.
// Ceremonies that go on were decided about before, and are left alone.
func (h *Holder) Reload() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var p *Policy
	if p, h.problem = h.find(); h.problem == nil {
		h.current.Store(p)
	}
	return h.problem
}

// Problem is what the last Reload found wrong; nil for nothing.
func (h *Holder) Problem() error {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.problem
}
