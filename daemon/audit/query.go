package audit

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// Filter chooses among records; a member that is zero chooses all. Texts must be equal.
type Filter struct {
	Since, Until time.Time // Until itself is left out
	Verb         string
	RPID         string
	Result       string // or what is behind its last dot
	Executable   string
}

func (f *Filter) takes(r *Record) bool {
	executable := ""
	if r.Caller != nil {
		executable = r.Caller.Executable
	}
	return !r.Time.Before(f.Since) && (f.Until.IsZero() || r.Time.Before(f.Until)) &&
		is(f.Verb, r.Verb) && is(f.RPID, r.RPID) && is(f.Executable, executable) &&
		(is(f.Result, r.Result) || f.Result == afterDot(r.Result))
}

func is(wanted, got string) bool { return wanted == "" || wanted == got }

func afterDot(s string) string {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '.' {
			return s[i+1:]
		}
	}
	return s
}

// Page is a piece of a log.
type Page struct {
	Records []Record // in their order
	// More is where to go on: the number of the record to go on before, or behind; 0 when there is no more.
	More    uint64
	Changed int // records that are left out, for they are not as they were written; Verify tells more
}

// pageSize is how many bytes of records are in a page, and one more record.
const pageSize = 64 << 10

// Before gives the newest records before a number, limit of them at most; 0 is behind the last. An error, an
// Unavailable, means that the log could not be read.
func (l *Log) Before(ctx context.Context, f Filter, before uint64, limit int) (page Page, err error) {
	s, err := l.snapshot()
	if err != nil {
		return Page{}, err
	}
	bytes := 0
	for line, err := range linesBackwards(s.dir, s.parts) {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return Page{}, &Unavailable{err}
		}
		if before > 0 && seqOf(line) >= before {
			continue
		}
		r, err := verified(s.key, line)
		switch {
		case err != nil:
			page.Changed++
			continue
		case !f.takes(&r):
			continue
		case len(page.Records) == limit || bytes > pageSize:
			page.More = page.Records[len(page.Records)-1].Seq
			slices.Reverse(page.Records)
			return page, nil
		}
		page.Records = append(page.Records, r)
		bytes += len(line)
	}
	slices.Reverse(page.Records)
	return page, nil
}

// After gives the records that follow on a number, up to limit behind it, and in More the last number that it has
// looked at. A number behind the end is that of a log which this one has replaced, and counts as 0.
func (l *Log) After(ctx context.Context, f Filter, after uint64, limit int) (page Page, err error) {
	s, err := l.snapshot()
	if err != nil {
		return Page{}, err
	}
	if s.headErr != nil {
		return Page{}, &Unavailable{s.headErr}
	}
	if after > s.end.Seq {
		after = 0
	}
	last := min(after+uint64(limit), s.end.Seq)
	page.More = last
	for line, err := range linesBackwards(s.dir, upTo(s.parts, last)) {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return Page{}, &Unavailable{err}
		}
		seq := seqOf(line)
		if seq <= after {
			break
		}
		if seq > last {
			continue
		}
		r, err := verified(s.key, line)
		if err != nil {
			page.Changed++
		} else if f.takes(&r) {
			page.Records = append(page.Records, r)
		}
	}
	slices.Reverse(page.Records)
	return page, nil
}

// upTo leaves out the files behind a record.
func upTo(parts []part, last uint64) []part {
	return slices.DeleteFunc(slices.Clone(parts), func(p part) bool { return p.first > last })
}
