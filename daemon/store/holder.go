package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"fob/fido/durable"
)

// maxHolder bounds the text of a lock file, in bytes.
const maxHolder = 128

// hold takes the lock of a store, and writes into the lock file who has it. When another program has it, the error is
// a *HeldError.
func hold(path, program string) (*os.File, error) {
	f, err := durable.Lock(path)
	if errors.Is(err, durable.ErrLocked) {
		return nil, holder(path)
	}
	if err != nil {
		return nil, err
	}
	text := holderText(os.Getpid(), program)
	if _, err := f.WriteAt(text, 0); err == nil { // that of a full disk costs others a hint, and us nothing
		f.Truncate(int64(len(text)))
	}
	return f, nil
}

func holderText(pid int, program string) []byte { return fmt.Appendf(nil, "%d %s\n", pid, program) }

// holder reads who has the lock. It may be about to write that, or have let go.
func holder(path string) *HeldError {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return &HeldError{}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxHolder+1))
	if err != nil {
		return &HeldError{}
	}
	held, err := parseHolder(b)
	if err != nil {
		return &HeldError{}
	}
	return held
}

// parseHolder reads the text of a lock file.
func parseHolder(b []byte) (*HeldError, error) {
	number, name, ok := strings.Cut(string(b), " ")
	pid, err := strconv.ParseInt(number, 10, 32)
	if !ok || err != nil || pid <= 0 || len(b) > maxHolder {
		return nil, errHolderGone
	}
	name, ok = strings.CutSuffix(name, "\n")
	unprintable := func(r rune) bool { return r <= ' ' || r > '~' }
	if !ok || name == "" || strings.ContainsFunc(name, unprintable) || number != strconv.FormatInt(pid, 10) {
		return nil, errHolderGone
	}
	return &HeldError{int(pid), name}, nil
}

// makeFolder makes a folder, and those above, that survive a crash.
func makeFolder(dir string) error {
	err := os.Mkdir(dir, 0o700)
	switch {
	case errors.Is(err, os.ErrExist):
		return nil
	case errors.Is(err, os.ErrNotExist) && dir != filepath.Dir(dir):
		if err := makeFolder(filepath.Dir(dir)); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	return durable.SyncFolder(filepath.Dir(dir))
}

// checkFolder refuses a folder in which others may put other files in the place of ours.
func checkFolder(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Getuid() || st.Mode&0o022 != 0 {
		return fmt.Errorf("%s: %w", dir, ErrBadFolder)
	}
	return nil
}
