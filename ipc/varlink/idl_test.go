package varlink

import (
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

const everything = `# Not part of the documentation.

# First line.
#
#   Third line.
interface com.example-1.every-thing

type Empty ()
type Colour (red, green, blue) # not a doc
# All kinds.
type All (
  # A flag.
  flag: bool, # trailing
  whole: int, half: float, name: string, any: object,
  nested: (
    # Inside.
    first: int,
    second: ?[](one, two, # trailing
      # Three.
      three)
  ),
  set: [string](), list: []Empty, maybe: ?[string]Colour
)
# Does it.
method Do(all: All) -> ()
method DoMore(
  very_long_parameter_name: [string]string, another_long_parameter_name: ?[]All, a1: int
) -> (done: bool)
error Undone (reason: Colour)
# The end.`

func TestParseInterface(t *testing.T) {
	i, err := ParseInterface(everything)
	if err != nil {
		t.Fatal(err)
	}
	if i.Name != "com.example-1.every-thing" || i.Doc != "First line.\n\n  Third line." {
		t.Errorf("name %q, doc %q", i.Name, i.Doc)
	}
	if len(i.Types) != 3 || len(i.Methods) != 2 || len(i.Errors) != 1 {
		t.Fatalf("got %d types, %d methods, %d errors", len(i.Types), len(i.Methods), len(i.Errors))
	}
	all := i.Types[2]
	if all.Name != "All" || all.Doc != "All kinds." || all.Type.Fields[0].Doc != "A flag." || all.Type.Fields[1].Doc != "" {
		t.Errorf("got %+v", all)
	}
	want := "(flag: bool, whole: int, half: float, name: string, any: object, " +
		"nested: (first: int, second: ?[](one, two, three)), set: [string](), list: []Empty, maybe: ?[string]Colour)"
	if got := all.Type.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	nested := all.Type.Fields[5].Type
	if first := nested.Fields[0]; first.Doc != "Inside." {
		t.Errorf("got %+v", first)
	}
	if values := nested.Fields[1].Type.Elem.Elem.Fields; values[1].Doc != "" || values[2].Doc != "Three." {
		t.Errorf("got %+v", values)
	}
	if k := i.Types[1].Type.Kind; k != KindEnum {
		t.Errorf("enum has kind %d", k)
	}
	if i.Methods[0].Doc != "Does it." || i.Methods[0].In.String() != "(all: All)" || i.Methods[0].Out.String() != "()" {
		t.Errorf("got %+v", i.Methods[0])
	}
	testPrint(t, i)
}

// testPrint checks that the printed form means the same.
func testPrint(t *testing.T, i *Interface) {
	t.Helper()
	again, err := ParseInterface(i.String())
	if err != nil {
		t.Fatalf("%v in\n%s", err, i)
	}
	if !reflect.DeepEqual(i, again) {
		t.Fatalf("changed by printing:\n%s\n%s", i, again)
	}
}

func TestPrintKeepsLayout(t *testing.T) {
	text, err := os.ReadFile("org.varlink.service.varlink")
	if err != nil {
		t.Fatal(err)
	}
	i, err := ParseInterface(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if i.String() != string(text) {
		t.Errorf("got\n%s", i)
	}
}

func TestSyntaxErrors(t *testing.T) {
	const head = "interface a.b\n"
	for text, want := range map[string]string{
		"":                                     `line 1: expected "interface", found the end`,
		"interface nodots":                     "line 1: expected an interface name",
		"interface a.b-":                       "line 1: expected an interface name",
		head + "method a() -> ()":              "line 2: expected a type, method or error name",
		head + "method A()":                    `line 2: expected "->", found the end`,
		head + "method A() -> (one, two)":      "line 2: expected a struct, found an enum",
		head + "\n\nerror E":                   `line 4: expected "(", found the end`,
		head + "type A (a: int, b)":            `line 2: expected ":", found ")"`,
		head + "type A (a, b: int)":            `line 2: expected ")", found ":"`,
		head + "type A (a: int,)":              "line 2: expected a field name",
		head + "type A (_a: int)":              "line 2: expected a field name",
		head + "type A (a_: int)":              "line 2: expected a field name",
		head + "type A (a__b: int)":            "line 2: expected a field name",
		head + "type A (a: int,\na: int)":      `line 3: field "a" appears twice`,
		head + "type A (a: ??int)":             "line 2: nullable twice",
		head + "type A (a: [int]int)":          `line 2: expected "]", found "int"`,
		head + "type A (a: uint)":              "line 2: expected a type name",
		head + "type A (a:\nB)":                `line 3: undefined type "B"`,
		head + "method B()->()\ntype A (a: B)": `line 3: undefined type "B"`,
		head + "type A ()\nerror A ()":         `line 3: "A" is already defined in line 2`,
		head + "property X ()":                 `line 2: expected "type", "method" or "error", found "property"`,
		head + "type A (a: int;)":              `line 2: unexpected character ';'`,
		head + "type A (a: " + strings.Repeat("[]", 100) + "int)": "line 2: types are nested too deep",
	} {
		_, err := ParseInterface(text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q\ngot  %v\nwant %s", text, err, want)
		}
	}
}

func FuzzParseInterface(f *testing.F) {
	for _, text := range []string{everything, serviceDescription, testDescription, "interface a.b\r\n#\r\n# \r\ntype A(\r)"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		i, err := ParseInterface(text)
		if err != nil {
			if !errors.As(err, new(*SyntaxError)) {
				t.Fatalf("error of type %T", err)
			}
			return
		}
		testPrint(t, i)
	})
}
