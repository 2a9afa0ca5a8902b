package main

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// hangups tells the two things apart that SIGHUP means: read your files again, and the terminal is gone.
type hangups struct {
	signals  chan os.Signal
	terminal bool // we were started at one, whose end is ours too
}

// watchHangups begins; from now on no SIGHUP ends the process by itself.
func watchHangups() *hangups {
	h := &hangups{signals: make(chan os.Signal, 1), terminal: !signal.Ignored(unix.SIGHUP) && atTerminal()} // nohup
	signal.Notify(h.signals, unix.SIGHUP)
	return h
}

// follow calls reload at each SIGHUP that means to read files again, until ctx ends. When the terminal is gone it calls
// gone, and returns.
func (h *hangups) follow(ctx context.Context, reload, gone func()) {
	for {
		select {
		case <-h.signals:
		case <-ctx.Done():
			return
		}
		if h.terminal && !atTerminal() {
			gone()
			return
		}
		reload()
	}
}

// atTerminal reports whether the process has a controlling terminal.
func atTerminal() bool {
	fd, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}
