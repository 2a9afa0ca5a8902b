package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/fido/durable"
)

func (a *app) seedsEncrypt() *cobra.Command {
	c := a.newConversion()
	c.same = true
	cmd := &cobra.Command{
		Use:   "encrypt IN OUT",
		Short: "Encrypt a seed file",
		Long: `encrypt writes the seed file IN to OUT, encrypted: with a passphrase in the format's own way where it
has one (PSKC, and the backups of phone apps), else by age; --recipient encrypts by age to public keys,
--key with a pre-shared key of PSKC. age takes the file as it is, byte for byte.

--shred overwrites and removes IN when OUT is on the disk and, where that takes no private key, was
read again and is the same.`,
		Example: "  fob seeds encrypt tokens.csv tokens.csv.age --recipient age1... --shred",
		Args:    twoFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkGiven(cmd.Flags()); err != nil {
				return err
			}
			return seedsError(cmd.Context(), c.encrypt(cmd.Context(), args[0], args[1]))
		},
	}
	cmd.Flags().BoolVar(&c.shred, "shred", false, "overwrite and remove IN after that")
	c.from.flags(cmd)
	c.to.flags(cmd)
	return cmd
}

func (a *app) seedsDecrypt() *cobra.Command {
	c := a.newConversion()
	c.same, c.decrypts, c.to.plain = true, true, true
	cmd := &cobra.Command{
		Use:   "decrypt IN OUT",
		Short: "Decrypt a seed file",
		Long: `decrypt writes the encrypted seed file IN to OUT in the clear, - for standard output, from where
another program may take it without a file. What is in a file of age is written byte for byte.

Who reads OUT, a backup or an undeleted copy of it can make all codes.`,
		Example: "  fob seeds decrypt tokens.csv.age - | import-tokens",
		Args:    twoFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkGiven(cmd.Flags()); err != nil {
				return err
			}
			return seedsError(cmd.Context(), c.decrypt(cmd.Context(), args[0], args[1]))
		},
	}
	c.from.flags(cmd)
	cmd.Flags().BoolVar(&c.to.force, "force", false, "replace the file, when it is there")
	return cmd
}

func (c *conversion) encrypt(ctx context.Context, in, out string) error {
	if err := c.check(in, out); err != nil {
		return err
	}
	defer c.from.close()
	if err := c.from.openFile(ctx, in); err != nil {
		return err
	}
	if c.from.wrapped {
		return program.Usage(errors.New("the file is encrypted by age already"))
	}
	if err := c.from.findFormat(); err != nil {
		return err
	}
	_, byAge, err := c.to.lock(c.from.format)
	if err != nil || !byAge {
		return c.convertFile(ctx, out, err)
	}
	if err := c.checkShred(out); err != nil {
		return err
	}
	defer c.to.abort()
	if err := c.to.begin(out, true); err != nil {
		return err
	}
	if err := c.to.wrap(ctx); err != nil {
		return err
	}
	return c.copyBytes(ctx)
}

func (c *conversion) decrypt(ctx context.Context, in, out string) error {
	defer c.from.close()
	if err := c.from.openFile(ctx, in); err != nil {
		return c.from.at(err)
	}
	if !c.from.wrapped {
		return c.convertFile(ctx, out, c.from.findFormat())
	}
	defer c.to.abort()
	c.to.encrypted = openly
	if err := c.to.begin(out, false); err != nil {
		return err
	}
	return c.copyBytes(ctx)
}

// copyBytes writes the content of the old file to the new one as it is.
func (c *conversion) copyBytes(ctx context.Context) error {
	sum := newTokenSum(nil)
	_, err := io.Copy(io.MultiWriter(c.to.out, sum.mac), c.from.content)
	if err == nil {
		err = c.to.commit()
	}
	if err != nil {
		return err
	}
	w := &writtenSeeds{File: c.to.path, Encrypted: c.to.encrypted}
	if c.shred {
		err = c.shredBytes(ctx, w, sum)
	}
	return errors.Join(err, c.app.printWritten(w))
}

// shredBytes is shredOld for a file that was copied byte for byte.
func (c *conversion) shredBytes(ctx context.Context, w *writtenSeeds, sum *tokenSum) error {
	if len(c.to.recipients) == 0 {
		s := c.app.newSeedSource()
		s.person = c.to.person.again()
		defer s.close()
		again := newTokenSum(sum.key)
		err := s.openFile(ctx, c.to.path)
		if err == nil {
			_, err = io.Copy(again.mac, s.content)
		}
		if err != nil {
			return keptOld{err}
		}
		if !again.equal(sum) {
			return errDiffers
		}
		w.Compared = true
	}
	if err := durable.Shred(c.from.path, c.from.info); err != nil {
		return err
	}
	w.Shredded = c.from.path
	return nil
}
