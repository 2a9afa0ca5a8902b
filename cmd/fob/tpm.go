package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"fob/daemon/tpm"
	"fob/fido/access"
	"fob/ipc"
)

func (a *app) tpm() *cobra.Command {
	c := &cobra.Command{
		Use:   "tpm",
		Short: "Look at the TPM 2.0 of this computer",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.tpmStatus(), a.tpmSRK())
	return c
}

func (a *app) tpmStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Ask the TPM whether fobd can use it",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.client.TPMStatus(c.Context())
			switch {
			case err != nil:
				return err
			case a.json:
				return a.printJSON(s)
			case s.Reason != "":
				return ipc.TPMUnusable{Reason: s.Reason, Problem: s.Problem}
			}
			return a.done("fobd can use the TPM at %s", shown(s.Path))
		},
	}
}

func (a *app) tpmSRK() *cobra.Command {
	return &cobra.Command{
		Use:   "srk",
		Short: "Print the key to which others wrap what this TPM alone shall open",
		Long: `srk prints the public part of the TPM's storage root key, as PEM of a TPM2B_PUBLIC. It is no
secret; but who gets it must know that it is of this computer: what is wrapped to another key is
open to who has that.`,
		Example: "  fob tpm srk > SRK.pub",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			key, err := a.client.SRK(c.Context())
			switch {
			case err != nil:
				return err
			case a.json:
				return a.printJSON(ipc.SRKReply{Key: key})
			}
			_, err = fmt.Fprint(a.stdout, key)
			return err
		},
	}
}

// What the doctor finds of the TPM.
const (
	tpmThere  access.Code = "tpm"
	tpmAbsent access.Code = "no-tpm"
	tpmClosed access.Code = "tpm-closed"
)

// examineTPM looks at the node of a TPM. Nothing needs one.
func examineTPM(path string) access.Finding {
	err := (&tpm.TPM{Path: path}).Check()
	switch {
	case err == nil:
		return access.Finding{Code: tpmThere, Level: access.OK, What: "the TPM at " + path + " can be opened"}
	case errors.Is(err, tpm.ErrAbsent):
		return access.Finding{Code: tpmAbsent, Level: access.Note, What: "there is no TPM 2.0 at " + path,
			Do: "where the computer has one, turn it on in the settings of its firmware; secrets are kept by a file without it"}
	case errors.Is(err, tpm.ErrDenied):
		return access.Finding{Code: tpmClosed, Level: access.Note,
			What: "the TPM at " + path + " is for others; fobd keeps secrets without it",
			Do:   "sudo usermod -aG tss $USER, log in again, and 'fob store seal --to tpm'"}
	}
	return access.Finding{Code: tpmClosed, Level: access.Note, What: "the TPM at " + path + " can't be opened: " + err.Error(),
		Do: "repeat in a moment, and restart the computer where that does not help"}
}
