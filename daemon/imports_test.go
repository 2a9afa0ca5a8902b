package daemon

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestImportDirection holds the packages to their direction: cmd -> daemon -> {fido, hotp, ipc}; those three never import
// one another nor upwards, and cgo stays in the program that drives libfido2.
func TestImportDirection(t *testing.T) {
	mayImport := map[string][]string{
		"cmd":    {"cmd", "daemon", "fido", "hotp", "ipc"},
		"daemon": {"daemon", "fido", "hotp", "ipc"},
		"fido":   {"fido"},
		"hotp":   {"hotp"},
		"ipc":    {"ipc"},

		"packaging": {"packaging"}, // makes files; programs import it with the tag "manual" alone
	}
	mayUseCgo := []string{"fob/fido/libfido2", "fob/cmd/fob-fido-helper"}
	mayUseLibfido2 := []string{"fob/cmd/fob-fido-helper"}
	leaves := []string{"fob/fido/ctap"} // they import nothing else of ours

	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,CgoFiles", "fob/...")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
			CgoFiles   []string
		}
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		top := topFolder(p.ImportPath)
		if mayImport[top] == nil {
			t.Errorf("%s is in a folder that is not in the design", p.ImportPath)
			continue
		}
		seen++
		for _, i := range p.Imports {
			if !strings.HasPrefix(i, "fob/") {
				continue
			}
			if !slices.Contains(mayImport[top], topFolder(i)) || slices.Contains(leaves, p.ImportPath) {
				t.Errorf("%s imports %s", p.ImportPath, i)
			}
			if i == "fob/ipc/varlink" && p.ImportPath == "fob/cmd/fob" {
				t.Errorf("%s imports %s: it reaches fobd through package ipc alone", p.ImportPath, i)
			}
			if i == "fob/fido/libfido2" && !slices.Contains(mayUseLibfido2, p.ImportPath) {
				t.Errorf("%s imports %s: C stays in the helper", p.ImportPath, i)
			}
		}
		if len(p.CgoFiles) > 0 && !slices.Contains(mayUseCgo, p.ImportPath) {
			t.Errorf("%s uses cgo", p.ImportPath)
		}
	}
	if seen < 10 {
		t.Errorf("only %d packages seen", seen)
	}
}

func topFolder(path string) string {
	top, _, _ := strings.Cut(strings.TrimPrefix(path, "fob/"), "/")
	return top
}
