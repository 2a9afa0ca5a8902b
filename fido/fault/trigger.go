package fault

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// place is where a fault happens.
type place int

const (
	plugging place = iota // when the key is plugged in first
	packetIn
	packetOut
	apduIn
	apduOut
	before // a command is performed
	after  // a command was performed
)

// placeWords are what a trigger begins with.
var placeWords = map[place]string{
	packetIn: "in packet", packetOut: "out packet", apduIn: "in apdu", apduOut: "out apdu", before: "on", after: "after",
}

// trigger says when a fault happens.
type trigger struct {
	place   place
	count   count  // of packets, APDUs or commands
	kind    string // of the message or command; empty for packets of whatever message
	message count  // of messages of that kind, at packets
}

func (t trigger) String() string {
	switch {
	case t.place == before || t.place == after:
		return fmt.Sprintf("%s %s %v", placeWords[t.place], t.kind, t.count)
	case t.kind != "":
		return fmt.Sprintf("%s %v of %s %v", placeWords[t.place], t.count, t.kind, t.message)
	default:
		return fmt.Sprintf("%s %v", placeWords[t.place], t.count)
	}
}

// parseTrigger reads what is left of a fault, whose effect says which places it may have.
func parseTrigger(w *words, e effect) (t trigger, err error) {
	if w.ended() && suits(e, plugging) {
		return t, nil
	}
	if t.place, err = parsePlace(w, e); err != nil {
		return t, err
	}
	switch t.place {
	case before, after:
		if t.kind, err = w.choose(kindsFor(e)...); err == nil {
			t.count, err = parseCount(w)
		}
	case packetIn, packetOut:
		if t.count, err = parseCountGiven(w); err == nil && w.follows("of") {
			err = t.parseMessage(w)
		}
	default:
		t.count, err = parseCountGiven(w)
	}
	return t, err
}

func (t *trigger) parseMessage(w *words) (err error) {
	possible := inMessages
	if t.place == packetOut {
		possible = outMessages
	}
	if t.kind, err = w.choose(append(slices.Clone(possible), kinds...)...); err == nil {
		t.message, err = parseCount(w)
	}
	return err
}

// parsePlace reads one of the places that an effect may have.
func parsePlace(w *words, e effect) (place, error) {
	first, second := "", ""
	if len(w.left) > 0 {
		first = w.next()
	}
	if (first == "in" || first == "out") && len(w.left) > 0 {
		second = w.next()
	}
	words := strings.TrimSpace(first + " " + second)
	var possible []string
	for p := packetIn; p <= after; p++ {
		if !suits(e, p) {
			continue
		}
		if placeWords[p] == words {
			return p, nil
		}
		possible = append(possible, placeWords[p])
	}
	return 0, w.wrong(words, possible...)
}

// count says which of many: the n-th one, all from it onward, or each with a probability.
type count struct {
	n       uint64
	onward  bool
	percent float64 // where n is 0
}

func (c count) String() string {
	switch {
	case c.n == 0:
		return strconv.FormatFloat(c.percent, 'g', -1, 64) + "%"
	case c.onward:
		return fmt.Sprintf("%d+", c.n)
	default:
		return strconv.FormatUint(c.n, 10)
	}
}

// has reports whether the n-th one is meant.
func (c count) has(n uint64, chance *rand.Rand) bool {
	switch {
	case c.n == 0:
		return chance.Float64()*100 < c.percent
	case c.onward:
		return n >= c.n
	default:
		return n == c.n
	}
}

// parseCount reads a count that may be left out.
func parseCount(w *words) (count, error) {
	if w.ended() {
		return count{n: 1}, nil
	}
	return parseCountGiven(w)
}

func parseCountGiven(w *words) (c count, err error) {
	word := w.next()
	if digits, ok := strings.CutSuffix(word, "%"); ok {
		c.percent, err = strconv.ParseFloat(digits, 64)
		if err == nil && c.percent >= 0 && c.percent <= 100 {
			return c, nil
		}
	} else {
		digits, onward := strings.CutSuffix(word, "+")
		c.onward = onward
		c.n, err = strconv.ParseUint(digits, 10, 64)
		if err == nil && c.n > 0 && c.n <= maxNumber {
			return c, nil
		}
	}
	return count{}, w.wrong(word, "3 (the third)", "3+ (and all later ones)", "2% (each with this probability)")
}
