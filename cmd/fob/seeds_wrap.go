package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/daemon/tpm"
	"fob/daemon/tpm/wrapfile"
)

func (a *app) seedsWrap() *cobra.Command {
	c := a.newConversion()
	key := ""
	cmd := &cobra.Command{
		Use:   "wrap IN OUT --for SRK.pub",
		Short: "Encrypt a seed file so that one computer's TPM alone can use its seeds",
		Long: `wrap encrypts each seed of IN to the key of a TPM, which 'fob tpm srk' has printed there, and writes
what that computer's 'fob otp import' takes to OUT. The seeds are used inside of its TPM, and are
never seen again. This takes no TPM.

See that the key is that of the right computer: what is wrapped to another one, somebody else can
open. Who imports OUT must know that it is from you: everybody who has the key can make one.`,
		Example: "  fob seeds wrap tokens.xml alice.wrapped --for alice-SRK.pub --drop manufacturer,model",
		Args:    twoFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkGiven(cmd.Flags()); err != nil {
				return err
			}
			to, err := readSRK(key)
			if err != nil {
				return err
			}
			c.to.plain, c.to.encrypted = true, withTPM
			c.into = wrapfile.Format(to)
			return seedsError(cmd.Context(), c.run(cmd.Context(), args[0], args[1]))
		},
	}
	f := cmd.Flags()
	f.StringVar(&key, "for", "", "`FILE` with the public key of the TPM, which 'fob tpm srk' prints")
	f.BoolVar(&c.skipBad, "skip-bad", false, "leave out tokens that can't be converted")
	f.StringArrayVar(&c.fill, "fill", nil, "`FIELD=TEXT` for tokens that lack the field, or FIELD=@FIELD for what stands "+
		"in another; may be repeated")
	f.BoolVar(&c.to.force, "force", false, "replace the file, when it is there")
	c.from.flags(cmd)
	c.to.dropFlag(cmd)
	cmd.MarkFlagRequired("for")
	return cmd
}

// maxSRK is more than a file with the public key of a TPM has, in bytes.
const maxSRK = 8 << 10

func readSRK(path string) (*tpm.SRK, error) {
	b, err := readFile(path, maxSRK)
	if err != nil {
		return nil, err
	}
	k, err := tpm.ParseSRK(b)
	switch {
	case errors.Is(err, tpm.ErrUnfit):
		return nil, program.Usage(fmt.Errorf("%s has a key that is no storage root key of a TPM, on P-256", path))
	case err != nil:
		return nil, program.Usage(advised{fmt.Errorf("%s has no public key of a TPM", path), "'fob tpm srk' prints one"})
	}
	return k, nil
}
