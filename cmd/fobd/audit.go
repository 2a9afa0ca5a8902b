package main

import (
	"fmt"
	"log/slog"
	"path/filepath"

	"fob/cmd/internal/program"
	"fob/daemon"
	"fob/daemon/audit"
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

// keepAudit gives the daemon a log, unless there shall be none. One that is required must be ready.
func (o *options) keepAudit(d *daemon.Daemon, log *slog.Logger) (stop func(), err error) {
	stop = func() {}
	if o.audit == auditOff {
		return stop, nil
	}
	dir, err := audit.DefaultDir()
	if err != nil {
		return stop, err
	}
	key := audit.KeyFile(filepath.Join(filepath.Dir(dir), "audit.key"))
	d.Audit = &audit.Log{Dir: dir, Key: key, Journal: audit.SystemJournal(), Log: log}
	d.AuditRequired = o.audit == auditRequired
	stop = func() {
		if err := d.Audit.Close(); err != nil {
			log.Warn("the audit log was not closed well", "error", err)
		}
	}
	if err := d.Audit.Open(); err != nil {
		if d.AuditRequired {
			return stop, err
		}
		log.Error("what programs ask for is not recorded, until it can be", "error", err)
	}
	return stop, nil
}
