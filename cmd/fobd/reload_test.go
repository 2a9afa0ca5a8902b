package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fob/ipc"
)

// policyFile is one that a test changes.
type policyFile struct {
	*testing.T
	path string
}

func newPolicyFile(t *testing.T) policyFile {
	return policyFile{t, filepath.Join(t.TempDir(), "policy.toml")}
}

// says puts a policy in place of the one before.
func (p policyFile) says(text string) {
	p.Helper()
	if err := os.WriteFile(p.path+".new", []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
	if err := os.Rename(p.path+".new", p.path); err != nil {
		p.Fatal(err)
	}
}

const (
	allowsRegister = "[[rule]]\nname = 'yes'\nverbs = ['register']\naction = 'allow'\n"
	deniesRegister = "[[rule]]\nname = 'no'\nverbs = ['register']\naction = 'deny'\n"
	noPolicy       = "[[rule]]\nverb = 'register'\n"
)

// TestReloadInACeremony: a policy that is read again, by a signal and by a call, is that of the next ceremony, and not
// of the one that goes on; a file that is wrong changes nothing, and is told of.
func TestReloadInACeremony(t *testing.T) {
	m, file := newManager(t), newPolicyFile(t)
	m.env = append(m.env, "STATE_DIRECTORY="+t.TempDir())
	file.says(allowsRegister)
	fobd := m.start("--policy", file.path, "--emulator", "--emulator-touch", "never")
	m.hear("READY=1")
	signals := 0
	signal := func() {
		fobd.signal(unix.SIGHUP)
		m.hear("RELOADING=1")
		m.hear("READY=1")
		signals++
		m.records("SIGHUP", signals) // the last one comes a moment later
	}
	call := func() {
		if _, err := m.client.Reload(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for name, reload := range map[string]func(){"SIGHUP": signal, "fob.Service.Reload": call} {
		t.Run(name, func(t *testing.T) {
			file.says(allowsRegister)
			reload()
			touch, done := m.register()
			await(t, touch)
			file.says(deniesRegister)
			reload()
			m.isRefused()
			file.says(noPolicy)
			if name == "SIGHUP" {
				reload()
			} else if _, err := m.client.Reload(t.Context()); !isReloadFailed(err) {
				t.Error(err)
			}
			m.isRefused() // still
			if p := m.part("policy"); p.State != ipc.PartDegraded || !strings.Contains(p.Text, "policy.toml:2: ") {
				t.Errorf("%+v", p)
			}
			keys := ipc.Emulator{Client: m.client}
			if _, err := keys.Touch(t.Context(), ipc.TouchRequest{}); err != nil {
				t.Error(err)
			}
			if err := await(t, done); err != nil {
				t.Errorf("the ceremony that went on: %v", err)
			}
			file.says(allowsRegister)
			reload()
			if p := m.part("policy"); p.State != ipc.PartOK {
				t.Errorf("%+v", p)
			}
		})
	}
	m.recordsReloads(file.path)
	fobd.signal(unix.SIGTERM)
	fobd.end()
}

func isReloadFailed(err error) bool {
	var failed ipc.ReloadFailed
	return errors.As(err, &failed) && failed.What == "policy" && strings.Contains(failed.Problem, "unknown member")
}

// isRefused checks that the policy refuses to register.
func (m *manager) isRefused() {
	m.Helper()
	_, done := m.register()
	var refused ipc.Refused
	if err := await(m.TB, done); !errors.As(err, &refused) || !strings.HasPrefix(refused.Rule, `rule 1 "no"`) {
		m.Errorf("%v", err)
	}
}

// part gives a part of the status.
func (m *manager) part(name string) ipc.Part {
	m.Helper()
	s, err := m.client.Status(m.Context())
	if err != nil {
		m.Fatal(err)
	}
	i := slices.IndexFunc(s.Parts, func(p ipc.Part) bool { return p.Name == name })
	if i < 0 {
		m.Fatalf("no part %s: %+v", name, s.Parts)
	}
	return s.Parts[i]
}

// records waits until there are so many records of reloads, of a method or of all, and gives them.
func (m *manager) records(method string, n int) (list []ipc.AuditRecord) {
	m.Helper()
	ctx, stop := context.WithTimeout(m.Context(), patience)
	defer stop()
	enough, after := errors.New("enough"), 0
	follow := ipc.AuditFollow{Filter: &ipc.AuditFilter{Verb: "reload"}, After: &after}
	err := m.client.FollowAudit(ctx, follow, func(more []ipc.AuditRecord) error {
		for _, r := range more {
			if method == "" || r.Method == method {
				list = append(list, r)
			}
		}
		if len(list) >= n {
			return enough
		}
		return nil
	})
	if err != enough {
		m.Fatalf("%d records: %v", len(list), err)
	}
	return list
}

// recordsReloads checks that each reload has left a record, of who asked for it and what came of it.
func (m *manager) recordsReloads(path string) {
	m.Helper()
	list := m.records("", 8)
	kinds := make(map[string]int)
	for i, r := range list {
		if r.Before == nil || r.After == nil || r.Before.Path != path || r.After.Path != path || len(r.After.SHA256) != 64 {
			m.Fatalf("%+v: %+v, %+v", r, r.Before, r.After)
		}
		if i > 0 && *r.Before != *list[i-1].After {
			m.Errorf("%+v follows %+v", r.Before, list[i-1].After)
		}
		if called := r.Caller != nil; called && r.Caller.PID != os.Getpid() || called != (r.Method == ipc.MethodReload) {
			m.Errorf("%+v", r)
		}
		kind := r.Method + " " + r.Result
		if *r.Before != *r.After {
			kind += " changed"
		}
		kinds[kind]++
	}
	for _, method := range []string{"SIGHUP", ipc.MethodReload} {
		if kinds[method+" fob.Service.ReloadFailed"] != 1 || kinds[method+" done changed"] != 2 {
			m.Errorf("%v", kinds)
		}
	}
	if len(list) != 8 {
		m.Errorf("%d records: %v", len(list), kinds)
	}
}
