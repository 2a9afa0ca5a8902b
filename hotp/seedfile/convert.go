package seedfile

import (
	"errors"
	"io"

	"fob/hotp"
)

// Conversion copies tokens from one file to another.
type Conversion struct {
	// SkipBad goes on behind bad tokens: those that can't be read, and those for which the other format has no room.
	// Without it the first of them ends the conversion.
	SkipBad bool
	// Fill are texts for tokens that lack them, in the order in which they are given.
	Fill []Fill
	// Bad is told of each token that was skipped; nil: nobody is.
	Bad func(error)
	// Progress is told now and then how many tokens were read; nil: nobody is.
	Progress func(read int)
}

// Result counts tokens.
type Result struct {
	Read    int // all of them
	Written int
	Bad     int // that were skipped
}

// progressStep is after how many tokens Progress is told.
const progressStep = 1000

// Run copies all tokens. It closes neither of both: whoever gets an error aborts the writer.
func (c *Conversion) Run(from Reader, to Writer) (r Result, err error) {
	for {
		end, err := c.one(from, to, &r)
		if end || err != nil && !c.SkipBad {
			return r, err
		}
		if err != nil {
			r.Bad++
			if c.Bad != nil {
				c.Bad(err)
			}
		}
		if c.Progress != nil && r.Read%progressStep == 0 {
			c.Progress(r.Read)
		}
	}
}

// one copies one token. The end is behind the last one, and at an error that is not that of one token: after a
// *RowError alone may a reader be asked for the next one.
func (c *Conversion) one(from Reader, to Writer, r *Result) (end bool, err error) {
	t, err := from.Read()
	if err == io.EOF { // itself: what is wrong with a token may be that it ends too early
		return true, nil
	}
	r.Read++
	if err != nil {
		return !errors.As(err, new(*RowError)), err
	}
	defer t.Wipe()
	for _, f := range c.Fill {
		f.Apply(t)
	}
	if err := to.Write(t); err != nil {
		return !skippable(err), at(t, err)
	}
	r.Written++
	return false, nil
}

// at adds where the file had a token that the other one has no room for.
func at(t *Token, err error) error {
	if t.Line == 0 || !skippable(err) {
		return err
	}
	return &RowError{Line: t.Line, Problem: err}
}

// skippable tells whether a writer's error is that of one token.
func skippable(err error) bool {
	return errors.As(err, new(*LossError)) || errors.As(err, new(*MissingError)) ||
		errors.As(err, new(*ValueError)) || errors.As(err, new(*TextError)) || errors.As(err, new(*hotp.SeedError)) ||
		errors.As(err, new(*hotp.ParameterError))
}
