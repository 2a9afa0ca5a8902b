package fault

import (
	"maps"
	"slices"
	"strings"
)

// Fault is one thing that goes wrong, and when. Parse makes one.
type Fault struct {
	effect effect
	when   trigger
}

// String gives the words of the fault, which Parse reads.
func (f Fault) String() string {
	if f.when.place == plugging {
		return f.effect.String()
	}
	return f.effect.String() + " " + f.when.String()
}

// Parse reads a fault, as Grammar has it. Errors are of type *SyntaxError.
func Parse(text string) (Fault, error) {
	w := &words{text, strings.Fields(text)}
	if len(text) > maxText {
		return Fault{}, w.wrong(text, "the faults of at most 200 bytes")
	}
	names := slices.Sorted(maps.Keys(effects))
	name, err := w.choose(names...)
	if err != nil {
		return Fault{}, err
	}
	e, err := effects[name](w)
	if err != nil {
		return Fault{}, err
	}
	when, err := parseTrigger(w, e)
	if err != nil {
		return Fault{}, err
	}
	if !w.ended() {
		return Fault{}, w.wrong(w.next(), "the end")
	}
	return Fault{e, when}, nil
}

// MustParse is Parse of a text that is known to be a fault. It panics where it is not.
func MustParse(text string) Fault {
	f, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return f
}

// Random are faults that strike each packet, command and APDU with a probability, in percent from 0 to 100.
func Random(percent float64) []Fault {
	var faults []Fault
	for _, p := range []place{packetIn, packetOut, apduIn, apduOut} {
		faults = append(faults, Fault{random{}, trigger{place: p, count: count{percent: percent}}})
	}
	for _, p := range []place{before, after} {
		faults = append(faults, Fault{random{}, trigger{place: p, kind: anyKind, count: count{percent: percent}}})
	}
	return faults
}
