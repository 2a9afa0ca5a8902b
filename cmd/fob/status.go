package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"fob/ipc"
)

func (a *app) status() *cobra.Command {
	c := &cobra.Command{
		Use:   "status",
		Short: "Tell how fobd and its parts are",
		Long: `Tells how fobd and its parts are, and what to do about those that don't work. With --json it
tells as well what fobd has done since it was started: calls by their results, how long they
took, in microseconds, and other counters; of a fobd that serves several users, to its own and root
alone.

  ok        it works
  degraded  it works less well than it could
  off       it is not in use
  broken    it does not work, though somebody wants it

It ends with 10 when a part is broken, and with 3 when fobd can't be reached.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return a.showStatus(c.Context()) },
	}
	c.AddCommand(&cobra.Command{
		Use:   "reload",
		Short: "Have fobd read its files again, as SIGHUP does",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			done, err := a.client.Reload(c.Context())
			if err != nil {
				return err
			}
			return a.printReloaded(done)
		},
	})
	return c
}

// broken says how many parts are broken.
type broken int

func (n broken) Error() string {
	return fmt.Sprintf("%s of fobd %s broken", plural(int(n), "part", "parts"), verb(int(n)))
}

func verb(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func (a *app) showStatus(ctx context.Context) error {
	status, err := a.client.Status(ctx)
	if err != nil {
		return err
	}
	if a.json {
		err = a.printStatusJSON(ctx, status)
	} else {
		err = a.printStatus(status)
	}
	if err != nil {
		return err
	}
	n := 0
	for _, p := range status.Parts {
		if p.State == ipc.PartBroken {
			n++
		}
	}
	if n > 0 {
		return broken(n)
	}
	return nil
}

func (a *app) printStatusJSON(ctx context.Context, status ipc.Status) error {
	metrics, err := a.client.Metrics(ctx)
	if errors.Is(err, ipc.PermissionDenied{}) { // of another user's fobd
		return a.printJSON(status)
	}
	if err != nil {
		return err
	}
	return a.printJSON(struct {
		ipc.Status
		Metrics ipc.Metrics `json:"metrics"`
	}{status, metrics})
}

// startedBy says who has started fobd.
var startedBy = map[ipc.Started]string{
	ipc.StartedBySocket: "by systemd, for its socket", ipc.StartedAsService: "as a service", ipc.StartedByHand: "by hand"}

func (a *app) printStatus(s ipc.Status) error {
	_, err := fmt.Fprintf(a.stdout, "fobd %s, process %d, started %v ago %s\n", shown(s.Version), s.PID,
		time.Duration(s.Uptime)*time.Second, startedBy[s.Started])
	fmt.Fprintf(a.stdout, "socket    %s\n", shown(s.Socket))
	keys := "keys that can't be counted"
	if s.Keys != nil {
		keys = plural(*s.Keys, "key", "keys")
	}
	waiting := ""
	if s.Waiting > 0 {
		waiting = fmt.Sprintf(" (%d waiting)", s.Waiting)
	}
	fmt.Fprintf(a.stdout, "now       %s, %s%s, %s\n", keys, plural(s.Ceremonies, "ceremony", "ceremonies"), waiting,
		plural(s.Clients, "client", "clients"))
	for _, p := range s.Parts {
		fmt.Fprintf(a.stdout, "%-8s  %-8s  %s\n", shown(string(p.State)), shown(p.Name), shown(p.Text))
		if p.Hint != "" {
			fmt.Fprintf(a.stdout, "                    > %s\n", shown(p.Hint))
		}
	}
	return err
}

func (a *app) printReloaded(done []string) error {
	if a.json {
		return a.printJSON(ipc.ReloadReply{Reloaded: done})
	}
	for _, what := range done {
		if _, err := fmt.Fprintf(a.stdout, "read again  %s\n", shown(what)); err != nil {
			return err
		}
	}
	return nil
}
