package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/daemon/account"
	"fob/ipc"
)

var errNoAccount = program.Usage(errors.New("name somebody as USER@REALM"))

func (a *app) mfa() *cobra.Command {
	c := &cobra.Command{
		Use:   "mfa",
		Short: "Keep accounts with several MFA devices, and sign in to them",
		Long: `fobd keeps accounts: realms of principals, each with up to eight MFA devices of any mix. Any one of
them proves that somebody is here, to any program: 'fob mfa sign-in' exits with 0 then, and prints a
JWT that others verify by 'fob mfa keys'.`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.mfaRealm(), a.mfaUser(), a.mfaList(), a.mfaAdvice(), a.mfaEnroll(), a.mfaSignIn(), a.mfaDetach(),
		a.mfaResync(), a.mfaTicket(), a.mfaToken(), a.mfaKeys())
	return c
}

// parseAccount reads USER@REALM. Names may have an @ in them; the last one counts.
func parseAccount(s string) (principal, realm string, err error) {
	i := strings.LastIndexByte(s, '@')
	if i <= 0 || i == len(s)-1 {
		return "", "", errNoAccount
	}
	return s[:i], s[i+1:], nil
}

// accountAnd wants USER@REALM and as many arguments more.
func accountAnd(more int, missing string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1+more {
			return program.Usage(errors.New(missing))
		}
		_, _, err := parseAccount(args[0])
		return err
	}
}

// right is by what right somebody changes an account.
type right struct {
	administrator bool
	ticketFD      int
}

func (r *right) flags(f *pflag.FlagSet) {
	f.BoolVar(&r.administrator, "administrator", false, "as root of this computer, where fobd serves that")
}

func (a *app) mfaRealm() *cobra.Command {
	p, in := a.otpPerson(), ipc.CreateRealmRequest{}
	c := &cobra.Command{
		Use:   "realm NAME",
		Short: "Make a realm, with its administrator, root",
		Args:  exactly("give the realm a name"),
		RunE: func(c *cobra.Command, args []string) error {
			in.Name = args[0]
			if err := a.client.CreateRealm(c.Context(), in, p); err != nil {
				return err
			}
			return a.done("made the realm %s; its administrator is root@%s", shown(in.Name), shown(in.Name))
		},
	}
	f := c.Flags()
	f.StringVar(&in.RPID, "rp", "", "RP ID: the `DOMAIN` that security keys sign for (default fob.internal)")
	f.StringVar(&in.UserVerification, "user-verification", "preferred",
		"PIN or fingerprint: required, preferred or discouraged")
	f.StringSliceVar(&in.AAGUIDs, "aaguid", nil, "allow security keys of these `MODELS` alone")
	f.BoolVar(&in.RemoveLast, "remove-last", false, "let users detach their last device without an administrator")
	f.StringVar(&in.Algorithm, "algorithm", "ES256", "of JWTs: ES256 or EdDSA")
	return c
}

func (a *app) mfaUser() *cobra.Command {
	p, r := a.otpPerson(), right{ticketFD: -1}
	c := &cobra.Command{
		Use:   "user USER@REALM",
		Short: "Add a user to a realm",
		Args:  accountAnd(0, "name the user as USER@REALM"),
		RunE: func(c *cobra.Command, args []string) error {
			user, realm, _ := parseAccount(args[0])
			by, err := a.asRoot(c.Context(), realm, r)
			if err != nil {
				return err
			}
			in := ipc.PrincipalRequest{Realm: realm, Principal: user, AccountBy: by}
			if err := a.client.AddPrincipal(c.Context(), in, p); err != nil {
				return err
			}
			return a.done("added %s", shown(args[0]))
		},
	}
	r.flags(c.Flags())
	return c
}

// asRoot signs root of a realm in, where it has devices.
func (a *app) asRoot(ctx context.Context, realm string, r right) (ipc.AccountBy, error) {
	return a.byDevice(ctx, account.Root, realm, r, &mfaPerson{person: a.person(), codeFD: -1})
}

