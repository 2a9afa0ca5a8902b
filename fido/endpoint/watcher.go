package endpoint

import (
	"encoding/binary"
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

const devpts = "/dev/pts"

// terminals is the one watcher of the process: a user may have few inotify instances (128, inotify(7)).
var terminals watcher

// watcher tells the terminals of the process who opens and closes them. While there is a terminal, a goroutine reads
// the events as they come, so that they reach a terminal that is waiting; the others look for themselves.
type watcher struct {
	mu       sync.Mutex // guards the fields below, and those of every hosts in watched
	instance *inotify   // nil while no terminal is watched
	watched  map[int32]*hosts
}

// inotify is an instance and the goroutine that waits for its events.
type inotify struct {
	fd    int
	file  *os.File
	ended chan struct{}
}

// add has h told of the terminal at path.
func (w *watcher) add(h *hosts, path string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.instance == nil {
		if err := w.start(); err != nil {
			return err
		}
	}
	const events = unix.IN_OPEN | unix.IN_CLOSE_WRITE | unix.IN_CLOSE_NOWRITE
	node, err := unix.InotifyAddWatch(w.instance.fd, path, events)
	if err == nil {
		h.node = int32(node)
		w.watched[h.node] = h
		_, err = unix.InotifyAddWatch(w.instance.fd, devpts, events)
	}
	return limitError("inotify_add_watch", err)
}

// start makes an instance. remove ends its goroutine with the last terminal.
func (w *watcher) start() error {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return limitError("inotify_init1", err)
	}
	i := &inotify{fd: fd, file: os.NewFile(uintptr(fd), "inotify"), ended: make(chan struct{})}
	raw, err := i.file.SyscallConn()
	if err != nil {
		return errors.Join(err, i.file.Close())
	}
	w.instance, w.watched = i, make(map[int32]*hosts)
	go func() {
		defer close(i.ended)
		raw.Read(func(uintptr) bool { return w.look() != nil }) // at each event, until the file is closed
	}()
	return nil
}

// remove undoes add, of which it may be called whatever came of it. The instance ends with its last terminal.
func (w *watcher) remove(h *hosts) error {
	w.mu.Lock()
	i := w.instance
	if w.watched[h.node] == h {
		delete(w.watched, h.node)
		unix.InotifyRmWatch(i.fd, uint32(h.node))
	}
	last := i != nil && len(w.watched) == 0
	if last {
		w.instance = nil
	}
	w.mu.Unlock()
	if !last {
		return nil
	}
	err := i.file.Close() // wakes the goroutine, which may be about to lock mu
	<-i.ended
	return err
}

func (w *watcher) look() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.update()
}

// update hands out everything that happened before the call.
func (w *watcher) update() error {
	if w.instance == nil {
		return nil
	}
	var buf [4096]byte
	for {
		n, err := unix.Read(w.instance.fd, buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil:
			return os.NewSyscallError("read inotify", err)
		}
		w.take(buf[:n])
	}
}

// take goes through struct inotify_event: wd, mask, cookie, len, and len bytes of name (inotify(7)).
func (w *watcher) take(events []byte) {
	for len(events) >= unix.SizeofInotifyEvent {
		wd, mask := int32(binary.NativeEndian.Uint32(events)), binary.NativeEndian.Uint32(events[4:])
		name := int(binary.NativeEndian.Uint32(events[12:]))
		events = events[min(len(events), unix.SizeofInotifyEvent+name):]
		if h := w.watched[wd]; h != nil {
			h.take(mask)
		} else if mask&unix.IN_Q_OVERFLOW != 0 {
			for _, h := range w.watched {
				h.lostCount()
			}
		}
	}
}
