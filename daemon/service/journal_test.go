package service

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/slogtest"

	"github.com/coreos/go-systemd/v22/journal"
)

// record is what was sent to the journal.
type record struct {
	message  string
	priority journal.Priority
	fields   map[string]string
}

func recording(level slog.Level) (*slog.Logger, *[]record) {
	var all []record
	h := &journalHandler{level: level, send: func(m string, p journal.Priority, f map[string]string) error {
		all = append(all, record{m, p, f})
		return nil
	}}
	return slog.New(h), &all
}

func TestJournal(t *testing.T) {
	log, all := recording(slog.LevelInfo)
	log.Debug("unseen")
	log = log.With("pid", 7).WithGroup("key").With("id", "k1")
	log.Warn("ceremony", "rp", "a b", slog.Group("card", "reader", "one\nPRIORITY=0"), "no such\nfield=", errors.New("bad"))
	if len(*all) != 1 {
		t.Fatalf("%+v", *all)
	}
	got := (*all)[0]
	want := map[string]string{"SYSLOG_IDENTIFIER": "fobd", "FOB_PID": "7", "FOB_KEY_ID": "k1", "FOB_KEY_RP": "a b",
		"FOB_KEY_CARD_READER": "one\nPRIORITY=0", "FOB_KEY_NO_SUCH_FIELD_": "bad"}
	if !maps.Equal(got.fields, want) {
		t.Errorf("%q", got.fields)
	}
	if text := `ceremony pid=7 key.id=k1 key.rp="a b" key.card.reader="one\nPRIORITY=0" "key.no such\nfield="=bad`; got.message != text {
		t.Errorf("%s", got.message)
	}
	if got.priority != journal.PriWarning {
		t.Error(got.priority)
	}
	long := strings.Repeat("x", 200)
	log.Error("", long, 1)
	for name := range (*all)[1].fields {
		if len(name) > maxField {
			t.Errorf("%d characters: %s", len(name), name)
		}
	}
	if p := (*all)[1].priority; p != journal.PriErr {
		t.Error(p)
	}
}

// TestJournalHandler holds the handler to what log/slog asks of one; time and level are the journal's own.
func TestJournalHandler(t *testing.T) {
	var all []map[string]any
	h := &journalHandler{level: slog.LevelDebug}
	h.send = func(m string, p journal.Priority, f map[string]string) error {
		all = append(all, unflatten(m, p, f))
		return nil
	}
	err := slogtest.TestHandler(h, func() []map[string]any { return all })
	for line := range strings.Lines(fmt.Sprint(err)) {
		if err != nil && !strings.Contains(line, `"time"`) {
			t.Error(strings.TrimSpace(line))
		}
	}
}

// unflatten makes of fields what slogtest wants to see.
func unflatten(message string, p journal.Priority, fields map[string]string) map[string]any {
	text, _, _ := strings.Cut(message, " ")
	m := map[string]any{"msg": text, "level": fmt.Sprint(p), "time": "the journal's"}
	for name, value := range fields {
		name, ours := strings.CutPrefix(name, "FOB_")
		if !ours {
			continue
		}
		path, at := strings.Split(name, "_"), m
		for _, group := range path[:len(path)-1] {
			if at[group] == nil {
				at[group] = map[string]any{}
			}
			at = at[group].(map[string]any)
		}
		at[path[len(path)-1]] = value
		at[strings.ToLower(path[len(path)-1])] = value
	}
	return m
}

// TestLogWithoutJournal: the variable alone, inherited from elsewhere, does not turn text into fields.
func TestLogWithoutJournal(t *testing.T) {
	t.Setenv("JOURNAL_STREAM", "1:1")
	var b bytes.Buffer
	NewLog(&b, slog.LevelInfo).Info("hello", "rp", "example.com")
	if !strings.HasSuffix(b.String(), "level=INFO msg=hello rp=example.com\n") {
		t.Error(b.String())
	}
	info, err := os.Stderr.Stat()
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	t.Setenv("JOURNAL_STREAM", fmt.Sprintf("%d:%d", st.Dev, st.Ino))
	if !InJournal() {
		t.Error("standard error is what the variable says")
	}
}
