package main

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/spf13/cobra"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/ipc"
)

// notImported says how many tokens of a file were not added.
type notImported struct{ bad, read int }

func (e notImported) Error() string {
	return fmt.Sprintf("%d of %s could not be added", e.bad, plural(e.read, "token", "tokens"))
}

var (
	errYubico  = errors.New("one-time passwords of Yubico's own kind are for YubiKeys alone")
	errTooMany = fmt.Errorf("the file has more tokens than fobd keeps, %d", maxTokens)
)

// maxTokens is how many tokens fobd keeps at most.
const maxTokens = 1000

// importing is one run of 'fob otp import'.
type importing struct {
	app    *app
	from   *seedSource
	tokens []*seedfile.Token
	bad    int
	keeper string
}

func (a *app) otpImport() *cobra.Command {
	i := &importing{app: a, from: a.newSeedSource()}
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Add the tokens of a seed file, such as the export of a phone app",
		Long: `import adds the tokens of FILE, - for standard input, in any format of 'fob seeds formats'. Tokens are
called ISSUER:ACCOUNT, or by their serial number. The file is read as a whole before the first one is
added. One that can't be added, such as because there is one of its name, is named and left out.

Files of 'fob seeds wrap', for the TPM of this computer, are known as such: their seeds go into it.`,
		Example: "  fob otp import aegis-export.json\n  zbarimg -q --raw transfer.png | fob otp import -",
		Args:    exactly("name the FILE of seeds, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkGiven(c.Flags()); err != nil {
				return err
			}
			if err := checkPlace(&ipc.OTPAddRequest{Keeper: i.keeper}); err != nil {
				return err
			}
			return seedsError(c.Context(), i.run(c.Context(), args[0]))
		},
	}
	c.Flags().StringVar(&i.keeper, "in", "store", "keep the seeds in this `PLACE`: store, or tpm or key, which they never leave again")
	i.from.flags(c)
	return c
}

func (i *importing) run(ctx context.Context, path string) error {
	defer i.from.close()
	defer i.wipe()
	if err := i.from.openFile(ctx, path); err != nil {
		return i.from.at(err)
	}
	if i.isWrapped() {
		return i.runWrapped(ctx)
	}
	err := i.from.each(ctx, i.app, path, i.keep, func(err error) {
		i.bad++
		i.app.printBad(i.from.name(), err)
	})
	switch {
	case err != nil:
		return i.from.at(err)
	case len(i.tokens) > maxTokens:
		return errTooMany
	}
	read := len(i.tokens) + i.bad
	for _, t := range i.tokens {
		if err := i.add(ctx, t); err != nil {
			return err
		}
	}
	if i.bad > 0 {
		return notImported{i.bad, read}
	}
	return nil
}

// keep takes a copy of a token, whose seed is wiped when the next one is read.
func (i *importing) keep(t *seedfile.Token) {
	if len(i.tokens) > maxTokens {
		return
	}
	kept := *t
	kept.Seed = append(make(hotp.Seed, 0, len(t.Seed)), t.Seed...)
	i.tokens = append(i.tokens, &kept)
}

func (i *importing) wipe() {
	for _, t := range i.tokens {
		t.Seed.Wipe()
	}
}

// add adds a token. What is wrong with that one is told, and no error.
func (i *importing) add(ctx context.Context, t *seedfile.Token) error {
	added, err := i.ask(ctx, t)
	return i.added(added, err, t)
}

func (i *importing) added(added *ipc.OTPToken, err error, t *seedfile.Token) error {
	switch {
	case err == nil:
		return i.app.printAdded(added)
	case !ofToken(err):
		return err
	}
	i.bad++
	i.app.printBad(i.from.name(), &seedfile.RowError{Line: t.Line, Token: t.Name(), Problem: err})
	return nil
}

func (i *importing) ask(ctx context.Context, t *seedfile.Token) (*ipc.OTPToken, error) {
	if t.Yubico != nil {
		return nil, errYubico
	}
	p := i.app.otpPerson()
	defer p.wipe()
	p.seed = t.Seed.AppendBase32(make([]byte, 0, 2*hotp.MaxSeed))
	r := ipc.OTPAddRequest{
		Issuer: t.Issuer, Account: t.Account, Type: ipc.OTPType(t.Type.String()),
		Algorithm: ipc.OTPAlgorithm(t.Algorithm.String()), Digits: t.Digits, Period: t.Period, T0: int(t.T0),
		Counter: int(min(t.Counter, math.MaxInt64)), Keeper: i.keeper}
	if t.Issuer == "" && t.Account == "" {
		r.Name = t.Name()
	}
	return i.app.client.AddOTP(ctx, r, p)
}

// ofToken reports whether an error is about one token, so that others may go on.
func ofToken(err error) bool {
	return errors.Is(err, errYubico) || errors.As(err, new(ipc.OTPExists)) || errors.As(err, new(ipc.OTPParameterWrong)) ||
		errors.As(err, new(ipc.OTPSeedInvalid)) || ofOne(err)
}
