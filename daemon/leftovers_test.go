package daemon

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"
)

// belongings are what a ceremony may leave behind in this process.
type belongings struct{ goroutines, descriptors, children int }

func (b belongings) exceeds(other belongings) bool {
	return b.goroutines > other.goroutines || b.descriptors > other.descriptors || b.children > other.children
}

func leftovers(t *testing.T) (b belongings) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		stat, _ := os.ReadFile(path)                      // it may have ended since
		_, behindName, _ := bytes.Cut(stat, []byte(") ")) // S PPID ...
		if fields := strings.Fields(string(behindName)); len(fields) > 1 && fields[1] == fmt.Sprint(os.Getpid()) {
			b.children++
		}
	}
	b.goroutines, b.descriptors = pprof.Lookup("goroutine").Count(), len(fds)
	return b
}

// nothingLeft waits until there is no more than before: a goroutine that nobody waits for is given time to end.
func nothingLeft(t *testing.T, before belongings) {
	t.Helper()
	after := leftovers(t)
	for end := time.Now().Add(faultBound); after.exceeds(before) && time.Now().Before(end); after = leftovers(t) {
		<-time.After(10 * time.Millisecond) // of what has ended nothing tells
	}
	if !after.exceeds(before) {
		return
	}
	t.Errorf("left over: %+v; it was %+v before", after, before)
	var stacks bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&stacks, 1)
	t.Log(stacks.String())
}
