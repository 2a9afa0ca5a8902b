package pskc

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// events writes out what a scanner reads: starts with their places and attributes, ends, and texts, joined.
func events(in io.Reader) (list []string, err error) {
	s := newScanner(in)
	text := ""
	flush := func() {
		if text != "" {
			list = append(list, fmt.Sprintf("text %q", text))
		}
		text = ""
	}
	for {
		k, err := s.next()
		if err != nil {
			return list, err
		}
		if k != charData {
			flush()
		}
		switch k {
		case fileEnd:
			return list, nil
		case elementStart:
			e := fmt.Sprintf("%d:%d start {%s}%s", s.row, s.column, s.space, s.local)
			for _, a := range s.attrs {
				e += fmt.Sprintf(" %s=%q", a.name, a.value)
			}
			list = append(list, e)
		case elementEnd:
			list = append(list, "end")
		case charData:
			text += string(s.text)
		}
	}
}

// oracle does the same by encoding/xml.
func oracle(file []byte) (list []string, err error) {
	d := xml.NewDecoder(bytes.NewReader(file))
	text, depth := "", 0
	flush := func() {
		if text != "" && depth > 0 {
			list = append(list, fmt.Sprintf("text %q", text))
		}
		text = ""
	}
	for {
		row, column := d.InputPos()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return list, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			flush()
			depth++
			e := fmt.Sprintf("%d:%d start {%s}%s", row, column, token.Name.Space, token.Name.Local)
			list = append(list, e+attributes(token))
		case xml.EndElement:
			flush()
			depth--
			list = append(list, "end")
		case xml.CharData:
			text += string(token)
		}
	}
}

// attributes writes out attributes, by the names that encoding/xml gives them: without prefixes, but for xmlns.
func attributes(e xml.StartElement) (list string) {
	for _, a := range e.Attr {
		list += fmt.Sprintf(" %s=%q", a.Name.Local, a.Value)
	}
	return list
}

// unprefixed takes the prefixes of attributes away, as the oracle's are.
func unprefixed(list []string) (out []string) {
	for _, e := range list {
		if i := strings.Index(e, " start {"); i >= 0 && !strings.HasPrefix(e, "text ") {
			e = reparse(e)
		}
		out = append(out, e)
	}
	return out
}

// reparse takes the prefix off each name of an attribute, whose value is quoted.
func reparse(e string) string {
	end := strings.Index(e, "}")
	i := strings.IndexByte(e[end:], ' ')
	if i < 0 {
		return e
	}
	out, rest := e[:end+i], e[end+i:]
	for rest != "" {
		name, behind, _ := strings.Cut(rest[1:], "=")
		value := quoted(behind)
		_, local := cutPrefix([]byte(name))
		out += " " + string(local) + "=" + value
		rest = behind[len(value):]
	}
	return out
}

// quoted gives the quoted string that s begins with.
func quoted(s string) string {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return s[:i+1]
		}
	}
	return s
}

var wellFormed = []string{
	`<a/>`,
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<a>\r\n <b c='1' d=\"2\"/>x<!-- - -->y\rz</a>\n<!-- end --><?pi ?>\n",
	`<p:a xmlns:p="urn:x" xmlns="urn:y"><b p:c="&lt;&#65;&#x42;&quot;&apos;&amp;&gt;"/><p:d xmlns:p="urn:z"/><p:d/></p:a>`,
	`<a><![CDATA[<&]]]]>&#93;]&gt;ä漢🔑</a  >`,
	`<a xmlns="urn:x"><b xmlns=""/><xml:c xml:lang="de"/></a>`,
	"<a\n  b = '\r\n'\n/>",
	strings.Repeat("<a>", maxDepth) + strings.Repeat("</a>", maxDepth),
	"<a>" + strings.Repeat("x", maxToken) + "<b/></a>",
}

// TestScanner: well-formed files are read as encoding/xml reads them, from a file that comes byte by byte as well.
func TestScanner(t *testing.T) {
	for _, file := range wellFormed {
		want, err := oracle([]byte(file))
		if err != nil {
			t.Fatal(err)
		}
		for name, in := range map[string]io.Reader{
			"whole": strings.NewReader(file), "bytes": iotest.OneByteReader(strings.NewReader(file))} {
			got, err := events(in)
			if got = unprefixed(got); err != nil || strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("%s %.60q: %v\n%.500s\nexpected\n%.500s", name, file, err, got, want)
			}
		}
	}
}

func TestScannerSkipsBOM(t *testing.T) {
	got, err := events(strings.NewReader("\ufeff<?xml version='1.0'?><a/>"))
	if want := "[1:22 start {}a end]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v", got, err)
	}
}

