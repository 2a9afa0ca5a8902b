package pskc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// What a file may have. Files of a million keys have tokens of less than 1 KiB and a depth of less than 12.
const (
	maxToken = 64 << 10 // bytes of a tag, a comment, or a text between two tags
	maxDepth = 64       // elements within one another
	maxAttrs = 64       // of an element
	maxValue = 4 << 10  // bytes of the value of an attribute
)

// xmlError is what is wrong with a file as XML.
type xmlError struct {
	line, column int
	problem      string
	// strict says that Go's encoding/xml would read it: the file has what XML forbids, or what this scanner does not
	// take, such as a DOCTYPE.
	strict bool
}

func (e *xmlError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.line, e.column, e.problem)
}

// kind is the kind of a token.
type kind uint8

const (
	fileEnd kind = iota
	elementStart
	elementEnd
	charData
)

// attr is an attribute. Its name is as it is written.
type attr struct{ name, value []byte }

// binding is what a namespace prefix stands for, from the element at a depth on inwards. The default namespace has no
// prefix.
type binding struct {
	prefix string
	uri    string
	depth  int
}

// scanner splits XML 1.0 with namespaces (W3C Recommendations) into elements and text. It reads UTF-8, which may begin
// with a byte order mark; names are ASCII. Comments and processing instructions are passed over; a DOCTYPE is refused,
// so that there are no entities but the five of XML and those by number. Its memory does not grow with the file.
type scanner struct {
	in        io.Reader
	buf       []byte
	pos, end  int   // what of buf was read and not used yet
	base      int64 // where buf[0] stands in the file
	line      int
	lineStart int64 // where the line begins in the file
	atEOF     bool

	names    []byte // of the elements that are open, one behind the other
	open     []int  // where in names each of them ends
	bindings []binding
	closing  bool // the last tag was an empty-element tag, whose end comes next
	rooted   bool // the root element has begun
	scratch  []byte

	// Of the last token, until the next one:
	name        []byte // as it is written
	local       []byte // its part behind the prefix
	space       string // the namespace of the element, or ""
	attrs       []attr
	text        []byte
	row, column int // where it began, from 1 on, the column in bytes
}

func newScanner(in io.Reader) *scanner {
	return &scanner{in: in, buf: make([]byte, 2*maxToken), scratch: make([]byte, 0, 2*maxToken), line: 1}
}

// wipe overwrites what the scanner holds of the file.
func (s *scanner) wipe() {
	clear(s.buf)
	clear(s.scratch[:cap(s.scratch)])
}

// errShort says that the buffer ends within a token.
var errShort = errors.New("the token is not complete")

// next reads a token. Texts come in pieces: between two tags there may be several of them.
func (s *scanner) next() (kind, error) {
	if s.closing {
		s.closing = false
		return elementEnd, s.pop()
	}
	for {
		if s.base+int64(s.pos) == 0 {
			if err := s.skipBOM(); err != nil {
				return 0, err
			}
		}
		s.row, s.column = s.line, int(s.base+int64(s.pos)-s.lineStart)+1
		k, n, err := s.token(s.buf[s.pos:s.end])
		switch {
		case err == nil && n > maxToken:
			return 0, s.tooLong()
		case err == nil:
			s.advance(n)
			if k != fileEnd {
				return k, nil
			}
			continue // a comment, or a processing instruction
		case err != errShort:
			return 0, err
		case !s.atEOF:
			if err := s.fill(); err != nil {
				return 0, err
			}
			continue
		case s.pos < s.end:
			return 0, s.fault("the file ends within a tag or a comment")
		case len(s.open) > 0:
			return 0, s.fault("the file ends, but element " + quote(s.names[s.nameStart():]) + " is open")
		case !s.rooted:
			return 0, s.strictly("the file has no element")
		}
		return fileEnd, nil
	}
}

// fill reads on, so much that what is read of a token doubles at least.
func (s *scanner) fill() error {
	have := s.end - s.pos
	if have > maxToken {
		return s.tooLong()
	}
	copy(s.buf, s.buf[s.pos:s.end])
	s.base += int64(s.pos)
	s.pos, s.end = 0, have
	n, err := io.ReadAtLeast(s.in, s.buf[s.end:], have+1)
	s.end += n
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		s.atEOF, err = true, nil
	}
	return err
}

func (s *scanner) skipBOM() error {
	for s.end < 3 && !s.atEOF {
		if err := s.fill(); err != nil {
			return err
		}
	}
	if bytes.HasPrefix(s.buf[:s.end], []byte("\ufeff")) {
		s.pos, s.lineStart = 3, 3
	}
	return nil
}

