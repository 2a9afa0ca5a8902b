package policy

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// write makes a policy file in a folder of its own.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const denyAll = "# nothing\n"

func TestGuarded(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(path string) error
		says  string
	}{
		"file of all":    {func(path string) error { return os.Chmod(path, 0o602) }, "others may write it (mode 0602)"},
		"file of group":  {func(path string) error { return os.Chmod(path, 0o620) }, "others may write it"},
		"folder of all":  {func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) }, "others may write its folder"},
		"sticky folder":  {func(path string) error { return os.Chmod(filepath.Dir(path), 0o777|os.ModeSticky) }, "others may write its folder"},
		"another's file": {func(path string) error { return os.Chown(path, 4711, -1) }, "it belongs to another user, 4711"},
		"a FIFO":         {func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) }, "no regular file"},
		"a folder":       {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "no regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, denyAll)
			if err := test.spoil(path); errors.Is(err, fs.ErrPermission) {
				t.Skip("needs root: ", err)
			} else if err != nil {
				t.Fatal(err)
			}
			_, err := Read(path)
			var wrong *Error
			if !errors.As(err, &wrong) || wrong.Path != path || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}

// A file of the user comes before the administrator's; one that is wrong is not passed over.
func TestFind(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	if got := Places(); len(got) != 2 || got[0] != filepath.Join(home, "fob/policy.toml") || got[1] != system {
		t.Fatal(got)
	}
	if _, err := os.Stat(system); err == nil {
		t.Skip("this computer has a policy of its own")
	}
	if p, err := Find(); err != nil || p.Path != "" || len(p.Rules) == 0 {
		t.Errorf("%+v, %v", p, err)
	}
	path := Places()[0]
	if err := errors.Join(os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(denyAll), 0o600)); err != nil {
		t.Fatal(err)
	}
	if p, err := Find(); err != nil || p.Path != path || p.Text != denyAll || len(p.Rules) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
	if err := os.WriteFile(path, []byte("odd"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := Find(); err == nil || p != nil {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestReload(t *testing.T) {
	path := write(t, denyAll)
	h, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	change := func(text string) error {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return h.Reload()
	}
	const other = "headless = 'allow'"
	if err := change(other); err != nil || h.Policy().Headless != Allow || h.Problem() != nil {
		t.Errorf("%+v, %v", h.Policy(), err)
	}
	var wrong *Error
	if err := change("headless = 'allow'\nodd = 1"); !errors.As(err, &wrong) || wrong.Line != 2 || wrong.Path != path {
		t.Error(err)
	}
	if h.Policy().Text != other || h.Problem() == nil {
		t.Errorf("%+v, %v", h.Policy(), h.Problem())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := h.Reload(); !errors.Is(err, fs.ErrNotExist) || h.Policy().Text != other {
		t.Errorf("%+v, %v", h.Policy(), err)
	}
	if err := change(denyAll); err != nil || h.Policy().Text != denyAll || h.Problem() != nil {
		t.Errorf("%+v, %v", h.Policy(), err)
	}
	if _, err := Open(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if p := Fixed(BuiltIn()); p.Reload() != nil || p.Policy().Text != string(builtIn) {
		t.Error("what is fixed has changed")
	}
}

// Decisions go on while the policy is read anew.
func TestReloadMeanwhile(t *testing.T) {
	h, err := Open(write(t, "[[rule]]\nverbs = ['code']\naction = 'allow'\n"))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				if d := h.Policy().Decide(&Request{Verb: Code}); d.Action != Allow {
					t.Errorf("%+v", d)
				}
				if err := h.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
