// Command licences writes what fob's programs are made of and under which licences, for /usr/share/doc/fob/copyright.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	out := bufio.NewWriter(os.Stdout)
	err := write(out)
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func write(out *bufio.Writer) error {
	fmt.Fprint(out, "fob\nCopyright: its authors\nLicence: Apache License, Version 2.0\n"+
		"On Debian systems it is in /usr/share/common-licenses/Apache-2.0.\n\n"+
		"The programs contain the Go libraries below, and use libfido2 (BSD-2-clause) where it is installed.\n")
	list, err := modules()
	for i := 0; i < len(list) && err == nil; i++ {
		err = list[i].write(out)
	}
	return err
}

// module is a library, and the folder that its sources are in.
type module struct{ name, folder string }

// modules are those that are linked into a program, and Go's own library.
func modules() ([]module, error) {
	list := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}} {{.Version}}\t{{.Dir}}{{end}}",
		"./cmd/fob", "./cmd/fobd", "./cmd/fob-fido-helper")
	list.Stderr = os.Stderr
	lines, err := list.Output()
	if err != nil {
		return nil, err
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	all := []module{{"Go's standard library", strings.TrimSpace(string(root))}}
	for line := range strings.Lines(string(lines)) {
		name, folder, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if m := (module{name, folder}); !strings.HasPrefix(name, "fob") && name != "" && !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	slices.SortFunc(all[1:], func(a, b module) int { return strings.Compare(a.name, b.name) })
	return all, nil
}

// write writes a library's licence, and its notices, which the Apache License wants kept. Debian keeps the text of that
// one in one place for all.
func (m module) write(out *bufio.Writer) error {
	fmt.Fprintf(out, "\n%s\n%s\n", strings.Repeat("-", 78), m.name)
	found := false
	for _, pattern := range []string{"LICEN[SC]E*", "COPYING*", "License", "NOTICE*", "PATENTS"} {
		files, _ := filepath.Glob(filepath.Join(m.folder, pattern))
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			found = true
			if bytes.Contains(text, []byte("TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION")) {
				text = []byte("Licence: Apache License, Version 2.0; see /usr/share/common-licenses/Apache-2.0")
			}
			text, _, _ = bytes.Cut(text, []byte("Full text of gpl-2.0.txt:")) // psx, which is under the BSD licence too
			fmt.Fprintf(out, "\n%s\n", bytes.TrimSpace(text))
		}
	}
	if !found && m.name != "Go's standard library" {
		return fmt.Errorf("no licence in %s of %s", m.folder, m.name)
	}
	return nil
}
