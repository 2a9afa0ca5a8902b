package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/daemon/oathkey"
	"fob/daemon/tpm"
	"fob/hotp"
	"fob/hotp/otpauth"
	"fob/hotp/seedfile"
	"fob/ipc"
)

var (
	errNoSeed = errors.New("a seed is needed, and there is no terminal to ask for it; " +
		"give it on standard input or with --seed-fd")
	errMigration   = errors.New("this URI hands over several tokens at once; 'fob otp import' takes all of them")
	errNoTokenName = program.Usage(errors.New("give the token a name, or an issuer or account that it can be named after"))
	errNegative    = program.Usage(errors.New("a counter is not negative"))
	errNotInTheCL  = program.Usage(errors.New("a seed or URI among the arguments can be seen by all programs; " +
		"give it on standard input, or type it when you are asked"))
)

// otpAdd is what 'fob otp add' is told by flags. Those that were not given come from the URI, or are the defaults.
type otpAdd struct {
	flags  *pflag.FlagSet
	seedFD int
	ipc.OTPAddRequest
	kind, algorithm string
}

func (a *app) otpAdd() *cobra.Command {
	p := a.otpPerson()
	in := &otpAdd{}
	c := &cobra.Command{
		Use:   "add [NAME]",
		Short: "Add a token, by its seed or its otpauth:// URI",
		Long: `add asks for what a service gives you when you set one-time passwords up: the otpauth:// URI that
is in its QR code, or the seed in Base32 ("secret", "setup key"). It reads a line from standard input
instead where that is no terminal. It never takes the seed among its arguments, which all programs
can see.

With --in tpm the seed goes into the TPM of this computer, which makes the codes, and gives the seed to
nobody: no backup has it, and what clears the TPM loses it. Keep another way into the account.

With --in key it goes into the OATH application of a security key such as a YubiKey 5, beside those of
other programs, which can use it, too. The key proves that it has the seed. Where several keys are
plugged in, --in key:NAME tells which one, by the beginning of its ID, which 'fob otp list' shows, or
the name of its reader.

A URI tells all parameters; flags come before it. With a seed alone, services mean TOTP with SHA1,
6 digits and 30 seconds where they say nothing else. A token without a NAME is called ISSUER:ACCOUNT.`,
		Example: "  fob otp add                      # asks for the seed or the URI\n" +
			"  zbarimg -q --raw code.png | fob otp add\n" +
			"  fob otp add vpn --digits 8 --algorithm SHA256 <seed.txt",
		Args: func(_ *cobra.Command, args []string) error { return checkAddArguments(args) },
		RunE: func(c *cobra.Command, args []string) error {
			defer p.wipe()
			if err := checkGiven(c.Flags()); err != nil {
				return err
			}
			if err := checkPlace(&in.OTPAddRequest); err != nil {
				return err
			}
			in.flags = c.Flags()
			if len(args) == 1 {
				in.Name = args[0]
			}
			return a.addOTP(c.Context(), in, p)
		},
	}
	f := c.Flags()
	f.IntVar(&in.seedFD, "seed-fd", -1, "read the seed or URI from file descriptor `N`, up to a line feed")
	f.StringVar(&in.Issuer, "issuer", "", "for `WHAT` the token is, such as ACME")
	f.StringVar(&in.Account, "account", "", "`WHOSE` codes it gives, such as alice@example.com")
	f.StringVar(&in.kind, "type", "totp", "`TYPE`: totp, codes by the clock, or hotp, by a counter")
	f.StringVar(&in.algorithm, "algorithm", "SHA1", "`HASH` function: SHA1, SHA256 or SHA512")
	f.IntVar(&in.Digits, "digits", 6, "`NUMBER` of digits of a code, 6 to 10")
	f.IntVar(&in.Period, "period", 30, "`SECONDS` for which a code holds")
	f.IntVar(&in.T0, "t0", 0, "Unix `TIME` at which the first period begins")
	f.StringVar(&in.Keeper, "in", "store",
		"keep the seed in this `PLACE`: store, or tpm, key or key:NAME, which it never leaves again")
	f.BoolVar(&in.Touch, "touch", false, "with --in key: each code needs a touch of the key")
	f.BoolVar(&in.Remember, "remember", false, "with --in key: keep the password of the key in the store")
	p.keyFlag(f)
	f.BoolVar(&in.PIN, "pin", false, "with --in tpm: choose a PIN that the TPM wants for each code")
	p.newPINFlag(f)
	f.IntVar(&in.Counter, "counter", 0, "`COUNTER` of the next code")
	return c
}

