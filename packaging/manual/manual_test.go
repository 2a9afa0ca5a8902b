package manual_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"fob/packaging/manual"
)

// made holds what the generators make: man/ and completions/, and beside them the program as people get it.
var made struct {
	sync.Once
	folder string
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if made.folder != "" {
		os.RemoveAll(made.folder)
	}
	os.Exit(code)
}

func folder(t *testing.T) string {
	t.Helper()
	made.Do(func() {
		if made.folder, made.err = os.MkdirTemp("", "fob-manual"); made.err == nil {
			made.err = makeAll(made.folder)
		}
	})
	if made.err != nil {
		t.Fatal(made.err)
	}
	return made.folder
}

func makeAll(folder string) error {
	for _, args := range [][]string{
		{"run", "-tags", "manual", "./cmd/fob", folder},
		{"run", "-tags", "manual", "./cmd/fobd", folder},
		{"run", "./packaging/manual/generate", folder},
		{"build", "-o", folder + "/bin/", "./cmd/fob", "./cmd/fobd"},
	} {
		c := exec.Command("go", args...)
		c.Dir = "../.."
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "SOURCE_DATE_EPOCH=1700000000")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("go %v: %w\n%s", args, err, out)
		}
	}
	return nil
}

// commands asks the installed program's help which commands there are.
func commands(t *testing.T, program string, words ...string) [][]string {
	t.Helper()
	out, err := exec.Command(program, append(words[:len(words):len(words)], "--help")...).Output()
	if err != nil {
		t.Fatal(words, err)
	}
	list := [][]string{words}
	_, text, _ := strings.Cut(string(out), "\nAvailable Commands:\n")
	text, _, _ = strings.Cut(text, "\n\n")
	for line := range strings.Lines(text) {
		if word := strings.Fields(line)[0]; word != "help" {
			list = append(list, commands(t, program, append(words[:len(words):len(words)], word)...)...)
		}
	}
	return list
}

func TestEachCommandHasItsPage(t *testing.T) {
	all := commands(t, folder(t)+"/bin/fob")
	if len(all) < 70 {
		t.Fatalf("%d commands: %q", len(all), all)
	}
	pages, _ := filepath.Glob(folder(t) + "/man/fob*.1")
	documented := map[string]bool{}
	for _, p := range pages {
		documented[filepath.Base(p)] = true
	}
	for _, words := range all {
		name := strings.Join(append([]string{"fob"}, words...), "-") + ".1"
		if words == nil {
			name = "fob.1"
		}
		if !documented[name] {
			t.Errorf("fob %s has no page %s", strings.Join(words, " "), name)
		}
		delete(documented, name)
	}
	for name := range documented {
		t.Errorf("%s is of no command", name)
	}
}

