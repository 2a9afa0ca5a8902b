package varlink

import (
	"fmt"
	"regexp"
)

// SyntaxError is what is wrong with an interface definition.
type SyntaxError struct {
	Line    int // counted from 1
	Message string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// maxDepth bounds how deep types nest inside one another.
const maxDepth = 32

var (
	interfaceName = regexp.MustCompile(`^[A-Za-z](-*[A-Za-z0-9])*(\.[A-Za-z0-9](-*[A-Za-z0-9])*)+$`)
	memberName    = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	fieldName     = regexp.MustCompile(`^[A-Za-z](_?[A-Za-z0-9])*$`)
)

// ParseInterface parses an interface definition. Beyond the grammar it checks that names are unique and that every
// type referred to is defined. Errors are of type [*SyntaxError].
func ParseInterface(text string) (i *Interface, err error) {
	p := &parser{lexer: lexer{text: text, line: 1}}
	defer func() {
		if failure := recover(); failure != nil {
			syntax, ok := failure.(*SyntaxError) // thrown by fail
			if !ok {
				panic(failure)
			}
			i, err = nil, syntax
		}
	}()
	p.advance()
	i = p.parseInterface()
	for _, ref := range p.references {
		if !p.types[ref.text] {
			p.fail(ref.line, "undefined type %s", ref)
		}
	}
	return i, nil
}

// parser is a recursive descent; it leaves through fail at the first mistake.
type parser struct {
	lexer
	token      token          // the next one, not yet used
	members    map[string]int // line of each type, method and error: they share one namespace
	types      map[string]bool
	references []token
}

func (p *parser) fail(line int, format string, args ...any) {
	panic(&SyntaxError{line, fmt.Sprintf(format, args...)})
}

// advance uses up a token.
func (p *parser) advance() token {
	used := p.token
	next, err := p.next()
	if err != nil {
		panic(err)
	}
	p.token = next
	return used
}

// accept uses up the token if it is text.
func (p *parser) accept(text string) bool {
	if p.token.text != text {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.fail(p.token.line, "expected %q, found %s", text, p.token)
	}
}

func (p *parser) name(what string, form *regexp.Regexp) token {
	if !form.MatchString(p.token.text) {
		p.fail(p.token.line, "expected %s name, found %s", what, p.token)
	}
	return p.advance()
}

func (p *parser) parseInterface() *Interface {
	i := &Interface{Doc: p.token.doc}
	p.expect("interface")
	i.Name = p.name("an interface", interfaceName).text
	p.members, p.types = make(map[string]int), make(map[string]bool)
	for p.token.text != "" {
		doc := p.token.doc
		switch keyword := p.advance(); keyword.text {
		case "type":
			name := p.member()
			p.types[name] = true
			i.Types = append(i.Types, Definition{name, doc, p.parseFields(0)})
		case "method":
			m := Method{Name: p.member(), Doc: doc, In: p.parseStruct()}
			p.expect("->")
			m.Out = p.parseStruct()
			i.Methods = append(i.Methods, m)
		case "error":
			i.Errors = append(i.Errors, Definition{p.member(), doc, p.parseStruct()})
		default:
			p.fail(keyword.line, `expected "type", "method" or "error", found %s`, keyword)
		}
	}
	return i
}

func (p *parser) member() string {
	name := p.name("a type, method or error", memberName)
	if line, ok := p.members[name.text]; ok {
		p.fail(name.line, "%s is already defined in line %d", name, line)
	}
	p.members[name.text] = name.line
	return name.text
}

func (p *parser) parseType(depth int) *Type {
	if depth > maxDepth {
		p.fail(p.token.line, "types are nested too deep")
	}
	switch t := p.token; t.text {
	case "?":
		p.advance()
		if p.token.text == "?" {
			p.fail(p.token.line, "nullable twice")
		}
		return &Type{Kind: KindNullable, Elem: p.parseType(depth + 1)}
	case "[":
		p.advance()
		kind := KindArray
		if p.accept("string") {
			kind = KindDictionary
		}
		p.expect("]")
		return &Type{Kind: kind, Elem: p.parseType(depth + 1)}
	case "(":
		return p.parseFields(depth)
	}
	if kind, ok := primitives[p.token.text]; ok {
		p.advance()
		return &Type{Kind: kind}
	}
	t := p.name("a type", memberName)
	p.references = append(p.references, t)
	return &Type{Kind: KindReference, Name: t.text}
}

func (p *parser) parseStruct() *Type {
	line := p.token.line
	t := p.parseFields(0)
	if t.Kind != KindStruct {
		p.fail(line, "expected a struct, found an enum")
	}
	return t
}

// parseFields parses a struct, or an enum: the first name tells, by the colon that follows it or not.
func (p *parser) parseFields(depth int) *Type {
	t := &Type{Kind: KindStruct}
	p.expect("(")
	if p.accept(")") {
		return t
	}
	seen := make(map[string]bool)
	for {
		name := p.name("a field", fieldName)
		if seen[name.text] {
			p.fail(name.line, "field %s appears twice", name)
		}
		seen[name.text] = true
		if len(t.Fields) == 0 && p.token.text != ":" {
			t.Kind = KindEnum
		}
		f := Field{Name: name.text, Doc: name.doc}
		if t.Kind == KindStruct {
			p.expect(":")
			f.Type = p.parseType(depth + 1)
		}
		t.Fields = append(t.Fields, f)
		if !p.accept(",") {
			p.expect(")")
			return t
		}
	}
}
