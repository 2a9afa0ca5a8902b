package varlink

import (
	"fmt"
	"strings"
)

// token is a word or a sign of an interface definition; at the end its text is empty.
type token struct {
	text string
	line int
	doc  string // the comment lines right above
}

// String is for messages, so it is short whatever the text.
func (t token) String() string {
	switch {
	case t.text == "":
		return "the end"
	case len(t.text) > 40:
		return fmt.Sprintf("%q...", t.text[:40])
	}
	return fmt.Sprintf("%q", t.text)
}

// lexer splits a definition into tokens. A comment belongs to the token below it if it has its lines for itself and
// no empty line follows.
type lexer struct {
	text string // the rest
	line int    // of the rest's first byte
	used bool   // something other than space was seen in this line
	doc  []string
}

func (l *lexer) next() (token, error) {
	for l.text != "" {
		switch c := l.text[0]; {
		case c == '\n':
			l.newline()
		case c == ' ' || c == '\t' || c == '\r':
			l.text = l.text[1:]
		case c == '#':
			l.comment()
		default:
			return l.take()
		}
	}
	return token{line: l.line}, nil
}

func (l *lexer) newline() {
	if !l.used {
		l.doc = nil
	}
	l.used = false
	l.line++
	l.text = l.text[1:]
}

// comment skips to the end of the line.
func (l *lexer) comment() {
	end := strings.IndexByte(l.text, '\n')
	if end < 0 {
		end = len(l.text)
	}
	if !l.used {
		line := strings.TrimPrefix(l.text[1:end], " ")
		l.doc = append(l.doc, strings.TrimRight(line, " \t\r"))
	}
	l.used = true
	l.text = l.text[end:]
}

func (l *lexer) take() (token, error) {
	n := len(l.text) - len(strings.TrimLeftFunc(l.text, isWord))
	switch {
	case strings.HasPrefix(l.text, "->"):
		n = 2
	case n > 0:
	case strings.ContainsRune("()[]:,?", rune(l.text[0])):
		n = 1
	default:
		return token{}, &SyntaxError{l.line, fmt.Sprintf("unexpected character %q", l.text[0])}
	}
	t := token{text: l.text[:n], line: l.line, doc: strings.Join(l.doc, "\n")}
	l.text, l.doc, l.used = l.text[n:], nil, true
	return t, nil
}

// isWord takes the characters of all kinds of names.
func isWord(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-'
}
