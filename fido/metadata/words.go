package metadata

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Verdict is what a person should know about a model, in words.
type Verdict struct {
	// Certification is such as "certified FIDO2 Level 1 since 2020-05-12"; empty when the model is revoked or retired.
	Certification string   `json:"certification,omitzero"`
	Warnings      []string `json:"warnings,omitzero"` // what makes the model unsafe to use, the worst first
	Notes         []string `json:"notes,omitzero"`    // what else there is, such as an update
}

// warnings are the security notifications (§3.1.4), the worst first. Where gone is set, no certification counts any
// more.
var warnings = []struct {
	status Status
	words  string
	gone   bool
}{
	{Revoked, "revoked: the FIDO Alliance says not to trust it", true},
	{UserKeyRemoteCompromise, "private keys can be had or guessed from afar", false},
	{UserVerificationBypass, "can be used without the PIN or finger that it asks for", false},
	{UserKeyPhysicalCompromise, "private keys can be read by somebody who has the key", false},
	{AttestationKeyCompromise, "attestation key is known: another thing may pass for this model", false},
	{Retired, "retired: its maker says not to accept it any more", true},
}

// Verdict says what holds at a time. Only a sunset date ends a warning: a certification that comes later does not say
// that the weakness is gone from the keys that are out there.
func (m Model) Verdict(now time.Time) Verdict {
	today := now.UTC().Format(time.DateOnly)
	over := func(r StatusReport) bool { return !r.holds(today) }
	m.StatusReports = slices.DeleteFunc(slices.Clone(m.StatusReports), over)
	v := Verdict{Certification: m.certification()}
	for _, w := range warnings {
		for _, r := range m.StatusReports {
			if r.Status != w.status {
				continue
			}
			v.Warnings = append(v.Warnings, r.warning())
			if w.gone && !r.SomeKeys {
				v.Certification = ""
			}
		}
	}
	for _, r := range m.StatusReports {
		if note := r.note(); note != "" {
			v.Notes = append(v.Notes, note)
		}
	}
	return v
}

// Words says what one report means.
func (m Model) Words(r StatusReport) string {
	if words := r.warning() + m.certified(r); words != "" {
		return words
	}
	return r.note()
}

// holds reports whether a report is in effect on a day.
func (r StatusReport) holds(today string) bool {
	return r.EffectiveDate <= today && (r.SunsetDate == "" || today < r.SunsetDate)
}

// details says what else a report says, in brackets.
func (r StatusReport) details() string {
	var list []string
	if r.EffectiveDate != "" {
		list = append(list, "since "+r.EffectiveDate)
	}
	if r.SunsetDate != "" {
		list = append(list, "until "+r.SunsetDate)
	}
	if r.AuthenticatorVersion != 0 {
		list = append(list, fmt.Sprintf("firmware %d", r.AuthenticatorVersion))
	}
	if r.SomeKeys {
		list = append(list, "some keys only")
	}
	if r.URL != "" {
		list = append(list, r.URL)
	}
	if len(list) == 0 {
		return ""
	}
	return " (" + strings.Join(list, ", ") + ")"
}

// certification gives the latest words about FIDO's certification, and about that for FIPS 140.
func (m Model) certification() string {
	var fido, fips StatusReport
	for _, r := range m.StatusReports {
		last := &fido
		if strings.HasPrefix(string(r.Status), fipsCertifiedLevel) {
			last = &fips
		}
		if m.certified(r) != "" && !r.before(*last) {
			*last = r
		}
	}
	words := m.certified(fido)
	if fips.Status != "" {
		words += ", " + m.certified(fips)
	}
	return strings.TrimPrefix(words, ", ")
}

// before reports whether r came into effect earlier than another report that is listed before it.
func (r StatusReport) before(other StatusReport) bool {
	return r.EffectiveDate != "" && r.EffectiveDate < other.EffectiveDate
}

// certified says what a report says about certification; nothing when it is about something else.
func (m Model) certified(r StatusReport) string {
	words := ""
	level, isLevel := strings.CutPrefix(string(r.Status), certifiedLevel)
	fips, isFIPS := strings.CutPrefix(string(r.Status), fipsCertifiedLevel)
	switch {
	case r.Status == NotFIDOCertified:
		return "not FIDO certified"
	case r.Status == SelfAssertionSubmitted:
		words = "asserted by its maker to follow FIDO"
	case r.Status == FIDOCertified:
		words = "certified " + m.family()
	case isLevel:
		words = "certified " + m.family() + " Level " + strings.Replace(level, "plus", "+", 1)
	case isFIPS && r.FIPSRevision != 0:
		words = fmt.Sprintf("certified FIPS 140-%d Level %s", r.FIPSRevision, fips)
	case isFIPS:
		words = "certified FIPS 140 Level " + fips
	default:
		return ""
	}
	if r.EffectiveDate != "" {
		words += " since " + r.EffectiveDate
	}
	return words
}

// family is the protocol family as people write it.
func (m Model) family() string {
	switch m.ProtocolFamily {
	case "fido2":
		return "FIDO2"
	case "u2f":
		return "FIDO U2F"
	case "uaf":
		return "FIDO UAF"
	}
	return "FIDO"
}

// note says what a report says that is neither a warning nor about certification.
func (r StatusReport) note() string {
	switch {
	case r.Status == UpdateAvailable:
		return "a firmware update is available" + r.details()
	case r.warning() != "" || (Model{}).certified(r) != "":
		return ""
	}
	return "status " + string(r.Status) + r.details()
}

// warning says what a report warns of; nothing when it is about something else.
func (r StatusReport) warning() string {
	for _, w := range warnings {
		if r.Status == w.status {
			return w.words + r.details()
		}
	}
	return ""
}
