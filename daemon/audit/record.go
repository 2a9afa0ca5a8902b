package audit

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"fob/daemon/caller"
)

// Kind says what a record is about.
type Kind string

// The kinds of records.
const (
	Call    Kind = "call"    // what a program asked for, and what became of it
	Begin   Kind = "begin"   // the first of a log
	Rotated Kind = "rotated" // the first of each further file
	Gap     Kind = "gap"     // before it, Lost records could not be written
	Torn    Kind = "torn"    // before it, Bytes of a record that was being written at a crash were cut off
	Damaged Kind = "damaged" // the first of a log that took the place of one which was changed, and is now in Aside
)

// Record is one record: a line of JSON. Who appends one fills in what it is about; Seq, Time and the MACs come from the
// log. No member is a secret, and none must be.
type Record struct {
	Seq  uint64    `json:"seq"`  // from 1
	Time time.Time `json:"time"` // when it was written, in UTC
	Kind Kind      `json:"kind"`
	Log  string    `json:"log,omitempty"` // names the log: of the first record of each file

	// Of a call, or a signal.
	Verb     string    `json:"verb,omitempty"`   // such as sign-in
	Method   string    `json:"method,omitempty"` // Varlink's name of it, or the signal's
	RPID     string    `json:"rp,omitempty"`
	Token    string    `json:"token,omitempty"` // the name of the token of one-time passwords
	Keys     []Key     `json:"keys,omitempty"`  // that it was for; the one that was touched, where one was
	Caller   *Caller   `json:"caller,omitempty"`
	Decision *Decision `json:"decision,omitempty"`
	Result   string    `json:"result,omitempty"`   // Done, or the name of the error
	Took     int64     `json:"tookUsec,omitempty"` // microseconds
	Before   *Policy   `json:"before,omitempty"`   // that a reload found in force, as the next
	After    *Policy   `json:"after,omitempty"`    // that it left in force

	Lost  uint64 `json:"lost,omitempty"`
	Bytes int64  `json:"bytes,omitempty"`
	Aside string `json:"aside,omitempty"`

	Prev MAC `json:"prev"` // of the record before; zero before the first
	MAC  MAC `json:"-"`    // over all that is before it on its line, which ends with it
}

// Done is the result of what succeeded.
const Done = "done"

// Key names a security key.
type Key struct {
	ID      string `json:"id"`
	Product string `json:"product,omitempty"`
}

// Caller is a caller.Caller as the log has it.
type Caller struct {
	PID        int32  `json:"pid"`
	UID        uint32 `json:"uid"`
	Started    uint64 `json:"started,omitempty"` // clock ticks since boot
	Name       string `json:"name,omitempty"`
	Executable string `json:"executable,omitempty"`
	Unit       string `json:"unit,omitempty"`
	Terminal   string `json:"terminal,omitempty"`
}

var _ = Caller(caller.Caller{}) // they have the same members

// Decision is what policy said, and by which of its rules.
type Decision struct {
	Answer string `json:"answer"`
	Rule   string `json:"rule,omitempty"`
}

// Policy names a policy.
type Policy struct {
	Path   string `json:"path,omitempty"` // of its file; empty for the one that is built in
	SHA256 string `json:"sha256"`         // of its text, in hexadecimal digits
}

// MAC is HMAC-SHA-256 (RFC 2104).
type MAC [sha256.Size]byte

// String is the MAC in hexadecimal digits.
func (m MAC) String() string { return hex.EncodeToString(m[:]) }

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, m[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It takes what MarshalText gives and nothing else.
func (m *MAC) UnmarshalText(b []byte) error {
	var got MAC
	if len(b) != 2*len(got) {
		return errBadMAC
	}
	if _, err := hex.Decode(got[:], b); err != nil || got.String() != string(b) {
		return errBadMAC
	}
	*m = got
	return nil
}

// Errors of a line.
var (
	errBadMAC   = errors.New("no MAC of 64 lower case hexadecimal digits")
	errNoRecord = errors.New("no record")
)

// maxLine is how long a line is at most, in bytes.
const maxLine = 32 << 10

// usualLine is longer than most lines, in bytes.
const usualLine = 1 << 10

const (
	macLabel = "fob audit record\x00" // a MAC of a record is none of a head
	macName  = `,"mac":"`
	macEnd   = `"}`
	macSize  = len(macName) + 2*sha256.Size + len(macEnd)
)

func mac(key []byte, label string, b []byte) (m MAC) {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(label))
	h.Write(b)
	return MAC(h.Sum(nil))
}

