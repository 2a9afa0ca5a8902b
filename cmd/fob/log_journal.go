package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"

	"fob/ipc"
)

// journalTime is how long the journal may take to answer.
const journalTime = 30 * time.Second

var errNoJournal = errors.New("there is no journalctl")

// journalRecords are the newest records that the journal has of our own fobd, by journalctl(1).
func journalRecords(ctx context.Context) ([]ipc.KnownRecord, error) {
	path, err := exec.LookPath("journalctl")
	if err != nil {
		return nil, errNoJournal
	}
	ctx, stop := context.WithTimeout(ctx, journalTime)
	defer stop()
	c := exec.CommandContext(ctx, path, "--quiet", "--no-pager", "--reverse", "--lines", strconv.Itoa(ipc.MaxKnown),
		"--output=json", "--output-fields=FOB_AUDIT_LOG,FOB_AUDIT_SEQ,FOB_AUDIT_MAC",
		"MESSAGE_ID="+ipc.AuditMessageID, "_UID="+strconv.Itoa(os.Getuid()))
	var problem bytes.Buffer
	c.Stderr = &problem
	out, err := c.Output()
	if err != nil {
		if text, _, _ := strings.Cut(problem.String(), "\n"); text != "" {
			return nil, fmt.Errorf("journalctl: %s", text)
		}
		return nil, fmt.Errorf("journalctl: %w", err)
	}
	return parseJournal(out), nil
}

var logNamed, logMAC = regexp.MustCompile(`^[0-9a-f]{16}$`), regexp.MustCompile(`^[0-9a-f]{64}$`)

// parseJournal reads what journalctl prints: an object on each line. One without a number is that of a record which was
// not written. Any program of ours can write to the journal, so what makes no sense is left out.
func parseJournal(out []byte) (known []ipc.KnownRecord) {
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() && len(known) < ipc.MaxKnown {
		var entry struct {
			Log string `json:"FOB_AUDIT_LOG"`
			Seq string `json:"FOB_AUDIT_SEQ"`
			MAC string `json:"FOB_AUDIT_MAC"`
		}
		if json.Unmarshal(lines.Bytes(), &entry) != nil {
			continue
		}
		seq, err := strconv.Atoi(entry.Seq)
		if err == nil && seq > 0 && logNamed.MatchString(entry.Log) && logMAC.MatchString(entry.MAC) {
			known = append(known, ipc.KnownRecord{Log: entry.Log, Seq: seq, MAC: entry.MAC})
		}
	}
	return known
}
