package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"fob/daemon/audit"
	"fob/daemon/policy"
	"fob/fido"
	"fob/ipc"
	"fob/ipc/varlink"
)

// audited has each call of a method that uses a key, or the store, leave a record, before its last reply, but for those
// that make no sense. Where a log is required, a call that can leave none fails.
func (d *Daemon) audited(h varlink.Handler) varlink.Handler {
	if d.Audit == nil {
		return h
	}
	return func(ctx context.Context, c *varlink.Call) (reply any, err error) {
		verb := verb(c.Method)
		if verb == "" {
			return h(ctx, c)
		}
		who := audit.Caller(callerOf(ctx))
		err = d.record(ctx, audit.Record{Verb: verb, Method: c.Method, Caller: &who}, func(ctx context.Context) error {
			reply, err = h(ctx, c)
			return err
		})
		return reply, err
	}
}

// Signalled does what a signal asks for, and leaves a record of it as of a call. Nobody can tell who has sent a signal.
func (d *Daemon) Signalled(ctx context.Context, signal, verb string, do func(context.Context) error) error {
	if d.Audit == nil {
		return do(ctx)
	}
	return d.record(ctx, audit.Record{Verb: verb, Method: signal}, do)
}

// record has something leave a record, but for what makes no sense.
func (d *Daemon) record(ctx context.Context, r audit.Record, do func(context.Context) error) error {
	e := &entry{record: r}
	begin := time.Now()
	err := d.ready()
	if err == nil {
		err = do(context.WithValue(ctx, entryKey{}, e))
	}
	if malformed(err) {
		return err
	}
	if failed := d.Audit.Append(e.close(err, time.Since(begin))); failed != nil && d.AuditRequired {
		return ipc.AuditUnavailable{Problem: reason(failed)}
	}
	return err
}

// malformed reports whether a call asked for nothing that could have been done.
func malformed(err error) bool {
	return errors.As(err, new(varlink.InvalidParameter)) || errors.As(err, new(varlink.ExpectedMore))
}

// ready says why nothing may be done where there must be a record and can be none.
func (d *Daemon) ready() error {
	if d.AuditRequired {
		if err := d.Audit.Open(); err != nil {
			return ipc.AuditUnavailable{Problem: reason(err)}
		}
	}
	return nil
}

// reason is why the log is not available.
func reason(err error) string {
	var u *audit.Unavailable
	if errors.As(err, &u) {
		err = u.Err
	}
	return err.Error()
}

// verb is what a method does, in the words of policy, which knows neither "look", that needs nobody, nor "reload". It
// is empty for methods that use neither key nor store.
func verb(method string) string {
	switch method {
	case ipc.MethodRegister:
		return "register"
	case ipc.MethodSignIn:
		return "sign-in"
	case ipc.MethodReset, ipc.MethodStoreReset:
		return "reset"
	case ipc.MethodUnlock, ipc.MethodSeal, ipc.MethodExport, ipc.MethodImport:
		return "manage"
	case ipc.MethodOTPCode:
		return "code"
	case ipc.MethodOTPAdd, ipc.MethodOTPRename, ipc.MethodOTPRemove:
		return "account"
	case ipc.MethodFinishSignIn:
		return "sign-in"
	case ipc.MethodCreateRealm, ipc.MethodRemoveRealm, ipc.MethodAddPrincipal, ipc.MethodRemovePrincipal,
		ipc.MethodImportToken, ipc.MethodRemoveToken, ipc.MethodBeginEnrol, ipc.MethodFinishEnrol, ipc.MethodDetach,
		ipc.MethodResync, ipc.MethodUnlockToken, ipc.MethodIssueTicket:
		return "account"
	case ipc.MethodOTPExport, ipc.MethodOTPProvision, ipc.MethodOTPClone:
		return "provision"
	case ipc.MethodGetInfo, ipc.MethodWink:
		return "look"
	case ipc.MethodReload:
		return "reload"
	case ipc.MethodList, ipc.MethodDeviceWatch:
		return ""
	}
	if strings.HasPrefix(method, "fob.Device.") {
		return "manage"
	}
	return ""
}

type entryKey struct{}

// entry is the record of a call that goes on. Its methods take nil, for calls that leave none.
type entry struct {
	mu     sync.Mutex
	record audit.Record
	chosen bool // the person has touched one of the keys
}

// entryOf finds the record of the call that goes on.
func entryOf(ctx context.Context) *entry {
	e, _ := ctx.Value(entryKey{}).(*entry)
	return e
}

