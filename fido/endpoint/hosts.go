package endpoint

import (
	"math"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel tells of a closing a moment before it takes away the lock of the host. So the reader looks that many
// times, in these intervals, until the lock is gone; else it was another host that has closed the terminal.
const (
	closingLooks    = 5
	closingInterval = time.Millisecond
)

// hosts follows who has a terminal open, by two sources that complete each other:
//
//   - POLLHUP of the master says for certain that nobody has it open now, since we keep no descriptor of that side
//     ourselves. But one host that closes and another that opens at once may leave no time to see it.
//   - inotify says in which order hosts opened and closed. But it merges an event with an equal one before it that was
//     not read yet, so that two hosts that open together would count as one. So the folder is watched as well: its
//     events come in between and keep ours apart, but for a race of two processors in the kernel.
//
// A wrong count mends itself when the last host closes.
//
// Hosts that use libfido2 take turns: each has the terminal open and waits until the one before has unlocked it. For
// them, a host that is gone has hung up even if others have the terminal open. So where others have it open, the one that
// speaks is known by its lock. To look for that takes the kernel some milliseconds, so nobody does before there is another.
type hosts struct {
	node   int32 // watch descriptor of the terminal
	master int
	file   string // the terminal in /proc/locks
	wake   func() // has the reader look, now or when it waits next

	// The lock of terminals guards the fields below.

	open    int  // hosts, by inotify
	anyone  bool // a host has opened the terminal since the last hang-up
	sole    bool // the host that speaks was alone when its CTAPHID_INIT came, and still is
	ask     bool // it is no longer alone: the reader is to find out who it is
	speaker int  // the process that had locked the terminal when its CTAPHID_INIT came; 0 for none
	left    bool // a host is gone that may have been the one that speaks
	doubts  int  // looks yet to be taken at whether the speaker has gone
	hungUp  bool // a hang-up that the reader has not taken yet
}

// news is for the reader: whether the hosts have hung up since it last asked, whether there is one now, and whether it
// should look again soon. Where the next record is a CTAPHID_INIT, and the host before may have gone unseen, it has.
func (h *hosts) news(opens bool) (hungUp, anyone, again bool, err error) {
	terminals.mu.Lock()
	defer terminals.mu.Unlock()
	err = h.update()
	h.find()
	if opens && h.left {
		h.hangUp()
	}
	hungUp, h.hungUp = h.hungUp, false
	return hungUp, h.anyone, h.doubts > 0, err
}

// peek is news that leaves the hang-up to be told to the reader.
func (h *hosts) peek() (hungUp, anyone bool, err error) {
	terminals.mu.Lock()
	defer terminals.mu.Unlock()
	err = h.update()
	return h.hungUp, h.anyone, err
}

// update takes note of everything that happened before the call. An opening is known before the first byte that the
// host writes can be read, and a closing before the terminal hangs up.
func (h *hosts) update() error {
	if err := terminals.update(); err != nil {
		return err
	}
	err := h.poll()
	h.doubt()
	return err
}

func (h *hosts) take(mask uint32) {
	switch {
	case mask&unix.IN_OPEN != 0:
		h.opened()
	case mask&(unix.IN_CLOSE_WRITE|unix.IN_CLOSE_NOWRITE) != 0:
		h.open = max(0, h.open-1)
		h.closed()
	}
}

// closed has the reader look whether it was the speaker who has closed the terminal.
func (h *hosts) closed() {
	h.left = h.left || h.sole || h.ask || h.speaker != 0
	if h.speaker != 0 {
		h.doubts = closingLooks
		h.wake()
	}
}

func (h *hosts) doubt() {
	if h.doubts == 0 {
		return
	}
	h.doubts--
	if h.speaker != lockHolder(h.file) {
		h.hangUp()
	}
}

// speaks is for the reader when it has got a CTAPHID_INIT.
func (h *hosts) speaks() {
	terminals.mu.Lock()
	defer terminals.mu.Unlock()
	h.sole, h.ask, h.left, h.speaker = h.open <= 1, h.open > 1, false, 0
	h.find()
}

// find finds out who speaks, where that is asked.
func (h *hosts) find() {
	if h.ask {
		terminals.mu.Unlock()
		holder := lockHolder(h.file)
		terminals.mu.Lock()
		h.found(holder)
	}
}

// found notes who speaks, unless all have hung up meanwhile.
func (h *hosts) found(holder int) {
	if !h.ask {
		return
	}
	h.ask, h.speaker = false, holder
	if h.left && holder != 0 {
		h.doubts = closingLooks
	}
}

// opened notices a hang-up that POLLHUP had no time to show: all had closed, and here is the next one.
func (h *hosts) opened() {
	if h.anyone && h.open == 0 {
		h.hangUp()
	}
	h.open++
	h.anyone = true
	if h.sole && h.open > 1 {
		h.sole, h.ask = false, true
		h.wake()
	}
}

// lostCount leaves it to POLLHUP alone to decide, until the count begins anew.
func (h *hosts) lostCount() { h.anyone, h.open = true, math.MaxInt/2 }

func (h *hosts) poll() error {
	if !h.anyone {
		return nil
	}
	revents, err := poll(0, pollFD(h.master, 0))
	if err == nil && revents[0]&unix.POLLHUP != 0 {
		h.hangUp()
		h.anyone, h.open = false, 0
	}
	return err
}

func (h *hosts) hangUp() {
	h.hungUp, h.speaker, h.doubts = true, 0, 0
	h.sole, h.ask, h.left = false, false, false
	h.wake()
}
