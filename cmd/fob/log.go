package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/ipc"
)

// logFlags are those of 'fob log'.
type logFlags struct {
	since, until string
	filter       ipc.AuditFilter
	count        int
	follow       bool
	verify       bool
}

func (a *app) log() *cobra.Command {
	var f logFlags
	c := &cobra.Command{
		Use:   "log",
		Short: "Show what programs asked fobd for, and check that nobody has changed the record of it",
		Long: `log shows the newest records of fobd's audit log: which program asked for what, with which key, and
what became of it. --verify reads the whole log instead and tells where it is not as fobd has
written it: records that were edited, removed, added or moved, and an end that was cut off. It
ends with 9 then. It asks the journal too, where journalctl can be run, whether it knows other or
newer records.`,
		Example: "  fob log --since 24h --result Declined\n  fob log --rp example.com --follow\n  fob log --verify",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c.Flags().NFlag() - changed(c, "socket", "json")); err != nil {
				return err
			}
			switch {
			case f.verify:
				return a.verifyLog(c.Context())
			case f.follow:
				return a.followLog(c.Context(), &f)
			default:
				_, err := a.showLog(c.Context(), &f)
				return err
			}
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.since, "since", "", "from `TIME` on: 2h (ago), 2026-11-24, 2026-11-24T10:00:00Z")
	flags.StringVar(&f.until, "until", "", "before `TIME`")
	flags.StringVar(&f.filter.Verb, "verb", "", "only this `VERB`: register, sign-in, manage, reset, look")
	flags.StringVar(&f.filter.RPID, "rp", "", "only this RP `ID`")
	flags.StringVar(&f.filter.Result, "result", "", "only this `RESULT`: done, or the name of an error, such as TimedOut")
	flags.StringVar(&f.filter.Executable, "exe", "", "only the program at `PATH`")
	flags.IntVarP(&f.count, "lines", "n", 20, "the newest `N` records; 0 for all")
	flags.BoolVarP(&f.follow, "follow", "f", false, "go on and show records as they come, until interrupted")
	flags.BoolVar(&f.verify, "verify", false, "check the whole log")
	return c
}

// changed counts which of these flags were given.
func changed(c *cobra.Command, names ...string) (n int) {
	for _, name := range names {
		if c.Flags().Changed(name) {
			n++
		}
	}
	return n
}

// check reads the times; given is how many flags there are.
func (f *logFlags) check(given int) (err error) {
	switch {
	case f.verify && given > 1:
		return program.Usage(errors.New("--verify checks the whole log, and goes with no other choice"))
	case f.count < 0:
		return program.Usage(errors.New("-n takes no negative number"))
	}
	now := time.Now()
	if f.filter.Since, err = parseTime(f.since, now); err != nil {
		return err
	}
	f.filter.Until, err = parseTime(f.until, now)
	return err
}

// parseTime reads a time as a person gives it, and makes it RFC 3339. An empty one stays empty.
func parseTime(text string, now time.Time) (string, error) {
	if text == "" {
		return "", nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d).UTC().Format(time.RFC3339Nano), nil
	}
	layouts := []string{time.RFC3339, "2006-01-02T15:04:05", time.DateTime, "2006-01-02 15:04", time.DateOnly}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t.UTC().Format(time.RFC3339Nano), nil
		}
	}
	return "", program.Usage(fmt.Errorf("%q is no time, such as 2h, 2026-11-24 or 2026-11-24T10:00:00Z", text))
}

// maxLogPage is how many records fobd gives at once.
const maxLogPage = 100

// showLog prints the newest records and gives the number of the last one that it has printed.
func (a *app) showLog(ctx context.Context, f *logFlags) (last int, err error) {
	var pages [][]ipc.AuditRecord
	var reply *ipc.AuditQueryReply
	left, changed := f.count, 0
	for before := 0; reply == nil || before > 0 && (f.count == 0 || left > 0); before = reply.Next {
		if reply, err = a.client.Audit(ctx, f.query(before, left)); err != nil {
			return 0, err
		}
		pages = append(pages, reply.Records)
		left -= len(reply.Records)
		changed += reply.Changed
	}
	slices.Reverse(pages)
	list := slices.Concat(pages...)
	if len(list) > 0 {
		last = list[len(list)-1].Seq
	}
	if err := a.printRecords(list); err != nil {
		return 0, err
	}
	a.warnLog(reply, changed)
	return last, nil
}

// query asks for the next page.
func (f *logFlags) query(before, left int) ipc.AuditQuery {
	q := ipc.AuditQuery{Filter: &f.filter, Before: before, Limit: maxLogPage}
	if f.count > 0 {
		q.Limit = min(left, maxLogPage)
	}
	return q
}

// warnLog tells what is wrong with the log.
func (a *app) warnLog(r *ipc.AuditQueryReply, changed int) {
	if changed > 0 {
		fmt.Fprintf(a.stderr, "warning: %s left out, not as fobd has written it; 'fob log --verify' tells more\n",
			plural(changed, "record is", "records are"))
	}
	if r.Lost > 0 {
		fmt.Fprintf(a.stderr, "warning: fobd could not write the last %s: %s\n",
			plural(r.Lost, "record", "records"), shown(r.Problem))
	}
}

func (a *app) followLog(ctx context.Context, f *logFlags) error {
	last, err := a.showLog(ctx, f)
	if err != nil {
		return err
	}
	request := ipc.AuditFollow{Filter: &f.filter, After: &last}
	first := true
	err = a.client.FollowAudit(ctx, request, func(list []ipc.AuditRecord) error {
		if first && !a.json {
			fmt.Fprintln(a.stderr, "following")
		}
		first = false
		return a.printFollowed(list)
	})
	if ctx.Err() != nil { // interrupted, which is how it ends
		return nil
	}
	return err
}

