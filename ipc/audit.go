package ipc

import (
	"context"
	_ "embed"
	"fmt"

	"fob/ipc/varlink"
)

// AuditInterface is the definition of fob.Audit.
//
//go:embed fob.Audit.varlink
var AuditInterface string

// Full names of the methods of fob.Audit.
const (
	MethodAuditQuery  = "fob.Audit.Query"
	MethodAuditFollow = "fob.Audit.Follow"
	MethodAuditVerify = "fob.Audit.Verify"
)

// AuditMessageID marks the records in the journal, as its field MESSAGE_ID (systemd.journal-fields(7)).
const AuditMessageID = "334ec53069eb48e898a546f0bbf3b388"

// AuditKind says what a record is about.
type AuditKind string

// The kinds of fob.Audit.AuditRecord.
const (
	AuditCall    AuditKind = "call"
	AuditBegin   AuditKind = "begin"
	AuditRotated AuditKind = "rotated"
	AuditGap     AuditKind = "gap"
	AuditTorn    AuditKind = "torn"
	AuditDamaged AuditKind = "damaged"
)

// AuditDone is the result of a call that succeeded.
const AuditDone = "done"

// AuditRecord is fob.Audit.AuditRecord.
type AuditRecord struct {
	Seq      int            `json:"seq"`
	Time     string         `json:"time"`
	Kind     AuditKind      `json:"kind"`
	Log      string         `json:"log,omitempty"`
	Verb     string         `json:"verb,omitempty"`
	Method   string         `json:"method,omitempty"`
	RPID     string         `json:"rpId,omitempty"`
	Token    string         `json:"token,omitempty"`
	Keys     []AuditKey     `json:"keys,omitempty"`
	Caller   *AuditCaller   `json:"caller,omitempty"`
	Decision *AuditDecision `json:"decision,omitempty"`
	Result   string         `json:"result,omitempty"`
	TookUsec int            `json:"tookUsec,omitempty"`
	Before   *AuditPolicy   `json:"before,omitempty"`
	After    *AuditPolicy   `json:"after,omitempty"`
	Lost     int            `json:"lost,omitempty"`
	Bytes    int            `json:"bytes,omitempty"`
	Aside    string         `json:"aside,omitempty"`
	MAC      string         `json:"mac"`
}

// AuditKey is fob.Audit.AuditKey.
type AuditKey struct {
	ID      string `json:"id"`
	Product string `json:"product,omitempty"`
}

// AuditCaller is fob.Audit.AuditCaller.
type AuditCaller struct {
	PID        int    `json:"pid"`
	UID        int    `json:"uid"`
	Name       string `json:"name,omitempty"`
	Executable string `json:"executable,omitempty"`
	Unit       string `json:"unit,omitempty"`
	Terminal   string `json:"terminal,omitempty"`
}

// AuditPolicy is fob.Audit.AuditPolicy.
type AuditPolicy struct {
	Path   string `json:"path,omitempty"`
	SHA256 string `json:"sha256"`
}

// AuditDecision is fob.Audit.AuditDecision.
type AuditDecision struct {
	Answer string `json:"answer"`
	Rule   string `json:"rule,omitempty"`
}

// AuditFilter is fob.Audit.AuditFilter.
type AuditFilter struct {
	Since      string `json:"since,omitempty"`
	Until      string `json:"until,omitempty"`
	Verb       string `json:"verb,omitempty"`
	RPID       string `json:"rpId,omitempty"`
	Result     string `json:"result,omitempty"`
	Executable string `json:"executable,omitempty"`
}

// AuditFinding is fob.Audit.AuditFinding.
type AuditFinding struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Seq     int    `json:"seq,omitempty"`
	Problem string `json:"problem"`
}

// String says where, and what.
func (f AuditFinding) String() string {
	switch {
	case f.Line > 0 && f.Seq > 0:
		return fmt.Sprintf("%s, line %d, record %d: %s", f.File, f.Line, f.Seq, f.Problem)
	case f.Line > 0:
		return fmt.Sprintf("%s, line %d: %s", f.File, f.Line, f.Problem)
	case f.File != "":
		return f.File + ": " + f.Problem
	}
	return f.Problem
}

// KnownRecord is fob.Audit.KnownRecord.
type KnownRecord struct {
	Log string `json:"log"`
	Seq int    `json:"seq"`
	MAC string `json:"mac"`
}

