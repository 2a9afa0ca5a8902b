package endpoint

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

const devpts = "/dev/pts"

// hosts follows who has the terminal open, by two sources that complete each other:
//
//   - POLLHUP of the master says for certain that nobody has it open now, since we keep no descriptor of that side
//     ourselves. But one host that closes and another that opens at once may leave no time to see it.
//   - inotify says in which order hosts opened and closed. But it merges an event with an equal one before it that was
//     not read yet, so that two hosts that open together would count as one. So the folder is watched as well: its
//     events come in between and keep ours apart, but for a race of two processors in the kernel.
//
// A wrong count mends itself when the last host closes.
type hosts struct {
	inotify int
	node    int32 // watch descriptor of the terminal
	master  int
	look    int // eventfd, readable when a writer noticed something that the reader must know

	mu     sync.Mutex // guards the fields below
	open   int        // hosts, by inotify
	anyone bool       // a host has opened the terminal since the last hang-up
	hungUp bool       // a hang-up that the reader has not taken yet
}

func watchHosts(path string, master int) (*hosts, error) {
	h := &hosts{inotify: -1, master: master, look: -1}
	if err := h.watch(path); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *hosts) watch(path string) (err error) {
	if h.look, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		return os.NewSyscallError("eventfd", err)
	}
	if h.inotify, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		return os.NewSyscallError("inotify_init1", err)
	}
	const events = unix.IN_OPEN | unix.IN_CLOSE_WRITE | unix.IN_CLOSE_NOWRITE
	node, err := unix.InotifyAddWatch(h.inotify, path, events)
	if err == nil {
		_, err = unix.InotifyAddWatch(h.inotify, devpts, events)
	}
	h.node = int32(node)
	return os.NewSyscallError("inotify_add_watch", err)
}

func (h *hosts) close() error { return errors.Join(closeFD(h.inotify), closeFD(h.look)) }

// news is for the reader: whether all hosts have hung up since it last asked, and whether there is one now.
func (h *hosts) news() (hungUp, anyone bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	reset(h.look)
	err = h.update()
	hungUp, h.hungUp = h.hungUp, false
	return hungUp, h.anyone, err
}

// peek is news that leaves the hang-up to be told to the reader, and has it look if it is waiting.
func (h *hosts) peek() (hungUp, anyone bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.anyone
	err = h.update()
	if h.hungUp || h.anyone != before {
		signal(h.look)
	}
	return h.hungUp, h.anyone, err
}

// update takes note of everything that happened before the call. An opening is known before the first byte that the
// host writes can be read, and a closing before the terminal hangs up.
func (h *hosts) update() error {
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(h.inotify, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return h.poll()
		case err != nil:
			return os.NewSyscallError("read inotify", err)
		}
		h.read(buf[:n])
	}
}

// read goes through struct inotify_event: wd, mask, cookie, len, and len bytes of name (inotify(7)).
func (h *hosts) read(events []byte) {
	for len(events) >= unix.SizeofInotifyEvent {
		wd, mask := int32(binary.NativeEndian.Uint32(events)), binary.NativeEndian.Uint32(events[4:])
		name := int(binary.NativeEndian.Uint32(events[12:]))
		events = events[min(len(events), unix.SizeofInotifyEvent+name):]
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0: // the count is lost: POLLHUP alone decides until it begins anew
			h.anyone, h.open = true, math.MaxInt/2
		case wd != h.node:
		case mask&unix.IN_OPEN != 0:
			h.opened()
		case mask&(unix.IN_CLOSE_WRITE|unix.IN_CLOSE_NOWRITE) != 0:
			h.open = max(0, h.open-1)
		}
	}
}

// opened notices a hang-up that POLLHUP had no time to show: all had closed, and here is the next one.
func (h *hosts) opened() {
	h.hungUp = h.hungUp || h.anyone && h.open == 0
	h.open++
	h.anyone = true
}

func (h *hosts) poll() error {
	if !h.anyone {
		return nil
	}
	revents, err := poll(0, pollFD(h.master, 0))
	if err == nil && revents[0]&unix.POLLHUP != 0 {
		h.hungUp, h.anyone, h.open = true, false, 0
	}
	return err
}
