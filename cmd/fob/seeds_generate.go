package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/generate"
)

// usualSerial is the scheme of serial numbers of who wants no other.
const usualSerial = "{00000001}"

// generation is one run of generate.
type generation struct {
	app       *app
	to        *seedSink
	toFormat  string
	count     int
	serial    string
	kind      string
	algorithm string
	users     string
	digits    int
	period    int
	size      int
	options   generate.Options
	userFile  *os.File
}

func (a *app) seedsGenerate() *cobra.Command {
	g := &generation{app: a, to: a.newSeedSink(newSeedPerson())}
	cmd := &cobra.Command{
		Use:   "generate [COUNT] OUT",
		Short: "Make new tokens with random seeds",
		Long: `generate makes COUNT tokens, or one for each of --users, and writes them to OUT, - for standard output:
by default encrypted PSKC (RFC 6030), which asks for a passphrase. Seeds come from the kernel's random
numbers, and are as long as the hash (160 bits for SHA1) unless --seed-bytes says otherwise.

Serial numbers follow a scheme, a text with the first number in braces: with --serial 'ACME{000001}'
they are ACME000001, ACME000002 and so on, up to ACME999999. --serial '' makes none.

--users is a list of those who get the tokens: one a line, or CSV, where the column called user, upn,
email or the like has them, else the first one. Formats that want the name of an account get the user's,
or else the serial number.`,
		Example: `  fob seeds generate 1000 tokens.pskc --serial 'ACME{000001}' --manufacturer ACME
  fob seeds generate tokens.csv --to entra-csv --users staff.csv --recipient age1...`,
		Args: countAndFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := g.checkGiven(cmd, args); err != nil {
				return err
			}
			return seedsError(cmd.Context(), g.run(cmd.Context(), args[len(args)-1], cmd.Flags().Changed("serial")))
		},
	}
	f := cmd.Flags()
	f.StringVar(&g.toFormat, "to", "pskc", "`FORMAT` of the file (see 'fob seeds formats')")
	f.StringVar(&g.serial, "serial", usualSerial, "`SCHEME` of serial numbers")
	f.StringVar(&g.kind, "type", "totp", "`TYPE` of codes: totp, by the clock, or hotp, by a counter")
	f.StringVar(&g.algorithm, "algorithm", "SHA1", "`HASH` of codes: SHA1, SHA256 or SHA512")
	f.IntVar(&g.digits, "digits", 6, "`NUMBER` of digits of a code, 6 to 10")
	f.IntVar(&g.period, "period", 30, "for how many `SECONDS` a code of totp is valid")
	f.IntVar(&g.size, "seed-bytes", 0, fmt.Sprintf("length of a seed in `BYTES`, %d to %d (default that of the hash)",
		hotp.StrictSeed, hotp.MaxSeed))
	f.StringVar(&g.options.Manufacturer, "manufacturer", "", "`NAME` of who makes the tokens")
	f.StringVar(&g.options.Model, "model", "", "`NAME` of the model of the tokens")
	f.StringVar(&g.options.Issuer, "issuer", "", "`NAME` of whom the codes are for")
	f.StringVar(&g.users, "users", "", "`FILE` with those who get the tokens")
	g.to.flags(cmd)
	g.to.formatFlags(cmd)
	f.IntVar(&g.to.person.newPassphraseFD, "passphrase-fd", -1, "the same as --new-passphrase-fd: there is no other one")
	f.IntVar(&g.to.person.newKeyFD, "key-fd", -1, "the same as --new-key-fd")
	f.MarkHidden("passphrase-fd")
	f.MarkHidden("key-fd")
	cmd.RegisterFlagCompletionFunc("to", formatNames(writable))
	return cmd
}

func countAndFile(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return program.Usage(errors.New("say how many tokens to make, and name the file for them, - for standard output"))
	}
	return program.NoArguments(args[min(2, len(args)):])
}

