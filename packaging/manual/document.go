package manual

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
)

// sections are where documents go that are no guides: file formats, and the administrator's part.
var sections = map[string]int{"audit": 5, "policy": 5, "pskc": 5, "store": 5, "daemon": 8}

// documentPage is the page that a file of docs/ becomes.
func documentPage(file string) (name string, section int) {
	base := strings.TrimSuffix(filepath.Base(file), ".md")
	if base == "daemon" {
		return "fobd.service", 8
	}
	if section = sections[base]; section == 0 {
		section = 7
	}
	return "fob-" + base, section
}

// Document makes a page of a Markdown file of docs/.
func Document(file string) (Page, error) {
	name, section := documentPage(file)
	return markdown(file, name, section)
}

// Beside makes a page of a Markdown file that is named as its page: fob-fido-helper.8.md.
func Beside(file string) (Page, error) {
	name, section := strings.TrimSuffix(filepath.Base(file), ".md"), 0
	name, number, _ := strings.Cut(name, ".")
	if _, err := fmt.Sscan(number, &section); err != nil {
		return Page{}, fmt.Errorf("%s: no section in its name: %w", file, err)
	}
	return markdown(file, name, section)
}

// markdown makes a page of a file that begins with its title; its second level is the page's first.
func markdown(file, name string, section int) (Page, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Page{}, err
	}
	title, text, _ := strings.Cut(string(b), "\n")
	title, ok := strings.CutPrefix(title, "# ")
	if !ok || title == "" {
		return Page{}, fmt.Errorf("%s does not begin with a title", file)
	}
	text = strings.ReplaceAll(raised(text), "\n## ", "\n# ")
	text = tables.ReplaceAllStringFunc(text, table)
	text = links.ReplaceAllStringFunc(text, link)
	head := fmt.Sprintf("%% %q \"%d\" %q \"fob\" \"fob\"\n# NAME\n%s \\- %s\n\n# DESCRIPTION\n",
		strings.ToUpper(name), section, date(), name, lowerFirst(title))
	return Page{name, section, clean(md2man.Render([]byte(head + text)))}, nil
}

// raised has the headings of the third level become the second one's, behind which the second one becomes the first.
func raised(text string) string { return strings.ReplaceAll(text, "\n### ", "\n#### ") }

var links = regexp.MustCompile(`\[([^\]\n]+)\]\(([^)\s]+)\)`)

// link makes a reference to a page of a link to a document; other folders of the sources are left out.
func link(s string) string {
	parts := links.FindStringSubmatch(s)
	text, target := parts[1], parts[2]
	if strings.Contains(target, "://") {
		return s
	}
	if !strings.HasSuffix(target, ".md") || strings.Contains(target, "/") {
		return text
	}
	name, section := documentPage(target)
	if strings.HasSuffix(text, ".md") {
		return fmt.Sprintf("**%s**(%d)", name, section)
	}
	return fmt.Sprintf("%s (**%s**(%d))", text, name, section)
}

// tables are lines that begin with a bar: the head, a rule, and rows.
var tables = regexp.MustCompile(`(?m)^\|.*\n\|[-:| ]+\n(?:\|.*\n)+`)

// widest is how many columns a table may have on a terminal of 80, with what is around it.
const widest = 70

// table leaves a table alone that fits on a terminal, and makes a list of another one.
func table(s string) string {
	rows := strings.Split(strings.TrimSpace(s), "\n")
	width := map[int]int{}
	for _, row := range rows {
		for i, cell := range cells(row) {
			width[i] = max(width[i], len([]rune(cell))+3)
		}
	}
	sum := 0
	for _, w := range width {
		sum += w
	}
	if sum <= widest {
		return s
	}
	head, list := cells(rows[0]), ""
	for _, row := range rows[2:] {
		list += "- " + item(head, cells(row)) + "\n"
	}
	return list
}

// item is a row as a line of a list. Of two columns, the second one needs no name.
func item(head, row []string) string {
	var rest []string
	for i, cell := range row[1:] {
		if len(row) > 2 && i+1 < len(head) && head[i+1] != "" {
			cell = head[i+1] + ": " + cell
		}
		rest = append(rest, cell)
	}
	return row[0] + ": " + strings.Join(rest, "; ")
}

func cells(row string) []string {
	row = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(row), "|"), "|")
	list := strings.Split(row, "|")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// clean takes out what md2man writes and man warns of: empty paragraphs, blanks at the end of lines.
func clean(page []byte) []byte {
	lines := strings.Split(strings.TrimSpace(string(page)), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return []byte(strings.Join(lines, "\n") + "\n")
}
