package metadata

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is taken from a BLOB. It has some 400 entries, with up to ten status reports each.
const (
	maxNesting  = 32
	maxEntries  = 10_000
	maxReports  = 100 // of one model
	maxVersions = 20  // of one model
	maxSerial   = 1<<53 - 1
	maxText     = 256  // bytes of UTF-8, of names
	maxURL      = 1024 // bytes
)

var (
	errNesting = fmt.Errorf("it nests deeper than %d levels", maxNesting)
	errLong    = errors.New("a list is too long")
	errNoList  = errors.New("something is no list")
)

// payload is a Metadata BLOB Payload dictionary (§3.1.6): the members that we read. The others are large, and skipped.
type payload struct {
	Number     *int64  `json:"no"`
	NextUpdate string  `json:"nextUpdate"`
	Entries    entries `json:"entries"`
}

// entries are not decoded yet: one that makes no sense is left out, and the others are good all the same.
type entries []json.RawMessage

func (e *entries) UnmarshalJSON(b []byte) (err error) {
	*e, err = boundedList[json.RawMessage](b, maxEntries)
	return err
}

// entry is a Metadata BLOB Payload Entry dictionary (§3.1.1).
type entry struct {
	AAGUID    string `json:"aaguid"`
	Statement struct {
		Description          string   `json:"description"`
		ProtocolFamily       string   `json:"protocolFamily"`
		AuthenticatorVersion uint64   `json:"authenticatorVersion"`
		UPV                  versions `json:"upv"`
	} `json:"metadataStatement"`
	StatusReports reports `json:"statusReports"`
}

type versions []Version

func (v *versions) UnmarshalJSON(b []byte) (err error) {
	*v, err = boundedList[Version](b, maxVersions)
	return err
}

type reports []report

func (r *reports) UnmarshalJSON(b []byte) (err error) {
	*r, err = boundedList[report](b, maxReports)
	return err
}

// report is a StatusReport dictionary (§3.1.3).
type report struct {
	Status               string `json:"status"`
	EffectiveDate        string `json:"effectiveDate"`
	SunsetDate           string `json:"sunsetDate"`
	AuthenticatorVersion uint64 `json:"authenticatorVersion"`
	Certificate          string `json:"certificate"`
	BatchCertificate     string `json:"batchCertificate"`
	URL                  string `json:"url"`
	CertificateNumber    string `json:"certificateNumber"`
	FIPSRevision         uint64 `json:"fipsRevision"`
}

// boundedList reads a list of at most so many elements. Plain slices would take 8 million empty ones.
func boundedList[T any](b []byte, most int) ([]T, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('[') && t != nil {
		return nil, errNoList
	} else if t == nil { // null
		return nil, nil
	}
	var list []T
	for d.More() {
		if len(list) == most {
			return nil, errLong
		}
		var v T
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}

// parsePayload gives the models in a payload, and what it says about itself.
func parsePayload(b []byte) (*Index, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("it is no UTF-8")
	}
	if err := checkNesting(b); err != nil {
		return nil, err
	}
	var p payload
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	if p.Number == nil || *p.Number < 0 || *p.Number > maxSerial {
		return nil, errors.New("it has no serial number")
	}
	index := &Index{Version: IndexVersion, Number: *p.Number, NextUpdate: date(p.NextUpdate)}
	for _, raw := range p.Entries {
		if err := index.add(raw); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(index.Models, compareAAGUID)
	if len(index.Models) == 0 {
		return nil, errors.New("it knows no model with an AAGUID")
	}
	return index, index.merge()
}

// checkNesting refuses JSON that nests too deep, before anything is made of it.
func checkNesting(b []byte) error {
	depth, inString := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return errNesting
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return nil
}

// add adds the model of an entry. Entries of U2F and UAF authenticators, which have no AAGUID, and those that make no
// sense are counted.
func (x *Index) add(raw json.RawMessage) error {
	var e entry
	if err := json.Unmarshal(raw, &e); errors.Is(err, errLong) {
		return err // what was cut off could be the worst
	} else if err != nil {
		x.Unreadable++
		return nil
	}
	if e.AAGUID == "" {
		x.Others++
		return nil
	}
	id, err := ParseAAGUID(e.AAGUID)
	if err != nil || id == (AAGUID{}) {
		x.Unreadable++
		return nil
	}
	m := Model{AAGUID: id, Description: clean(e.Statement.Description, maxText), UPV: e.Statement.UPV,
		ProtocolFamily:       clean(e.Statement.ProtocolFamily, maxText),
		AuthenticatorVersion: e.Statement.AuthenticatorVersion}
	for _, r := range e.StatusReports {
		m.StatusReports = append(m.StatusReports, r.clean())
	}
	x.Models = append(x.Models, m)
	return nil
}

// clean keeps what we use of a report. A date that is none is left out: the status holds from the beginning then, and
// for good.
func (r report) clean() StatusReport {
	return StatusReport{Status: Status(clean(r.Status, maxText)),
		EffectiveDate: date(r.EffectiveDate), SunsetDate: date(r.SunsetDate),
		AuthenticatorVersion: r.AuthenticatorVersion, SomeKeys: r.Certificate != "" || r.BatchCertificate != "",
		URL: clean(r.URL, maxURL), CertificateNumber: clean(r.CertificateNumber, maxText), FIPSRevision: r.FIPSRevision}
}

// merge makes one model of those with the same AAGUID, which should not be: all reports count.
func (x *Index) merge() error {
	kept := x.Models[:1]
	for _, m := range x.Models[1:] {
		last := &kept[len(kept)-1]
		if m.AAGUID != last.AAGUID {
			kept = append(kept, m)
			continue
		}
		last.StatusReports = append(last.StatusReports, m.StatusReports...)
		if len(last.StatusReports) > maxReports {
			return errLong
		}
	}
	x.Models = kept
	return nil
}

// date gives a date of ISO 8601 (YYYY-MM-DD), or nothing for what is none.
func date(s string) string {
	if t, err := time.Parse(time.DateOnly, s); err != nil || t.Year() == 0 {
		return ""
	}
	return s
}

// clean makes text that others wrote short and printable.
func clean(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, s)
	if len(s) > most {
		n := most
		for !utf8.RuneStart(s[n]) {
			n--
		}
		s = s[:n]
	}
	return strings.Join(strings.Fields(s), " ")
}
