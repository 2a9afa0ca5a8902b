package audit

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
	"golang.org/x/sys/unix"

	"fob/ipc"
)

// noted keeps what a journal would get.
type noted struct {
	message  string
	priority journal.Priority
	fields   map[string]string
}

func noting(list *[]noted) Journal {
	return func(message string, p journal.Priority, fields map[string]string) error {
		*list = append(*list, noted{message, p, fields})
		return nil
	}
}

// TestJournal: the journal gets each record, with its number and MAC, and those that the disk did not take without.
func TestJournal(t *testing.T) {
	var got []noted
	l := newLog(t, filepath.Join(t.TempDir(), "audit"))
	l.Journal = noting(&got)
	r := signIn("example.com")
	r.Decision = &Decision{"allow", "rule 3"}
	r.Caller.Unit, r.Caller.Terminal = "backup.service", "/dev/pts/3"
	if err := l.Append(r); err != nil {
		t.Fatal(err)
	}
	list := all(t, l)
	l.Close() // when the journal has all
	if len(got) != 2 || got[0].fields["FOB_AUDIT_KIND"] != "begin" {
		t.Fatalf("%+v", got)
	}
	want := map[string]string{
		"MESSAGE_ID": ipc.AuditMessageID, "SYSLOG_IDENTIFIER": "fobd", "FOB_AUDIT_KIND": "call",
		"FOB_AUDIT_LOG": l.Status().Log, "FOB_AUDIT_SEQ": "2", "FOB_AUDIT_MAC": list[1].MAC.String(), "FOB_VERB": "sign-in",
		"FOB_METHOD": "fob.Ceremony.SignIn",
		"FOB_RP":     "example.com", "FOB_KEY": "k1", "FOB_CALLER_PID": "7", "FOB_CALLER_UID": "1000",
		"FOB_CALLER_EXE": "/usr/bin/backup", "FOB_CALLER_UNIT": "backup.service", "FOB_CALLER_TERMINAL": "/dev/pts/3",
		"FOB_DECISION": "allow", "FOB_RULE": "rule 3", "FOB_RESULT": "done", "FOB_TOOK_USEC": "35000",
	}
	if fmt.Sprint(got[1].fields) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", got[1].fields, want)
	}
	if got[1].message != "/usr/bin/backup (PID 7): sign-in at example.com: done" || got[1].priority != journal.PriInfo {
		t.Errorf("%+v", got[1])
	}
	if err := errors.Join(os.RemoveAll(l.Dir), os.WriteFile(l.Dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if message, _ := (&Record{Kind: Call, Method: "SIGHUP", Verb: "reload", Result: Done}).message(); message !=
		"a signal: reload: done" {
		t.Error(message)
	}
	r.Result = "fob.Ceremony.TimedOut"
	if err := l.Append(r); err == nil {
		t.Fatal("appended")
	}
	l.Close()
	if f := got[2].fields; f["FOB_RESULT"] != r.Result || f["FOB_AUDIT_SEQ"] != "" || f["FOB_AUDIT_MAC"] != "" ||
		got[2].priority != journal.PriNotice {
		t.Errorf("%+v", got[2])
	}
}

// TestJournalHangs: a journal that takes nothing keeps nobody waiting; what there is no room for is left out.
func TestJournalHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		goOn := make(chan struct{})
		l := newLog(t, filepath.Join(t.TempDir(), "audit"))
		l.Log = slog.New(slog.NewTextHandler(&said, nil))
		l.Journal = func(string, journal.Priority, map[string]string) error { <-goOn; return nil }
		fill(t, l, maxQueued+10)
		if !strings.Contains(said.String(), "it hangs") {
			t.Error("nobody says that the journal hangs")
		}
		begin := time.Now()
		l.Close()
		if waited := time.Since(begin); waited != journalTime {
			t.Errorf("waited %v", waited)
		}
		close(goOn)
	})
}

// TestJournalProtocol: what comes to the journal's socket is as its native protocol has it, also for texts with line
// feeds (https://systemd.io/JOURNAL_NATIVE_PROTOCOL/). The socket has a fixed path, so that it is played in a mount
// namespace.
func TestJournalProtocol(t *testing.T) {
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), "FOB_AUDIT_JOURNAL="+filepath.Join(t.TempDir(), "audit"), "GORACE=atexit_sleep_ms=0")
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	var problem bytes.Buffer
	c.Stderr = &problem
	out, err := c.Output()
	var exit *exec.ExitError
	refused := errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC)
	if refused || errors.As(err, &exit) && exit.ExitCode() == noNamespace {
		t.Skipf("NOT RUN: no namespaces here: %v %s", err, problem.String())
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, problem.String())
	}
	var got map[string]string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got["PRIORITY"] != "6" || got["MESSAGE"] != "/usr/bin/backup (PID 7): sign-in at a.example: done" ||
		got["FOB_RP"] != "a.example" || got["FOB_AUDIT_SEQ"] != "2" || got["FOB_ODD"] != "two\nlines" ||
		len(got["FOB_AUDIT_MAC"]) != 64 {
		t.Errorf("%v", got)
	}
}

// noNamespace is the exit code where nothing may be mounted.
const noNamespace = 77

// journalTest is the program in the namespace: it plays the journal, and prints what it gets for a record.
func journalTest(dir string) int {
	if err := unix.Mount("tmpfs", "/run", "tmpfs", 0, ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return noNamespace
	}
	if err := os.MkdirAll("/run/systemd/journal", 0o755); err != nil {
		return 1
	}
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: "/run/systemd/journal/socket", Net: "unixgram"})
	if err != nil {
		return 1
	}
	send := SystemJournal()
	l := &Log{Dir: dir, Key: keyOf(testKey), Journal: func(m string, p journal.Priority, fields map[string]string) error {
		fields["FOB_ODD"] = "two\nlines"
		return send(m, p, fields)
	}}
	if err := l.Append(signIn("a.example")); err != nil {
		return 1
	}
	b := make([]byte, 64<<10)
	for range 2 {
		n, err := server.Read(b)
		if err != nil {
			return 1
		}
		got, err := readNative(b[:n])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		if got["FOB_AUDIT_KIND"] == string(Call) {
			_ = json.NewEncoder(os.Stdout).Encode(got)
		}
	}
	return 0
}

// readNative reads a datagram of the native protocol.
func readNative(b []byte) (map[string]string, error) {
	fields := map[string]string{}
	for len(b) > 0 {
		line, rest, found := bytes.Cut(b, []byte("\n"))
		if !found {
			return nil, errors.New("no line feed at the end")
		}
		if name, value, ok := bytes.Cut(line, []byte("=")); ok {
			fields[string(name)], b = string(value), rest
			continue
		}
		if len(rest) < 8 {
			return nil, errors.New("no size")
		}
		size := binary.LittleEndian.Uint64(rest)
		if size >= uint64(len(rest)-8) || rest[8+size] != '\n' {
			return nil, errors.New("size " + strconv.FormatUint(size, 10))
		}
		fields[string(line)], b = string(rest[8:8+size]), rest[9+size:]
	}
	return fields, nil
}
