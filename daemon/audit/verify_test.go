package audit

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// folder is the content of the files of a log, by their names.
type folder map[string][]byte

func readFolder(t testing.TB, dir string) folder {
	t.Helper()
	f := folder{}
	for _, e := range must(os.ReadDir(dir)) {
		if e.Name() != "lock" {
			f[e.Name()] = must(os.ReadFile(filepath.Join(dir, e.Name())))
		}
	}
	return f
}

func (f folder) write(t testing.TB) (dir string) {
	t.Helper()
	dir = tempDir(t)
	for name, content := range f {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (f folder) clone() folder {
	g := folder{}
	for name, content := range f {
		g[name] = slices.Clone(content)
	}
	return g
}

// parts are the names of the files with records, in their order.
func (f folder) parts() (names []string) {
	for name := range f {
		if _, ok := firstOf(name); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// place is a line of a folder.
type place struct {
	file string
	line int // from 1
	seq  uint64
}

// any chooses a line.
func (f folder) any(r *rand.Rand) place {
	names := f.parts()
	name := names[r.IntN(len(names))]
	lines := f.lines(name)
	n := r.IntN(len(lines))
	return place{name, n + 1, seqOf(lines[n])}
}

// lines are those of a file, with their line feeds.
func (f folder) lines(name string) [][]byte {
	return bytes.SplitAfter(bytes.TrimSuffix(f[name], []byte("\n")), []byte("\n"))
}

func (f folder) setLines(name string, lines [][]byte) {
	for i, l := range lines {
		lines[i] = append(bytes.TrimSuffix(slices.Clone(l), []byte("\n")), '\n')
	}
	f[name] = bytes.Join(lines, nil)
}

// harm is a way to change a log. It changes f and says where, or gives false when it has changed nothing.
type harm func(f folder, r *rand.Rand) (place, bool)

var harms = map[string]harm{
	"flip a bit": func(f folder, r *rand.Rand) (place, bool) {
		p := f.any(r)
		lines := f.lines(p.file)
		lines[p.line-1][r.IntN(len(lines[p.line-1])-1)] ^= 1 << r.IntN(8)
		f.setLines(p.file, lines)
		return p, true
	},
	"replace a word": func(f folder, r *rand.Rand) (place, bool) {
		p := f.any(r)
		lines := f.lines(p.file)
		was := lines[p.line-1]
		lines[p.line-1] = bytes.Replace(was, []byte("example.com"), []byte("example.org"), 1)
		f.setLines(p.file, lines)
		return p, !bytes.Equal(was, lines[p.line-1])
	},
	"delete a line": func(f folder, r *rand.Rand) (place, bool) {
		p := f.any(r)
		f.setLines(p.file, slices.Delete(f.lines(p.file), p.line-1, p.line))
		if len(f.lines(p.file)[0]) <= 1 {
			delete(f, p.file)
		}
		return p, true
	},
	"repeat a line": func(f folder, r *rand.Rand) (place, bool) {
		p := f.any(r)
		lines := f.lines(p.file)
		f.setLines(p.file, slices.Insert(lines, p.line-1, lines[p.line-1]))
		return p, true
	},
	"repeat a line elsewhere": func(f folder, r *rand.Rand) (place, bool) {
		p, q := f.any(r), f.any(r)
		f.setLines(q.file, slices.Insert(f.lines(q.file), q.line-1, f.lines(p.file)[p.line-1]))
		return q, true
	},
	"swap two lines": func(f folder, r *rand.Rand) (place, bool) {
		p, q := f.any(r), f.any(r)
		if p == q {
			return p, false
		}
		a, b := f.lines(p.file)[p.line-1], f.lines(q.file)[q.line-1]
		for _, put := range []struct {
			place
			line []byte
		}{{p, b}, {q, a}} {
			lines := f.lines(put.file)
			lines[put.place.line-1] = put.line
			f.setLines(put.file, lines)
		}
		return p, true
	},
	"insert a line": func(f folder, r *rand.Rand) (place, bool) {
		p := f.any(r)
		forged := signIn("forged.example.com")
		forged.Seq = p.seq
		line := must(forged.seal(bytes.Repeat([]byte{9}, KeySize)))
		f.setLines(p.file, slices.Insert(f.lines(p.file), p.line-1, line))
		return p, true
	},
	"insert a long line": func(f folder, r *rand.Rand) (place, bool) {
		p := f.any(r)
		f.setLines(p.file, slices.Insert(f.lines(p.file), p.line-1, bytes.Repeat([]byte{'{'}, 2*maxLine)))
		return p, true
	},
	"cut a file": func(f folder, r *rand.Rand) (place, bool) {
		p := f.any(r)
		was := len(f[p.file])
		f[p.file] = f[p.file][:r.IntN(was)]
		return place{file: p.file}, true
	},
	"remove a file": func(f folder, r *rand.Rand) (place, bool) {
		p := f.any(r)
		delete(f, p.file)
		return place{file: p.file}, true
	},
	"rename a file": func(f folder, r *rand.Rand) (place, bool) {
		p := f.any(r)
		first, _ := firstOf(p.file)
		other := fileName(first + 1 + uint64(r.IntN(100)))
		if f[other] != nil {
			return p, false
		}
		f[other] = f[p.file]
		delete(f, p.file)
		return place{file: other}, true
	},
	"exchange two files": func(f folder, r *rand.Rand) (place, bool) {
		p, q := f.any(r), f.any(r)
		f[p.file], f[q.file] = f[q.file], f[p.file]
		return place{file: p.file}, p.file != q.file
	},
	"flip a bit of the head": func(f folder, r *rand.Rand) (place, bool) {
		f[headName][r.IntN(len(f[headName]))] ^= 1 << r.IntN(8)
		return place{file: headName}, true
	},
	"remove the head": func(f folder, _ *rand.Rand) (place, bool) {
		delete(f, headName)
		return place{file: headName}, true
	},
	"copy a slot of the head": func(f folder, r *rand.Rand) (place, bool) {
		h := f[headName]
		from := r.IntN(2) * slotSize
		copy(h[slotSize-from:], h[from:from+slotSize])
		return place{file: headName}, true
	},
}

// TestEveryChangeIsFound changes logs in random ways. Each is found, where it can be located no later than the line
// behind it. What fobd makes of such a log at its next start is still a log, and says so or finds it.
func TestEveryChangeIsFound(t *testing.T) {
	made := smallFiles(t, tempDir(t))
	fill(t, made, 30)
	made.Close()
	original := readFolder(t, made.Dir)
	if len(original.parts()) != 4 {
		t.Fatalf("%d files", len(original.parts()))
	}
	seed := rand.Uint64()
	for name, harm := range harms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			for i := range 20 {
				f := original.clone()
				if at, changed := harm(f, r); changed {
					checkFound(t, f, at, fmt.Sprintf("seed %d, run %d", seed, i))
				}
			}
		})
	}
}

func checkFound(t *testing.T, f folder, at place, run string) {
	t.Helper()
	l := smallFiles(t, f.write(t))
	l.key = testKey
	before := snapshotReport(t, l)
	if before.Found == 0 {
		t.Fatalf("%s: %+v is not found", run, at)
	}
	if at.line > 0 && !slices.ContainsFunc(before.Findings, func(found Finding) bool { return near(found, at) }) {
		t.Errorf("%s: %+v is found at %v", run, at, before.Findings)
	}
	fill(t, l, 1)
	if after := verify(t, l); after.Found == 0 {
		t.Errorf("%s: %+v is not found after a start", run, at)
	}
	l.Close()
}

// snapshotReport verifies a log as it is, before it is opened.
func snapshotReport(t *testing.T, l *Log) *Report {
	t.Helper()
	s, err := look(l.Dir, testKey)
	if err != nil {
		t.Fatal(err)
	}
	v := &verifier{snapshot: s}
	if err := v.verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &v.report
}

// near reports whether a finding leads a person to the place.
func near(f Finding, at place) bool {
	sameLine := f.File == at.file && f.Line >= at.line-1 && f.Line <= at.line+1
	return sameLine || f.Seq >= at.seq && f.Seq <= at.seq+1 && f.Seq > 0 || f.File == at.file && f.Line == 0
}

// TestCutEnd: whole records that are missing at the end are told by the number of the last one.
func TestCutEnd(t *testing.T) {
	l := newLog(t, tempDir(t))
	fill(t, l, 5)
	path := l.file.Name()
	b := must(os.ReadFile(path))
	lines := bytes.SplitAfter(b, []byte("\n"))
	if err := os.WriteFile(path, bytes.Join(lines[:4], nil), 0o600); err != nil {
		t.Fatal(err)
	}
	report := verify(t, l)
	if len(report.Findings) != 1 || report.Findings[0].Seq != 6 ||
		!strings.Contains(report.Findings[0].Problem, "the last record is 4 and was 6") {
		t.Errorf("%v", report.Findings)
	}
}

// TestRollback: a log and a head that are both put back are whole by themselves; the journal knows better.
func TestRollback(t *testing.T) {
	l := newLog(t, tempDir(t))
	fill(t, l, 5)
	then := readFolder(t, l.Dir)
	fill(t, l, 2)
	list := all(t, l)
	l.Close()
	old := newLog(t, then.write(t))
	clean(t, old)
	log := old.Status().Log
	known := []Known{{log, list[2].Seq, list[2].MAC}, {log, list[7].Seq, list[7].MAC}, {"another", 99, list[7].MAC}}
	report := verify(t, old, known...)
	if len(report.Findings) != 1 || report.Findings[0].Seq != 8 || report.Compared != 1 {
		t.Errorf("%+v", report)
	}
	fill(t, old, 2) // and what takes the place of those that are gone is another
	report = verify(t, old, known...)
	if len(report.Findings) != 1 || report.Findings[0].Seq != 8 || report.Findings[0].Line != 8 || report.Compared != 2 {
		t.Errorf("%+v", report)
	}
	if report := verify(t, old, known[0]); report.Found != 0 || report.Compared != 1 {
		t.Errorf("%+v", report)
	}
}

// TestManyFindings: a log that is nonsense from its beginning to its end fills no memory.
func TestManyFindings(t *testing.T) {
	l := newLog(t, tempDir(t))
	fill(t, l, 1)
	f := must(os.OpenFile(l.file.Name(), os.O_WRONLY|os.O_APPEND, 0))
	must(f.WriteString(strings.Repeat("nonsense\n", 500) + strings.Repeat("x", 2*maxLine) + "\nmore\n"))
	f.Close()
	report := verify(t, l)
	if len(report.Findings) != maxFindings || report.Found != 501 {
		t.Errorf("%d of %d", len(report.Findings), report.Found)
	}
}
