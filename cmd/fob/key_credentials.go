package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/fido/ctap"
	"fob/ipc"
)

// credentialHelp explains the argument of commands on one credential.
const credentialHelp = `CREDENTIAL is a credential ID as 'fob key credentials list' shows it, or enough of its beginning,
four characters at least. One that begins with a dash goes behind "--".`

func (a *app) keyCredentials() *cobra.Command {
	c := &cobra.Command{
		Use:   "credentials",
		Short: "List, rename and delete the discoverable credentials of a key",
		Args:  noArguments,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.keyCredentialsList(), a.keyCredentialsRename(), a.keyCredentialsDelete())
	return c
}

func (a *app) keyCredentialsList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List the discoverable credentials (passkeys) on a key",
		Long: `list shows the discoverable credentials on a key by relying party, and how many there is room for. A
key shows them to its owner alone: it wants a finger or its PIN. Credentials that are not discoverable
are not kept on the key, so nobody can list them.`,
	}
	return a.managing(c, func(ctx context.Context, f *managementFlags, _ []string) error {
		list, err := a.client.ListCredentials(ctx, f.device, f)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(list)
		}
		return a.printCredentials(list)
	})
}

func (a *app) printCredentials(list *ipc.CredentialList) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if len(list.Credentials) > 0 {
		fmt.Fprintln(w, "RELYING PARTY\tACCOUNT\tDISPLAY NAME\tCREDENTIAL\tPROTECTION")
	}
	short := shortest(list.Credentials)
	cut := false
	for i, c := range list.Credentials {
		rp := ""
		if i == 0 || c.RPIDHash != list.Credentials[i-1].RPIDHash {
			rp = rpName(c)
			cut = cut || c.RPIDCut
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n",
			rp, shown(accountOf(c)), shown(c.DisplayName), c.ID[:short[i]], protectionOf(c))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if cut {
		fmt.Fprintln(a.stdout, "* the key has cut this RP ID short, or it is not what the credential is for")
	}
	_, err := fmt.Fprintf(a.stdout, "%d of %d used\n", list.Existing, list.Existing+list.Remaining)
	return err
}

// rpName is the RP ID of a credential, as the key has it.
func rpName(c ipc.Credential) string {
	name := shown(c.RPID)
	if c.RPIDCut {
		name += " *"
	}
	return name
}

// accountOf is what a person calls the account of a credential.
func accountOf(c ipc.Credential) string {
	if c.Name == "" && c.DisplayName == "" {
		return "user " + c.UserID
	}
	return c.Name
}

// protectionOf says when a credential can be used (CTAP 2.2 §12.1).
func protectionOf(c ipc.Credential) string {
	switch c.CredProtect {
	case ipc.UserVerificationOptional:
		return "touch"
	case ipc.UserVerificationOptionalWithCredentialIDList:
		return "PIN, or touch when it is named"
	case ipc.UserVerificationRequired:
		return "PIN"
	default:
		return "-"
	}
}

// shortest gives for each credential how much of its ID tells it from all others, eight characters at least.
func shortest(list []ipc.Credential) []int {
	const least = 8
	lengths := make([]int, len(list))
	for i, c := range list {
		n := min(least, len(c.ID))
		for _, other := range list {
			for n < len(c.ID) && other.ID != c.ID && strings.HasPrefix(other.ID, c.ID[:n]) {
				n++
			}
		}
		lengths[i] = n
	}
	return lengths
}

