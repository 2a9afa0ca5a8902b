package nfcbridge_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// helperPath is a fob-fido-helper built for these tests.
var helperPath string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	dir, err := os.MkdirTemp("", "nfcbridge")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	helperPath = filepath.Join(dir, "fob-fido-helper")
	build := exec.Command("go", "build", "-o", helperPath, "fob/cmd/fob-fido-helper")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}
