package service

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// units writes the units of a kind, as they are installed, and gives their paths.
func units(t *testing.T, kind string) (service, socket string) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"fobd.service", "fobd.socket"} {
		text, err := os.ReadFile(filepath.Join("../../packaging/systemd", kind, name))
		if err != nil {
			t.Fatal(err)
		}
		installed := strings.ReplaceAll(string(text), "@bindir@/fobd", "/bin/true")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(installed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "fobd.service"), filepath.Join(dir, "fobd.socket")
}

// TestUnits has systemd judge the units.
func TestUnits(t *testing.T) {
	for kind, exposure := range map[string]string{"system": "20", "user": "60"} { // in tenths; see the units for why
		t.Run(kind, func(t *testing.T) {
			service, socket := units(t, kind)
			judge := func(args ...string) {
				t.Helper()
				cmd := exec.Command("systemd-analyze", args...)
				cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+t.TempDir())
				out, err := cmd.CombinedOutput()
				if err != nil || args[1] == "verify" && len(out) > 0 {
					t.Errorf("systemd-analyze %s (package systemd): %v\n%s", strings.Join(args, " "), err, out)
				}
			}
			judge("--"+kind, "verify", "--man=no", service, socket)
			judge("--no-pager", "security", "--offline=true", "--threshold="+exposure, service)
		})
	}
}
