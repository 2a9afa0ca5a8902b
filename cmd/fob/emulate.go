package main

import (
	"crypto/rand"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
)

func (a *app) emulate() *cobra.Command {
	var e program.Emulator
	var verbose bool
	c := &cobra.Command{
		Use:   "emulate",
		Short: "Run an emulated security key, for tests and CI",
		Long: `emulate runs an emulated security key at a pseudo-terminal until it is interrupted. It needs
no privileges, and protects nothing: use it for tests alone.

When the key is ready, one line of JSON says where other programs find it:
    {"id":"…","endpoint":"pty","path":"/dev/pts/N"}
for 'fobd --device /dev/pts/N', 'fido2-token -I /dev/pts/N', 'ssh-keygen -O device=/dev/pts/N' and so on.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			log := slog.New(slog.DiscardHandler)
			if verbose {
				log = slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
			}
			key, err := e.Plug(a.stdin, a.stderr, log)
			if err != nil {
				return err
			}
			defer key.Close()
			ready := struct {
				ID       string `json:"id"`
				Endpoint string `json:"endpoint"`
				Path     string `json:"path"`
			}{strings.ToLower(rand.Text()[:8]), "pty", key.Path()}
			if err := a.printJSON(ready); err != nil {
				return err
			}
			<-c.Context().Done()
			return nil
		},
	}
	e.Flags(c.Flags(), "")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "log each command and its status code")
	return c
}