// about notes what a call is for.
func (e *entry) about(rpID string, devices []fido.DeviceInfo) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if rpID != "" {
		e.record.RPID = rpID
	}
	if e.chosen {
		return
	}
	e.record.Keys = nil
	for _, dev := range devices {
		e.record.Keys = append(e.record.Keys, audit.Key{ID: string(dev.ID), Product: dev.Product})
	}
}

// token notes which token of one-time passwords a call is about.
func (e *entry) token(name string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.record.Token = name
}

// choose notes the key that was touched.
func (e *entry) choose(dev fido.DeviceInfo) {
	e.about("", []fido.DeviceInfo{dev})
	if e != nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.chosen = true
	}
}

// decide notes what policy has said.
func (e *entry) decide(answer, rule string) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.record.Decision = &audit.Decision{Answer: answer, Rule: rule}
}

// reloaded notes which policy was in force, and is now.
func (e *entry) reloaded(before, after *policy.Policy) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.record.Before, e.record.After = auditPolicy(before), auditPolicy(after)
}

func auditPolicy(p *policy.Policy) *audit.Policy {
	sum := sha256.Sum256([]byte(p.Text))
	return &audit.Policy{Path: p.Path, SHA256: hex.EncodeToString(sum[:])}
}

// ReloadPolicy reads the policy again; see policy.Holder.Reload. The record of who asked for it has the policies before
// and after.
func (d *Daemon) ReloadPolicy(ctx context.Context) error {
	before := d.Policy.Policy()
	err := d.Policy.Reload()
	entryOf(ctx).reloaded(before, d.Policy.Policy())
	return err
}

// close gives the record of a call that is over.
func (e *entry) close(err error, took time.Duration) audit.Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.record.Result, e.record.Took = audit.Done, took.Microseconds()
	if err != nil {
		e.record.Result = result(err)
	}
	return e.record
}

// auditMethods are those of fob.Audit.
func (d *Daemon) auditMethods() map[string]varlink.Handler {
	return map[string]varlink.Handler{"Query": d.queryAudit, "Follow": d.followAudit, "Verify": d.verifyAudit}
}

// maxPage is how many records are in a reply.
const maxPage = 100

// queryAudit implements fob.Audit.Query.
func (d *Daemon) queryAudit(ctx context.Context, c *varlink.Call) (any, error) {
	in := ipc.AuditQuery{}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if in.Limit == 0 {
		in.Limit = maxPage
	}
	if in.Limit < 1 || in.Limit > maxPage {
		return nil, varlink.InvalidParameter{Parameter: "limit"}
	}
	if in.Before < 0 {
		return nil, varlink.InvalidParameter{Parameter: "before"}
	}
	f, err := d.auditFilter(in.Filter)
	if err != nil {
		return nil, err
	}
	page, err := d.Audit.Before(ctx, f, uint64(in.Before), in.Limit)
	if err != nil {
		return nil, ipc.AuditUnreadable{Problem: reason(err)}
	}
	status := d.Audit.Status()
	reply := ipc.AuditQueryReply{
		Records: auditRecords(page.Records), Next: int(page.More), Changed: page.Changed, Lost: int(status.Lost)}
	if status.Problem != nil {
		reply.Problem = status.Problem.Error()
	}
	return reply, nil
}

// auditFilter reads a filter, of a log that there is.
func (d *Daemon) auditFilter(in *ipc.AuditFilter) (f audit.Filter, err error) {
	if d.Audit == nil {
		return f, ipc.AuditNotKept{}
	}
	if in == nil {
		return f, nil
	}
	f = audit.Filter{Verb: in.Verb, RPID: in.RPID, Result: in.Result, Executable: in.Executable}
	for _, t := range []struct {
		name, text string
		to         *time.Time
	}{{"since", in.Since, &f.Since}, {"until", in.Until, &f.Until}} {
		if t.text == "" {
			continue
		}
		if *t.to, err = time.Parse(time.RFC3339Nano, t.text); err != nil {
			return f, varlink.InvalidParameter{Parameter: t.name}
		}
	}
	return f, nil
}

// maxFollowed is how many records are sent at once to a caller that follows.
const maxFollowed = 16

