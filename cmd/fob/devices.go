package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fob/ipc"
)

func (a *app) devices() *cobra.Command {
	return &cobra.Command{
		Use:   "devices",
		Short: "List the security keys that are plugged in",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
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
}

func (a *app) printDevices(devices []ipc.Device) error {
	if len(devices) == 0 {
		fmt.Fprintln(a.stderr, "no security key is plugged in")
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tKEY\tPATH")
	for _, d := range devices {
		fmt.Fprintf(w, "%s\t%s\t%s\n", d.ID, name(d), d.Path)
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
