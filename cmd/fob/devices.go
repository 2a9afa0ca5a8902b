package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fob/ipc"
)

func (a *app) devices() *cobra.Command {
	watch := false
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List the security keys that are plugged in",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if watch {
				return a.watchDevices(c.Context())
			}
			devices, err := a.client.Devices(c.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(ipc.ListReply{Devices: devices})
			}
			return a.printDevices(devices)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false,
		"go on and print which keys are plugged in, taken out, and opened by other programs, until interrupted")
	return cmd
}

// watchDevices prints the keys that are plugged in as added.
func (a *app) watchDevices(ctx context.Context) error {
	now := func(devices []ipc.Device) error {
		if a.json {
			return a.printJSON(ipc.DeviceWatchReply{Devices: devices})
		}
		for _, d := range devices {
			if err := a.printDeviceEvent(ipc.DeviceEvent{Kind: ipc.DeviceAdded, Device: d}); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintln(a.stderr, "watching")
		return err
	}
	happened := func(e ipc.DeviceEvent) error {
		if a.json {
			return a.printJSON(ipc.DeviceWatchReply{Event: &e})
		}
		return a.printDeviceEvent(e)
	}
	err := a.client.WatchDevices(ctx, now, happened)
	if ctx.Err() != nil { // interrupted, which is how it ends
		return nil
	}
	return err
}

func (a *app) printDeviceEvent(e ipc.DeviceEvent) error {
	var by []string
	for _, p := range e.Programs {
		by = append(by, fmt.Sprintf("%s (%d)", shown(p.Name), p.PID))
	}
	text := ""
	if len(by) > 0 {
		text = "  by " + strings.Join(by, ", ")
	}
	_, err := fmt.Fprintf(a.stdout, "%-7s  %s  %s  %s%s\n",
		e.Kind, e.Device.ID, shown(name(e.Device)), shown(e.Device.Path), text)
	return err
}

func (a *app) printDevices(devices []ipc.Device) error {
	if len(devices) == 0 {
		fmt.Fprintln(a.stderr, "no security key is plugged in")
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKEY\tBY\tPATH")
	for _, d := range devices {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", d.ID, shown(name(d)), shown(d.Transport), shown(d.Path))
	}
	return w.Flush()
}

// name is what a person calls a key.
func name(d ipc.Device) string {
	switch {
	case d.Product == "":
		return fmt.Sprintf("key %04x:%04x", d.VendorID, d.ProductID)
	case d.Manufacturer == "" || d.Emulated:
		return d.Product
	default:
		return d.Manufacturer + " " + d.Product
	}
}