func (a *app) printFollowed(list []ipc.AuditRecord) error {
	for _, r := range list {
		if a.json {
			if err := a.printJSON(r); err != nil {
				return err
			}
		} else if _, err := fmt.Fprintln(a.stdout, strings.Join(columns(r), "  ")); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) printRecords(list []ipc.AuditRecord) error {
	if a.json {
		return a.printFollowed(list)
	}
	if len(list) == 0 {
		fmt.Fprintln(a.stderr, "there is no such record")
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tWHO\tWHAT\tRP\tKEY\tRESULT\tTOOK")
	for _, r := range list {
		fmt.Fprintln(w, strings.Join(columns(r), "\t"))
	}
	return w.Flush()
}

// columns are a record for a person.
func columns(r ipc.AuditRecord) []string {
	at := r.Time
	if t, err := time.Parse(time.RFC3339Nano, r.Time); err == nil {
		at = t.Local().Format(time.DateTime)
	}
	if r.Kind != ipc.AuditCall {
		return []string{shown(at), "fobd", "log", "-", "-", aboutLog(r), "-"}
	}
	took := time.Duration(r.TookUsec) * time.Microsecond
	return []string{shown(at), who(r.Caller), what(r), cmp.Or(shown(r.RPID), "-"), cmp.Or(shown(r.Token), keyNames(r.Keys)),
		shown(afterDot(r.Result)), took.Round(time.Millisecond).String()}
}

// aboutLog is a record of the log itself, in words.
func aboutLog(r ipc.AuditRecord) string {
	switch r.Kind {
	case ipc.AuditBegin:
		return "begins"
	case ipc.AuditRotated:
		return "goes on in another file"
	case ipc.AuditGap:
		return plural(r.Lost, "record", "records") + " could not be written"
	case ipc.AuditTorn:
		return "half a record was cut off, of a crash"
	case ipc.AuditDamaged:
		return "begins: the one before was changed, see " + shown(r.Aside)
	default:
		return shown(string(r.Kind))
	}
}

func who(c *ipc.AuditCaller) string {
	if c == nil {
		return "-"
	}
	name := c.Name
	if c.Executable != "" {
		name = filepath.Base(c.Executable)
	}
	return fmt.Sprintf("%s (%d)", cmp.Or(shown(name), "unknown"), c.PID)
}

// what is the verb, and the method where that says more: of the store, always, and of tokens, but for their codes.
func what(r ipc.AuditRecord) string {
	method := afterDot(r.Method)
	if strings.HasPrefix(r.Method, "fob.Store.") || strings.HasPrefix(r.Method, "fob.OTP.") && r.Method != ipc.MethodOTPCode {
		return shown(r.Verb + " " + strings.TrimPrefix(r.Method, "fob."))
	}
	if strings.EqualFold(method, strings.ReplaceAll(r.Verb, "-", "")) {
		return shown(r.Verb)
	}
	return shown(strings.TrimSpace(r.Verb + " " + method))
}

func keyNames(keys []ipc.AuditKey) string {
	var names []string
	for _, k := range keys {
		names = append(names, shown(strings.TrimSpace(k.Product+" "+k.ID)))
	}
	return cmp.Or(strings.Join(names, ", "), "-")
}

func afterDot(s string) string { return s[strings.LastIndexByte(s, '.')+1:] }

// logChanged says in how many places a log is not as it was written.
type logChanged int

func (n logChanged) Error() string {
	return fmt.Sprintf("the audit log is not as fobd has written it, in %s", plural(int(n), "place", "places"))
}

// Hint says what the person can do.
func (logChanged) Hint() string {
	return "somebody, or a broken disk, has changed it; keep a copy of its folder before anything else"
}

// verifiedLog is what 'fob log --verify' prints as JSON.
type verifiedLog struct {
	*ipc.AuditVerifyReply
	// Journal says whether the journal was asked, and why not; empty when it was.
	Journal string `json:"journal,omitempty"`
}

func (a *app) verifyLog(ctx context.Context) error {
	known, journalErr := journalRecords(ctx)
	reply, err := a.client.VerifyAudit(ctx, ipc.AuditVerify{Known: known})
	if err != nil {
		return err
	}
	journal := ""
	if journalErr != nil {
		journal = journalErr.Error()
	} else if reply.Compared == 0 {
		journal = "it has no records of this log"
	}
	if a.json {
		err = a.printJSON(verifiedLog{reply, journal})
	} else {
		err = printVerified(a.stdout, reply, journal)
	}
	if err == nil && reply.Found > 0 {
		return logChanged(reply.Found)
	}
	return err
}

func printVerified(out io.Writer, r *ipc.AuditVerifyReply, journal string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(w, "%s\t%s\n", name, shown(value)) }
	row("log", fmt.Sprintf("%s, records %d to %d in %s, since %s",
		r.Log, r.First, r.Last, plural(r.Files, "file", "files"), r.Begin))
	for _, n := range r.Notes {
		row("note", n)
	}
	if journal != "" {
		row("journal", "not compared: "+journal)
	} else {
		row("journal", plural(r.Compared, "record", "records")+" compared")
	}
	for _, f := range r.Findings {
		row("found", f.String())
	}
	if more := r.Found - len(r.Findings); more > 0 {
		row("found", fmt.Sprintf("and %d more", more))
	}
	if r.Found == 0 {
		row("found", "nothing: it is as fobd has written it")
	}
	return w.Flush()
}
