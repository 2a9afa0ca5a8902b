package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"fob/cmd/internal/program"
	"fob/daemon/audit"
	"fob/daemon/store"
	"fob/daemon/tpm"
	"fob/ipc"
)

// What --audit may be.
const (
	auditOn       = "on"
	auditRequired = "required"
	auditOff      = "off"
)

func checkAudit(word string) error {
	switch word {
	case auditOn, auditRequired, auditOff:
		return nil
	}
	return program.Usage(fmt.Errorf("--audit %q is none of on, required, off", word))
}

// openState opens what fobd keeps, once it is sure that there is no other fobd at its socket.
func (f *fobd) openState() error {
	f.daemon.TPM = &tpm.TPM{Path: f.tpm}
	f.daemon.OpenStore(f.state, os.Getenv("CREDENTIALS_DIRECTORY"))
	f.after = append(f.after, func() { f.daemon.Store.Close() })
	f.addPart(f.storePart)
	f.addPart(f.tpmPart)
	f.addPart(f.otpPart)
	f.addPart(f.auditPart)
	return f.openAudit()
}

// openAudit gives the daemon a log, unless there shall be none. One that is required must be ready.
func (f *fobd) openAudit() error {
	if f.audit == auditOff {
		return nil
	}
	dir, err := audit.DefaultDir()
	if err != nil {
		return err
	}
	key := audit.KeyFile(filepath.Join(filepath.Dir(dir), "audit.key"))
	log := &audit.Log{Dir: dir, Key: key, Journal: audit.SystemJournal(), Log: f.log}
	f.daemon.Audit, f.daemon.AuditRequired = log, f.audit == auditRequired
	f.after = append(f.after, func() {
		if err := log.Close(); err != nil {
			f.log.Warn("the audit log was not closed well", "error", err)
		}
	})
	if err := log.Open(); err != nil {
		if f.daemon.AuditRequired {
			return err
		}
		f.log.Error("what programs ask for is not recorded, until it can be", "error", err)
	}
	return nil
}

func (f *fobd) storePart(context.Context) ipc.Part {
	p := ipc.Part{Name: "store", State: ipc.PartOK}
	switch s := f.daemon.Store.Status(); {
	case errors.Is(s.Problem, store.ErrLocked):
		p.State, p.Text, p.Hint = ipc.PartDegraded, "the sealed store is locked", "'fob store unlock' opens it"
	case s.Problem != nil:
		p.State, p.Text, p.Hint = ipc.PartBroken, s.Problem.Error(), "'fob store status' tells more"
	case !s.Exists:
		p.Text = "there is nothing in the sealed store yet; it would be sealed by: " + string(s.Sealer)
	case s.ReadOnly:
		p.State, p.Text = ipc.PartDegraded, "the sealed store can be read, but not written"
		p.Hint = "look at the disk and the rights of " + s.Path
	default:
		p.Text = "secrets are kept, sealed by: " + string(s.Sealer)
	}
	return p
}

// tpmPart does not ask the TPM itself, which takes a while.
func (f *fobd) tpmPart(context.Context) ipc.Part {
	p := ipc.Part{Name: "tpm", State: ipc.PartOff}
	err := f.daemon.TPM.Check()
	switch {
	case f.tpm == "":
		p.Text = "no TPM is used (--tpm)"
	case err == nil:
		p.State, p.Text = ipc.PartOK, "secrets can be kept by the TPM at "+f.tpm
	case errors.Is(err, tpm.ErrAbsent):
		p.Text = "there is no TPM 2.0 at " + f.tpm
	case errors.Is(err, tpm.ErrDenied):
		p.Text = "we may not open the TPM at " + f.tpm + ", and secrets are kept without it"
		p.Hint = "sudo usermod -aG tss $USER, log in again, and 'fob store seal --to tpm'"
	default:
		p.State, p.Text, p.Hint = ipc.PartDegraded, "the TPM can't be used: "+err.Error(), "'fob doctor' tells more"
	}
	return p
}

func (f *fobd) otpPart(context.Context) ipc.Part {
	p := ipc.Part{Name: "otp", State: ipc.PartOK}
	switch n, err := f.daemon.Tokens().Count(); {
	case err != nil: // why is the store's to tell
		p.State, p.Text = ipc.PartOff, "tokens of one-time passwords are in the sealed store, which is not open"
	case n == 0:
		p.State, p.Text = ipc.PartOff, "there are no tokens of one-time passwords"
	case n == 1:
		p.Text = "1 token of one-time passwords"
	default:
		p.Text = fmt.Sprintf("%d tokens of one-time passwords", n)
	}
	return p
}

func (f *fobd) auditPart(context.Context) ipc.Part {
	p := ipc.Part{Name: "audit", State: ipc.PartOff, Text: "no audit log is kept (--audit off)"}
	if f.daemon.Audit == nil {
		return p
	}
	switch s := f.daemon.Audit.Status(); {
	case s.Problem != nil:
		p.State, p.Text = ipc.PartBroken, "what programs ask for is not recorded: "+s.Problem.Error()
		p.Hint = "look at the disk and the rights of " + f.daemon.Audit.Dir
	case s.Lost > 0:
		p.State, p.Text = ipc.PartDegraded, fmt.Sprintf("%d records could not be written", s.Lost)
		p.Hint = "look at the disk of " + f.daemon.Audit.Dir
	default:
		p.State, p.Text = ipc.PartOK, "what programs ask for is recorded; 'fob log' shows it"
	}
	return p
}