func (a *app) keyCredentialsRename() *cobra.Command {
	var name, displayName string
	c := &cobra.Command{
		Use:   "rename CREDENTIAL [--name NAME] [--display-name NAME]",
		Short: "Change the account names that a credential shows",
		Long: `rename changes what the key calls the account of a credential when several match. The relying party
knows nothing of it.

` + credentialHelp,
		Example: "  fob key credentials rename 9P1jL5xX --name alice@example.com --display-name Alice",
		Args:    oneCredential,
	}
	c.Flags().StringVar(&name, "name", "", "account `NAME`, such as alice@example.com, of 64 bytes at most")
	c.Flags().StringVar(&displayName, "display-name", "", "`NAME` for people, of 64 bytes at most")
	return a.managing(c, func(ctx context.Context, f *managementFlags, args []string) error {
		r := ipc.RenameCredentialRequest{Device: f.device, Credential: args[0]}
		if c.Flags().Changed("name") {
			r.Name = &name
		}
		if c.Flags().Changed("display-name") {
			r.DisplayName = &displayName
		}
		for _, n := range []*string{r.Name, r.DisplayName} {
			if n != nil && (len(*n) > 64 || shown(*n) != *n) {
				return program.Usage(errors.New("a name has 64 bytes at most, and no control characters"))
			}
		}
		if r.Name == nil && r.DisplayName == nil {
			return program.Usage(errors.New("give --name or --display-name"))
		}
		renamed, err := a.client.RenameCredential(ctx, r, f)
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(renamed)
		}
		return a.done("the credential is now that of %s", describeCredential(*renamed))
	})
}

func (a *app) keyCredentialsDelete() *cobra.Command {
	yes := false
	c := &cobra.Command{
		Use:   "delete CREDENTIAL",
		Short: "Delete a credential for good",
		Long: `delete removes a discoverable credential from the key, and its large blob if it has one: nobody can
sign in with it any more. It shows the account and asks before; --yes is for scripts.

` + credentialHelp,
		Args: oneCredential,
	}
	c.Flags().BoolVar(&yes, "yes", false, "delete it without asking")
	return a.managing(c, func(ctx context.Context, f *managementFlags, args []string) error {
		if !yes && !hasTerminal() { // before a PIN is asked for
			return errNoYes
		}
		r := ipc.DeleteCredentialRequest{Device: f.device, Credential: args[0], Confirm: !yes}
		deleted, err := a.client.DeleteCredential(ctx, r, &confirmer{&f.person})
		if err != nil {
			return err
		}
		if a.json {
			return a.printJSON(deleted)
		}
		if deleted.LargeBlobDeleted {
			return a.done("deleted the credential of %s, and its large blob", describeCredential(*deleted.Credential))
		}
		return a.done("deleted the credential of %s", describeCredential(*deleted.Credential))
	})
}

// confirmer is a person who can be asked whether a credential may be deleted. Who doesn't want that hangs up.
type confirmer struct{ *person }

// Confirm implements ipc.Confirmer.
func (c *confirmer) Confirm(ctx context.Context, e ipc.Event) error {
	account := e.Accounts[0]
	return confirmYes(ctx, fmt.Sprintf("%s will lose the credential of %s\ntype yes to delete it for good: ",
		describe(e), describeCredential(ipc.Credential{
			RPID: e.RPID, UserID: account.ID, Name: account.Name, DisplayName: account.DisplayName})))
}

// describeCredential names the account of a credential, and where it is.
func describeCredential(c ipc.Credential) string {
	account := shown(accountOf(c))
	if c.DisplayName != "" && c.DisplayName != c.Name {
		account = strings.TrimSpace(account + " (" + shown(c.DisplayName) + ")")
	}
	return account + " at " + shown(c.RPID)
}

// oneCredential wants the name of one credential.
func oneCredential(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return program.Usage(errors.New("expected a credential ID, or the beginning of one"))
	}
	return checkCredential(args[0])
}

// checkCredential refuses what can't be the name of a credential.
func checkCredential(name string) error {
	const least = 4
	longest := base64.RawURLEncoding.EncodedLen(ctap.MaxCredentialIDLength)
	other := func(r rune) bool {
		return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", r)
	}
	if len(name) < least || len(name) > longest || strings.ContainsFunc(name, other) {
		return program.Usage(fmt.Errorf("%.40q is no credential ID, nor four characters of one at least", name))
	}
	return nil
}
