package main

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// programs is the folder of the three programs, built as they are installed.
var programs string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp(os.Getenv("GOTMPDIR"), "fob-programs") // where testscript has its folders, to link from
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs = dir
	for cgo, packages := range map[string][]string{
		"CGO_ENABLED=0": {"fob/cmd/fob", "fob/cmd/fobd"},
		"CGO_ENABLED=1": {"fob/cmd/fob-fido-helper"},
	} {
		build := exec.Command("go", append([]string{"build", "-o", dir + "/"}, packages...)...)
		build.Env = append(os.Environ(), cgo)
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building %v: %v\n%s", packages, err, out)
			return 1
		}
	}
	return m.Run()
}

// TestScripts runs what a user could have typed; the commands that the shell has and testscript has not are in
// script_test.go.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                "testdata/script",
		Cmds:               scriptCommands,
		Setup:              setUp,
		RequireUniqueNames: true,
	})
}
