package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"
)

// patience is how long a test waits for what must come: what is not there by then is broken, not slow.
const patience = 30 * time.Second

// process is a program that runs in the background.
type process struct {
	name     string
	cmd      *exec.Cmd
	stdin    io.Writer
	out, err bytes.Buffer // complete when exited is closed
	said     output       // both
	exited   chan struct{}
}

// start starts cmd. The goroutine that it leaves ends with the process, which the caller ends.
func start(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&p.out, &p.said), io.MultiWriter(&p.err, &p.said)
	cmd.WaitDelay = patience
	if cmd.Stdin == nil {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer r.Close()
		cmd.Stdin, p.stdin = r, w
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		cmd.Wait()
	}()
	return p, nil
}

// waitFor waits until the process says what matches, after what it was waited for before.
func (p *process) waitFor(re *regexp.Regexp) ([]string, error) {
	m, err := p.said.waitFor(re, p.exited)
	if err != nil {
		return nil, fmt.Errorf("%s %w", p.name, err)
	}
	return m, nil
}

// wait waits for the end and gives the exit code, or minus the number of the signal that ended the process.
func (p *process) wait() (int, error) {
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-p.exited
		return 0, fmt.Errorf("%s did not end; it said:\n%s", p.name, p.said.all())
	}
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if status.Signaled() {
		return -int(status.Signal()), nil
	}
	return status.ExitStatus(), nil
}

// output is what was said so far. The zero value is ready.
type output struct {
	mu   sync.Mutex
	text []byte
	read int           // what was waited for is before
	more chan struct{} // closed when text grows
}

// Write implements io.Writer.
func (t *output) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if t.more != nil {
		close(t.more)
		t.more = nil
	}
	return len(b), nil
}

func (t *output) all() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}

// waitFor waits for text that matches, until ended is closed or patience is over; the next call looks behind the match.
func (t *output) waitFor(re *regexp.Regexp, ended <-chan struct{}) ([]string, error) {
	timeout := time.After(patience)
	for over := false; ; {
		match, more := t.next(re)
		switch {
		case match != nil:
			return match, nil
		case over:
			return nil, fmt.Errorf("ended and never said %q; it said:\n%s", re, t.all())
		}
		select {
		case <-more:
		case <-ended:
			over = true
		case <-timeout:
			return nil, fmt.Errorf("never said %q; it said:\n%s", re, t.all())
		}
	}
}

// next takes the first match that was not read, or gives a channel that is closed when there is more to look at.
func (t *output) next(re *regexp.Regexp) (match []string, more <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := re.FindSubmatchIndex(t.text[t.read:])
	if at == nil {
		if t.more == nil {
			t.more = make(chan struct{})
		}
		return nil, t.more
	}
	match = re.FindStringSubmatch(string(t.text[t.read:]))
	t.read += at[1]
	return match, nil
}
