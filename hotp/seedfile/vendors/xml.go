package vendors

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// leaf is an element that has text and no elements in it.
type leaf struct {
	path         string // names of the elements around it, below that of the record, and its own
	text         []byte
	line, column int // where the text begins
}

// record is an element with its attributes, as leaves too, and with the leaves in it.
type record struct {
	name         string
	line, column int
	leaves       []leaf
}

// one gives the leaf of a path, nil where there is none, and an error where there are several.
func (r *record) one(path string) (found *leaf, err error) {
	for i := range r.leaves {
		if r.leaves[i].path != path {
			continue
		}
		if found != nil {
			return nil, r.leaves[i].error(errors.New("a second one of " + path))
		}
		found = &r.leaves[i]
	}
	return found, nil
}

// text gives a text that is no secret, empty where it is not there.
func (r *record) text(path string) (string, error) {
	l, err := r.one(path)
	if l == nil {
		return "", err
	}
	return string(l.text), nil
}

// seed decodes a seed in hexadecimal digits, which must be there.
func (r *record) seed(path string) (hotp.Seed, error) {
	l, err := r.one(path)
	switch {
	case err != nil:
		return nil, err
	case l == nil:
		return nil, r.error(errors.New("there is no " + path))
	}
	seed, err := hotp.ParseHexSeed(l.text)
	if err != nil {
		seed.Wipe()
		return nil, l.error(err)
	}
	return seed, nil
}

func (r *record) error(problem error) error {
	return &seedfile.RowError{Line: r.line, Column: r.column, Problem: problem}
}

func (l *leaf) error(problem error) error {
	return &seedfile.RowError{Line: l.line, Column: l.column, Problem: problem}
}

// wipe overwrites all texts.
func (r *record) wipe() {
	for _, l := range r.leaves {
		clear(l.text[:cap(l.text)])
	}
}

// parser makes a token of a record, and none of one that is none, such as a header.
type parser func(*record) (*seedfile.Token, error)

// xmlReader reads a file of records below a root element. It holds one record at a time, and wipes that; what
// encoding/xml has of it in its buffers stays until it is collected.
type xmlReader struct {
	format *seedfile.Format
	from   *bounded
	in     *xml.Decoder
	root   string
	depth  int
	parse  parser
	begun  bool // the root element was there
	over   bool
}

// bounded lets encoding/xml have no more than a record is long: it keeps a whole text, however long it gets.
type bounded struct {
	in   io.Reader
	room int
}

const (
	maxRecord = 64 << 10
	maxPath   = 16 // elements within one another: each leaf keeps their names
)

var errRecord = errors.New("a token, or what stands between two, is longer than 64 KiB")

func (b *bounded) Read(p []byte) (int, error) {
	if b.room <= 0 {
		return 0, errRecord
	}
	n, err := b.in.Read(p[:min(len(p), b.room)])
	b.room -= n
	return n, err
}

func newXMLReader(f *seedfile.Format, in io.Reader, root string, parse parser) *xmlReader {
	from := &bounded{in: in}
	return &xmlReader{format: f, from: from, in: xml.NewDecoder(from), root: root, parse: parse}
}

func (x *xmlReader) Close() error { return nil }

func (x *xmlReader) Read() (*seedfile.Token, error) {
	for !x.over {
		x.from.room = maxRecord
		r, err := x.next()
		if err != nil {
			return nil, x.fatal(err)
		}
		if r == nil {
			continue
		}
		if t, err := x.token(r); t != nil || err != nil {
			return t, err
		}
	}
	return nil, io.EOF
}

func (x *xmlReader) token(r *record) (*seedfile.Token, error) {
	defer r.wipe()
	t, err := x.parse(r)
	if t == nil {
		return nil, err
	}
	t.Line = r.line
	if err == nil {
		err = x.format.Check(t, 0)
	}
	if err == nil {
		return t, nil
	}
	t.Wipe()
	return nil, columns.Bad(t, r.line, r.column, err)
}

