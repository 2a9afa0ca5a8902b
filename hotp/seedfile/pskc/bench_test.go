package pskc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// What a file costs, in time and in memory, beside pskctool, which parses the same file in the same run; it can't
// decrypt, nor write a file of its own. Both are processes, from their start to their end. With a million keys pskctool
// takes half a minute and 5.5 GB, and so is run when FOB_BENCH_LARGE is 1 alone.

var benchSizes = []int{10_000, 100_000, 1_000_000}

const benchBaseline = 100_000 // above, pskctool is run when it is asked for alone

func BenchmarkRead(b *testing.B)  { benchmark(b, "read") }
func BenchmarkWrite(b *testing.B) { benchmark(b, "write") }

func benchmark(b *testing.B, work string) {
	for _, way := range []string{"plain", "aes128"} {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", way, n), func(b *testing.B) { benchmarkFile(b, work, way, n) })
		}
	}
}

func benchmarkFile(b *testing.B, work, way string, n int) {
	path := filepath.Join(b.TempDir(), "tokens.pskcxml")
	fob := func(work string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+strings.Join([]string{work, way, path, strconv.Itoa(n)}, ","))
		return cmd
	}
	if err := fob("write").Run(); err != nil { // by a process, for what this one takes counts for those that it starts
		b.Fatal(err)
	}
	b.Run("fob", func(b *testing.B) { processes(b, func() *exec.Cmd { return fob(work) }) })
	if n > benchBaseline && os.Getenv("FOB_BENCH_LARGE") != "1" {
		return
	}
	b.Run("baseline", func(b *testing.B) {
		processes(b, func() *exec.Cmd { return exec.Command("pskctool", "--info", "--quiet", path) })
	})
}

// processes runs a process again and again, and reports the most memory that one of them took, and the mean time that
// the processors were at it, which does not depend on what else they do.
func processes(b *testing.B, command func() *exec.Cmd) {
	peak, busy := int64(0), time.Duration(0) // KiB
	for b.Loop() {
		cmd := command()
		if err := cmd.Run(); err != nil {
			b.Fatalf("%v: %v", cmd.Args, err)
		}
		peak = max(peak, cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
		busy += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	b.ReportMetric(float64(peak)/1024, "MiB")
	b.ReportMetric(busy.Seconds()/float64(b.N), "CPU-s")
}

const childEnv = "FOB_PSKC_BENCH"

// TestMain is what the processes of benchmarks begin with, too.
func TestMain(m *testing.M) {
	work := os.Getenv(childEnv)
	if work == "" {
		os.Exit(m.Run())
	}
	args := strings.Split(work, ",")
	n, err := strconv.Atoi(args[3])
	if err == nil {
		err = child(args[0], args[1], args[2], n)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child writes a file of n tokens, or reads it.
func child(work, way, path string, n int) error {
	if work == "read" {
		return readFile(path, ways[way], n)
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	return writeFile(file, ways[way], n)
}

func writeFile(file io.Writer, o seedfile.WriteOptions, n int) error {
	w, err := Format.NewWriter(file, o)
	if err != nil {
		return err
	}
	defer w.Abort()
	for i := range n {
		t := seedfile.Token{Parameters: hotp.DefaultTOTP, Seed: hotp.NewSeed(20), Serial: fmt.Sprintf("FOB%08d", i),
			Manufacturer: "ACME", Model: "One", Issuer: "ACME"}
		if err := w.Write(&t); err != nil {
			return err
		}
	}
	return w.Close()
}

func readFile(path string, o seedfile.WriteOptions, n int) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r, err := Format.NewReader(bufio.NewReader(file), unlocking(o.Secret, nil))
	if err != nil {
		return err
	}
	defer r.Close()
	for i := 0; ; i++ {
		t, err := r.Read()
		switch {
		case errors.Is(err, io.EOF) && i == n:
			return nil
		case err != nil:
			return fmt.Errorf("after %d tokens: %w", i, err)
		}
		t.Wipe()
	}
}