// TestScannerRefuses: what is no XML, or more than is taken, has an error that says where.
func TestScannerRefuses(t *testing.T) {
	for _, test := range [...]struct{ file, problem string }{
		{"", "line 1, column 1: the file has no element"},
		{"\n\n ", "line 3, column 2: the file has no element"},
		{"<a>\n<b></a>", `line 2, column 4: end tag "a" ends element "b"`},
		{"<a>\n <b", "line 2, column 2: the file ends within a tag or a comment"},
		{"<a>x", `line 1, column 5: the file ends, but element "a" is open`},
		{"<a/><b/>", "line 1, column 5: the file has a second root element"},
		{"<a/>x", "line 1, column 5: there is text outside of the root element"},
		{"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "line 1, column 1: it has a DOCTYPE, which is not read"},
		{"<a>&b;</a>", "line 1, column 4: it has an entity that XML does not define"},
		{"<a>&#xD800;</a>", "line 1, column 4: a reference is to a character that XML does not have"},
		{"<a>\x01</a>", "line 1, column 4: it has the character U+0001, which XML does not have"},
		{"<a>\xff</a>", "line 1, column 4: it is not UTF-8"},
		{"<a b='1' b='2'/>", `line 1, column 1: an element has attribute "b" twice`},
		{"<a b='<'/>", "line 1, column 1: the value of an attribute has a <"},
		{"<a b=1/>", `line 1, column 1: the value of attribute "b" has no quotes`},
		{"<p:a/>", `line 1, column 1: prefix "p" is not bound to a namespace`},
		{"<a p:b=''/>", `line 1, column 1: prefix "p" is not bound to a namespace`},
		{"<a:b:c/>", `line 1, column 1: name "a:b:c" has two prefixes`},
		{"<ä/>", "line 1, column 1: a name has a character that is not ASCII"},
		{"<a>]]></a>", "line 1, column 4: text has a ]]>"},
		{"<a><!-- -- --></a>", "line 1, column 4: a comment has two dashes in it"},
		{" <?xml version='1.0'?><a/>", "line 1, column 2: an XML declaration may stand at the beginning of the file alone"},
		{"<?xml version='1.1'?><a/>", "line 1, column 1: the version of XML must be 1.0"},
		{"<?xml version='1.0' encoding='latin1'?><a/>", `line 1, column 1: the encoding must be UTF-8, and not "latin1"`},
		{strings.Repeat("<a>", maxDepth+1), "line 1, column 193: more than 64 elements are open"},
		{"<a>" + strings.Repeat("x", maxToken+1) + "</a>",
			"line 1, column 4: a tag, comment or text is longer than 65536 bytes"},
		{"<a>" + strings.Repeat("x", 3*maxToken) + "</a>",
			"line 1, column 4: a tag, comment or text is longer than 65536 bytes"},
		{"<a " + manyAttributes(maxAttrs+1) + "/>", "line 1, column 1: an element has more than 64 attributes"},
	} {
		for name, in := range map[string]io.Reader{
			"whole": strings.NewReader(test.file), "bytes": iotest.OneByteReader(strings.NewReader(test.file))} {
			_, err := events(in)
			if err == nil || err.Error() != test.problem {
				t.Errorf("%s %.60q: %v, expected %s", name, test.file, err, test.problem)
			}
		}
	}
}

func manyAttributes(n int) (list string) {
	for i := range n {
		list += fmt.Sprintf(" a%d=''", i)
	}
	return list
}

// TestScannerFails: an error of the file itself is not taken for its end.
func TestScannerFails(t *testing.T) {
	if _, err := events(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("<a/>")))); !errors.Is(err,
		iotest.ErrTimeout) {
		t.Error(err)
	}
}

// FuzzScanner: what the scanner reads, encoding/xml reads alike; what is no XML for the one, is none for the other, but
// where the scanner is stricter and says so.
func FuzzScanner(f *testing.F) {
	for _, file := range wellFormed[:6] {
		f.Add([]byte(file))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if bytes.HasPrefix(file, []byte("\ufeff")) {
			return
		}
		got, err := events(bytes.NewReader(file))
		want, wantErr := oracle(file)
		var problem *xmlError
		switch {
		case err == nil && wantErr != nil:
			t.Errorf("read, but: %v", wantErr)
		case err == nil && strings.Join(unprefixed(got), "\n") != strings.Join(want, "\n"):
			t.Errorf("%q\nexpected\n%q", got, want)
		case err != nil && !errors.As(err, &problem):
			t.Error(err)
		case err != nil && !problem.strict && wantErr == nil:
			t.Errorf("refused, but is XML: %v", err)
		}
	})
}
