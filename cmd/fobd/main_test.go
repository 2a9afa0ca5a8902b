package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// fobdPath is a fobd built for these tests, with its helper beside it.
var fobdPath string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "fobd-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	fobdPath = filepath.Join(dir, "fobd")
	for cgo, program := range map[string]string{"CGO_ENABLED=0": "fob/cmd/fobd", "CGO_ENABLED=1": "fob/cmd/fob-fido-helper"} {
		build := exec.Command("go", "build", "-o", dir+"/", program)
		build.Env = append(os.Environ(), cgo)
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building %s: %v\n%s", program, err, out)
			return 1
		}
	}
	return m.Run()
}
