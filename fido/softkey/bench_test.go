package softkey_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fob/fido/emulator"
	"fob/fido/softkey"
)

// BenchmarkThousandKeys plugs in 1,000 keys at pseudo-terminals, in one process, and takes them out again. Its baseline
// opens and closes as many bare pseudo-terminals.
func BenchmarkThousandKeys(b *testing.B) {
	const count = 1000
	b.Run("fob", func(b *testing.B) {
		before := usage(b)
		keys := make([]*softkey.Key, count)
		for i := 0; b.Loop(); i++ {
			for j := range keys {
				var err error
				if keys[j], err = softkey.Plug(b.Context(), softkey.Options{}); err != nil {
					b.Fatal(err)
				}
			}
			if i == 0 {
				usage(b).since(before).report(b, count)
			}
			for _, k := range keys {
				if err := k.Close(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
	b.Run("baseline", func(b *testing.B) {
		for b.Loop() {
			var files []*os.File
			for range count {
				files = append(files, barePTY(b)...)
			}
			for _, f := range files {
				f.Close()
			}
		}
	})
}

// barePTY opens both sides of a pseudo-terminal.
func barePTY(b *testing.B) []*os.File {
	b.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		b.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		b.Fatal(err)
	}
	host, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		b.Fatal(err)
	}
	return []*os.File{master, host}
}

// BenchmarkKeyInMemory is what a key costs that is plugged in nowhere.
func BenchmarkKeyInMemory(b *testing.B) {
	const count = 1000
	before := usage(b)
	keys := make([]*emulator.Authenticator, count)
	for i := 0; b.Loop(); i++ {
		for j := range keys {
			var err error
			if keys[j], err = emulator.New(emulator.Options{}); err != nil {
				b.Fatal(err)
			}
		}
		if i == 0 {
			usage(b).since(before).report(b, count)
		}
		runtime.KeepAlive(keys)
	}
}

// resources are what a process holds.
type resources struct{ heap, resident, goroutines, threads int }

func usage(b *testing.B) resources {
	b.Helper()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	r := resources{heap: int(m.HeapAlloc), goroutines: runtime.NumGoroutine()}
	for line := range strings.Lines(string(status)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			r.resident = kib << 10
		}
		fmt.Sscanf(line, "Threads: %d", &r.threads)
	}
	return r
}

func (r resources) since(before resources) resources {
	return resources{r.heap - before.heap, r.resident - before.resident, r.goroutines - before.goroutines,
		r.threads - before.threads}
}

func (r resources) report(b *testing.B, keys int) {
	b.Helper()
	b.ReportMetric(float64(r.heap)/1024/float64(keys), "KiB-heap/key")
	b.ReportMetric(float64(r.resident)/1024/float64(keys), "KiB-resident/key")
	b.ReportMetric(float64(r.goroutines)/float64(keys), "goroutines/key")
	b.ReportMetric(float64(r.threads), "threads")
}
