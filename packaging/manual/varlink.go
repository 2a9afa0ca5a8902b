package manual

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Interface makes a page of a Varlink interface: its methods, types and errors, each with the comment before it.
func Interface(file string) (Page, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Page{}, err
	}
	name := strings.TrimSuffix(filepath.Base(file), ".varlink")
	members := parse(string(b))
	if len(members) == 0 || members[0].kind != "interface" || members[0].name != name {
		return Page{}, fmt.Errorf("%s does not begin with interface %s", file, name)
	}
	what, more, _ := strings.Cut(members[0].comment, "\n\n")
	var r roff
	r.begin(name, 7, lowerFirst(strings.TrimSuffix(strings.Join(strings.Fields(what), " "), ".")))
	r.section("DESCRIPTION")
	r.text(firstOf(more, what))
	for _, kind := range [][2]string{{"method", "METHODS"}, {"type", "TYPES"}, {"error", "ERRORS"}} {
		r.members(members, kind[0], kind[1])
	}
	r.see([]string{"fob-clients(7)", "fobd(8)"})
	return Page{name, 7, r.Bytes()}, nil
}

// member is what an interface consists of, as it is written.
type member struct{ kind, name, comment, text string }

// parse splits an interface at the words that begin a member at the beginning of a line.
func parse(text string) (list []member) {
	var comment []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		kind, rest, _ := strings.Cut(line, " ")
		switch {
		case strings.HasPrefix(line, "#"):
			comment = append(comment, strings.TrimPrefix(strings.TrimPrefix(line, "#"), " "))
		case kind == "interface" || kind == "method" || kind == "type" || kind == "error":
			name, _, _ := strings.Cut(strings.TrimSpace(rest), "(")
			list = append(list, member{kind, strings.TrimSpace(name), strings.Join(comment, "\n"), line})
			comment = nil
		case line != "" && len(list) > 0:
			list[len(list)-1].text += "\n" + line
		}
	}
	return list
}

func (r *roff) members(list []member, kind, title string) {
	first := true
	for _, m := range list {
		if m.kind != kind {
			continue
		}
		if first {
			r.section(title)
		}
		first = false
		fmt.Fprintf(r, ".SS %s\n", escape(m.name))
		if m.comment != "" {
			r.text(m.comment)
			r.WriteString(".PP\n")
		}
		r.asIs(m.text)
	}
}
