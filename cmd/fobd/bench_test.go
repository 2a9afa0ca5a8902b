package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fob/ipc/varlink"
)

// BenchmarkActivation starts fobd for its socket and waits for the first reply; then it looks at the memory of the
// process, which is idle, in KiB that are resident. The baseline is the least that a service in Go can be. Both are
// started by a shell, as which systemd's own work is about as much.
func BenchmarkActivation(b *testing.B) {
	b.Run("fob", func(b *testing.B) { benchActivation(b, fobdPath) })
	b.Run("baseline", func(b *testing.B) {
		bare := filepath.Join(b.TempDir(), "bare")
		build := exec.Command("go", "build", "-o", bare, "./testdata/bare")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		benchActivation(b, bare)
	})
}

func benchActivation(b *testing.B, program string) {
	m := newManager(b)
	m.env = append(m.env, "NOTIFY_SOCKET=")
	memory := 0
	for b.Loop() {
		r := m.startProgram(program)
		c, err := varlink.Dial(b.Context(), m.client.Socket)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Call(b.Context(), "fob.Service.Ping", nil, nil); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		memory += resident(b, r.cmd.Process.Pid)
		c.Close()
		r.cmd.Process.Kill()
		<-r.ended
		b.StartTimer()
	}
	b.ReportMetric(float64(memory)/float64(b.N), "KiB/process")
}

// resident is the memory of a process that is resident, in KiB (proc_pid_statm(5)).
func resident(b *testing.B, pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Fscan(strings.NewReader(string(text)), &size, &pages); err != nil {
		b.Fatal(err)
	}
	return pages * os.Getpagesize() / 1024
}
