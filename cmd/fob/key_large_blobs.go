package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"fob/cmd/internal/program"
	"fob/fido"
	"fob/ipc"
)

func (a *app) keyLargeBlobs() *cobra.Command {
	c := &cobra.Command{
		Use:   "large-blobs",
		Short: "Read and write the large blobs of credentials",
		Long: `A large blob is a file of a few KB that a key keeps with a credential, such as a certificate. It is
encrypted under a key that the credential alone gives out. Credentials that were not registered for
one (extension largeBlob) have none.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.keyLargeBlobsList(), a.keyLargeBlobsGet(), a.keyLargeBlobsSet(), a.keyLargeBlobsDelete())
	return c
}

func (a *app) keyLargeBlobsList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List which credentials have a large blob, and the room that is left",
	}
	return a.managing(c, func(ctx context.Context, f *managementFlags, _ []string) error {
		list, err := a.client.ListLargeBlobs(ctx, f.device, f)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(list)
		}
		return a.printLargeBlobs(list)
	})
}

func (a *app) printLargeBlobs(list *ipc.LargeBlobList) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if len(list.Blobs) > 0 {
		fmt.Fprintln(w, "RELYING PARTY\tACCOUNT\tCREDENTIAL\tBYTES\tON THE KEY")
	}
	for _, b := range list.Blobs {
		c := b.Credential
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\n", rpName(c), shown(accountOf(c)), c.ID, b.Size, b.Stored)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if list.Orphans > 0 {
		fmt.Fprintf(a.stdout, "%s to no credential on the key\n",
			plural(list.Orphans, "large blob belongs", "large blobs belong"))
	}
	_, err := fmt.Fprintf(a.stdout, "%d of %d bytes used, %d free\n",
		list.Used, list.Capacity, max(list.Capacity-list.Used, 0))
	return err
}

func (a *app) keyLargeBlobsGet() *cobra.Command {
	force := false
	c := &cobra.Command{
		Use:   "get CREDENTIAL >FILE",
		Short: "Write the large blob of a credential to standard output",
		Long:  "get writes the large blob as it is to standard output, which is to be no terminal.\n\n" + credentialHelp,
		Args:  oneCredential,
	}
	c.Flags().BoolVar(&force, "force", false, "even to a terminal")
	return a.managing(c, func(ctx context.Context, f *managementFlags, args []string) error {
		if !force && isTerminal(a.stdout) {
			return program.Usage(errors.New("standard output is a terminal; write the large blob to a file, or say --force"))
		}
		blob, err := a.client.GetLargeBlob(ctx, ipc.WhichCredential{Device: f.device, Credential: args[0]}, f)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(ipc.LargeBlobGot{Blob: base64.RawURLEncoding.EncodeToString(blob)})
		}
		_, err = a.stdout.Write(blob)
		return err
	})
}

// isTerminal reports whether w is one.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (a *app) keyLargeBlobsSet() *cobra.Command {
	c := &cobra.Command{
		Use:   "set CREDENTIAL FILE",
		Short: "Give a credential a large blob",
		Long: `set writes a file to the key, as the large blob of a credential, in place of the one that it has; "-"
is standard input. It is compressed, and what counts is its size then; 'fob key large-blobs list'
tells how much room there is. Of a file that is longer than 40 KiB nothing is written.

` + credentialHelp,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return program.Usage(errors.New("expected a credential ID and a file"))
			}
			return checkCredential(args[0])
		},
	}
	return a.managing(c, func(ctx context.Context, f *managementFlags, args []string) error {
		blob, err := a.readLargeBlob(args[1])
		if err != nil {
			return err
		}
		which := ipc.WhichCredential{Device: f.device, Credential: args[0]}
		if err := a.client.SetLargeBlob(ctx, which, blob, f); err != nil {
			return err
		}
		return a.done("the credential has a large blob of %s", plural(len(blob), "byte", "bytes"))
	})
}

// readLargeBlob reads a file that may become a large blob.
func (a *app) readLargeBlob(name string) ([]byte, error) {
	in := a.stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	blob, err := io.ReadAll(io.LimitReader(in, fido.MaxLargeBlob+1))
	switch {
	case err != nil:
		return nil, err
	case len(blob) > fido.MaxLargeBlob:
		return nil, program.Usage(fmt.Errorf("a large blob has %d bytes at most", fido.MaxLargeBlob))
	case len(blob) == 0:
		return nil, program.Usage(errors.New("the file is empty; 'fob key large-blobs delete' deletes a large blob"))
	}
	return blob, nil
}

func (a *app) keyLargeBlobsDelete() *cobra.Command {
	c := &cobra.Command{
		Use:   "delete CREDENTIAL",
		Short: "Delete the large blob of a credential",
		Long:  "delete makes room on the key for other large blobs; the credential stays.\n\n" + credentialHelp,
		Args:  oneCredential,
	}
	return a.managing(c, func(ctx context.Context, f *managementFlags, args []string) error {
		if err := a.client.DeleteLargeBlob(ctx, ipc.WhichCredential{Device: f.device, Credential: args[0]}, f); err != nil {
			return err
		}
		return a.done("the large blob is deleted")
	})
}
