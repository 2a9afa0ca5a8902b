package audit

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkAppend appends a record. The baseline writes as many bytes to a file and waits until they are on the disk.
func BenchmarkAppend(b *testing.B) {
	b.Run("fob", func(b *testing.B) {
		l := newLog(b, filepath.Join(b.TempDir(), "audit"))
		for b.Loop() {
			if err := l.Append(signIn("example.com")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("baseline", func(b *testing.B) {
		f, err := os.OpenFile(filepath.Join(b.TempDir(), "file"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		line := bytes.Repeat([]byte{'x'}, 400)
		for b.Loop() {
			if _, err := f.Write(line); err != nil {
				b.Fatal(err)
			}
			if err := unix.Fdatasync(int(f.Fd())); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkVerify reads a log of 10,000 records.
func BenchmarkVerify(b *testing.B) {
	const count = 10_000
	l := newLog(b, filepath.Join(b.TempDir(), "audit"))
	fill(b, l, 1)
	b.StopTimer()
	for range count {
		r := signIn("example.com")
		r.Kind = Call
		line, err := l.next(&r)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := l.file.Write(line); err != nil {
			b.Fatal(err)
		}
		l.wrote(&r, len(line))
	}
	b.StartTimer()
	for b.Loop() {
		if report := verify(b, l); report.Found > 0 || report.Records != count+2 {
			b.Fatalf("%+v", report)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/count, "µs/record")
}