// TestFlags: each flag that --help has is in the page, and no default of this machine is.
func TestFlags(t *testing.T) {
	for program, page := range map[string]string{"fob": "fob.1", "fobd": "fobd.8"} {
		help, err := exec.Command(folder(t)+"/bin/"+program, "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		text := read(t, "man/"+page)
		flags := regexp.MustCompile(`(?m)^ +(?:-\w, )?(--[a-z-]+)`).FindAllSubmatch(help, -1)
		if len(flags) < 4 {
			t.Errorf("%s --help: %s", program, help)
		}
		for _, f := range flags {
			if name := strings.ReplaceAll(string(f[1]), "-", `\-`); !strings.Contains(text, `\fB`+name+`\fR`) {
				t.Errorf("%s has no %s", page, f[1])
			}
		}
		if !strings.Contains(text, "(default $XDG_RUNTIME_DIR/fob/fob.sock)") || strings.Contains(text, "/run/user") {
			t.Errorf("%s has a default of this machine", page)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(folder(t), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestEachInterfaceHasItsPage: with each method, type and error.
func TestEachInterfaceHasItsPage(t *testing.T) {
	files, err := filepath.Glob("../../ipc/*.varlink")
	if err != nil || len(files) < 7 {
		t.Fatal(files, err)
	}
	member := regexp.MustCompile(`(?m)^(?:method|type|error) (\w+)`)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		page := strings.TrimSuffix(filepath.Base(file), ".varlink") + ".7"
		text := read(t, "man/"+page)
		for _, m := range member.FindAllSubmatch(b, -1) {
			if !strings.Contains(text, "\n.SS "+string(m[1])+"\n") {
				t.Errorf("%s has no %s", page, m[1])
			}
		}
	}
}

// TestEachDocumentHasItsPage: and each page that they refer to is there.
func TestEachDocumentHasItsPage(t *testing.T) {
	documents, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(documents) < 10 {
		t.Fatal(documents, err)
	}
	for _, d := range documents {
		page, err := manual.Document(d)
		if err != nil {
			t.Error(err)
			continue
		}
		read(t, fmt.Sprintf("man/%s.%d", page.Name, page.Section))
	}
	for _, p := range []string{"fob-policy.5", "fob-audit.5", "fob-store.5", "fobd.service.8", "fobd.8",
		"fob-fido-helper.8"} {
		read(t, "man/"+p)
	}
	reference := regexp.MustCompile(`(?:\\fB|\.BR )"?(fob[\w.]*(?:\\-[\w.]+)*)"?(?:\\fP)? ?\((\d)\)`)
	found := 0
	for _, p := range pages(t) {
		for _, m := range reference.FindAllStringSubmatch(read(t, "man/"+p), -1) {
			found++
			read(t, "man/"+strings.ReplaceAll(m[1], `\-`, "-")+"."+m[2])
		}
	}
	if found < 100 {
		t.Errorf("%d references", found)
	}
}

func pages(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob(folder(t) + "/man/*")
	if err != nil || len(files) < 80 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		names = append(names, filepath.Base(f))
	}
	return names
}

// TestManFindsNothingWrong: neither man, at a terminal of 80 columns, nor mandoc warns of a page.
func TestManFindsNothingWrong(t *testing.T) {
	names := pages(t)
	for _, tool := range [][]string{
		{"man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"},
		{"mandoc", "-Tlint", "-Wwarning"},
	} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			t.Error(err)
			continue
		}
		for part := names; len(part) > 0; part = part[min(20, len(part)):] {
			if said := complaints(t, tool, part[:min(20, len(part))]); said != "" {
				t.Errorf("%s: %s", tool[0], said)
			}
		}
	}
}

func complaints(t *testing.T, tool, names []string) string {
	t.Helper()
	args := tool[1:]
	for _, n := range names {
		args = append(args[:len(args):len(args)], "./"+n)
	}
	c := exec.CommandContext(t.Context(), tool[0], args...)
	c.Dir = folder(t) + "/man"
	c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANROFFSEQ=", "MANWIDTH=80")
	var said bytes.Buffer
	c.Stderr = &said
	if tool[0] == "mandoc" {
		c.Stdout = &said
	}
	if err := c.Run(); err != nil {
		fmt.Fprintln(&said, err)
	}
	return said.String()
}

// TestText: what a page has is what it was made of, for somebody who reads it.
func TestText(t *testing.T) {
	for page, want := range map[string][]string{
		"fob.1":         {"3  fobd can't be reached             8  declined or cancelled"},
		"fob-policy.5":  {`product = ["Blue*"]`, "• register: at a terminal: allow; in the background: ask"},
		"fob.Service.7": {"method Ping() -> ()", "Does nothing, and is answered"},
		"fob-store.5":   {"fob-policy(5)"},
	} {
		c := exec.CommandContext(t.Context(), "man", "-E", "UTF-8", "-l", "./"+page)
		c.Dir = folder(t) + "/man"
		c.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "MANWIDTH=200", "MAN_KEEP_FORMATTING=", "GROFF_NO_SGR=1")
		out, err := c.Output()
		if err != nil {
			t.Fatal(err)
		}
		text := regexp.MustCompile(".\b").ReplaceAllString(string(out), "")
		for _, w := range want {
			if !strings.Contains(text, w) && !strings.Contains(strings.Join(strings.Fields(text), " "), w) {
				t.Errorf("%s does not say %q:\n%s", page, w, text)
			}
		}
	}
}

// TestRefused: what is no document and no interface makes no page.
func TestRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.md")
	if err := os.WriteFile(file, []byte("no title\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, make := range []func(string) (manual.Page, error){manual.Document, manual.Beside, manual.Interface} {
		if p, err := make(file); err == nil {
			t.Errorf("%s", p.Text)
		}
	}
}
