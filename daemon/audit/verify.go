package audit

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Finding is a place where a log is not as it was written.
type Finding struct {
	File    string // its name; empty where no file is to blame
	Line    int    // from 1; 0 where no line is to blame
	Seq     uint64 // the number of the record that is wrong, or comes first after one that is missing; 0 for none
	Problem string
}

func (f Finding) String() string {
	where := ""
	switch {
	case f.Line > 0 && f.Seq > 0:
		where = fmt.Sprintf("%s, line %d, record %d: ", f.File, f.Line, f.Seq)
	case f.Line > 0:
		where = fmt.Sprintf("%s, line %d: ", f.File, f.Line)
	case f.File != "":
		where = f.File + ": "
	}
	return where + f.Problem
}

// Report is what Verify has seen.
type Report struct {
	Log         string // names the log
	Files       int
	Records     int
	First, Last uint64    // the numbers of the first and the last record
	Begin       time.Time // of the first
	Findings    []Finding // the first maxFindings of them; none for a log that is as it was written
	Found       int       // how many there were
	Notes       []string  // what was seen and is in order: rotation, records that were lost, what a crash has left
	Compared    int       // records of those that the caller knew
}

// Known is a record as it was once seen elsewhere, such as in the journal.
type Known struct {
	Log string
	Seq uint64
	MAC MAC
}

// maxFindings is how many findings are told. Others follow from them mostly.
const maxFindings = 100

// Verify reads a log from its beginning to its end. The records in known must be in it, unless rotation has removed
// them; those of other logs count for nothing. An error, an Unavailable, means that the log could not be read.
func (l *Log) Verify(ctx context.Context, known []Known) (*Report, error) {
	for tries := 1; ; tries++ {
		s, err := l.snapshot()
		if err != nil {
			return nil, err
		}
		v := &verifier{snapshot: s, known: make(map[uint64]MAC)}
		v.report.Log = s.end.Log
		for _, k := range known {
			if k.Log == s.end.Log && s.headErr == nil {
				v.known[k.Seq] = k.MAC
			}
		}
		err = v.verify(ctx)
		switch {
		case err == nil:
			return &v.report, nil
		case !errors.Is(err, fs.ErrNotExist) || tries == maxTries: // or rotation has removed a file meanwhile
			return nil, &Unavailable{err}
		}
	}
}

// maxTries is how often Verify begins anew.
const maxTries = 3

// snapshot is a log at a moment.
type snapshot struct {
	dir     string
	key     []byte
	parts   []part
	end     head
	headErr error
}

// snapshot looks at the log as it is on the disk, whoever writes it.
func (l *Log) snapshot() (s snapshot, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.open(); err != nil && l.key == nil {
		return s, &Unavailable{err}
	}
	s, err = look(l.Dir, l.key)
	if err != nil {
		return s, &Unavailable{err}
	}
	return s, nil
}

// look looks at the log in a folder.
func look(dir string, key []byte) (snapshot, error) {
	s := snapshot{dir: dir, key: key}
	f, end, err := openHead(dir, key, os.O_RDONLY)
	if err == nil {
		f.Close()
	}
	s.end, s.headErr = end, err
	s.parts, err = list(dir)
	return s, err
}

// verifier walks along the chain.
type verifier struct {
	snapshot
	known  map[uint64]MAC
	report Report

	last   Record // the one before; zero before the first
	broken bool   // what follows needs not follow on last: a finding says so already
	headed bool   // the record that the head names was seen, as the head has it
}

func (v *verifier) verify(ctx context.Context) error {
	if v.headErr != nil {
		v.find(Finding{File: headName, Problem: "the head is missing, or was changed"})
		v.broken = true // where the log begins is not known
	} else {
		v.last.Seq, v.last.MAC = v.end.First-1, v.end.FirstPrev
	}
	for i, p := range v.parts {
		if p.first < v.end.First && v.headErr == nil {
			v.note("%s is from before a rotation, and goes away with the next start", p.name)
			continue
		}
		if err := v.file(ctx, p, i == len(v.parts)-1); err != nil {
			return err
		}
	}
	v.finish()
	return nil
}

// file reads one file.
func (v *verifier) file(ctx context.Context, p part, isLast bool) error {
	f, err := openPart(v.dir, p.name, os.O_RDONLY)
	if errors.Is(err, errNoPart) {
		v.find(Finding{File: p.name, Seq: p.first, Problem: errNoPart.Error()})
		v.broken = true
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	v.report.Files++
	if !v.broken && p.first != v.last.Seq+1 {
		v.find(Finding{File: p.name, Seq: p.first, Problem: fmt.Sprintf(
			"it should begin with record %d: a file is missing or renamed, or the end of the one before", v.last.Seq+1)})
		v.broken = true
	}
	r := bufio.NewReaderSize(io.LimitReader(f, p.size), maxLine)
	for n := 1; ; n++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF):
			v.rest(p, n, len(line), isLast)
			return nil
		case errors.Is(err, bufio.ErrBufferFull):
			v.find(Finding{File: p.name, Line: n, Problem: "a line is too long; what follows in this file is not read"})
			v.broken = true
			return nil
		case err != nil:
			return err
		}
		v.line(p, n, bytes.TrimSuffix(line, []byte("\n")))
	}
}

