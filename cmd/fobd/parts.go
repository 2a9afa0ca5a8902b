package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"fob/daemon/policy"
	"fob/daemon/service"
	"fob/daemon/session"
	"fob/fido"
	"fob/fido/access"
	"fob/fido/pcsc"
	"fob/ipc"
)

// Each part says in one line how it is; daemon/service adds them to fob.Service.Status.

// addSystemd adds what systemd does for us.
func (f *fobd) addSystemd() {
	every, err := service.WatchdogTime()
	if err != nil {
		f.log.Warn("no watchdog", "error", err)
	}
	if every > 0 {
		f.watchdog = every
		f.beside = append(f.beside, func(ctx context.Context) {
			w := &service.Watchdog{Every: every, Probe: f.service.Listener.Probe, Alive: f.service.Notifier.Watchdog, Log: f.log}
			w.Run(ctx)
		})
	}
	f.addPart(f.systemdPart)
}

func (f *fobd) systemdPart(context.Context) ipc.Part {
	p := ipc.Part{Name: "systemd", State: ipc.PartOK}
	switch f.service.Started {
	case ipc.StartedByHand:
		p.State, p.Text = ipc.PartOff, "fobd was started by hand; it serves a socket of its own, and goes on until it is stopped"
		p.Hint = "to have it started when it is needed: systemctl --user enable --now fobd.socket"
		return p
	case ipc.StartedBySocket:
		p.Text = "started for its socket"
	default:
		p.Text = "started as a service"
	}
	if idle := f.service.Listener.Idle; idle > 0 {
		p.Text += fmt.Sprintf("; ends when nobody was there for %v", idle)
	}
	if f.watchdog > 0 {
		p.Text += fmt.Sprintf("; watched every %v", f.watchdog)
	}
	return p
}

// following is whether it is followed which keys are plugged in.
type following struct {
	mu      sync.Mutex
	on      bool
	problem error
}

func (k *following) set(on bool, problem error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.on, k.problem = on, problem
}

func (k *following) state() (on bool, problem error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.on, k.problem
}

// addSummary has "systemctl status" show how it goes, and follows the keys meanwhile. With helpers on demand the keys
// are not followed, which would take a helper now and then.
func (f *fobd) addSummary() {
	summary := &service.Summary{Load: f.daemon.Load, Tell: f.service.Notifier.Status}
	if service.Managed() {
		f.daemon.Changed = summary.Changed
		f.beside = append(f.beside, summary.Run)
	}
	if f.onDemand {
		return
	}
	f.beside = append(f.beside, func(ctx context.Context) {
		err := f.daemon.FollowKeys(ctx, func(n int) {
			f.keys.set(true, nil)
			summary.Keys(n)
		})
		f.keys.set(false, err)
	})
}

func (f *fobd) hotplugPart(context.Context) ipc.Part {
	p := ipc.Part{Name: "hotplug", State: ipc.PartOff}
	switch on, problem := f.keys.state(); {
	case f.onDemand:
		p.Text = "keys are looked for when they are needed (--on-demand)"
		return p
	case problem != nil && !errors.Is(problem, context.Canceled):
		p.State, p.Text = ipc.PartDegraded, "it is not followed which keys are plugged in and out: "+problem.Error()
		p.Hint = "keys are looked for when they are needed, which takes a little longer"
		return p
	case !on:
		p.Text = "it is about to be followed which keys are plugged in and out"
		return p
	case f.noDiscovery:
		p.Text = "keys are not looked for (--no-discovery); those that were named are followed"
		return p
	}
	p.State, p.Text = ipc.PartOK, "keys are followed as they are plugged in and out"
	if finding, ok := obstacle(); ok {
		p.State, p.Text, p.Hint = ipc.PartDegraded, finding.What, finding.Do
	}
	return p
}

// obstacle is what keeps us from keys, whichever they are.
func obstacle() (access.Finding, bool) {
	system, err := access.This()
	if err != nil {
		return access.Finding{}, false
	}
	for _, list := range [][]access.Finding{system.Keys(), system.Confinement()} {
		for _, finding := range list {
			switch finding.Code {
			case access.NoHidraw, access.NoUdev, access.Container, access.Flatpak, access.Snap:
				return finding, true
			}
		}
	}
	return access.Finding{}, false
}

