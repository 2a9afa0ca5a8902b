package fault

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a fault may say.
const (
	maxText     = 200               // bytes
	maxNumber   = 1_000_000         // of a count, and of keepalives
	maxDuration = time.Hour         // of a wait
	maxJump     = 87600 * time.Hour // of the clock, either way: ten years
)

// SyntaxError is a text that is no fault.
type SyntaxError struct {
	Text     string
	Word     string   // where it went wrong; empty at the end of the text
	Possible []string // what may stand there
}

func (e *SyntaxError) Error() string {
	possible := strings.Join(e.Possible, ", ")
	if e.Word == "" {
		return fmt.Sprintf("fault %.60q: at its end, one of these is missing: %s", e.Text, possible)
	}
	return fmt.Sprintf("fault %.60q: %.40q is none of %s", e.Text, e.Word, possible)
}

// words are what is left of a text.
type words struct {
	text string
	left []string
}

func (w *words) ended() bool { return len(w.left) == 0 }

// next takes a word; it is empty at the end.
func (w *words) next() string {
	if w.ended() {
		return ""
	}
	word := w.left[0]
	w.left = w.left[1:]
	return word
}

// follows takes the next word if it is this one.
func (w *words) follows(word string) bool {
	if w.ended() || w.left[0] != word {
		return false
	}
	w.next()
	return true
}

// choose takes a word that must be one of several, in whatever case.
func (w *words) choose(possible ...string) (string, error) {
	word := w.next()
	for _, p := range possible {
		if strings.EqualFold(p, word) {
			return p, nil
		}
	}
	return "", w.wrong(word, possible...)
}

func (w *words) wrong(word string, possible ...string) error {
	return &SyntaxError{w.text, word, possible}
}

func (w *words) number(least, most uint64) (uint64, error) {
	word := w.next()
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil || n < least || n > most {
		return 0, w.wrong(word, fmt.Sprintf("the numbers from %d to %d", least, most))
	}
	return n, nil
}

func (w *words) duration(least, most time.Duration) (time.Duration, error) {
	word := w.next()
	d, err := time.ParseDuration(word)
	if err != nil || d < least || d > most {
		return 0, w.wrong(word, fmt.Sprintf("the durations from %v to %v, such as 500ms or 2s", least, most))
	}
	return d, nil
}