// followAudit implements fob.Audit.Follow. It reads the log behind what it has sent, so that nothing piles up here.
func (d *Daemon) followAudit(ctx context.Context, c *varlink.Call) (any, error) {
	in := ipc.AuditFollow{}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	f, err := d.auditFilter(in.Filter)
	if err != nil {
		return nil, err
	}
	after := d.Audit.Status().Last
	if in.After != nil {
		after = uint64(max(0, *in.After))
	}
	if err := c.Continue(ipc.AuditFollowReply{Records: []ipc.AuditRecord{}}); err != nil {
		return nil, err
	}
	for {
		changed := d.Audit.Changed()
		if after, err = d.sendAudit(ctx, c, f, after); err != nil {
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ipc.AuditUnreadable{Problem: "fobd ends"} // or the caller hung up, and hears nothing
		}
	}
}

// sendAudit sends the records behind a number, and gives the last one in the log.
func (d *Daemon) sendAudit(ctx context.Context, c *varlink.Call, f audit.Filter, after uint64) (uint64, error) {
	for {
		page, err := d.Audit.After(ctx, f, after, maxFollowed)
		if err != nil {
			return 0, ipc.AuditUnreadable{Problem: reason(err)}
		}
		if len(page.Records) > 0 {
			if err := c.Continue(ipc.AuditFollowReply{Records: auditRecords(page.Records)}); err != nil {
				return 0, err
			}
		}
		if page.More == after {
			return after, nil
		}
		after = page.More
	}
}

// verifyAudit implements fob.Audit.Verify.
func (d *Daemon) verifyAudit(ctx context.Context, c *varlink.Call) (any, error) {
	in := ipc.AuditVerify{}
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	if d.Audit == nil {
		return nil, ipc.AuditNotKept{}
	}
	known, err := knownRecords(in.Known)
	if err != nil {
		return nil, err
	}
	r, err := d.Audit.Verify(ctx, known)
	if err != nil {
		return nil, ipc.AuditUnreadable{Problem: reason(err)}
	}
	reply := ipc.AuditVerifyReply{
		Log: r.Log, Files: r.Files, Records: r.Records, First: int(r.First), Last: int(r.Last),
		Findings: make([]ipc.AuditFinding, len(r.Findings)), Found: r.Found,
		Notes: append([]string{}, r.Notes...), Compared: r.Compared,
	}
	if r.First > 0 {
		reply.Begin = r.Begin.Format(time.RFC3339Nano)
	}
	for i, f := range r.Findings {
		reply.Findings[i] = ipc.AuditFinding{File: f.File, Line: f.Line, Seq: int(f.Seq), Problem: f.Problem}
	}
	return reply, nil
}

func knownRecords(in []ipc.KnownRecord) ([]audit.Known, error) {
	if len(in) > ipc.MaxKnown {
		return nil, varlink.InvalidParameter{Parameter: "known"}
	}
	known := make([]audit.Known, len(in))
	for i, k := range in {
		known[i] = audit.Known{Log: k.Log, Seq: uint64(k.Seq)}
		if err := known[i].MAC.UnmarshalText([]byte(k.MAC)); err != nil || k.Seq < 1 {
			return nil, varlink.InvalidParameter{Parameter: fmt.Sprintf("known[%d]", i)}
		}
	}
	return known, nil
}

func auditRecords(list []audit.Record) []ipc.AuditRecord {
	out := make([]ipc.AuditRecord, len(list))
	for i := range list {
		out[i] = auditRecord(&list[i])
	}
	return out
}

func auditRecord(r *audit.Record) ipc.AuditRecord {
	out := ipc.AuditRecord{
		Seq: int(r.Seq), Time: r.Time.Format(time.RFC3339Nano), Kind: ipc.AuditKind(r.Kind), Log: r.Log,
		Verb: r.Verb, Method: r.Method, RPID: r.RPID, Token: r.Token, Result: r.Result, TookUsec: int(r.Took),
		Lost: int(r.Lost), Bytes: int(r.Bytes), Aside: r.Aside, MAC: hex.EncodeToString(r.MAC[:]),
	}
	for _, k := range r.Keys {
		out.Keys = append(out.Keys, ipc.AuditKey(k))
	}
	if c := r.Caller; c != nil {
		out.Caller = &ipc.AuditCaller{PID: int(c.PID), UID: int(c.UID), Name: c.Name, Executable: c.Executable, Unit: c.Unit,
			Terminal: c.Terminal}
	}
	out.Before, out.After = (*ipc.AuditPolicy)(r.Before), (*ipc.AuditPolicy)(r.After)
	if r.Decision != nil {
		out.Decision = &ipc.AuditDecision{Answer: r.Decision.Answer, Rule: r.Decision.Rule}
	}
	return out
}
