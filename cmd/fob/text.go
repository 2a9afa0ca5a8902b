package main

import (
	"strings"
	"unicode"
)

// shown makes text that others chose fit for a terminal: what does not print could move the cursor, or more.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

// shownLines is shown for what may have several lines, such as joined errors.
func shownLines(s string) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = shown(line)
	}
	return strings.Join(lines, "\n")
}
