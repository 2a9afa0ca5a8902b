// Package program is what fob's programs have in common at their edges: signals, secrets from file descriptors, a
// process that leaves no core dump.
package program

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

// Version is set when a release is built.
var Version = "devel"

// patience is how long a program has to end by itself before a signal ends it at once. timeout(1) sends its signal
// twice in a row, which is no more urgent than one.
const patience = time.Second

// Context ends at the first SIGINT, SIGTERM or SIGHUP; one that comes a second later ends the process at once. The
// caller calls stop.
func Context() (ctx context.Context, stop context.CancelFunc) {
	signals := []os.Signal{unix.SIGINT, unix.SIGTERM}
	if !signal.Ignored(unix.SIGHUP) { // nohup
		signals = append(signals, unix.SIGHUP)
	}
	return contextWith(patience, signals...)
}

// DaemonContext is Context for a program to which SIGHUP means something else.
func DaemonContext() (ctx context.Context, stop context.CancelFunc) {
	return contextWith(patience, unix.SIGINT, unix.SIGTERM)
}

func contextWith(patience time.Duration, signals ...os.Signal) (ctx context.Context, stop context.CancelFunc) {
	ctx, stop = signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, func() { time.AfterFunc(patience, stop) })
	return ctx, stop
}

// Confine keeps what the process knows out of core dumps and from debuggers of the same user.
func Confine() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("no limit on core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("process stays dumpable: %w", err)
	}
	return nil
}

// NoArguments refuses arguments, in words that say what a person has probably missed.
func NoArguments(args []string) error {
	if len(args) > 0 {
		return Usage(fmt.Errorf("unexpected argument %q", args[0]))
	}
	return nil
}
