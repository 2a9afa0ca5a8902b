package store

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The crash tests run a writer in a process of its own, which says what the store has acknowledged. All that must be
// there afterwards, however the process, the disk or the computer ended.

// crashFolder tells the process of the test to be that writer, with this folder; crashWrites how many writes it does.
const (
	crashFolder = "FOB_TEST_CRASH_FOLDER"
	crashWrites = "FOB_TEST_CRASH_WRITES"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashFolder); dir != "" {
		runtime.LockOSThread() // strace counts the system calls of each thread
		if err := writer(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// writer writes records, and says each on standard output when the store has acknowledged it: "NAME VALUE", an empty
// value for one that was deleted. Every few writes it seals the store anew, or imports what is in it.
func writer(dir string) error {
	writes, err := strconv.Atoi(os.Getenv(crashWrites))
	if err != nil {
		return err
	}
	s := Open(testOptions(dir))
	defer s.Close()
	last := 0 // the values go on where an earlier writer ended
	err = s.View(func(tx *Tx) error {
		v, err := tx.Get("crash", "last")
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		last, _ = strconv.Atoi(string(v))
		return err
	})
	if err != nil {
		return err
	}
	for i := last + 1; i <= last+writes; i++ {
		if err := write(s, i); err != nil {
			return err
		}
	}
	return nil
}

func write(s *Store, i int) error {
	name := fmt.Sprintf("name%d", i%7)
	value := fmt.Sprintf("%d%s", i, strings.Repeat("x", i*37%3000))
	err := s.Update(func(tx *Tx) error {
		if err := tx.Put("crash", "last", []byte(strconv.Itoa(i))); err != nil {
			return err
		}
		if i%5 != 0 {
			return tx.Put("crash", name, []byte(value))
		}
		value = ""
		if err := tx.Delete("crash", name); !errors.Is(err, ErrNotFound) {
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "%s %s\nlast %d\n", name, value, i) // one system call
	if i%11 != 0 {
		return nil
	}
	if i%2 == 0 {
		_, err := s.Seal(s.options.Sealers[0])
		return err
	}
	s.mu.Lock()
	records, err := s.records()
	s.mu.Unlock()
	if err != nil {
		return err
	}
	aside, err := s.Import(records, true)
	return errors.Join(err, os.Remove(aside))
}

// acknowledged are the values by their names; those of the write after them may be there, too.
type acknowledged map[string]string

func (a acknowledged) read(out []byte) {
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok {
			a[name] = value
		}
	}
}

func (a acknowledged) last() int {
	n, _ := strconv.Atoi(a["last"])
	return n
}

// compare opens the store in a folder and says what is not as it was acknowledged. The write after the last one may
// have come to its end without a word.
func (a acknowledged) compare(dir string) (acknowledged, error) {
	forks.RLock()
	defer forks.RUnlock()
	s := Open(testOptions(dir))
	defer s.Close()
	found := acknowledged{}
	err := s.View(func(tx *Tx) error {
		names, err := tx.List("crash")
		if err != nil {
			return err
		}
		for _, name := range names {
			v, err := tx.Get("crash", name)
			if err != nil {
				return err
			}
			found[name] = string(v)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	last := found.last()
	if last != a.last() && last != a.last()+1 {
		return nil, fmt.Errorf("the last write is %d, %d was acknowledged", last, a.last())
	}
	unsure := ""
	if last != a.last() {
		unsure = fmt.Sprintf("name%d", last%7)
	}
	for name, value := range a {
		if name != "last" && name != unsure && found[name] != value {
			return nil, fmt.Errorf("%s is %.10q, %.10q was acknowledged", name, found[name], value)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if len(left) > 0 && s.Status().Exists { // without a store, who makes it clears up
		return nil, fmt.Errorf("left: %v", left)
	}
	return found, nil
}

func writerCommand(dir string, writes int, under ...string) *exec.Cmd {
	args := append(under, os.Args[0])
	c := exec.Command(args[0], args[1:]...)
	c.Env = append(os.Environ(), crashFolder+"="+dir, crashWrites+"="+strconv.Itoa(writes),
		"GORACE=atexit_sleep_ms=0")
	return c
}

// soakKills is the environment variable that says how often TestKills kills, instead of for how long.
const soakKills = "FOB_SOAK_KILLS"

// TestKills kills writers at random moments, again and again on the same stores.
func TestKills(t *testing.T) {
	var wanted int64
	until := time.Now().Add(3 * time.Second)
	if text := os.Getenv(soakKills); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		wanted, until = n, time.Now().Add(24*time.Hour)
	}
	var kills atomic.Int64
	var all sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) {
		dir := memoryFolder(t)
		all.Go(func() {
			acked := acknowledged{}
			for n := uint64(0); time.Now().Before(until) && (wanted == 0 || kills.Load() < wanted); n++ {
				if err := killOnce(dir, acked); err != nil {
					t.Errorf("after kill %d: %v", n, err)
					return
				}
				kills.Add(1)
			}
		})
	}
	all.Wait()
	t.Logf("%d kills", kills.Load())
}

// memoryFolder makes a folder in memory, where there is a place for it: a killed process leaves what it has written
// there, as it does on a disk, and sooner.
func memoryFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "fob-store")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// forks keeps stores of ours and new processes apart: a process that is about to begin has our lock files open.
var forks sync.RWMutex

// killOnce runs a writer until a random moment after its first acknowledgement or before it, and looks at what is left.
func killOnce(dir string, acked acknowledged) error {
	c := writerCommand(dir, 1<<20)
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	forks.Lock()
	err = c.Start()
	forks.Unlock()
	if err != nil {
		return err
	}
	first := make([]byte, 1)
	var said []byte
	if rand.N(4) > 0 { // else it may be killed while it opens the store
		n, _ := out.Read(first)
		said = first[:n]
	}
	timer := time.AfterFunc(rand.N(10*time.Millisecond), func() { c.Process.Kill() })
	defer timer.Stop()
	rest, err := io.ReadAll(out)
	if err != nil {
		return err
	}
	c.Wait()
	if status := c.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
		return fmt.Errorf("the writer ended by itself: %s", stderr.String())
	}
	acked.read(append(said, rest...))
	found, err := acked.compare(dir)
	if err != nil {
		return err
	}
	clear(acked)
	for name, value := range found {
		acked[name] = value
	}
	return nil
}

// Enough writes for each kind of them, and for a file that grows.
const tracedWrites = 23

// TestCrashAtAnyPoint kills the writer at one after the other of the system calls by which a write becomes durable.
func TestCrashAtAnyPoint(t *testing.T) {
	for call, least := range map[string]int{
		"pwrite64": 100, "fdatasync": 50, "fsync": 5, "renameat": 2, "renameat2": 1, "linkat": 1, "ftruncate": 2} {
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			atEach(t, call, "signal=KILL", least)
		})
	}
}

// TestDiskFailsAtAnyPoint: a write that failed is not acknowledged, and spoils nothing.
func TestDiskFailsAtAnyPoint(t *testing.T) {
	for how, least := range map[string]int{"pwrite64:error=ENOSPC": 100, "fdatasync:error=EIO": 50, "fsync:error=EIO": 5,
		"ftruncate:error=ENOSPC": 2, "renameat:error=EROFS": 2} {
		call, effect, _ := strings.Cut(how, ":")
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			atEach(t, call, effect, least)
		})
	}
}

