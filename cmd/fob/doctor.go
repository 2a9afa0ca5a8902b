package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/daemon/tpm"
	"fob/fido/access"
	"fob/fido/helper"
	"fob/fido/nfcbridge"
	"fob/ipc"
)

// What the doctor finds beside package access.
const (
	helperThere   access.Code = "helper"
	helperMissing access.Code = "no-helper"
	helperBroken  access.Code = "helper-broken"
	helperOther   access.Code = "helper-version" // of another release than we
	helperLoose   access.Code = "helper-confined-less"
	folderThere   access.Code = "runtime-folder"
	folderMissing access.Code = "no-runtime-folder"
	folderUnsafe  access.Code = "runtime-folder-unsafe"
	fobdAnswers   access.Code = "fobd"
	fobdMissing   access.Code = "no-fobd"
	fobdFails     access.Code = "fobd-fails"
	fobdParts     access.Code = "fobd-parts" // of which some don't work as they could
)

// foundWrong says how much the doctor found.
type foundWrong int

func (n foundWrong) Error() string {
	if n == 1 {
		return "1 thing is wrong"
	}
	return fmt.Sprintf("%d things are wrong", int(n))
}

func (a *app) doctor() *cobra.Command {
	var root string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Find out why keys can't be used, and what to do about it",
		Long: `Finds out why keys can't be used, and what to do about it: it looks at the kernel, the keys'
device nodes and who may open them, who has them open, sandboxes, NFC readers and the cards in
them, the program that drives the keys, the TPM, fobd's socket, and fobd's parts, of which 'fob
status' says more. It changes nothing; it opens the nodes for a moment, and asks cards whether they
are keys.

It ends with 10 when something is wrong, and with 0 when there are no more than notes.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			list, err := a.examine(c.Context(), root)
			if err != nil {
				return err
			}
			return a.printFindings(list)
		},
	}
	c.Flags().StringVar(&root, "root", "/", "look at the devices and processes of the system below `FOLDER`, as tests do")
	return c
}

func (a *app) examine(ctx context.Context, root string) ([]access.Finding, error) {
	system, err := access.This()
	if err != nil {
		return nil, err
	}
	if system.Root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	list := append(system.Confinement(), system.Keys()...)
	list = append(list, system.Cards()...)
	list = append(list, system.Readers(ctx, lookAtCard)...)
	list = append(list, examineHelper(ctx)...)
	list = append(list, examineTPM(filepath.Join(system.Root, tpm.DefaultPath)))
	list = append(list, a.examineFolder(), a.examineFobd(ctx))
	list = append(list, a.examineParts(ctx)...)
	return list, ctx.Err()
}

// lookAtCard looks whether the card in a reader is a key.
func lookAtCard(ctx context.Context, reader string) error {
	key, err := nfcbridge.Open(ctx, reader, nfcbridge.Options{})
	switch {
	case errors.Is(err, nfcbridge.ErrNoFIDO):
		return access.ErrNoFIDO
	case err != nil:
		return err
	}
	return key.Close()
}

// examineHelper looks at the helper beside us, where fobd looks for it.
func examineHelper(ctx context.Context) []access.Finding {
	self, err := os.Executable()
	if err != nil {
		return []access.Finding{{Code: helperMissing, Level: access.Wrong, What: err.Error(), Do: "install fob again"}}
	}
	path := filepath.Join(filepath.Dir(self), "fob-fido-helper")
	if _, err := os.Stat(path); err != nil {
		return []access.Finding{{Code: helperMissing, Level: access.Wrong,
			What: "the program that drives keys is missing: " + path,
			Do:   "install fob-fido-helper there, or start fobd with --helper PATH"}}
	}
	out, said, err := askHelper(ctx, path, "--version")
	if err != nil {
		return []access.Finding{brokenHelper(path, err, said)}
	}
	version := strings.TrimSpace(strings.TrimPrefix(out, "fob-fido-helper "))
	if version != program.Version {
		return []access.Finding{{Code: helperOther, Level: access.Wrong, Do: "install one release of both",
			What: fmt.Sprintf("%s is version %s, fob is %s", path, shown(version), program.Version)}}
	}
	return append([]access.Finding{{Code: helperThere, Level: access.OK, What: path + " runs, version " + version}},
		examineSandbox(ctx, path)...)
}

// helperTime is how long the helper may take for an answer.
const helperTime = 5 * time.Second

// askHelper runs the helper, as it never runs for fobd.
func askHelper(ctx context.Context, path, flag string) (out, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, helperTime)
	defer cancel()
	c := exec.CommandContext(ctx, path, flag)
	var stdout, stderr bytes.Buffer
	c.Env, c.WaitDelay, c.Stdout, c.Stderr = []string{}, time.Second, &stdout, &stderr
	err = c.Run()
	return stdout.String(), stderr.String(), err
}

// examineSandbox has a helper confine itself and tell how far it got.
func examineSandbox(ctx context.Context, path string) []access.Finding {
	out, said, err := askHelper(ctx, path, "--sandbox-report")
	if err != nil {
		return []access.Finding{brokenHelper(path, err, said)}
	}
	var report helper.Sandbox
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return []access.Finding{brokenHelper(path, err, "")}
	}
	if len(report.Missing) == 0 {
		return nil
	}
	missing := strings.Join(report.Missing, ", ")
	return []access.Finding{{Code: helperLoose, Level: access.Note,
		What: "the program that drives keys is confined less than it should be; missing: " + missing,
		Do:   "use a newer kernel, or allow it what is missing"}}
}

func brokenHelper(path string, err error, said string) access.Finding {
	f := access.Finding{Code: helperBroken, Level: access.Wrong, Do: "install fob again"}
	line, _, _ := strings.Cut(said, "\n")
	f.What = shown(fmt.Sprintf("%s does not run: %v: %s", path, err, line))
	if strings.Contains(line, "libfido2") {
		f.Do = "sudo apt install libfido2-1"
	}
	return f
}

// examineFolder looks at the folder of fobd's socket, as daemon.Listen will, and at the one that it is in.
func (a *app) examineFolder() access.Finding {
	dir := filepath.Dir(a.client.Socket)
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(dir)); err != nil {
			return access.Finding{Code: folderMissing, Level: access.Wrong,
				What: "there is no " + filepath.Dir(dir) + " for fobd's socket",
				Do:   "log in by a login manager or ssh, not by su; or set XDG_RUNTIME_DIR to a folder that is yours alone"}
		}
		return access.Finding{Code: folderThere, Level: access.OK, What: "fobd will make " + dir + " for its socket"}
	}
	unsafe := access.Finding{Code: folderUnsafe, Level: access.Wrong, Do: "chmod 700 " + dir,
		What: dir + " is open to others, so that fobd does not use it"}
	if err != nil {
		unsafe.What = "the folder of fobd's socket is closed to us: " + err.Error()
		unsafe.Do = "name another socket with --socket"
		return unsafe
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(st.Uid) != os.Getuid() {
		unsafe.What, unsafe.Do = dir+" is not a folder of ours", "name another socket with --socket, or remove what is there"
		return unsafe
	}
	if info.Mode().Perm()&0o077 != 0 {
		return unsafe
	}
	return access.Finding{Code: folderThere, Level: access.OK, What: dir + " is ours alone"}
}

func (a *app) examineFobd(ctx context.Context) access.Finding {
	devices, err := a.client.Devices(ctx)
	if err == nil {
		return access.Finding{Code: fobdAnswers, Level: access.OK,
			What: fmt.Sprintf("fobd answers at %s; it sees %s", a.client.Socket, plural(len(devices), "key", "keys"))}
	}
	f := access.Finding{Code: fobdFails, Level: access.Wrong, What: err.Error()}
	if errors.As(err, new(*ipc.NotRunning)) {
		f.Code = fobdMissing
	}
	var h hinted
	if errors.As(err, &h) {
		f.Do = h.Hint()
	}
	return f
}

// examineParts names the parts of fobd that don't work as they could. What fobd does not say is no finding: it may not
// run, which was found already, or be of an older release.
func (a *app) examineParts(ctx context.Context) []access.Finding {
	status, err := a.client.Status(ctx)
	if err != nil {
		return nil
	}
	f := access.Finding{
		Code: fobdParts, Level: access.Note, Do: "'fob status' says what is wrong with them, and what to do"}
	var parts []string
	for _, p := range status.Parts {
		switch p.State {
		case ipc.PartBroken:
			f.Level = access.Wrong
		case ipc.PartDegraded:
		default:
			continue
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", p.Name, p.State))
	}
	if len(parts) == 0 {
		return nil
	}
	f.What = "not all parts of fobd work as they could: " + strings.Join(parts, ", ")
	return []access.Finding{f}
}

// printFindings shows what was found; its error says how much is wrong.
func (a *app) printFindings(list []access.Finding) error {
	wrong := 0
	for _, f := range list {
		if f.Level == access.Wrong {
			wrong++
		}
	}
	var err error
	if a.json {
		err = a.printJSON(struct {
			Findings []access.Finding `json:"findings"`
			Wrong    int              `json:"wrong"`
		}{list, wrong})
	} else {
		err = a.showFindings(list)
	}
	if err == nil && wrong > 0 {
		return foundWrong(wrong)
	}
	return err
}

func (a *app) showFindings(list []access.Finding) error {
	for _, f := range list {
		if _, err := fmt.Fprintf(a.stdout, "%-5s  %s\n", f.Level, shown(f.What)); err != nil {
			return err
		}
		if f.Do != "" {
			fmt.Fprintf(a.stdout, "       > %s\n", shown(f.Do))
		}
	}
	return nil
}