func (f *fobd) helperPart(context.Context) ipc.Part {
	p := ipc.Part{Name: "helper", State: ipc.PartOK}
	switch figures := f.source.Figures(); {
	case errors.Is(figures.Problem, fido.ErrHelperStart):
		p.State, p.Text = ipc.PartBroken, "the program that drives keys could not be started: "+figures.Problem.Error()
		p.Hint = "'fob doctor' may say why"
	case figures.Crashed > 0:
		p.State = ipc.PartDegraded
		p.Text = fmt.Sprintf("the program that drives keys has failed by itself, %d of %d times", figures.Crashed, figures.Started)
		p.Hint = "a key may be broken or hostile; the log says more with --verbose"
	case f.onDemand:
		p.Text = "a helper is started for each key when it is needed (--on-demand)"
	case figures.Ready == 1:
		p.Text = "1 helper waits for its key"
	default:
		p.Text = fmt.Sprintf("%d helpers wait for their keys", figures.Ready)
	}
	return p
}

func (f *fobd) sandboxPart(context.Context) ipc.Part {
	p := ipc.Part{Name: "sandbox", State: ipc.PartOK, Text: "helpers are confined by Landlock and seccomp"}
	switch box := f.source.Figures().Sandbox; {
	case box == nil:
		p.State, p.Text = ipc.PartOff, "no key was opened yet; 'fob doctor' tells how helpers are confined"
	case len(box.Missing) > 0:
		p.State = ipc.PartDegraded
		p.Text = "helpers are confined less than they should be; missing: " + strings.Join(box.Missing, ", ")
		p.Hint = "use a newer kernel, or allow it what is missing"
	}
	return p
}

func (f *fobd) cardsPart(context.Context) ipc.Part {
	p := ipc.Part{Name: "pcscd", State: ipc.PartOff}
	if f.cards == nil {
		p.Text = "NFC readers are left alone (--nfc=false, or --no-discovery)"
		return p
	}
	switch problem := f.cards.Problem(); {
	case problem == nil:
		p.State, p.Text = ipc.PartOK, "keys that are held to NFC readers are used"
	case errors.Is(problem, fs.ErrNotExist) || errors.Is(problem, pcsc.ErrNoService):
		p.Text, p.Hint = "pcscd does not run", "for keys at NFC readers: sudo apt install pcscd libccid"
	default:
		p.State, p.Text = ipc.PartDegraded, "keys at NFC readers can't be used: "+problem.Error()
		p.Hint = "'fob doctor' finds out why"
	}
	return p
}

func policyPart(rules *policy.Holder) ipc.Part {
	p := ipc.Part{Name: "policy", State: ipc.PartOK, Text: "programs may do what is built in; 'fob policy show' shows it"}
	if path := rules.Policy().Path; path != "" {
		p.Text = "programs may do what " + path + " says"
	}
	if problem := rules.Problem(); problem != nil {
		p.State, p.Hint = ipc.PartDegraded, "'fob policy check' says what is wrong; then 'fob status reload'"
		p.Text = "the policy could not be read again, and is the one from before: " + problem.Error()
	}
	return p
}

func sessionPart(s session.State) ipc.Part {
	p := ipc.Part{Name: "logind", State: ipc.PartOK, Text: "ceremonies end when the computer goes to sleep or the screen is locked"}
	if s.Problem != "" {
		p.State = ipc.PartDegraded
		p.Text = "nobody tells when the computer goes to sleep or the screen is locked: " + s.Problem
		p.Hint = "in a container there is no logind; elsewhere: sudo apt install dbus libpam-systemd"
	}
	return p
}

// counters are those of the helpers.
func (f *fobd) counters() map[string]int {
	figures := f.source.Figures()
	return map[string]int{"helpers.started": figures.Started, "helpers.crashed": figures.Crashed}
}
