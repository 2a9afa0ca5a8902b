package varlink

import "strings"

// Interface is a parsed interface definition (https://varlink.org/Interface-Definition).
type Interface struct {
	Name    string // reverse domain name, such as "org.varlink.service"
	Doc     string // the comment lines right above, without "# "; the same holds for every Doc
	Types   []Definition
	Methods []Method
	Errors  []Definition
}

// Definition is a named type, a struct or an enum, or an error, which is a struct.
type Definition struct {
	Name, Doc string
	Type      *Type
}

// Method has a struct of parameters and a struct of results.
type Method struct {
	Name, Doc string
	In, Out   *Type
}

// Field is a member of a struct, or a value of an enum, which has no type.
type Field struct {
	Name, Doc string
	Type      *Type
}

// Type is the type of a field. Which of its members are set depends on the kind.
type Type struct {
	Kind   Kind
	Name   string  // of the type that KindReference refers to
	Elem   *Type   // of KindArray, KindDictionary (whose keys are strings) and KindNullable
	Fields []Field // of KindStruct and KindEnum
}

// Kind tells types apart.
type Kind int

// The kinds of types, with how each is written.
const (
	KindBool       Kind = iota + 1 // bool
	KindInt                        // int
	KindFloat                      // float
	KindString                     // string
	KindObject                     // object: any JSON object
	KindReference                  // the name of a type of the same interface
	KindArray                      // []T
	KindDictionary                 // [string]T
	KindNullable                   // ?T: null or absent is allowed
	KindStruct                     // (name: T, ...)
	KindEnum                       // (name, ...)
)

var primitives = map[string]Kind{
	"bool": KindBool, "int": KindInt, "float": KindFloat, "string": KindString, "object": KindObject,
}

// String gives the type as it is written, on one line and without comments.
func (t *Type) String() string {
	switch t.Kind {
	case KindReference:
		return t.Name
	case KindArray, KindDictionary, KindNullable:
		return t.prefix() + t.Elem.String()
	case KindStruct, KindEnum:
		var parts []string
		for _, f := range t.Fields {
			parts = append(parts, f.String())
		}
		return "(" + strings.Join(parts, ", ") + ")"
	}
	for name, kind := range primitives {
		if kind == t.Kind {
			return name
		}
	}
	return "invalid"
}

func (f Field) String() string {
	if f.Type == nil {
		return f.Name
	}
	return f.Name + ": " + f.Type.String()
}

func (t *Type) prefix() string {
	return map[Kind]string{KindArray: "[]", KindDictionary: "[string]", KindNullable: "?"}[t.Kind]
}

// String gives the definition in the usual layout: types, methods, errors.
func (i *Interface) String() string {
	var b strings.Builder
	writeDoc(&b, i.Doc, "")
	b.WriteString("interface " + i.Name + "\n")
	for _, t := range i.Types {
		t.write(&b, "type")
	}
	for _, m := range i.Methods {
		b.WriteByte('\n')
		writeDoc(&b, m.Doc, "")
		b.WriteString("method " + m.Name)
		m.In.write(&b, "")
		b.WriteString(" -> ")
		m.Out.write(&b, "")
		b.WriteByte('\n')
	}
	for _, e := range i.Errors {
		e.write(&b, "error")
	}
	return b.String()
}

func (d Definition) write(b *strings.Builder, keyword string) {
	b.WriteByte('\n')
	writeDoc(b, d.Doc, "")
	b.WriteString(keyword + " " + d.Name + " ")
	d.Type.write(b, "")
	b.WriteByte('\n')
}

// write lays the type out on several lines when it is long or has comments inside.
func (t *Type) write(b *strings.Builder, indent string) {
	const width = 72
	line := t.String()
	switch {
	case len(line) <= width && !t.documented():
		b.WriteString(line)
	case t.Elem != nil:
		b.WriteString(t.prefix())
		t.Elem.write(b, indent)
	case len(t.Fields) == 0:
		b.WriteString(line)
	default:
		b.WriteString("(\n")
		for n, f := range t.Fields {
			f.write(b, indent+"  ")
			if n < len(t.Fields)-1 {
				b.WriteByte(',')
			}
			b.WriteByte('\n')
		}
		b.WriteString(indent + ")")
	}
}

func (f Field) write(b *strings.Builder, indent string) {
	writeDoc(b, f.Doc, indent)
	b.WriteString(indent + f.Name)
	if f.Type != nil {
		b.WriteString(": ")
		f.Type.write(b, indent)
	}
}

// documented reports whether there is a comment inside the type.
func (t *Type) documented() bool {
	if t.Elem != nil {
		return t.Elem.documented()
	}
	for _, f := range t.Fields {
		if f.Doc != "" || f.Type != nil && f.Type.documented() {
			return true
		}
	}
	return false
}

func writeDoc(b *strings.Builder, doc, indent string) {
	if doc == "" {
		return
	}
	for line := range strings.SplitSeq(doc, "\n") {
		b.WriteString(strings.TrimRight(indent+"# "+line, " ") + "\n")
	}
}
