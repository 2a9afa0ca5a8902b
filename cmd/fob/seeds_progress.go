package main

import (
	"fmt"
	"io"
	"time"
)

// progressInterval is how often a person is told how far a command is.
const progressInterval = 100 * time.Millisecond

// progress tells a person at a terminal how many tokens are done. The zero value tells nobody.
type progress struct {
	out   io.Writer // nil: nobody
	part  func(tokens int) (float64, bool)
	told  time.Time
	shows bool
}

// newProgress tells it on standard error, when that is a terminal. part gives how much of the whole a number of tokens
// is, from 0 to 1, and false where nobody knows.
func (a *app) newProgress(part func(int) (float64, bool)) *progress {
	if a.json || !isTerminal(a.stderr) {
		return &progress{}
	}
	return &progress{out: a.stderr, part: part}
}

const barWidth = 30

func (p *progress) tell(tokens int) {
	if p.out == nil || time.Since(p.told) < progressInterval {
		return
	}
	p.told, p.shows = time.Now(), true
	part, known := p.part(tokens)
	if !known {
		fmt.Fprintf(p.out, "\r%s", plural(tokens, "token", "tokens"))
		return
	}
	part = min(part, 1)
	fmt.Fprintf(p.out, "\r[%-*s] %3.0f%%  %s", barWidth, bar[:int(part*barWidth)], 100*part,
		plural(tokens, "token", "tokens"))
}

const bar = "=============================="

// end takes the bar away.
func (p *progress) end() {
	if p.shows {
		io.WriteString(p.out, "\r\x1b[K")
		p.shows = false
	}
}