// advance steps over n bytes and counts their lines.
func (s *scanner) advance(n int) {
	for b, from := s.buf[s.pos:s.pos+n], s.base+int64(s.pos); ; {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		s.line++
		from += int64(i) + 1
		s.lineStart = from
		b = b[i+1:]
	}
	s.pos += n
}

// fault is an error of XML's grammar at the token.
func (s *scanner) fault(problem string) error {
	return &xmlError{line: s.row, column: s.column, problem: problem}
}

func (s *scanner) strictly(problem string) error {
	return &xmlError{line: s.row, column: s.column, problem: problem, strict: true}
}

func (s *scanner) tooLong() error {
	return s.strictly(fmt.Sprintf("a tag, comment or text is longer than %d bytes", maxToken))
}

// token parses what b begins with, and tells how long it is. Its kind is fileEnd for what is passed over.
func (s *scanner) token(b []byte) (kind, int, error) {
	if len(b) == 0 {
		return 0, 0, errShort
	}
	if b[0] != '<' {
		return s.charData(b)
	}
	if len(b) < 2 {
		return 0, 0, errShort
	}
	switch b[1] {
	case '/':
		return s.endTag(b)
	case '?':
		n, err := s.instruction(b)
		return 0, n, err
	case '!':
		return s.declaration(b)
	}
	return s.startTag(b)
}

// instruction passes over a processing instruction. The XML declaration is one, too.
func (s *scanner) instruction(b []byte) (int, error) {
	end := bytes.Index(b, []byte("?>"))
	if end < 0 {
		return 0, errShort
	}
	name, n, err := s.parseName(b[2 : end+2])
	switch {
	case err != nil:
		return 0, s.strictly("a processing instruction has no name")
	case !bytes.EqualFold(name, []byte("xml")):
		if c := b[2+n]; c != '?' && !isSpace(c) {
			return 0, s.strictly("a processing instruction has a bad name")
		}
		return end + 2, nil
	case s.rooted || s.row > 1 || s.column > 1 || string(name) != "xml":
		return 0, s.strictly("an XML declaration may stand at the beginning of the file alone")
	}
	return end + 2, s.xmlDeclaration(b[2+n : end])
}

// xmlDeclaration checks version and encoding (XML 1.0 §2.8).
func (s *scanner) xmlDeclaration(b []byte) error {
	version, encoding, err := s.pseudoAttrs(b)
	switch {
	case err != nil:
		return err
	case version != "1.0":
		return s.strictly("the version of XML must be 1.0")
	case encoding == "" || bytes.EqualFold([]byte(encoding), []byte("utf-8")):
		return nil
	}
	return s.strictly("the encoding must be UTF-8, and not " + quote([]byte(encoding)))
}

func (s *scanner) pseudoAttrs(b []byte) (version, encoding string, err error) {
	s.attrs, s.scratch = s.attrs[:0], s.scratch[:0]
	for b = bytes.TrimLeft(b, space); len(b) > 0; b = bytes.TrimLeft(b, space) {
		n, err := s.attribute(b)
		if err != nil {
			return "", "", s.strictly("the XML declaration is not well-formed")
		}
		b = b[n:]
	}
	for _, a := range s.attrs {
		switch string(a.name) {
		case "version":
			version = string(a.value)
		case "encoding":
			encoding = string(a.value)
		}
	}
	return version, encoding, nil
}

// declaration parses a CDATA section and passes over a comment.
func (s *scanner) declaration(b []byte) (kind, int, error) {
	const cdata = "<![CDATA["
	switch {
	case bytes.HasPrefix(b, []byte("<!--")):
		n, err := s.comment(b)
		return 0, n, err
	case bytes.HasPrefix(b, []byte(cdata)):
		end := bytes.Index(b, []byte("]]>"))
		if end < 0 {
			return 0, 0, errShort
		}
		text, err := s.characters(b[len(cdata):end], inCDATA)
		s.text = text
		if err == nil && len(s.open) == 0 {
			err = s.strictly("there is text outside of the root element")
		}
		return charData, end + 3, err
	case bytes.HasPrefix([]byte(cdata), b) || bytes.HasPrefix([]byte("<!--"), b):
		return 0, 0, errShort
	case bytes.HasPrefix(b, []byte("<!DOCTYPE")):
		return 0, 0, s.strictly("it has a DOCTYPE, which is not read")
	case bytes.HasPrefix([]byte("<!DOCTYPE"), b):
		return 0, 0, errShort
	}
	return 0, 0, s.strictly("it has a declaration, which is not read")
}

func (s *scanner) comment(b []byte) (int, error) {
	const start = len("<!--")
	i := bytes.Index(b[start:], []byte("--"))
	switch end := start + i + 2; {
	case i < 0 || end >= len(b):
		return 0, errShort
	case b[end] != '>':
		return 0, s.fault("a comment has two dashes in it")
	default:
		return end + 1, nil
	}
}