// seal gives the line of a record, and sets its MAC.
func (r *Record) seal(key []byte) ([]byte, error) {
	body, err := r.body()
	if err != nil {
		return nil, err
	}
	r.MAC = mac(key, macLabel, body)
	return r.line(body)
}

// line is the record with the MAC that it has, behind its body where that has room.
func (r *Record) line(body []byte) ([]byte, error) {
	if len(body)+macSize > maxLine {
		return nil, fmt.Errorf("%w: %d bytes", errNoRecord, len(body))
	}
	body = hex.AppendEncode(append(body, macName...), r.MAC[:])
	return append(body, macEnd+"\n"...), nil
}

// body is the JSON without its last brace, which the MAC is over.
func (r *Record) body() ([]byte, error) {
	var b bytes.Buffer
	b.Grow(usualLine)
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("}\n")), nil
}

// parse reads a line, without its line feed. Whether the MAC is right is for verified.
func parse(line []byte) (r Record, body []byte, err error) {
	if len(line) > maxLine || len(line) < macSize {
		return Record{}, nil, errNoRecord
	}
	body, end := line[:len(line)-macSize], string(line[len(line)-macSize:])
	digits, named := strings.CutPrefix(end, macName)
	digits, ended := strings.CutSuffix(digits, macEnd)
	if !named || !ended {
		return Record{}, nil, errNoRecord
	}
	if err := json.Unmarshal(append(slices.Clone(body), '}'), &r); err != nil {
		return Record{}, nil, fmt.Errorf("%w: %w", errNoRecord, err)
	}
	return r, body, r.MAC.UnmarshalText([]byte(digits))
}

// verified reads a line that has the right MAC.
func verified(key, line []byte) (Record, error) {
	r, body, err := parse(line)
	if err != nil {
		return Record{}, err
	}
	if want := mac(key, macLabel, body); !hmac.Equal(want[:], r.MAC[:]) {
		return r, errChanged
	}
	return r, nil
}

// errChanged is a line that is not as it was written.
var errChanged = errors.New("its MAC is wrong")

// seqOf reads the number of a line, and no more of it; 0 where there is none.
func seqOf(line []byte) uint64 {
	rest, ok := bytes.CutPrefix(line, []byte(`{"seq":`))
	end := bytes.IndexByte(rest, ',')
	if !ok || end < 0 {
		return 0
	}
	n, _ := strconv.ParseUint(string(rest[:end]), 10, 64)
	return n
}

// Sizes of the texts of a record, in bytes.
const (
	maxText       = 256
	maxExecutable = 1024
	maxKeyText    = 64
	maxKeys       = 16
)

// bound cuts what others chose to sizes, in place, and makes it fit for a terminal.
func (r *Record) bound() {
	for _, t := range []*string{&r.Verb, &r.Method, &r.RPID, &r.Token, &r.Result} {
		*t = bounded(*t, maxText)
	}
	r.Keys = r.Keys[:min(len(r.Keys), maxKeys)]
	for i, k := range r.Keys {
		r.Keys[i] = Key{bounded(k.ID, maxKeyText), bounded(k.Product, maxKeyText)}
	}
	if d := r.Decision; d != nil {
		d.Answer, d.Rule = bounded(d.Answer, maxText), bounded(d.Rule, maxText)
	}
	for _, p := range []*Policy{r.Before, r.After} {
		if p != nil {
			p.Path, p.SHA256 = bounded(p.Path, maxExecutable), bounded(p.SHA256, maxText)
		}
	}
	if c := r.Caller; c != nil {
		c.Executable = bounded(c.Executable, maxExecutable)
		c.Name, c.Unit, c.Terminal = bounded(c.Name, maxText), bounded(c.Unit, maxText), bounded(c.Terminal, maxText)
	}
}

// bounded escapes what does not print as Go does, such as "\x1b", and cuts.
func bounded(s string, size int) string {
	long := len(s) > size
	s = s[:min(len(s), size)]
	if long {
		s = cutRune(s)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		s = strconv.Quote(s)
		s = s[1 : len(s)-1]
	}
	if len(s) > size {
		s, long = cutRune(s[:size]), true
	}
	if long {
		s += "…"
	}
	return s
}

// cutRune removes half a rune at the end.
func cutRune(s string) string {
	for i := 1; i <= min(utf8.UTFMax, len(s)); i++ {
		if last := s[len(s)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRuneInString(last) {
				return s[:len(s)-i]
			}
			break
		}
	}
	return s
}
