package policy

import (
	"slices"
	"strings"

	"fob/fido"
)

// differs gives the first member of a rule that a request does not fit; empty for none.
func (r *Rule) differs(q *Request) string {
	transport := q.Key.Transport
	if transport == "" {
		transport = fido.TransportUSB
	}
	switch {
	case !slices.Contains(r.Verbs, q.Verb):
		return "verbs"
	case !one(r.RP, q.RPID, matchRP):
		return "rp"
	case !one(r.Exe, q.Caller.Executable, matchPath):
		return "exe"
	case !one(r.Unit, q.Caller.Unit, matchText):
		return "unit"
	case r.Terminal != nil && *r.Terminal != (q.Caller.Terminal != ""):
		return "terminal"
	case !one(r.Token, q.Token, matchText):
		return "token"
	case r.Store != nil && *r.Store != q.Store:
		return "store"
	case q.Store:
		return r.aboutKeys()
	case !one(r.Key, string(q.Key.ID), func(id, its string) bool { return id == its }):
		return "key"
	case !one(r.Product, q.Key.Product, matchText):
		return "product"
	case r.Emulated != nil && *r.Emulated != q.Key.Emulated:
		return "emulated"
	case r.Transport != nil && !slices.Contains(r.Transport, transport):
		return "transport"
	}
	return ""
}

// aboutKeys gives the first member of a rule that is about keys; empty for none.
func (r *Rule) aboutKeys() string {
	switch {
	case r.Key != nil:
		return "key"
	case r.Product != nil:
		return "product"
	case r.Emulated != nil:
		return "emulated"
	case r.Transport != nil:
		return "transport"
	}
	return ""
}

// one reports whether a text fits one of several patterns. Where there are none it need not; a text that is not known
// fits none.
func one(patterns []string, text string, match func(pattern, text string) bool) bool {
	if patterns == nil {
		return true
	}
	return text != "" && slices.ContainsFunc(patterns, func(p string) bool { return match(p, text) })
}

// matchRP matches an RP ID, which is a domain, by its labels.
func matchRP(pattern, id string) bool {
	if pattern == "*" {
		return true
	}
	if parent, below := strings.CutPrefix(pattern, "*."); below {
		label, found := strings.CutSuffix(id, "."+parent)
		return found && label != ""
	}
	return pattern == id
}

// matchPath matches an absolute path, name by name.
func matchPath(pattern, path string) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	patterns, names := strings.Split(pattern, "/"), strings.Split(path, "/")
	if last := len(patterns) - 1; patterns[last] == "**" {
		if len(names) <= last {
			return false
		}
		patterns, names = patterns[:last], names[:last]
	}
	return slices.EqualFunc(patterns, names, matchText)
}

// matchText matches a text with "*" and "?". It looks back to the last star alone, which is enough where a star stands
// for any text, and takes time in the order of one length times the other.
func matchText(pattern, text string) bool {
	p, t := []rune(pattern), []rune(text)
	i, j := 0, 0
	star, from := -1, 0 // the last star, and where the text behind what it stands for begins
	for j < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, from = i, j
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[j]):
			i++
			j++
		case star >= 0:
			from++
			i, j = star+1, from
		default:
			return false
		}
	}
	for i < len(p) && p[i] == '*' {
		i++
	}
	return i == len(p)
}
