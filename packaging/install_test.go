package packaging_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// built makes what "make build manual" leaves, with other contents.
func built(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, file := range []string{
		"fob", "fobd", "fob-fido-helper", "man/fob.1", "man/fobd.8", "man/fob.Device.7",
		"completions/bash/fob", "completions/bash/fobd", "completions/zsh/_fob", "completions/zsh/_fobd",
		"completions/fish/fob.fish", "completions/fish/fobd.fish",
	} {
		file = filepath.Join(folder, file)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("x"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func files(t *testing.T, built, destdir, what string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "./files", what)
	c.Env = append(os.Environ(), "BUILT="+built, "DESTDIR="+destdir, "PREFIX=/opt/fob", "GZIP_PAGES=", "ZSHDIR=")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, out)
	}
}

// installed are the regular files under a folder, with slashes from there on.
func installed(t *testing.T, folder string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, strings.TrimPrefix(path, folder))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestInstall: all that is in the sources for it comes to its place, with its rights, and nothing comes elsewhere;
// uninstall takes all of it out and leaves what others have put there.
func TestInstall(t *testing.T) {
	dest := t.TempDir()
	files(t, built(t), dest, "install")
	list := installed(t, dest)
	for _, want := range []string{
		"bin/fob", "bin/fobd", "bin/fob-fido-helper", "share/man/man1/fob.1", "share/man/man8/fobd.8",
		"share/man/man7/fob.Device.7", "share/bash-completion/completions/fob", "share/zsh/site-functions/_fob",
		"share/fish/vendor_completions.d/fobd.fish", "lib/systemd/user/fobd.socket", "lib/systemd/system/fobd.service",
		"lib/sysusers.d/fob.conf", "lib/udev/rules.d/72-fob.rules", "share/fob/varlink/fob.Ceremony.varlink",
	} {
		if !slices.Contains(list, "/opt/fob/"+want) {
			t.Errorf("no %s", want)
		}
	}
	for _, file := range list {
		info, err := os.Stat(dest + file)
		if err != nil {
			t.Fatal(err)
		}
		mode := fs.FileMode(0o644)
		if strings.HasPrefix(file, "/opt/fob/bin/") {
			mode = 0o755
		}
		if info.Mode() != mode || !strings.HasPrefix(file, "/opt/fob/") {
			t.Errorf("%s has mode %v", file, info.Mode())
		}
	}
	unit, err := os.ReadFile(dest + "/opt/fob/lib/systemd/system/fobd.service")
	if err != nil || !strings.Contains(string(unit), "\nExecStart=/opt/fob/bin/fobd ") || strings.Contains(string(unit), "@bindir@") {
		t.Errorf("%s, %v", unit, err)
	}

	others := dest + "/opt/fob/share/doc/fob/notes"
	if err := os.WriteFile(others, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	files(t, built(t), dest, "uninstall")
	if list := installed(t, dest); !slices.Equal(list, []string{"/opt/fob/share/doc/fob/notes"}) {
		t.Errorf("left: %q", list)
	}
}

// TestEverythingIsInstalled: a unit or a rule that is added to the sources is not forgotten.
func TestEverythingIsInstalled(t *testing.T) {
	dest := t.TempDir()
	files(t, built(t), dest, "install")
	list := installed(t, dest)
	for _, pattern := range []string{"systemd/*/*", "udev/*", "../ipc/*.varlink", "../testdata/clients/*"} {
		sources, err := filepath.Glob(pattern)
		if err != nil || len(sources) == 0 {
			t.Fatal(pattern, err)
		}
		for _, source := range sources {
			name := filepath.Base(source)
			if strings.HasPrefix(source, "systemd/") {
				name = strings.TrimPrefix(source, "systemd/")
			}
			if !slices.ContainsFunc(list, func(f string) bool { return strings.HasSuffix(f, "/"+name) }) {
				t.Errorf("%s is not installed", source)
			}
		}
	}
}

// TestInstallWantsABuild: it does not install half.
func TestInstallWantsABuild(t *testing.T) {
	dest := t.TempDir()
	c := exec.CommandContext(t.Context(), "./files", "install")
	c.Env = append(os.Environ(), "BUILT="+t.TempDir(), "DESTDIR="+dest)
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "make build manual") {
		t.Errorf("%s, %v", out, err)
	}
	if list := installed(t, dest); len(list) > 0 {
		t.Errorf("installed %q", list)
	}
}
