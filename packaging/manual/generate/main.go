// Command generate writes the man pages that are not of commands: generate FOLDER, from the top of the sources.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"fob/packaging/manual"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "name one folder, for man pages")
		os.Exit(2)
	}
	if err := generate(filepath.Join(os.Args[1], "man")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func generate(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for pattern, make := range map[string]func(string) (manual.Page, error){
		"docs/*.md":             manual.Document,
		"packaging/manual/*.md": manual.Beside,
		"ipc/*.varlink":         manual.Interface,
	} {
		files, err := filepath.Glob(pattern)
		if err == nil && len(files) == 0 {
			err = fmt.Errorf("no %s here: run this at the top of the sources", pattern)
		}
		for i := 0; i < len(files) && err == nil; i++ {
			var page manual.Page
			if page, err = make(files[i]); err == nil {
				err = page.Write(folder)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
