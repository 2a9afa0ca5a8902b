package ipc

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fob/ipc/varlink"
)

// interfaces parses all .varlink files.
func interfaces(t *testing.T) (list []*varlink.Interface) {
	t.Helper()
	paths, err := filepath.Glob("*.varlink")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		i := parse(t, string(text))
		if i.Name+".varlink" != path {
			t.Errorf("%s is in %s", i.Name, path)
		}
		list = append(list, i)
	}
	return list
}

// TestAllIsExplained: every type, method, error, field and value has a comment of its own, or is named in one of what it
// is a part of, or in the type to which that refers.
func TestAllIsExplained(t *testing.T) {
	all := interfaces(t)
	for _, i := range all {
		if i.Doc == "" {
			t.Errorf("%s is not explained", i.Name)
		}
		check := func(name, doc string, types ...*varlink.Type) {
			t.Helper()
			if doc == "" {
				t.Errorf("%s.%s is not explained", i.Name, name)
			}
			for _, typ := range types {
				for _, missing := range unexplained(typ, i.Doc+"\n"+doc+"\n"+referredTo(all, doc)) {
					t.Errorf("%s.%s: %s is not explained", i.Name, name, missing)
				}
			}
		}
		for _, d := range slices.Concat(i.Types, i.Errors) {
			check(d.Name, d.Doc, d.Type)
		}
		for _, m := range i.Methods {
			check(m.Name, m.Doc, m.In, m.Out)
		}
	}
}

var (
	word      = regexp.MustCompile(`[A-Za-z][A-Za-z0-9_]*`)
	reference = regexp.MustCompile(`fob\.[A-Z][A-Za-z]+\.[A-Z][A-Za-z]+`)
)

// referredTo gives the comments of the types that doc names, and the names of their fields that have one.
func referredTo(all []*varlink.Interface, doc string) string {
	var b strings.Builder
	for _, name := range reference.FindAllString(doc, -1) {
		for _, i := range all {
			for _, d := range i.Types {
				if i.Name+"."+d.Name != name {
					continue
				}
				b.WriteString(d.Doc + "\n")
				for _, f := range d.Type.Fields {
					if f.Doc != "" {
						b.WriteString(f.Name + "\n")
					}
				}
			}
		}
	}
	return b.String()
}

// unexplained lists the fields that neither have a comment nor are named in doc. A field whose type has a name is
// explained there, and one that has values by them.
func unexplained(t *varlink.Type, doc string) (missing []string) {
	named := word.FindAllString(doc, -1)
	for _, f := range inner(t).Fields {
		if f.Type == nil {
			if f.Doc == "" && !slices.Contains(named, f.Name) {
				missing = append(missing, "value "+f.Name)
			}
			continue
		}
		typ := inner(f.Type)
		elsewhere := typ.Kind == varlink.KindReference || typ.Kind == varlink.KindEnum
		if f.Doc == "" && !elsewhere && !slices.Contains(named, f.Name) {
			missing = append(missing, f.Name)
		}
		missing = append(missing, unexplained(typ, doc+"\n"+f.Doc)...)
	}
	return missing
}

// inner is the type within arrays, dictionaries and question marks.
func inner(t *varlink.Type) *varlink.Type {
	for t.Elem != nil {
		t = t.Elem
	}
	return t
}

// TestNoCommentIsLoose: a comment with an empty line behind it belongs to nothing, and other parsers put it anywhere.
func TestNoCommentIsLoose(t *testing.T) {
	for _, i := range interfaces(t) {
		text, err := os.ReadFile(i.Name + ".varlink")
		if err != nil {
			t.Fatal(err)
		}
		want, got := strings.Count(string(text), "#"), strings.Count(i.String(), "#")
		if want != got {
			t.Errorf("%s: %d lines of %d belong to something", i.Name, got, want)
		}
	}
}
