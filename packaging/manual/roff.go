// Package manual makes fob's man pages: those of commands out of cobra's command trees, those of files and guides out
// of docs/*.md, those of the Varlink interfaces out of ipc/*.varlink. Programs call it when they are built with the tag
// "manual"; what is installed does not have it.
package manual

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Page is a man page, as "man SECTION NAME" finds it.
type Page struct {
	Name    string
	Section int
	Text    []byte // for the man macros of roff
}

// Write leaves the page as a file in a folder.
func (p Page) Write(folder string) error {
	return os.WriteFile(filepath.Join(folder, fmt.Sprintf("%s.%d", p.Name, p.Section)), p.Text, 0o644)
}

// date is that of the sources where SOURCE_DATE_EPOCH has it, so that the same sources make the same pages.
func date() string {
	at := time.Now()
	if seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		at = time.Unix(seconds, 0)
	}
	return at.UTC().Format(time.DateOnly)
}

// roff writes the text of a page.
type roff struct{ bytes.Buffer }

// begin writes the header and the NAME section, which whatis(1) reads.
func (r *roff) begin(name string, section int, what string) {
	fmt.Fprintf(r, ".TH %s %d %s fob fob\n", quote(strings.ToUpper(name)), section, date())
	fmt.Fprintf(r, ".SH NAME\n%s \\- %s\n", escape(name), escape(what))
}

func (r *roff) section(title string) { fmt.Fprintf(r, ".SH %s\n", escape(title)) }

// text writes the paragraphs of a section. Lines that begin with two spaces or more stay as they are.
func (r *roff) text(s string) {
	asIs, before := false, "" // the line before
	for i, line := range strings.Split(strings.TrimSpace(s), "\n") {
		line = strings.ReplaceAll(strings.TrimRight(line, " "), "\t", "    ")
		if line == "" {
			before = line
			continue
		}
		if kept := strings.HasPrefix(line, "  "); kept != asIs || i > 0 && before == "" {
			r.paragraph(asIs, kept, i > 0)
			asIs = kept
		}
		fmt.Fprintln(r, escape(line))
		before = line
	}
	r.paragraph(asIs, false, false)
}

// paragraph begins one, whose lines are kept or not as those of the one before were. The first of a section begins by
// itself.
func (r *roff) paragraph(were, kept, further bool) {
	if were {
		r.WriteString(".fi\n")
	}
	if further {
		r.WriteString(".PP\n")
	}
	if kept {
		r.WriteString(".nf\n")
	}
}

// asIs writes lines as they are, indented.
func (r *roff) asIs(s string) {
	r.WriteString(".RS 4\n.nf\n")
	for line := range strings.Lines(s) {
		fmt.Fprintln(r, escape(strings.TrimRight(line, " \n")))
	}
	r.WriteString(".fi\n.RE\n")
}

// item writes an entry of a list: a term, which is roff, and what it means.
func (r *roff) item(term, meaning string) {
	fmt.Fprintf(r, ".TP\n%s\n", term)
	for line := range strings.Lines(meaning) {
		fmt.Fprintln(r, escape(strings.TrimSpace(line)))
	}
}

// see writes references to other pages, such as "fob(1)".
func (r *roff) see(pages []string) {
	if len(pages) == 0 {
		return
	}
	r.section("SEE ALSO")
	for i, page := range pages {
		name, section, _ := strings.Cut(page, "(")
		comma := ","
		if i == len(pages)-1 {
			comma = ""
		}
		fmt.Fprintf(r, ".BR %s (%s%s\n", quote(name), section, comma)
	}
}

var escapes = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// escape has roff print a line as it is.
func escape(line string) string {
	line = escapes.Replace(line)
	if strings.HasPrefix(line, ".") {
		line = `\&` + line
	}
	return line
}

// quote is escape for an argument of a macro.
func quote(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"` }