// startTag parses a start tag or an empty-element tag.
func (s *scanner) startTag(b []byte) (kind, int, error) {
	name, n, err := s.parseName(b[1:])
	if err != nil {
		return 0, 0, err
	}
	s.attrs, s.scratch = s.attrs[:0], s.scratch[:0]
	for i := 1 + n; ; {
		spaces := countSpace(b[i:])
		i += spaces
		switch {
		case i == len(b):
			return 0, 0, errShort
		case b[i] == '>':
			return elementStart, i + 1, s.push(name)
		case b[i] == '/':
			if i+1 == len(b) {
				return 0, 0, errShort
			}
			if b[i+1] != '>' {
				return 0, 0, s.fault("a slash stands in a tag")
			}
			s.closing = true
			return elementStart, i + 2, s.push(name)
		}
		n, err := s.attribute(b[i:])
		if err == nil && spaces == 0 {
			err = s.strictly("two attributes have no space between them")
		}
		if err != nil {
			return 0, 0, err
		}
		i += n
	}
}

// attribute parses an attribute, which it appends, and tells how long it is.
func (s *scanner) attribute(b []byte) (int, error) {
	name, n, err := s.parseName(b)
	if err != nil {
		return 0, err
	}
	n += countSpace(b[n:])
	if n == len(b) {
		return 0, errShort
	}
	if b[n] != '=' {
		return 0, s.fault("attribute " + quote(name) + " has no value")
	}
	n++
	n += countSpace(b[n:])
	if n == len(b) {
		return 0, errShort
	}
	mark := b[n]
	if mark != '"' && mark != '\'' {
		return 0, s.fault("the value of attribute " + quote(name) + " has no quotes")
	}
	end := bytes.IndexByte(b[n+1:], mark)
	if end < 0 {
		if i := bytes.IndexByte(b[n+1:], '<'); i >= 0 {
			return 0, s.fault("the value of an attribute has a <")
		}
		return 0, errShort
	}
	if end > maxValue {
		return 0, s.strictly(fmt.Sprintf("the value of an attribute is longer than %d bytes", maxValue))
	}
	value, err := s.characters(b[n+1:n+1+end], inAttribute)
	if err != nil {
		return 0, err
	}
	s.attrs = append(s.attrs, attr{name, value})
	return n + end + 2, s.checkAttr(name)
}

func (s *scanner) checkAttr(name []byte) error {
	if len(s.attrs) > maxAttrs {
		return s.strictly(fmt.Sprintf("an element has more than %d attributes", maxAttrs))
	}
	for _, a := range s.attrs[:len(s.attrs)-1] {
		if bytes.Equal(a.name, name) {
			return s.strictly("an element has attribute " + quote(name) + " twice")
		}
	}
	return nil
}

// endTag parses an end tag.
func (s *scanner) endTag(b []byte) (kind, int, error) {
	if len(s.open) > 0 { // it is mostly the one that must come
		want := s.names[s.nameStart():]
		if n := 2 + len(want); len(b) > n && b[n] == '>' && bytes.Equal(b[2:n], want) {
			return elementEnd, n + 1, s.pop()
		}
	}
	name, n, err := s.parseName(b[2:])
	if err != nil {
		return 0, 0, err
	}
	n += 2 + countSpace(b[2+n:])
	switch {
	case n == len(b):
		return 0, 0, errShort
	case b[n] != '>':
		return 0, 0, s.fault("end tag " + quote(name) + " is not well-formed")
	case len(s.open) == 0:
		return 0, 0, s.fault("end tag " + quote(name) + " ends nothing")
	case !bytes.Equal(name, s.names[s.nameStart():]):
		return 0, 0, s.fault("end tag " + quote(name) + " ends element " + quote(s.names[s.nameStart():]))
	}
	return elementEnd, n + 1, s.pop()
}

// nameStart tells where in names that of the innermost element begins.
func (s *scanner) nameStart() int {
	if len(s.open) < 2 {
		return 0
	}
	return s.open[len(s.open)-2]
}

// push opens an element.
func (s *scanner) push(name []byte) error {
	switch {
	case len(s.open) == 0 && s.rooted:
		return s.strictly("the file has a second root element")
	case len(s.open) >= maxDepth:
		return s.strictly(fmt.Sprintf("more than %d elements are open", maxDepth))
	}
	s.rooted = true
	s.names = append(s.names, name...)
	s.open = append(s.open, len(s.names))
	for _, a := range s.attrs {
		if err := s.bind(a); err != nil {
			return err
		}
	}
	for _, a := range s.attrs {
		if prefix, _ := cutPrefix(a.name); len(prefix) > 0 && string(prefix) != "xmlns" {
			if _, err := s.resolve(prefix); err != nil {
				return err
			}
		}
	}
	prefix, local := cutPrefix(name)
	s.name, s.local = name, local
	uri, err := s.resolve(prefix)
	s.space = uri
	return err
}

