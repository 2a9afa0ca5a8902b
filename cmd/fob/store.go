package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"filippo.io/age/armor"
	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/fido/durable"
	"fob/ipc"
)

func (a *app) store() *cobra.Command {
	c := &cobra.Command{
		Use:   "store",
		Short: "Look after the sealed store, in which fobd keeps secrets",
		Long: `fobd keeps secrets, such as the seeds of one-time passwords, in one encrypted file. These commands
tell how it is, open it, choose what seals it, and make and bring back backups.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.storeStatus(), a.storeUnlock(), a.storeSeal(), a.storeExport(), a.storeImport(), a.storeReset())
	return c
}

func (a *app) storeStatus() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Tell how the store is, and what seals it",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := a.client.StoreStatus(c.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(s)
			}
			return a.printStore(s)
		},
	}
}

// states are those of fob.Store.Status in words.
var states = map[ipc.StoreState]string{
	ipc.StoreStateReady:    "ready",
	ipc.StoreStateNew:      "there is none yet; it is made when it is needed",
	ipc.StoreStateReadOnly: "it can be read, but not written",
	ipc.StoreStateLocked:   "locked; 'fob store unlock' opens it",
	ipc.StoreStateHeld:     "another program has it open",
	ipc.StoreStateCorrupt:  "damaged, and left as it is",
	ipc.StoreStateWrongKey: "it does not open",
	ipc.StoreStateNewer:    "a newer fob has written it",
	ipc.StoreStateUnusable: "it can't be used",
}

// sealers are the kinds of them in words.
var sealers = map[string]string{
	"keyfile":    "a key file beside it",
	"credential": "a systemd credential",
	"passphrase": "a passphrase",
	"tpm":        "the TPM",
	"tpmpin":     "the TPM and a PIN",
}

func inWords[K ~string](words map[K]string, k K) string {
	if w, ok := words[k]; ok {
		return w
	}
	return shown(string(k)) // of a newer fobd
}

func (a *app) printStore(s *ipc.StoreStatus) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "state\t%s\n", inWords(states, s.State))
	if s.Path != "" {
		fmt.Fprintf(w, "file\t%s\n", shown(s.Path))
	}
	if s.Sealer != "" {
		fmt.Fprintf(w, "sealed by\t%s\n", inWords(sealers, s.Sealer))
	}
	if s.Records != nil {
		fmt.Fprintf(w, "records\t%d\n", *s.Records)
	}
	if s.Problem != "" {
		fmt.Fprintf(w, "problem\t%s\n", shown(s.Problem))
	}
	for _, path := range s.Aside {
		fmt.Fprintf(w, "kept aside\t%s\n", shown(path))
	}
	return w.Flush()
}

func (a *app) storeUnlock() *cobra.Command {
	p := a.storePerson()
	c := &cobra.Command{
		Use:   "unlock",
		Short: "Open a store that is sealed with a passphrase, or with a PIN, until fobd ends",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			defer p.wipe()
			if err := a.client.UnlockStore(c.Context(), p); err != nil {
				return err
			}
			return a.done("the store is open")
		},
	}
	p.flags(c.Flags())
	return c
}

func (a *app) storeSeal() *cobra.Command {
	p := a.storePerson()
	var in ipc.SealRequest
	c := &cobra.Command{
		Use:   "seal --to tpm|passphrase|keyfile|credential",
		Short: "Choose what opens the store",
		Long: `seal encrypts the store with a new key, and seals that key with
  tpm         the TPM of this computer: the file opens nowhere else. With --pin, the TPM wants a PIN
              as well, and lets nobody try many; 'fob store unlock' asks for it. With --pcrs, the
              computer must have started as it has now. Make a backup: a TPM can be cleared
  passphrase  what you know; after each start of fobd, 'fob store unlock' asks for it
  keyfile     a file beside the store: it protects copies of the store, but not a stolen disk
  credential  what systemd hands to fobd, as fob.store (LoadCredentialEncrypted=)
A passphrase, or PIN, that the store has is asked for before.`,
		Example: "  fob store seal --to tpm --pin\n  fob store seal --to tpm --pcrs 7",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkSeal(in); err != nil {
				return err
			}
			defer p.wipe()
			aside, err := a.client.SealStore(c.Context(), in, p)
			if err != nil {
				return err
			}
			return a.printSealed(in, aside)
		},
	}
	c.Flags().StringVar(&in.To, "to", "", "`KIND` of seal: tpm, passphrase, keyfile or credential")
	c.Flags().BoolVar(&in.PIN, "pin", false, "with tpm: choose a PIN that the TPM wants, 4 to 32 bytes")
	c.Flags().IntSliceVar(&in.PCRs, "pcrs", nil,
		"with tpm: open only while these platform configuration registers are as now, such as `7` for Secure Boot")
	p.flags(c.Flags())
	p.newFlags(c.Flags())
	return c
}

func checkSeal(in ipc.SealRequest) error {
	tpm := in.To == "tpm"
	if _, ok := sealers[in.To]; !ok || in.To == "tpmpin" {
		return program.Usage(errors.New("say with --to what shall open the store: tpm, passphrase, keyfile or credential"))
	}
	if !tpm && (in.PIN || len(in.PCRs) > 0) {
		return program.Usage(errors.New("--pin and --pcrs go with --to tpm"))
	}
	for _, n := range in.PCRs {
		if n < 0 || n > 23 {
			return program.Usage(fmt.Errorf("there is no PCR %d: they are 0 to 23", n))
		}
	}
	return nil
}

func (a *app) printSealed(in ipc.SealRequest, aside []string) error {
	if a.json {
		return a.printJSON(ipc.SealReply{Aside: aside})
	}
	for _, path := range aside {
		fmt.Fprintf(a.stderr, "kept as it was: %s; remove it, and store.key, when you need it no more\n", shown(path))
	}
	to := in.To
	if in.PIN {
		to = "tpmpin"
	}
	return a.done("the store is sealed by %s", sealers[to])
}

func (a *app) storeExport() *cobra.Command {
	p := a.storePerson()
	var recipients []string
	c := &cobra.Command{
		Use:   "export FILE",
		Short: "Write a backup of the store, encrypted",
		Long: `export writes all that the store holds to a new FILE, - for standard output, encrypted by age: with
a passphrase that you choose, or to public keys of age or SSH, so that nobody has to type one.
'fob store import' brings it back, on any machine.`,
		Example: "  fob store export backup.age\n  fob store export --recipient \"$(cat ~/.ssh/id_ed25519.pub)\" backup.age",
		Args:    exactly("name the FILE for the backup, or - for standard output"),
		RunE: func(c *cobra.Command, args []string) error {
			defer p.wipe()
			return a.export(c.Context(), args[0], recipients, p)
		},
	}
	c.Flags().StringArrayVar(&recipients, "recipient", nil,
		"encrypt to this `KEY`, age1... or ssh-..., instead of a passphrase; may be repeated")
	p.flags(c.Flags())
	p.newFlags(c.Flags())
	return c
}

func (a *app) export(ctx context.Context, path string, recipients []string, p *storePerson) error {
	if _, err := os.Lstat(path); err == nil { // before anybody is asked for a passphrase
		return &os.PathError{Op: "export", Path: path, Err: os.ErrExist}
	}
	var backup bytes.Buffer
	if err := a.client.ExportStore(ctx, recipients, p, &backup); err != nil {
		return err
	}
	if path == "-" {
		_, err := a.stdout.Write(backup.Bytes())
		return err
	}
	if err := durable.Create(path, backup.Bytes()); err != nil {
		return err
	}
	return a.done("the store is exported to %s", shown(path))
}

// maxBackup is more than any backup has, in bytes.
const maxBackup = 64 << 20

func (a *app) storeImport() *cobra.Command {
	p := a.storePerson()
	replace := false
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Bring a backup back into the store",
		Long: `import replaces what the store holds by the backup in FILE, - for standard input. A store that holds
something, or can't be opened, is replaced with --replace alone, and its old file is kept aside.
The backup is checked as a whole before.`,
		Args: exactly("name the FILE of the backup, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			defer p.wipe()
			backup, err := a.readBackup(args[0])
			if err != nil {
				return err
			}
			records, aside, err := a.client.ImportStore(c.Context(), backup, replace, p)
			if err != nil {
				return err
			}
			return a.printImport(records, aside)
		},
	}
	c.Flags().BoolVar(&replace, "replace", false, "replace what is there, which is kept aside")
	c.Flags().StringArrayVar(&p.identities, "identity", nil,
		"open the backup with the private keys in this `FILE`, of age or SSH; may be repeated")
	p.flags(c.Flags())
	return c
}

// readBackup reads a backup, with or without the armor of age -a.
func (a *app) readBackup(path string) ([]byte, error) {
	in := a.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxBackup+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxBackup:
		return nil, program.Usage(fmt.Errorf("%s is too large for a backup", path))
	case bytes.HasPrefix(b, []byte(armor.Header)):
		return io.ReadAll(armor.NewReader(bytes.NewReader(b)))
	default:
		return b, nil
	}
}

func (a *app) printImport(records int, aside string) error {
	if a.json {
		return a.printJSON(ipc.ImportReply{Records: &records, Aside: aside})
	}
	a.printAside(aside)
	return a.done("the store holds %s", plural(records, "record", "records"))
}

func (a *app) printAside(path string) {
	if path != "" {
		fmt.Fprintf(a.stderr, "the old one is kept as %s\n", shown(path))
	}
}

func (a *app) storeReset() *cobra.Command {
	yes := false
	c := &cobra.Command{
		Use:   "reset",
		Short: "Begin anew with an empty store",
		Long: `reset begins anew with an empty store, sealed as a new one. The old file is kept aside: a damaged one
may be of use to somebody who knows more.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if !yes {
				if err := a.confirmStoreReset(c.Context()); err != nil {
					return err
				}
			}
			aside, err := a.client.ResetStore(c.Context(), a.storePerson())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(ipc.StoreResetReply{Aside: aside})
			}
			a.printAside(aside)
			return a.done("the store is empty")
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return c
}

func (a *app) confirmStoreReset(ctx context.Context) error {
	s, err := a.client.StoreStatus(ctx)
	if err != nil {
		return err
	}
	what := "the store, " + inWords(states, s.State)
	if s.Records != nil {
		what = "the store, with " + plural(*s.Records, "record", "records")
	}
	return confirmYes(ctx, what+", will be set aside, and fob begins with an empty one; type yes to go on: ")
}