// checkGiven reads what the flags say. An empty scheme of serial numbers is none.
func (g *generation) checkGiven(cmd *cobra.Command, args []string) (err error) {
	if len(args) == 2 {
		if g.count, err = strconv.Atoi(args[0]); err != nil || g.count < 1 {
			return program.Usage(fmt.Errorf("%s is no number of tokens", args[0]))
		}
	}
	if len(args) == 1 && g.users == "" {
		return program.Usage(errors.New("say how many tokens to make, or for whom with --users"))
	}
	if g.serial == "" {
		cmd.Flags().Lookup("serial").Value.Set("-") // else it would be one that was given and says nothing
		err = checkGiven(cmd.Flags())
		g.serial = ""
		return err
	}
	return checkGiven(cmd.Flags())
}

// parameters are those of the tokens.
func (g *generation) parameters() (p hotp.Parameters, err error) {
	p.Digits = g.digits
	if p.Type, err = parseType(g.kind); err != nil {
		return p, err
	}
	if p.Algorithm, err = parseAlgorithm(g.algorithm); err != nil {
		return p, err
	}
	if p.Type == hotp.TOTP {
		p.Period = g.period
	}
	return p, nil
}

// plan makes of the flags what is to be made in a format.
func (g *generation) plan(ctx context.Context, f *seedfile.Format, serialGiven bool) (err error) {
	o := &g.options
	o.Count, o.SeedSize = g.count, g.size
	if o.Parameters, err = g.parameters(); err != nil {
		return err
	}
	room, needs := f.Carries.Fields|f.Carries.Needs, f.Carries.Needs
	o.Account = needs&seedfile.FieldAccount != 0 ||
		room&(seedfile.FieldAccount|seedfile.FieldSerial) == seedfile.FieldAccount
	o.ID = needs&seedfile.FieldID != 0
	o.NoSerial = !serialGiven && room&seedfile.FieldSerial == 0
	if g.serial != "" {
		if o.Serial, err = generate.ParseSerial(g.serial); err != nil {
			return program.Usage(err)
		}
	}
	if g.users != "" {
		if g.userFile, err = openInput(ctx, g.users); err != nil {
			return err
		}
		o.Users = g.userFile
	}
	return nil
}

func (g *generation) close() {
	if g.userFile != nil {
		g.userFile.Close()
	}
	g.to.abort()
	g.to.person.wipe()
}

func (g *generation) run(ctx context.Context, out string, serialGiven bool) error {
	defer g.close()
	format, err := formatByName(g.toFormat)
	if err != nil {
		return err
	}
	if err := g.plan(ctx, format, serialGiven); err != nil {
		return err
	}
	tokens, err := generate.New(g.options)
	if err != nil {
		return program.Usage(err)
	}
	if err := g.to.prepare(ctx, out, format); err != nil {
		return err
	}
	n, err := g.write(ctx, tokens)
	if err != nil {
		return err
	}
	return g.app.printWritten(&writtenSeeds{File: g.to.path, Format: format.Name, Encrypted: g.to.encrypted, Tokens: &n})
}

func (g *generation) write(ctx context.Context, tokens *generate.Generator) (n int, err error) {
	w, err := g.to.open()
	if err != nil {
		return 0, err
	}
	p := g.app.newProgress(func(n int) (float64, bool) { return float64(n) / float64(g.count), g.count > 0 })
	defer p.end()
	job := seedfile.Conversion{Progress: p.tell}
	r, err := job.Run(&endingReader{ctx, tokens}, w)
	var missing *seedfile.MissingError
	switch {
	case errors.As(err, &missing):
		err = advised{err, generatorHint(missing.Field)}
	case err == nil && r.Written == 0:
		err = errors.New("the list of users is empty, and nothing is written")
	}
	if err != nil {
		w.Abort()
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return r.Written, g.to.commit()
}

// generatorHint tells which flag gives a field to new tokens.
func generatorHint(f seedfile.Field) string {
	if f == seedfile.FieldUser {
		return "--users gives it"
	}
	return fmt.Sprintf("--%s gives it", f)
}
