package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/hotp"
	"fob/hotp/otpauth"
	"fob/hotp/qr"
	"fob/hotp/seedfile"
	"fob/ipc"
)

var errNotPlain = program.Usage(errors.New("standard output is no terminal, and who has the URI has the token; " +
	"--plain writes it there all the same"))

func (a *app) otpExport() *cobra.Command {
	p := a.otpPerson()
	drawn, plain := false, false
	c := &cobra.Command{
		Use:   "export NAME",
		Short: "Show the seed of a token, for another device",
		Long: `export prints the otpauth:// URI of a token, with its seed, or draws it as a QR code for a phone. Who
sees it can make the token's codes. fobd's policy is asked, which wants you to be asked unless you
have changed it; so is the passphrase of a store that has one.`,
		Args: exactly("name the token; 'fob otp list' lists them"),
		RunE: func(c *cobra.Command, args []string) error {
			defer p.wipe()
			if err := checkGiven(c.Flags()); err != nil {
				return err
			}
			if !plain && !isTerminal(a.stdout) {
				return errNotPlain
			}
			return a.exportOTP(c.Context(), args[0], drawn, p)
		},
	}
	c.Flags().BoolVar(&drawn, "qr", false, "draw it as a QR code")
	c.Flags().BoolVar(&plain, "plain", false, "write it to a file or a pipe, too, where it is not encrypted")
	p.flags(c.Flags())
	return c
}

func (a *app) exportOTP(ctx context.Context, name string, drawn bool, p *otpPerson) error {
	t, text, err := a.client.ExportOTP(ctx, name, p)
	if err != nil {
		return err
	}
	defer text.Wipe()
	uri, err := uriOf(t, text)
	defer clear(uri)
	switch {
	case a.json:
		return a.printExport(t, text, uri)
	case err != nil:
		return fmt.Errorf("%w; --json gives what there is", err)
	case drawn:
		return qr.Terminal(a.stdout, uri)
	}
	_, err = a.stdout.Write(append(uri, '\n'))
	return err
}

// uriOf makes the URI of a token. One that has neither issuer nor account goes by its name.
func uriOf(t *ipc.OTPToken, text ipc.Secret) ([]byte, error) {
	parameters, err := parametersOf(t)
	if err != nil {
		return nil, err
	}
	seed, err := hotp.ParseSeed(text)
	defer seed.Wipe()
	if err != nil {
		return nil, err
	}
	token := &seedfile.Token{Parameters: parameters, Seed: seed, Issuer: t.Issuer, Account: t.Account}
	if t.Issuer == "" && t.Account == "" {
		token.Account = strings.TrimSpace(strings.ReplaceAll(t.Name, ":", " "))
	}
	if t.Counter != nil {
		token.Counter = uint64(*t.Counter)
	}
	uri, err := otpauth.Append(make([]byte, 0, otpauth.Size(token)+1), token)
	if err != nil {
		return nil, err
	}
	return uri, nil
}

// printExport writes the token, its seed, and its URI where it can have one, as JSON, without a copy that is not wiped.
func (a *app) printExport(t *ipc.OTPToken, text, uri ipc.Secret) error {
	b, err := ipc.OTPExportReply{Token: t, Seed: text}.JSON()
	if err != nil {
		return err
	}
	defer clear(b)
	out := bytes.NewBuffer(make([]byte, 0, len(b)+6*len(uri)+16))
	defer func() { clear(out.Bytes()) }()
	out.Write(bytes.TrimSuffix(b, []byte("}")))
	if uri != nil {
		out.Write(uri.AppendJSON(append(out.AvailableBuffer(), `,"uri":`...)))
	}
	out.WriteString("}\n")
	_, err = a.stdout.Write(out.Bytes())
	return err
}
