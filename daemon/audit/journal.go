package audit

import (
	"cmp"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"fob/ipc"
)

// Journal takes a message with fields, as journal.Send of go-systemd does.
type Journal func(message string, priority journal.Priority, fields map[string]string) error

// SystemJournal is the journal of systemd; nil where there is none.
func SystemJournal() Journal {
	if !journal.Enabled() {
		return nil
	}
	return journal.Send
}

// Bounds of what waits for the journal.
const (
	maxQueued   = 64
	journalTime = time.Second // to take what is left when the log is closed
)

// queue is what the journal has not taken yet: one that hangs must not keep anybody from signing in.
type queue struct {
	records chan queued
	done    chan struct{} // closed when all was taken
}

type queued struct {
	message  string
	priority journal.Priority
	fields   map[string]string
}

// toJournal tells the journal of a record. One that is lost has no number there.
func (l *Log) toJournal(r *Record) {
	if l.Journal == nil {
		return
	}
	if l.queue == nil {
		l.queue = &queue{make(chan queued, maxQueued), make(chan struct{})}
		go l.queue.run(l.Journal, l.log())
	}
	message, priority := r.message()
	select {
	case l.queue.records <- queued{message, priority, r.fields(l.end.Log)}:
	default:
		l.log().Warn("the journal takes no records of the audit log", "error", "it hangs")
	}
}

// run sends what is queued, until end.
func (q *queue) run(send Journal, log *slog.Logger) {
	defer close(q.done)
	for r := range q.records {
		if err := send(r.message, r.priority, r.fields); err != nil {
			log.Warn("the journal takes no records of the audit log", "error", err)
		}
	}
}

// end waits until the journal has all, unless it hangs; then the goroutine is left to it.
func (q *queue) end() {
	close(q.records)
	timeout := time.NewTimer(journalTime)
	defer timeout.Stop()
	select {
	case <-q.done:
	case <-timeout.C:
	}
}

// message is the record for people.
func (r *Record) message() (string, journal.Priority) {
	switch r.Kind {
	case Call:
		return r.call()
	case Gap:
		return fmt.Sprintf("audit log: %d records could not be written", r.Lost), journal.PriErr
	case Torn:
		return fmt.Sprintf("audit log: %d bytes of a record were cut off that was being written at a crash", r.Bytes),
			journal.PriNotice
	case Damaged:
		return "audit log: it was changed, is now in " + r.Aside + ", and another one begins", journal.PriErr
	case Rotated:
		return "audit log: another file begins", journal.PriInfo
	default:
		return "audit log: it begins", journal.PriNotice
	}
}

func (r *Record) call() (string, journal.Priority) {
	who, where := "a signal", ""
	if c := r.Caller; c != nil {
		who = fmt.Sprintf("%s (PID %d)", cmp.Or(c.Executable, c.Name, "an unknown program"), c.PID)
	}
	if r.RPID != "" {
		where = " at " + r.RPID
	}
	priority := journal.PriInfo
	if r.Result != Done {
		priority = journal.PriNotice
	}
	return fmt.Sprintf("%s: %s%s: %s", who, cmp.Or(r.Verb, r.Method), where, r.Result), priority
}

// fields are the record for programs.
func (r *Record) fields(log string) map[string]string {
	f := map[string]string{"MESSAGE_ID": ipc.AuditMessageID, "SYSLOG_IDENTIFIER": "fobd", "FOB_AUDIT_KIND": string(r.Kind)}
	set := func(name, value string) {
		if value != "" {
			f[name] = value
		}
	}
	if r.Seq > 0 {
		set("FOB_AUDIT_LOG", log)
		set("FOB_AUDIT_SEQ", strconv.FormatUint(r.Seq, 10))
		set("FOB_AUDIT_MAC", r.MAC.String())
	}
	set("FOB_VERB", r.Verb)
	set("FOB_METHOD", r.Method)
	set("FOB_RP", r.RPID)
	var keys []string
	for _, k := range r.Keys {
		keys = append(keys, k.ID)
	}
	set("FOB_KEY", strings.Join(keys, " "))
	if c := r.Caller; c != nil {
		set("FOB_CALLER_PID", strconv.Itoa(int(c.PID)))
		set("FOB_CALLER_UID", strconv.FormatUint(uint64(c.UID), 10))
		set("FOB_CALLER_NAME", c.Name)
		set("FOB_CALLER_EXE", c.Executable)
		set("FOB_CALLER_UNIT", c.Unit)
		set("FOB_CALLER_TERMINAL", c.Terminal)
	}
	if d := r.Decision; d != nil {
		set("FOB_DECISION", d.Answer)
		set("FOB_RULE", d.Rule)
	}
	if r.Before != nil && r.After != nil {
		set("FOB_POLICY_BEFORE", r.Before.SHA256)
		set("FOB_POLICY_AFTER", r.After.SHA256)
	}
	set("FOB_RESULT", r.Result)
	if r.Kind == Call {
		set("FOB_TOOK_USEC", strconv.FormatInt(r.Took, 10))
	}
	return f
}