// next reads a token of the XML file at the level of records, and a record whole.
func (x *xmlReader) next() (*record, error) {
	line, column := x.in.InputPos()
	token, err := x.in.Token()
	if errors.Is(err, io.EOF) && x.depth == 0 && x.begun {
		x.over = true
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case xml.Directive:
		return nil, x.bad("it has a DOCTYPE or another directive, which no seed file needs")
	case xml.EndElement:
		x.depth--
	case xml.StartElement:
		return x.start(token, line, column)
	}
	return nil, nil
}

func (x *xmlReader) start(e xml.StartElement, line, column int) (*record, error) {
	switch {
	case x.depth == 0 && (x.begun || e.Name.Local != x.root):
		return nil, x.bad("it has another root element than one " + x.root)
	case x.depth == 0:
		x.depth, x.begun = 1, true
		return nil, nil
	case x.depth == 1 && e.Name.Local == "tokens": // as Deepnet has it around tokens
		x.depth++
		return nil, nil
	}
	r := &record{name: e.Name.Local, line: line, column: column}
	for _, a := range e.Attr {
		r.leaves = append(r.leaves, leaf{path: "@" + a.Name.Local, text: []byte(a.Value), line: line, column: column})
	}
	return r, x.fill(r)
}

// fill reads a record up to its end.
func (x *xmlReader) fill(r *record) error {
	var path []string
	var text []byte
	isLeaf, line, column := false, 0, 0
	defer func() { clear(text[:cap(text)]) }()
	for {
		token, err := x.in.Token()
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			if len(path) == maxPath {
				return x.bad("its elements are too deep within one another")
			}
			path, text, isLeaf = append(path, token.Name.Local), text[:0], true
			line, column = x.in.InputPos()
		case xml.CharData:
			text = append(text, token...)
		case xml.EndElement:
			if len(path) == 0 {
				return nil
			}
			if isLeaf {
				r.leaves = append(r.leaves, leaf{strings.Join(path, "/"), bytes.Clone(bytes.TrimSpace(text)), line, column})
			}
			path, isLeaf = path[:len(path)-1], false
		case xml.Directive:
			return x.bad("it has a directive, which no seed file needs")
		}
	}
}

func (x *xmlReader) bad(problem string) error {
	line, column := x.in.InputPos()
	return &seedfile.FormatError{Format: x.format.Name, Line: line, Column: column, Problem: problem}
}

// fatal makes an error of the file of what encoding/xml says, and leaves what comes from the file's reader as it is.
func (x *xmlReader) fatal(err error) error {
	var syntax *xml.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return x.bad("it is no XML, or ends too early")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return x.bad("it has no element " + x.root)
	case errors.Is(err, errRecord):
		return x.bad(err.Error())
	case strings.HasPrefix(err.Error(), "xml: "): // another encoding, which encoding/xml has no type for
		return x.bad("its encoding is not UTF-8")
	}
	return err
}

// xmlText appends a text of a token to a line, escaped.
func xmlText(f *seedfile.Format, l *columns.Line, t *seedfile.Token, field seedfile.Field, text string) error {
	if strings.TrimSpace(text) != text || strings.ContainsAny(text, "\ufffe\uffff") {
		return &seedfile.ValueError{Format: f.Name, Token: t.Name(), Field: field,
			Problem: "has a space at an end, or a character that XML does not have"}
	}
	var out bytes.Buffer
	if err := xml.EscapeText(&out, []byte(text)); err != nil {
		return err
	}
	l.Append(func(b []byte) []byte { return append(b, out.Bytes()...) })
	return nil
}

// raw appends to a line.
func raw(l *columns.Line, text string) { l.Append(func(b []byte) []byte { return append(b, text...) }) }

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// xmlLines is the layout for lines of XML that are written.
var xmlLines = columns.Layout{Separator: '\n'}

// xmlDetect tells whether a file begins with a root element and has all of some words near its beginning.
func xmlDetect(root string, words ...string) func([]byte) int {
	return func(head []byte) int {
		at := bytes.Index(head, []byte("<"+root))
		if at < 0 || !bytes.HasPrefix(bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\ufeff")), " \t\r\n"), []byte("<")) {
			return 0
		}
		for _, word := range words {
			if !bytes.Contains(head[at:], []byte(word)) {
				return 0
			}
		}
		return sureHeader
	}
}