// atEach tampers with one call after the other, or with some of them where they are many, until there are no more.
func atEach(t *testing.T, call, how string, least int) {
	t.Helper()
	step := 1 + least/20
	for n := 1; ; n += step {
		dir := filepath.Join(t.TempDir(), "fob")
		inject := fmt.Sprintf("inject=%s:%s:when=%d", call, how, n)
		c := writerCommand(dir, tracedWrites, "strace", "-f", "-qqq", "-o", "/dev/null", "-e", inject, "--")
		var stderr bytes.Buffer
		c.Stderr = &stderr
		out, err := output(c)
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) || strings.Contains(stderr.String(), "strace:") {
			t.Fatalf("strace: %v: %s", err, stderr.String())
		}
		acked := acknowledged{}
		acked.read(out)
		if _, err := acked.compare(dir); err != nil {
			t.Errorf("%s at %s %d: %v", how, call, n, err)
		}
		if acked.last() == tracedWrites && n > least { // a lock file that does not say whose it is does no harm
			t.Logf("%s at %d calls of %s", how, n-1, call)
			return
		}
	}
}

// output is c.Output with forks.
func output(c *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	c.Stdout = &out
	forks.Lock()
	err := c.Start()
	forks.Unlock()
	if err == nil {
		err = c.Wait()
	}
	return out.Bytes(), err
}

