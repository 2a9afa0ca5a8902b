package service

import (
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// Notifier tells the service manager how it goes (sd_notify(3)). Without one ($NOTIFY_SOCKET) it does nothing.
type Notifier struct {
	Log *slog.Logger

	mu    sync.Mutex
	state string // told last of READY, RELOADING and STOPPING
	text  string // of STATUS, told last
}

// Managed reports whether a service manager listens.
func Managed() bool { return os.Getenv("NOTIFY_SOCKET") != "" }

// Ready says that clients are served.
func (n *Notifier) Ready() { n.tell("READY=1") }

// Reloading says that files are read again; Ready ends it.
func (n *Notifier) Reloading() { n.tell("RELOADING=1", strings.TrimSpace(sd.SdNotifyMonotonicUsec())) }

// Stopping says that we end.
func (n *Notifier) Stopping() { n.tell("STOPPING=1") }

// Watchdog says that we live.
func (n *Notifier) Watchdog() { n.send("WATCHDOG=1") }

// Status shows a text in "systemctl status".
func (n *Notifier) Status(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.text != text && n.state != "STOPPING=1" {
		n.text = text
		n.send("STATUS=" + text)
	}
}

func (n *Notifier) tell(lines ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.state == "STOPPING=1" { // which is not taken back by a reload that goes on
		return
	}
	n.state = lines[0]
	n.send(lines...)
}

func (n *Notifier) send(lines ...string) {
	if _, err := sd.SdNotify(false, strings.Join(lines, "\n")); err != nil {
		n.Log.Debug("the service manager is not told", "what", lines[0], "error", err)
	}
}

// WatchdogTime is within which time the service manager wants to hear of us, 0 for never ($WATCHDOG_USEC).
func WatchdogTime() (time.Duration, error) { return sd.SdWatchdogEnabled(false) }