// bind takes a namespace declaration.
func (s *scanner) bind(a attr) error {
	if len(a.name) < 5 || string(a.name[:5]) != "xmlns" {
		return nil
	}
	prefix, local := cutPrefix(a.name)
	switch {
	case len(prefix) == 0 && len(local) > 5:
		return nil // a name that begins alike
	case len(prefix) == 0:
		local = nil
	case string(prefix) != "xmlns":
		return nil
	case len(a.value) == 0:
		return s.strictly("prefix " + quote(local) + " is bound to no namespace")
	case string(local) == "xml" || string(local) == "xmlns":
		return s.strictly("prefix " + quote(local) + " can't be bound")
	}
	s.bindings = append(s.bindings, binding{internPrefix(local), internSpace(a.value), len(s.open)})
	return nil
}

// resolve gives the namespace of a prefix.
func (s *scanner) resolve(prefix []byte) (string, error) {
	for i := len(s.bindings) - 1; i >= 0; i-- {
		if s.bindings[i].prefix == string(prefix) {
			return s.bindings[i].uri, nil
		}
	}
	switch string(prefix) {
	case "":
		return "", nil
	case "xml":
		return xmlSpace, nil
	}
	return "", s.strictly("prefix " + quote(prefix) + " is not bound to a namespace")
}

// pop closes the innermost element.
func (s *scanner) pop() error {
	for n := len(s.bindings); n > 0 && s.bindings[n-1].depth == len(s.open); n-- {
		s.bindings = s.bindings[:n-1]
	}
	s.names = s.names[:s.nameStart()]
	s.open = s.open[:len(s.open)-1]
	return nil
}

// charData parses text up to the next tag.
func (s *scanner) charData(b []byte) (kind, int, error) {
	n := bytes.IndexByte(b, '<')
	if n < 0 {
		if !s.atEOF {
			return 0, 0, errShort
		}
		n = len(b)
	}
	s.scratch = s.scratch[:0]
	text, err := s.characters(b[:n], inText)
	if err != nil {
		return 0, 0, err
	}
	s.text = text
	if len(s.open) > 0 {
		return charData, n, nil
	}
	if len(bytes.Trim(b[:n], space)) > 0 {
		return 0, 0, s.strictly("there is text outside of the root element")
	}
	return 0, n, nil
}

// parseName parses a name with at most one prefix (Namespaces in XML 1.0 §4), and tells how long it is.
func (s *scanner) parseName(b []byte) ([]byte, int, error) {
	n := 0
	for n < len(b) && classes[b[n]]&nameChar != 0 {
		n++
	}
	switch {
	case n == len(b):
		return nil, 0, errShort
	case b[n] >= utf8.RuneSelf:
		return nil, 0, s.strictly("a name has a character that is not ASCII")
	case n == 0:
		return nil, 0, s.fault("a name is missing")
	}
	name := b[:n]
	if classes[name[0]]&nameStart != 0 && bytes.IndexByte(name, ':') < 0 {
		return name, n, nil
	}
	prefix, local := cutPrefix(name)
	for _, part := range [...][]byte{prefix, local} {
		if len(part) == 0 && len(name) > len(local) || len(part) > 0 && classes[part[0]]&nameStart == 0 {
			return nil, 0, s.badName(name)
		}
		if bytes.IndexByte(part, ':') >= 0 {
			return nil, 0, s.fault("name " + quote(name) + " has two prefixes")
		}
	}
	return name, n, nil
}

// badName tells of a name whose prefix or rest is none. encoding/xml looks at the beginning of the whole alone.
func (s *scanner) badName(name []byte) error {
	problem := "name " + quote(name) + " is none"
	if c := name[0]; bytes.Count(name, []byte(":")) > 1 || c != ':' && classes[c]&nameStart == 0 {
		return s.fault(problem)
	}
	return s.strictly(problem)
}

// cutPrefix splits a name.
func cutPrefix(name []byte) (prefix, local []byte) {
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return nil, name
}

const space = " \t\r\n"

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func countSpace(b []byte) (n int) {
	for n < len(b) && isSpace(b[n]) {
		n++
	}
	return n
}

// quote quotes a name for a message, and shortens it.
func quote(b []byte) string {
	if len(b) > 128 {
		return fmt.Sprintf("%q...", b[:128])
	}
	return fmt.Sprintf("%q", b)
}
