package helper

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido"
)

const (
	startTime = 5 * time.Second        // until the hello
	exitTime  = 500 * time.Millisecond // from the end of the connection to a voluntary exit
	reapTime  = time.Second            // from SIGKILL to the end; longer only while the kernel holds it
)

// process is a running helper and the connection to it.
type process struct {
	cmd    *exec.Cmd
	conn   net.Conn
	exited chan struct{} // closed once the process has been waited for
	stop   sync.Once
	ended  atomic.Bool // by us, or it is about to be
}

// startProcess starts the helper program and exchanges hellos with it. The caller calls close or kill, which wait for
// the goroutine that reaps the process.
//
// died is called, by that goroutine, when the process has failed by itself: it crashed, or was killed by somebody else.
func startProcess(ctx context.Context, path string, args []string, log *slog.Logger, died func()) (*process, error) {
	if !filepath.IsAbs(path) {
		return nil, fmt.Errorf("%w: %q is not an absolute path", fido.ErrHelperStart, path)
	}
	conn, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fido.ErrHelperStart, err)
	}
	defer theirs.Close()
	p := &process{cmd: command(path, args, theirs, log), conn: conn, exited: make(chan struct{})}
	if err := p.cmd.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: %w", fido.ErrHelperStart, err)
	}
	go func() {
		defer close(p.exited)
		if p.cmd.Wait() != nil && !p.ended.Load() {
			died()
		}
	}()
	theirs.Close() // only the helper may hold its end, or its death would go unseen
	if err := p.greet(ctx); err != nil {
		p.kill()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%w: %w", fido.ErrHelperStart, err)
	}
	return p, nil
}

// command prepares the process: no environment, no terminal, no files but the socket.
func command(path string, args []string, socket *os.File, log *slog.Logger) *exec.Cmd {
	return &exec.Cmd{
		Path:       path,
		Args:       append([]string{path}, args...),
		Env:        []string{},
		Dir:        "/",
		ExtraFiles: []*os.File{socket},
		Stderr:     &lineLogger{log: log},
		// A process group of its own keeps Ctrl-C away. It is not a session of its own: a session leader that opens
		// the terminal of an emulated key would get it as its controlling terminal, and SIGHUP when it is unplugged.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
		WaitDelay:   reapTime,
	}
}

func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	our := os.NewFile(uintptr(fds[0]), "helper")
	defer our.Close()
	theirs = os.NewFile(uintptr(fds[1]), "helper's end")
	if ours, err = net.FileConn(our); err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

func (p *process) greet(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	stop := deadlineOn(ctx, p.conn, 0)
	defer stop()
	return greet(p.conn)
}

// deadlineOn lets reading from conn fail some time after ctx has ended. The caller calls stop when it has read.
func deadlineOn(ctx context.Context, conn net.Conn, after time.Duration, then ...func()) (stop func()) {
	done := make(chan struct{})
	drop := context.AfterFunc(ctx, func() {
		defer close(done)
		conn.SetReadDeadline(time.Now().Add(after))
		for _, f := range then {
			f()
		}
	})
	return func() {
		if !drop() {
			<-done
		}
		conn.SetReadDeadline(time.Time{})
	}
}

// close ends the connection, which tells the helper to exit, and kills it if it doesn't.
func (p *process) close() {
	p.stop.Do(func() {
		p.ended.Store(true)
		p.conn.Close()
		if !p.wait(exitTime) {
			p.killGroup()
		}
	})
}

// kill ends the process without mercy.
func (p *process) kill() {
	p.stop.Do(func() {
		p.ended.Store(true)
		p.killGroup()
		p.conn.Close()
	})
}

// killGroup kills the process and what it may have started, and waits for its end.
func (p *process) killGroup() {
	select {
	case <-p.exited: // the number may be another's by now
	default:
		unix.Kill(-p.cmd.Process.Pid, unix.SIGKILL)
		p.wait(reapTime)
	}
}

func (p *process) wait(d time.Duration) bool {
	patience := time.NewTimer(d)
	defer patience.Stop()
	select {
	case <-p.exited:
		return true
	case <-patience.C:
		return false
	}
}

// fate says how the process ended, in words.
func (p *process) fate() string {
	select {
	case <-p.exited:
		return p.cmd.ProcessState.String()
	default:
		return "still running"
	}
}

// Limits of what a helper may say on its standard error.
const (
	maxLine  = 256 // bytes; what is longer is cut
	maxLines = 200 // per process
)

// lineLogger logs what a helper writes to its standard error, line by line.
type lineLogger struct {
	log   *slog.Logger
	line  []byte
	lines int
}

// Write implements io.Writer; it never fails, so that the helper never waits.
func (l *lineLogger) Write(b []byte) (int, error) {
	n := len(b)
	for {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		l.line = append(l.line, line[:min(len(line), maxLine-len(l.line))]...)
		if !found {
			return n, nil
		}
		l.flush()
		b = rest
	}
}

func (l *lineLogger) flush() {
	if l.lines++; l.lines <= maxLines && l.log != nil {
		l.log.Debug("helper", "stderr", clean(string(l.line), maxLine))
	}
	l.line = l.line[:0]
}