// MaxKnown is how many KnownRecords a call may have.
const MaxKnown = 1000

// AuditQuery holds the parameters of fob.Audit.Query.
type AuditQuery struct {
	Filter *AuditFilter `json:"filter,omitempty"`
	Before int          `json:"before,omitempty"`
	Limit  int          `json:"limit,omitempty"`
}

// AuditQueryReply is what fob.Audit.Query returns.
type AuditQueryReply struct {
	Records []AuditRecord `json:"records"`
	Next    int           `json:"next,omitempty"`
	Changed int           `json:"changed,omitempty"`
	Lost    int           `json:"lost,omitempty"`
	Problem string        `json:"problem,omitempty"`
}

// AuditFollow holds the parameters of fob.Audit.Follow.
type AuditFollow struct {
	Filter *AuditFilter `json:"filter,omitempty"`
	After  *int         `json:"after,omitempty"`
}

// AuditFollowReply is one reply to fob.Audit.Follow.
type AuditFollowReply struct {
	Records []AuditRecord `json:"records"`
}

// AuditVerify holds the parameters of fob.Audit.Verify.
type AuditVerify struct {
	Known []KnownRecord `json:"known,omitempty"`
}

// AuditVerifyReply is what fob.Audit.Verify returns.
type AuditVerifyReply struct {
	Log      string         `json:"log"`
	Files    int            `json:"files"`
	Records  int            `json:"records"`
	First    int            `json:"first"`
	Last     int            `json:"last"`
	Begin    string         `json:"begin,omitempty"`
	Findings []AuditFinding `json:"findings"`
	Found    int            `json:"found"`
	Notes    []string       `json:"notes"`
	Compared int            `json:"compared"`
}

// The errors of fob.Audit; the interface definition says when each occurs.
type (
	AuditNotKept    struct{}
	AuditUnreadable struct {
		Problem string `json:"problem"`
	}
	// AuditUnavailable is of fob.Ceremony.
	AuditUnavailable struct {
		Problem string `json:"problem"`
	}
)

var auditErrors = []Error{AuditNotKept{}, AuditUnreadable{}, AuditUnavailable{}}

func (AuditNotKept) VarlinkError() string    { return "fob.Audit.NotKept" }
func (AuditUnreadable) VarlinkError() string { return "fob.Audit.Unreadable" }

// VarlinkError implements varlink.Named.
func (AuditUnavailable) VarlinkError() string { return "fob.Ceremony.AuditUnavailable" }

func (AuditNotKept) Error() string      { return "fobd keeps no audit log" }
func (e AuditUnreadable) Error() string { return "the audit log can't be read: " + e.Problem }
func (e AuditUnavailable) Error() string {
	return "fobd must keep an audit log, and can't: " + e.Problem
}

// Hint implements Error.
func (AuditNotKept) Hint() string { return "start fobd without --audit off" }

// Hint implements Error.
func (AuditUnavailable) Hint() string {
	return "'fob log' tells more; fobd goes on without a log when it is started with --audit on"
}

// Hint implements Error.
func (AuditUnreadable) Hint() string { return "fobd's log says more" }

// Audit performs fob.Audit.Query.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (*AuditQueryReply, error) {
	var reply AuditQueryReply
	if err := c.call(ctx, MethodAuditQuery, q, &reply); err != nil {
		return nil, err
	}
	return &reply, nil
}

// FollowAudit performs fob.Audit.Follow: it calls take with the records of each reply, of which the first may have
// none, until ctx ends, take fails, or fobd goes away, and gives the error.
func (c *Client) FollowAudit(ctx context.Context, f AuditFollow, take func([]AuditRecord) error) error {
	return c.stream(ctx, MethodAuditFollow, f, func(r varlink.Reply) error {
		var reply AuditFollowReply
		if err := r.Bind(&reply); err != nil {
			return err
		}
		return take(reply.Records)
	})
}

// VerifyAudit performs fob.Audit.Verify. It reads the whole log: the caller says by ctx how long that may take.
func (c *Client) VerifyAudit(ctx context.Context, v AuditVerify) (*AuditVerifyReply, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var reply AuditVerifyReply
	if err := conn.Call(ctx, MethodAuditVerify, v, &reply); err != nil {
		return nil, typed(err)
	}
	return &reply, nil
}
