package hidraw

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

var errInotify = errors.New("malformed inotify event")

// folderChanges are those of the nodes in a folder: which there are, and who may open them.
const folderChanges = unix.IN_ONLYDIR |
	unix.IN_CREATE | unix.IN_DELETE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_ATTRIB

// fileEvent is an event of inotify(7).
type fileEvent struct {
	watch  int32
	mask   uint32
	cookie uint32
	name   string // in a watched folder, without the NULs behind it
	space  int    // bytes that name takes
}

// parseFileEvents reads what read(2) gives.
func parseFileEvents(b []byte) ([]fileEvent, error) {
	var events []fileEvent
	for len(b) > 0 {
		if len(b) < unix.SizeofInotifyEvent {
			return nil, errInotify
		}
		native := binary.NativeEndian
		e := fileEvent{watch: int32(native.Uint32(b)), mask: native.Uint32(b[4:]), cookie: native.Uint32(b[8:])}
		space := uint64(native.Uint32(b[12:]))
		b = b[unix.SizeofInotifyEvent:]
		if space > uint64(len(b)) {
			return nil, errInotify
		}
		name, padding, _ := bytes.Cut(b[:space], []byte{0})
		if len(bytes.Trim(padding, "\x00")) > 0 {
			return nil, errInotify
		}
		e.name, e.space, b = string(name), int(space), b[space:]
		events = append(events, e)
	}
	return events, nil
}

// inotify watches files.
type inotify struct {
	f   *os.File
	raw syscall.RawConn
	buf [16 << 10]byte // more than one event of the longest name
}

func openInotify() (*inotify, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify", err)
	}
	i := &inotify{f: os.NewFile(uintptr(fd), "inotify")}
	if i.raw, err = i.f.SyscallConn(); err != nil {
		i.f.Close()
		return nil, err
	}
	return i, nil
}

// add watches a path and gives the number that its events have. The error is os.ErrClosed after close, in one piece
// with the descriptor: its number may be another file's by then.
func (i *inotify) add(path string, mask uint32) (watch int32, err error) {
	closed := i.raw.Control(func(fd uintptr) {
		var n int
		if n, err = unix.InotifyAddWatch(int(fd), path, mask); err != nil {
			err = &os.PathError{Op: "watch", Path: path, Err: err}
		}
		watch = int32(n)
	})
	if closed != nil {
		return 0, closed
	}
	return watch, err
}

// drop ends a watch, unless it has ended by itself.
func (i *inotify) drop(watch int32) {
	i.raw.Control(func(fd uintptr) { unix.InotifyRmWatch(int(fd), uint32(watch)) })
}

// read waits for events, until ctx ends.
func (i *inotify) read(ctx context.Context) (events []fileEvent, err error) {
	err = await(ctx, i.f, i.raw, func(fd int) error {
		events, err = i.poll(fd)
		return err
	})
	return events, err
}

// poll gives the events that there are; the error is EAGAIN when there are none.
func (i *inotify) poll(fd int) ([]fileEvent, error) {
	n, err := unix.Read(fd, i.buf[:])
	if err != nil {
		return nil, err
	}
	return parseFileEvents(i.buf[:n])
}

func (i *inotify) close() error { return i.f.Close() }
