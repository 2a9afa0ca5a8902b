package ipc

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fob/ipc/varlink"
)

var record = flag.Bool("record", false, "record the interfaces as what programs may rely on")

// TestCompatibleGrowth holds the interfaces to what programs out there were written for: what is recorded in
// testdata/contract stays as it was, and what is new may be left out. Each release records what has been added:
// go test ./ipc -run TestCompatibleGrowth -record
func TestCompatibleGrowth(t *testing.T) {
	folder := filepath.Join("testdata", "contract")
	for _, now := range interfaces(t) {
		path := filepath.Join(folder, now.Name+".varlink")
		if *record {
			if err := os.WriteFile(path, []byte(bare(now)), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	paths, err := filepath.Glob(filepath.Join(folder, "*.varlink"))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		recorded := parse(t, string(text))
		n := slices.IndexFunc(interfaces(t), func(i *varlink.Interface) bool { return i.Name == recorded.Name })
		if n < 0 {
			t.Errorf("%s is gone", recorded.Name)
			continue
		}
		for _, b := range broken(recorded, interfaces(t)[n]) {
			t.Errorf("%s: %s", recorded.Name, b)
		}
	}
}

// bare is an interface without its comments.
func bare(i *varlink.Interface) string {
	var b strings.Builder
	for line := range strings.SplitSeq(i.String(), "\n") {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(line + "\n")
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// broken lists what a program written for old would stumble over.
func broken(old, now *varlink.Interface) (list []string) {
	definitions := func(old, now []varlink.Definition) {
		for _, o := range old {
			n := slices.IndexFunc(now, func(n varlink.Definition) bool { return n.Name == o.Name })
			if n < 0 {
				list = append(list, o.Name+" is gone")
				continue
			}
			list = append(list, changed(o.Name, o.Type, now[n].Type, false)...)
		}
	}
	definitions(old.Types, now.Types)
	definitions(old.Errors, now.Errors)
	for _, o := range old.Methods {
		n := slices.IndexFunc(now.Methods, func(n varlink.Method) bool { return n.Name == o.Name })
		if n < 0 {
			list = append(list, o.Name+" is gone")
			continue
		}
		list = append(list, changed(o.Name, o.In, now.Methods[n].In, true)...)
		list = append(list, changed(o.Name, o.Out, now.Methods[n].Out, false)...)
	}
	return list
}

// changed compares the members of structs, or the values of enums. Parameters may become ones that can be left out.
func changed(name string, old, now *varlink.Type, parameters bool) (list []string) {
	if old.Kind != now.Kind {
		return []string{name + " is " + now.String()}
	}
	if old.Elem != nil {
		return changed(name, old.Elem, now.Elem, parameters)
	}
	if old.Kind != varlink.KindStruct && old.Kind != varlink.KindEnum {
		if old.String() != now.String() {
			list = append(list, name+" is "+now.String())
		}
		return list
	}
	for _, o := range old.Fields {
		n := slices.IndexFunc(now.Fields, func(n varlink.Field) bool { return n.Name == o.Name })
		if n < 0 {
			list = append(list, name+"."+o.Name+" is gone")
		} else if o.Type != nil {
			typ := now.Fields[n].Type
			if parameters && typ.Kind == varlink.KindNullable && o.Type.Kind != varlink.KindNullable {
				typ = typ.Elem
			}
			list = append(list, changed(name+"."+o.Name, o.Type, typ, parameters)...)
		}
	}
	for _, n := range now.Fields {
		isNew := !slices.ContainsFunc(old.Fields, func(o varlink.Field) bool { return o.Name == n.Name })
		if isNew && n.Type != nil && n.Type.Kind != varlink.KindNullable {
			list = append(list, name+"."+n.Name+" is new and can't be left out")
		}
	}
	return list
}

// TestBroken: what the comparison finds, and what it lets pass.
func TestBroken(t *testing.T) {
	const old = "interface a.b\ntype T (a: int, k: (x, y), l: []?string)\nmethod M(a: int) -> (t: ?T)\nerror E (n: int)"
	for now, want := range map[string]string{
		old: "",
		"interface a.b\ntype T (a: int, k: (x, z, y), l: []?string, b: ?bool)\ntype U (u: int)\n" +
			"method M(a: ?int, w: ?U) -> (t: ?T)\nmethod N(n: int) -> ()\nerror E (n: int)": "",
		strings.Replace(old, "k: (x, y)", "k: (x)", 1):             "T.k.y is gone",
		strings.Replace(old, "a: int, k", "a: ?int, k", 1):         "T.a is ?int",
		strings.Replace(old, "[]?string", "[]?int", 1):             "T.l is int",
		strings.Replace(old, "[]?string", "?string", 1):            "T.l is ?string",
		strings.Replace(old, "M(a: int)", "M(a: int, b: bool)", 1): "M.b is new and can't be left out",
		strings.Replace(old, "M(a: int)", "M(a: string)", 1):       "M.a is string",
		strings.Replace(old, "t: ?T", "t: T", 1):                   "M.t is T",
		strings.Replace(old, "t: ?T", "u: ?T", 1):                  "M.t is gone",
		strings.Replace(old, "method M", "method N", 1):            "M is gone",
		strings.Replace(old, "error E", "error F", 1):              "E is gone",
		strings.Replace(old, "(n: int)", "(n: int, m: int)", 1):    "E.m is new and can't be left out",
	} {
		if got := strings.Join(broken(parse(t, old), parse(t, now)), ", "); got != want {
			t.Errorf("%s\ngot  %q\nwant %q", now, got, want)
		}
	}
}