// rest is about what is behind the last line feed of a file.
func (v *verifier) rest(p part, line, size int, isLast bool) {
	switch {
	case size == 0 && line > 1:
	case isLast && v.headErr == nil && v.last.Seq >= v.end.Seq:
		v.note("%s ends with %d bytes of a record that was being written at a crash", p.name, size)
	case size == 0:
		v.find(Finding{File: p.name, Problem: "it is empty"})
		v.broken = true
	default:
		v.find(Finding{File: p.name, Line: line, Problem: "half a record"})
		v.broken = true
	}
}

// line checks one record: by itself, and that it follows on the one before.
func (v *verifier) line(p part, n int, line []byte) {
	v.report.Records++
	r, err := verified(v.key, line)
	if err != nil {
		v.find(Finding{File: p.name, Line: n, Seq: seqOf(line),
			Problem: "it was changed, or nobody with the log's key has written it: " + err.Error()})
		v.broken = true
		return
	}
	at := Finding{File: p.name, Line: n, Seq: r.Seq}
	switch {
	case n == 1 && r.Seq != p.first:
		at.Problem = fmt.Sprintf("the file is named after record %d", p.first)
	case v.broken && r.Seq > v.last.Seq: // and which ones are missing can't be told
	case r.Seq > v.last.Seq+1:
		at.Problem = fmt.Sprintf("%s missing before it", missing(v.last.Seq+1, r.Seq-1))
	case r.Seq <= v.last.Seq:
		at.Problem = fmt.Sprintf("it comes after record %d: it was moved or repeated", v.last.Seq)
	case r.Prev != v.last.MAC:
		at.Problem = "the record before it is another than it was"
	}
	if at.Problem != "" {
		v.find(at)
	}
	v.take(p, n, &r)
}

func missing(from, to uint64) string {
	if from == to {
		return fmt.Sprintf("record %d is", from)
	}
	return fmt.Sprintf("records %d to %d are", from, to)
}

// take goes on behind a record.
func (v *verifier) take(p part, n int, r *Record) {
	if v.report.First == 0 {
		v.report.First, v.report.Begin = r.Seq, r.Time
	}
	v.last, v.broken = *r, false
	if r.Seq == v.end.Seq && r.MAC == v.end.MAC {
		v.headed = true
	}
	if mac, ok := v.known[r.Seq]; ok {
		v.report.Compared++
		delete(v.known, r.Seq)
		if mac != r.MAC {
			v.find(Finding{File: p.name, Line: n, Seq: r.Seq, Problem: "the journal knows another record of this number"})
		}
	}
	switch r.Kind {
	case Damaged:
		v.find(Finding{File: p.name, Line: n, Seq: r.Seq, Problem: "the log before it was changed; it is in " + r.Aside})
	case Gap:
		v.note("before record %d, %d could not be written", r.Seq, r.Lost)
	case Torn:
		v.note("before record %d, %d bytes of a record were cut off that was being written at a crash", r.Seq, r.Bytes)
	}
}

// finish looks at the end of the log.
func (v *verifier) finish() {
	v.report.Last = v.last.Seq
	if v.report.First == 0 {
		v.report.Last = 0
	}
	switch {
	case v.headErr != nil:
	case v.last.Seq < v.end.Seq:
		v.find(Finding{Seq: v.end.Seq, Problem: fmt.Sprintf(
			"the end is missing: the last record is %d and was %d", v.last.Seq, v.end.Seq)})
	case !v.headed && v.end.Seq > 0 && v.end.Seq >= v.end.First:
		v.find(Finding{Seq: v.end.Seq, Problem: fmt.Sprintf("record %d is another than it was", v.end.Seq)})
	case v.last.Seq > v.end.Seq:
		v.note("the head is %d behind, as after a power failure", v.last.Seq-v.end.Seq)
	}
	if v.headErr == nil && v.end.First > 1 {
		v.note("rotation has removed the records before %d", v.end.First)
	}
	for seq := range v.known {
		if seq > v.last.Seq {
			v.find(Finding{Seq: seq, Problem: fmt.Sprintf(
				"the journal knows record %d, and the log ends at %d", seq, v.last.Seq)})
		}
	}
}

func (v *verifier) find(f Finding) {
	v.report.Found++
	if len(v.report.Findings) < maxFindings {
		v.report.Findings = append(v.report.Findings, f)
	}
}

func (v *verifier) note(format string, a ...any) {
	if len(v.report.Notes) < maxFindings {
		v.report.Notes = append(v.report.Notes, fmt.Sprintf(format, a...))
	}
}