// byDevice signs somebody in who has devices, for a session that may change them.
func (a *app) byDevice(ctx context.Context, user, realm string, r right, p *mfaPerson) (by ipc.AccountBy, err error) {
	by.Administrator = r.administrator
	if r.administrator || r.ticketFD >= 0 {
		return by, nil
	}
	who, err := a.principal(ctx, user, realm)
	if err != nil || len(who.Devices) == 0 {
		return by, err
	}
	fmt.Fprintf(a.stderr, "this takes a sign-in of %s@%s\n", shown(user), shown(realm))
	in, err := a.proveAccount(ctx, ipc.BeginSignInRequest{Realm: realm, Principal: user,
		Session: int(account.MinSession / time.Second)}, p)
	by.Session = in.Session
	return by, err
}

func (a *app) principal(ctx context.Context, user, realm string) (ipc.AccountPrincipal, error) {
	all, err := a.client.Principals(ctx, realm)
	if err != nil {
		return ipc.AccountPrincipal{}, err
	}
	for _, p := range all {
		if strings.EqualFold(p.Name, user) {
			return p, nil
		}
	}
	return ipc.AccountPrincipal{}, ipc.AccountNotFound{What: "principal", Problem: account.ErrNoPrincipal.Error()}
}

func (a *app) mfaList() *cobra.Command {
	return &cobra.Command{
		Use:   "list [REALM]",
		Short: "List the realms, or the MFA devices of one, with their last use",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listRealms(c.Context())
			}
			all, err := a.client.Principals(c.Context(), args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(ipc.PrincipalsReply{Principals: all})
			}
			return a.printPrincipals(all)
		},
	}
}

func (a *app) listRealms(ctx context.Context) error {
	realms, err := a.client.Realms(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(ipc.RealmsReply{Realms: realms})
	}
	if len(realms) == 0 {
		fmt.Fprintln(a.stderr, "there are no realms; 'fob mfa realm' makes one")
	}
	for _, r := range realms {
		fmt.Fprintln(a.stdout, shown(r.Name))
	}
	return nil
}

func (a *app) printPrincipals(all []ipc.AccountPrincipal) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PRINCIPAL\tDEVICE\tKIND\tLAST USE")
	for _, p := range all {
		if len(p.Devices) == 0 {
			fmt.Fprintf(w, "%s\t-\t-\t-\n", shown(p.Name))
		}
		for _, d := range p.Devices {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", shown(p.Name), shown(d.Name), kindInWords(d), textOrDash(d.LastUsed))
		}
	}
	return w.Flush()
}

// kindInWords tells what a device is, and what is wrong with it.
func kindInWords(d ipc.AccountDevice) string {
	text := shown(d.Kind)
	if d.Serial != "" {
		text += " " + shown(d.Serial)
	}
	if d.Locked {
		text += ", locked"
	}
	if d.Cloned != "" {
		text += ", may have a copy"
	}
	return text
}

func (a *app) mfaAdvice() *cobra.Command {
	return &cobra.Command{
		Use:   "advice USER@REALM",
		Short: "Tell what somebody had better do about their MFA devices",
		Args:  accountAnd(0, "name the user as USER@REALM"),
		RunE: func(c *cobra.Command, args []string) error {
			user, realm, _ := parseAccount(args[0])
			p, err := a.principal(c.Context(), user, realm)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					Advice []string `json:"advice"`
				}{p.Advice})
			}
			for _, one := range p.Advice {
				fmt.Fprintln(a.stdout, shown(account.Advice(one).Text()))
			}
			return nil
		},
	}
}

