// Command ratios reads the output of "go test -bench" and prints what fob costs beside its baselines: a benchmark X/fob is
// paired with X/baseline, the least that must be done for the same result, measured in the same run. It fails when a
// benchmark failed or there is none. What a benchmark measured besides, such as KiB/key, follows below.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "ratios: %v\n", err)
		os.Exit(1)
	}
}

var errNone = errors.New("no benchmark in the input")

func run(r io.Reader, w io.Writer) error {
	results, failures, err := parse(r)
	if err != nil {
		return err
	}
	switch {
	case len(failures) > 0:
		err = fmt.Errorf("a benchmark failed:\n%s", strings.Join(failures, "\n"))
	case len(results) == 0:
		return errNone
	}
	return errors.Join(table(w, results), err)
}

// result is one or more runs of a benchmark.
type result struct {
	name  string // package and benchmark, without what go test adds
	total float64
	runs  float64
	notes []string // what else was measured, of the first run
}

// perSecond is how many operations there are in a second.
func (r *result) perSecond() float64 { return 1e9 * r.runs / r.total }

// ns is the mean time of an operation in nanoseconds, as it is printed.
func (r *result) ns() string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%.0f", r.total/r.runs)
}

// rate is perSecond, as it is printed.
func (r *result) rate() string {
	if r == nil {
		return ""
	}
	return fmt.Sprintf("%.0f", r.perSecond())
}

// parse reads results in their order, and the lines that say what failed.
func parse(r io.Reader) (results []*result, failures []string, err error) {
	pkg := ""
	s := bufio.NewScanner(r)
	for s.Scan() {
		line := s.Text()
		if p, ok := strings.CutPrefix(line, "pkg: "); ok {
			pkg = strings.TrimPrefix(p, "fob/")
		}
		if failed(line) {
			failures = append(failures, line)
		}
		name, ns, notes, ok := parseResult(line)
		if !ok {
			continue
		}
		name = strings.TrimSpace(pkg + " " + name)
		i := slices.IndexFunc(results, func(r *result) bool { return r.name == name })
		if i < 0 {
			i = len(results)
			results = append(results, &result{name: name, notes: notes})
		}
		results[i].total += ns
		results[i].runs++
	}
	return results, failures, s.Err()
}

func failed(line string) bool {
	return strings.HasPrefix(line, "FAIL") || strings.HasPrefix(strings.TrimSpace(line), "--- FAIL:") ||
		strings.HasPrefix(line, "panic:")
}

// parseResult reads a line such as "BenchmarkX/fob-8 	 100 	 9.5 ns/op 	 0 B/op	 7 KiB/key". Units that go test knows
// itself are no notes.
func parseResult(line string) (name string, ns float64, notes []string, ok bool) {
	fields := strings.Fields(line)
	unit := slices.Index(fields, "ns/op")
	if unit < 3 || !strings.HasPrefix(fields[0], "Benchmark") {
		return "", 0, nil, false
	}
	ns, err := strconv.ParseFloat(fields[unit-1], 64)
	if err != nil || !(ns > 0) {
		return "", 0, nil, false
	}
	for i := 2; i+1 < len(fields); i += 2 {
		if unit := fields[i+1]; !slices.Contains([]string{"ns/op", "B/op", "allocs/op", "MB/s"}, unit) {
			notes = append(notes, fields[i]+" "+unit)
		}
	}
	return withoutProcs(strings.TrimPrefix(fields[0], "Benchmark")), ns, notes, true
}

// withoutProcs removes the number of processors that go test appends where it is not 1.
func withoutProcs(name string) string {
	i := strings.LastIndexByte(name, '-')
	if i < 0 {
		return name
	}
	if _, err := strconv.ParseUint(name[i+1:], 10, 32); err != nil {
		return name
	}
	return name[:i]
}

// pair is a benchmark of fob with its baseline, which is nil where there is none.
type pair struct {
	name           string
	ours, baseline *result
}

// pairs keeps the order of the results.
func pairs(results []*result) (all []pair) {
	for _, r := range results {
		name, isBaseline := strings.CutSuffix(r.name, "/baseline")
		if !isBaseline {
			name = strings.TrimSuffix(name, "/fob")
		}
		i := slices.IndexFunc(all, func(p pair) bool { return p.name == name })
		if i < 0 {
			i = len(all)
			all = append(all, pair{name: name})
		}
		if isBaseline {
			all[i].baseline = r
		} else {
			all[i].ours = r
		}
	}
	return all
}

// table writes a line for each pair; what it has no value for stays empty.
func table(w io.Writer, results []*result) error {
	all := pairs(results)
	width := 0
	for _, p := range all {
		width = max(width, len(p.name))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s  %11s %11s  %14s %14s  %5s\n", width, "", "ns/op", "ops/s", "baseline ns/op", "baseline ops/s", "ratio")
	for _, p := range all {
		ratio := ""
		if p.ours != nil && p.baseline != nil {
			ratio = fmt.Sprintf("%.2f", p.ours.perSecond()/p.baseline.perSecond())
		}
		line := fmt.Sprintf("%-*s  %11s %11s  %14s %14s  %5s", width, p.name, p.ours.ns(), p.ours.rate(),
			p.baseline.ns(), p.baseline.rate(), ratio)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if len(all) > 0 {
		b.WriteString("ratio: operations per second, of fob to its baseline\n")
	}
	for _, r := range results {
		if len(r.notes) > 0 {
			fmt.Fprintf(&b, "%s: %s\n", strings.TrimSuffix(r.name, "/fob"), strings.Join(r.notes, ", "))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
