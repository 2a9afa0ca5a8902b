package service

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// NewLog makes the log: to the journal, with its attributes as fields, where standard error goes there
// ($JOURNAL_STREAM, systemd.exec(5)); else as text to stderr.
func NewLog(stderr io.Writer, level slog.Leveler) *slog.Logger {
	if InJournal() {
		return slog.New(&journalHandler{level: level, send: journal.Send})
	}
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
}

// InJournal reports whether what we write to standard error goes to the journal.
func InJournal() bool {
	is, err := journal.StderrIsJournalStream()
	return is && err == nil
}

// journalHandler sends records to the journal. An attribute "rp" is the field FOB_RP, and part of the message too.
type journalHandler struct {
	level  slog.Leveler
	send   func(message string, p journal.Priority, fields map[string]string) error
	prefix string      // of names, for groups
	attrs  []slog.Attr // none is a group
}

// Enabled implements slog.Handler.
func (h *journalHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// WithAttrs implements slog.Handler.
func (h *journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		with.attrs = flatten(with.attrs, h.prefix, a)
	}
	return &with
}

// WithGroup implements slog.Handler.
func (h *journalHandler) WithGroup(name string) slog.Handler {
	with := *h
	if name != "" {
		with.prefix += name + "."
	}
	return &with
}

// Handle implements slog.Handler.
func (h *journalHandler) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		attrs = flatten(attrs, h.prefix, a)
		return true
	})
	fields := map[string]string{"SYSLOG_IDENTIFIER": "fobd"}
	for _, a := range attrs {
		fields[field(a.Key)] = fmt.Sprint(a.Value.Any())
	}
	return h.send(message(r.Message, attrs), priority(r.Level), fields)
}

// flatten adds an attribute to a list, the members of a group under names with its own before.
func flatten(list []slog.Attr, prefix string, a slog.Attr) []slog.Attr {
	value := a.Value.Resolve()
	switch {
	case a.Equal(slog.Attr{}):
		return list
	case value.Kind() != slog.KindGroup:
		return append(list, slog.Attr{Key: prefix + a.Key, Value: value})
	case a.Key != "":
		prefix += a.Key + "."
	}
	for _, member := range value.Group() {
		list = flatten(list, prefix, member)
	}
	return list
}

// maxField is how long the name of a field may be (systemd.journal-fields(7)).
const maxField = 64

// field makes the name of a field out of that of an attribute.
func field(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, "FOB_"+strings.ToUpper(name))
	return name[:min(len(name), maxField)]
}

// message is text with the attributes behind it, as slog's text handler writes them: on one line.
func message(text string, attrs []slog.Attr) string {
	var b bytes.Buffer
	h := slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}})
	_ = h.WithAttrs(attrs).Handle(context.Background(), slog.Record{}) // a buffer takes all
	return strings.TrimSpace(text + " " + strings.TrimSpace(b.String()))
}

func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	default:
		return journal.PriDebug
	}
}