func (a *app) mfaDetach() *cobra.Command {
	p, r, m := a.otpPerson(), right{ticketFD: -1}, &mfaPerson{person: a.person(), codeFD: -1}
	c := &cobra.Command{
		Use:   "detach USER@REALM DEVICE",
		Short: "Remove an MFA device, such as one that is lost, after a sign-in by another one",
		Args:  accountAnd(1, "name the user as USER@REALM, and the device"),
		RunE: func(c *cobra.Command, args []string) error {
			user, realm, _ := parseAccount(args[0])
			by, err := a.byDevice(c.Context(), user, realm, r, m)
			if err != nil {
				return err
			}
			in := ipc.AccountDeviceRequest{Realm: realm, Principal: user, Device: args[1], AccountBy: by}
			if err := a.client.Detach(c.Context(), in, p); err != nil {
				return err
			}
			return a.done("%s is detached from %s", shown(args[1]), shown(args[0]))
		},
	}
	r.flags(c.Flags())
	m.flags(c.Flags())
	return c
}

func (a *app) mfaResync() *cobra.Command {
	m := &mfaPerson{person: a.person(), codeFD: -1}
	c := &cobra.Command{
		Use:   "resync USER@REALM DEVICE",
		Short: "Find a TOTP device again whose clock is off, by two codes that follow each other",
		Args:  accountAnd(1, "name the user as USER@REALM, and the device"),
		RunE: func(c *cobra.Command, args []string) error {
			user, realm, _ := parseAccount(args[0])
			codes, err := m.codes(c.Context(), 2)
			if err != nil {
				return err
			}
			in := ipc.ResyncRequest{Realm: realm, Principal: user, Device: args[1], Code: codes[0], Code2: codes[1]}
			if err := a.client.Resync(c.Context(), in); err != nil {
				return err
			}
			return a.done("%s gives good codes again", shown(args[1]))
		},
	}
	c.Flags().IntVar(&m.codeFD, "code-fd", -1, "read the codes from file descriptor `N`, one a line")
	return c
}

func (a *app) mfaTicket() *cobra.Command {
	p, r, d := a.otpPerson(), right{ticketFD: -1}, account.DefaultTicket
	c := &cobra.Command{
		Use:   "ticket USER@REALM",
		Short: "Make a ticket by which somebody who has lost all devices enrols one, once",
		Args:  accountAnd(0, "name the user as USER@REALM"),
		RunE: func(c *cobra.Command, args []string) error {
			user, realm, _ := parseAccount(args[0])
			by, err := a.asRoot(c.Context(), realm, r)
			if err != nil {
				return err
			}
			t, err := a.client.IssueTicket(c.Context(), ipc.IssueTicketRequest{
				Realm: realm, Principal: user, Seconds: int(d / time.Second), AccountBy: by}, p)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(t)
			}
			_, err = fmt.Fprintln(a.stdout, t.Ticket)
			return err
		},
	}
	r.flags(c.Flags())
	c.Flags().DurationVar(&d, "for", d, "`DURATION` for which it holds, 1m to 168h")
	return c
}

func (a *app) mfaToken() *cobra.Command {
	p := a.otpPerson()
	return &cobra.Command{
		Use:   "token SERIAL <SEED",
		Short: "Take in the seed of a hardware token, so that somebody can enroll it",
		Long: `token reads the seed of a hardware token (TOTP, SHA1, 6 digits, 30 seconds) in Base32 from standard
input. It never takes it among its arguments, which all programs can see. 'fob mfa enroll --kind
hardware-totp --serial SERIAL' gives the token to exactly one user.`,
		Args: exactly("give the serial number of the token"),
		RunE: func(c *cobra.Command, args []string) (err error) {
			defer p.wipe()
			if p.seed, err = program.ReadSeed(c.Context(), int(os.Stdin.Fd())); err != nil {
				return err
			}
			if err := a.client.ImportToken(c.Context(), ipc.ImportTokenRequest{Serial: args[0]}, p); err != nil {
				return err
			}
			return a.done("%s can be enrolled", shown(args[0]))
		},
	}
}

func (a *app) mfaKeys() *cobra.Command {
	return &cobra.Command{
		Use:   "keys REALM",
		Short: "Print the keys by which the JWTs of a realm are verified (a JWKS)",
		Args:  exactly("name the realm"),
		RunE: func(c *cobra.Command, args []string) error {
			set, err := a.client.AccountKeys(c.Context(), args[0])
			if err != nil {
				return err
			}
			return a.printJSON(set)
		},
	}
}
