package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/daemon/oathkey"
	"fob/daemon/tpm"
	"fob/hotp"
	"fob/ipc"
)

func (a *app) otp() *cobra.Command {
	c := &cobra.Command{
		Use:   "otp",
		Short: "Keep tokens of one-time passwords, and show their codes",
		Long: `fobd keeps the seeds of one-time passwords (HOTP and TOTP) in its sealed store, and makes their
codes. These commands add tokens, show codes, and look after the tokens.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.otpAdd(), a.otpImport(), a.otpList(), a.otpCode(), a.otpRename(), a.otpRemove(), a.otpExport())
	return c
}

func (a *app) otpList() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the tokens",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			tokens, err := a.client.OTPTokens(c.Context())
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(ipc.OTPListReply{Tokens: tokens})
			}
			return a.printTokens(tokens)
		},
	}
}

func (a *app) printTokens(tokens []ipc.OTPToken) error {
	if len(tokens) == 0 {
		fmt.Fprintln(a.stderr, "there are no tokens; 'fob otp add' adds one")
		return nil
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tISSUER\tACCOUNT\tCODES\tSEED")
	for i := range tokens {
		t := &tokens[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", shown(t.Name), textOrDash(t.Issuer), textOrDash(t.Account), codesOf(t),
			keeperOf(t))
	}
	return w.Flush()
}

// keepers are the places of seeds in words.
var keepers = map[string]string{"store": "in the store", tpm.InTPM: "in the TPM"}

// keeperOf tells where the seed of a token is.
func keeperOf(t *ipc.OTPToken) string {
	if kind, key, _ := strings.Cut(t.Keeper, ":"); kind == oathkey.InKey {
		return "in the key " + shown(key)
	}
	return inWords(keepers, t.Keeper)
}

func textOrDash(s string) string {
	if s == "" {
		return "-"
	}
	return shown(s)
}

// codesOf tells what the codes of a token are like.
func codesOf(t *ipc.OTPToken) string {
	text := fmt.Sprintf("%s, %s, %d digits", strings.ToUpper(shown(string(t.Type))), shown(string(t.Algorithm)), t.Digits)
	switch {
	case t.Counter != nil:
		text += fmt.Sprintf(", next %d", *t.Counter)
	case t.T0 != 0:
		text += fmt.Sprintf(", %d s from %d on", t.Period, t.T0)
	default:
		text += fmt.Sprintf(", %d s", t.Period)
	}
	return text
}

func (a *app) otpRename() *cobra.Command {
	p := a.otpPerson()
	return &cobra.Command{
		Use:   "rename NAME NEW-NAME",
		Short: "Give a token another name",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return program.Usage(errors.New("name the token, and the name that it shall have"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := a.client.RenameOTP(c.Context(), args[0], args[1], p); err != nil {
				return err
			}
			return a.done("%s is now %s", shown(args[0]), shown(args[1]))
		},
	}
}

func (a *app) otpRemove() *cobra.Command {
	p := a.otpPerson()
	yes := false
	c := &cobra.Command{
		Use:   "remove NAME",
		Short: "Remove a token and its seed, for good",
		Long: `remove removes a token and its seed. Unless another device has the seed, too, nobody can make its
codes any more: first see that the account opens without it.`,
		Args: exactly("name the token; 'fob otp list' lists them"),
		RunE: func(c *cobra.Command, args []string) error {
			if !yes {
				if err := a.confirmRemove(c.Context(), args[0]); err != nil {
					return err
				}
			}
			if err := a.client.RemoveOTP(c.Context(), args[0], p); err != nil {
				return err
			}
			return a.done("%s is removed", shown(args[0]))
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "don't ask")
	return c
}

func (a *app) confirmRemove(ctx context.Context, name string) error {
	tokens, err := a.client.OTPTokens(ctx)
	if err != nil {
		return err
	}
	for i := range tokens {
		if t := &tokens[i]; t.Name == name {
			return confirmYes(ctx, fmt.Sprintf("the token %s (%s) and its seed will be removed, for good; type yes to go on: ",
				shown(name), codesOf(t)))
		}
	}
	return ipc.OTPNotFound{Name: name}
}

// parametersOf are those of a token as package hotp has them.
func parametersOf(t *ipc.OTPToken) (hotp.Parameters, error) {
	p := hotp.Parameters{Digits: t.Digits, Period: t.Period, T0: int64(t.T0)}
	var err error
	if p.Type, err = parseType(string(t.Type)); err != nil {
		return p, err
	}
	p.Algorithm, err = parseAlgorithm(string(t.Algorithm))
	return p, err
}