// TestPowerLoss takes the power away at one after the other of the writer's system calls: what was synchronized by then
// is on the disk, and of what was written since, any sectors are or aren't.
func TestPowerLoss(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fob")
	s := open(t, dir)
	put(t, s, "crash", "last", "0")
	s.Close()
	before, err := os.ReadFile(s.path())
	if err != nil {
		t.Fatal(err)
	}
	trace := filepath.Join(t.TempDir(), "trace")
	c := writerCommand(dir, 10, "strace", "-f", "-qqq", "-xx", "-s", "65536", "-o", trace,
		"-y", "-e", "trace=pwrite64,fdatasync,fsync,ftruncate,write", "-e", "signal=none", "--")
	if out, err := c.Output(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	calls := readTrace(t, trace, s.path())
	key, err := os.ReadFile(filepath.Join(dir, KeyName))
	if err != nil {
		t.Fatal(err)
	}
	disk := &platter{durable: before}
	acked, tried := acknowledged{"last": "0"}, 0
	for i, call := range calls {
		if call.kind == "write" {
			acked.read(call.data)
			continue
		}
		disk.do(call)
		for range 3 {
			crashed := filepath.Join(t.TempDir(), fmt.Sprint(i))
			if err := errors.Join(os.Mkdir(crashed, 0o700), os.WriteFile(filepath.Join(crashed, fileName), disk.crash(), 0o600),
				os.WriteFile(filepath.Join(crashed, KeyName), key, 0o600)); err != nil {
				t.Fatal(err)
			}
			tried++
			if _, err := acked.compare(crashed); err != nil {
				t.Fatalf("after %d of %d calls, %s: %v", i+1, len(calls), call.kind, err)
			}
		}
	}
	if acked.last() != 10 || tried < 100 {
		t.Errorf("%d writes acknowledged, %d crashes", acked.last(), tried)
	}
}

// diskCall is a system call that changes the disk, or an acknowledgement.
type diskCall struct {
	kind   string
	data   []byte
	offset int64
}

var traced = regexp.MustCompile(
	`^\d+ +(\w+)\((\d+)<([^>]*)>(?:, (?:"((?:\\x[0-9a-f]{2})*)", (\d+)(?:, (\d+))?|(\d+)))?\) += (\d+)$`)

// readTrace reads what strace has written of a store's file, and of acknowledgements.
func readTrace(t *testing.T, path, store string) (calls []diskCall) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		m := traced.FindStringSubmatch(line)
		if m == nil || string(unescaped(t, m[3])) != store && m[2] != "1" {
			continue
		}
		call := diskCall{kind: m[1], data: unescaped(t, m[4])}
		if len(call.data) > 0 && strconv.Itoa(len(call.data)) != m[8] {
			t.Fatalf("%s of %d bytes was cut short", m[1], len(call.data))
		}
		call.offset, _ = strconv.ParseInt(m[6]+m[7], 10, 64)
		calls = append(calls, call)
	}
	return calls
}

// unescaped decodes what strace writes with -xx.
func unescaped(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, `\x`, ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// platter is a disk with one file.
type platter struct {
	durable []byte
	pending []diskCall
}

func (p *platter) do(c diskCall) {
	switch c.kind {
	case "fdatasync", "fsync":
		for _, c := range p.pending {
			p.durable = c.apply(p.durable, func(int) bool { return true })
		}
		p.pending = nil
	default:
		p.pending = append(p.pending, c)
	}
}

// sector is what a disk writes whole or not at all, in bytes.
const sector = 512

// crash is what the file is after a power loss.
func (p *platter) crash() []byte {
	file := bytes.Clone(p.durable)
	for _, c := range p.pending {
		if c.kind == "ftruncate" && rand.N(2) == 0 {
			continue
		}
		file = c.apply(file, func(int) bool { return rand.N(2) == 0 })
	}
	return file
}

// apply does a call to a file, of a write those sectors that which says.
func (c diskCall) apply(file []byte, which func(n int) bool) []byte {
	if c.kind == "ftruncate" {
		return append(file, make([]byte, max(0, c.offset-int64(len(file))))...)[:c.offset]
	}
	for from := 0; from < len(c.data); from += sector {
		part := c.data[from:min(from+sector, len(c.data))]
		at := int(c.offset) + from
		if which(from / sector) {
			file = append(file, make([]byte, max(0, at+len(part)-len(file)))...)
			copy(file[at:], part)
		}
	}
	return file
}