func checkPlace(in *ipc.OTPAddRequest) error {
	kind, _, _ := strings.Cut(in.Keeper, ":")
	switch {
	case in.Keeper != "store" && in.Keeper != tpm.InTPM && kind != oathkey.InKey:
		return program.Usage(fmt.Errorf("--in %s is neither store nor tpm nor key", in.Keeper))
	case (in.Touch || in.Remember) && kind != oathkey.InKey:
		return program.Usage(errors.New("--touch and --remember go with --in key"))
	case in.PIN && in.Keeper != tpm.InTPM:
		return program.Usage(errors.New("--pin goes with --in tpm"))
	}
	return nil
}

func checkAddArguments(args []string) error {
	for _, arg := range args {
		if bytes.HasPrefix(bytes.ToLower([]byte(arg)), []byte("otpauth")) {
			return errNotInTheCL
		}
	}
	if len(args) > 1 {
		return program.NoArguments(args[1:])
	}
	return nil
}

func (a *app) addOTP(ctx context.Context, in *otpAdd, p *otpPerson) error {
	text, err := in.read(ctx)
	defer text.Wipe()
	if err != nil {
		return err
	}
	token, err := parseToken(text)
	if err != nil {
		return err
	}
	defer token.Wipe()
	request, err := in.request(token)
	if err != nil {
		return err
	}
	p.seed = token.Seed.AppendBase32(make([]byte, 0, 2*hotp.MaxSeed))
	added, err := a.client.AddOTP(ctx, request, p)
	if err != nil {
		return err
	}
	return a.printAdded(added)
}

// read reads a seed or URI: from the file descriptor, from standard input, or from the person at the terminal.
func (in *otpAdd) read(ctx context.Context) (ipc.Secret, error) {
	if in.seedFD >= 0 {
		return program.ReadSeed(ctx, in.seedFD)
	}
	if !isTerminal(os.Stdin) {
		return program.ReadSeed(ctx, int(os.Stdin.Fd()))
	}
	t, err := openTerminal()
	if err != nil {
		return nil, errNoSeed
	}
	defer t.Close()
	return t.seed(ctx, "seed or otpauth:// URI, which is not shown: ")
}

// parseToken reads a URI, or a seed, for which the parameters are the defaults.
func parseToken(text ipc.Secret) (*seedfile.Token, error) {
	text = bytes.TrimSpace(text)
	if otpauth.IsMigration(text) {
		return nil, program.Usage(errMigration)
	}
	if bytes.Contains(text, []byte("://")) {
		token, err := otpauth.Parse(text)
		if err != nil {
			return nil, program.Usage(err)
		}
		return token, nil
	}
	seed, err := hotp.ParseSeed(text)
	if err != nil {
		seed.Wipe()
		return nil, program.Usage(err)
	}
	return &seedfile.Token{Parameters: hotp.DefaultTOTP, Seed: seed}, nil
}

// request is what fobd is asked for: what the token tells, but for what the flags say.
func (in *otpAdd) request(t *seedfile.Token) (ipc.OTPAddRequest, error) {
	r := in.OTPAddRequest
	r.Type, r.Algorithm = ipc.OTPType(in.kind), ipc.OTPAlgorithm(in.algorithm)
	from := map[string]func(){
		"issuer":    func() { r.Issuer = t.Issuer },
		"account":   func() { r.Account = t.Account },
		"type":      func() { r.Type = ipc.OTPType(t.Type.String()) },
		"algorithm": func() { r.Algorithm = ipc.OTPAlgorithm(t.Algorithm.String()) },
		"digits":    func() { r.Digits = t.Digits },
		"period":    func() { r.Period = t.Period },
		"counter":   func() { r.Counter = int(min(t.Counter, math.MaxInt64)) },
	}
	for flag, take := range from {
		if !in.flags.Changed(flag) {
			take()
		}
	}
	if r.Type == ipc.OTPTypeHOTP && !in.flags.Changed("period") {
		r.Period = 0
	}
	switch {
	case r.Name == "" && r.Issuer == "" && r.Account == "":
		return r, errNoTokenName
	case r.Counter < 0:
		return r, errNegative
	}
	return r, nil
}

func (a *app) printAdded(t *ipc.OTPToken) error {
	if t.SeedSize < hotp.StrictSeed {
		fmt.Fprintf(a.stderr, "warning: the seed has %d bits, and should have %d at least (RFC 4226); "+
			"ask the service for a longer one\n", 8*t.SeedSize, 8*hotp.StrictSeed)
	}
	if a.json {
		return a.printJSON(ipc.OTPAddReply{Token: t})
	}
	_, err := fmt.Fprintf(a.stdout, "added %s: %s, a seed of %d bytes\n", shown(t.Name), codesOf(t), t.SeedSize)
	return err
}
