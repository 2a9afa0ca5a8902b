package main

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/fido/durable"
	"fob/hotp"
	"fob/hotp/seedfile"
)

// conversion is one run of convert, encrypt or decrypt.
type conversion struct {
	app      *app
	from     *seedSource
	to       *seedSink
	skipBad  bool
	shred    bool
	same     bool // the new file has the format of the old one
	decrypts bool
	toFormat string
	into     *seedfile.Format // in place of toFormat; nil for none
	fill     []string
	fills    []seedfile.Fill
}

func (a *app) newConversion() *conversion {
	from := a.newSeedSource()
	return &conversion{app: a, from: from, to: a.newSeedSink(from.person)}
}

func (a *app) seedsConvert() *cobra.Command {
	c := a.newConversion()
	strict := true
	cmd := &cobra.Command{
		Use:   "convert IN OUT --to FORMAT",
		Short: "Convert a seed file into another format",
		Long: `convert reads the tokens of IN and writes them to OUT in another format; - stands for standard input
and output. Formats of files that are read are detected. IN may be encrypted, by age too.

What OUT can't hold is not lost: the first token with a period, an algorithm, a user or anything else
for which the format has no room ends the conversion, and nothing is written. --drop lets fields go
that don't make the codes; --skip-bad leaves out tokens that can't be read, or that don't fit, tells
each on standard error, and ends with 10 if there were any. --fill gives what tokens lack: with
--fill account=@serial, those without an account get their serial number for it.

OUT is encrypted unless --plain is given: with a passphrase, in the format's own way where it has one,
else by age to OUT.age. 'fob seeds decrypt OUT.age -' hands it to the program that imports it.

--shred overwrites and removes IN when OUT is on the disk, was read again and has the same tokens.`,
		Example: `  fob seeds convert tokens.xml tokens.csv --to entra-csv
  fob seeds convert tokens.csv tokens.xml --to pskc --skip-bad --drop user
  fob seeds convert tokens.xml phones.txt --to otpauth --fill account=@serial --drop serial,manufacturer
  gpg -d vendor.csv.gpg | fob seeds convert - tokens.age --to entra-csv --recipient age1...`,
		Args: twoFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkGiven(cmd.Flags()); err != nil {
				return err
			}
			if cmd.Flags().Changed("strict") && strict && c.skipBad {
				return program.Usage(errors.New("--strict and --skip-bad exclude one another"))
			}
			c.skipBad = c.skipBad || !strict
			return seedsError(cmd.Context(), c.run(cmd.Context(), args[0], args[1]))
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.toFormat, "to", "", "`FORMAT` of the new file (see 'fob seeds formats')")
	f.BoolVar(&strict, "strict", true, "end at the first token that can't be converted, with nothing written")
	f.BoolVar(&c.skipBad, "skip-bad", false, "leave out tokens that can't be converted")
	f.StringArrayVar(&c.fill, "fill", nil, "`FIELD=TEXT` for tokens that lack the field, or FIELD=@FIELD for what stands "+
		"in another; may be repeated")
	f.BoolVar(&c.shred, "shred", false, "overwrite and remove IN after that")
	c.from.flags(cmd)
	c.to.flags(cmd)
	c.to.formatFlags(cmd)
	cmd.MarkFlagRequired("to")
	cmd.RegisterFlagCompletionFunc("to", formatNames(writable))
	return cmd
}

// twoFiles are the arguments IN and OUT.
func twoFiles(_ *cobra.Command, args []string) error {
	if len(args) < 2 {
		return program.Usage(errors.New("name the file to read and the one to write, - for standard input and output"))
	}
	return program.NoArguments(args[2:])
}

// run converts in to out.
func (c *conversion) run(ctx context.Context, in, out string) error {
	if err := c.check(in, out); err != nil {
		return err
	}
	defer c.from.close()
	err := c.from.openFile(ctx, in)
	if err == nil {
		err = c.from.findFormat()
	}
	return c.convertFile(ctx, out, err)
}

// convertFile converts the file that is open, if it is.
func (c *conversion) convertFile(ctx context.Context, out string, err error) error {
	if err != nil {
		return c.from.at(err)
	}
	if err := c.checkShred(out); err != nil {
		return err
	}
	defer c.to.abort()
	from, err := c.from.begin(ctx)
	if err != nil {
		return c.from.at(err)
	}
	defer from.Close()
	format := c.from.format
	switch {
	case c.into != nil:
		format = c.into
	case !c.same:
		if format, err = formatByName(c.toFormat); err != nil {
			return err
		}
	}
	if err := c.to.prepare(ctx, out, format); err != nil {
		return err
	}
	result, sum, err := c.copy(ctx, from)
	if err != nil {
		return err
	}
	return c.finish(ctx, result, sum)
}

// check finds what can't be meant.
func (c *conversion) check(in, out string) error {
	for _, text := range c.fill {
		one, err := seedfile.ParseFill(text)
		if err != nil {
			return program.Usage(fmt.Errorf("--fill %w", err))
		}
		c.fills = append(c.fills, one)
	}
	switch {
	case c.shred && in == "-":
		return program.Usage(errors.New("--shred is for a file, and not for standard input"))
	case c.shred && out == "-":
		return program.Usage(errors.New("--shred is for a new file, and not for standard output, which may get lost"))
	}
	return nil
}

// checkShred finds what --shred could not remove, before anything is written: a link or a FIFO, or the new file itself
// by another name.
func (c *conversion) checkShred(out string) error {
	if !c.shred {
		return nil
	}
	was, err := os.Lstat(c.from.path)
	if err != nil {
		return err
	}
	now, err := os.Stat(out)
	switch {
	case !was.Mode().IsRegular():
		return program.Usage(fmt.Errorf("--shred: %s is not a regular file", shown(c.from.path)))
	case err == nil && os.SameFile(was, now):
		return program.Usage(errors.New("--shred would remove the new file, too; name another one"))
	}
	return nil
}

// copy writes all tokens and puts the file in its place.
func (c *conversion) copy(ctx context.Context, from seedfile.Reader) (r seedfile.Result, sum *tokenSum, err error) {
	w, err := c.to.open()
	if err != nil {
		return r, nil, err
	}
	sum = newTokenSum(nil)
	p := c.app.newProgress(func(int) (float64, bool) { return c.from.part() })
	job := seedfile.Conversion{SkipBad: c.skipBad, Fill: c.fills, Progress: p.tell, Bad: func(err error) {
		p.end()
		c.app.printBad(c.from.name(), err)
	}}
	r, err = job.Run(from, &summingWriter{w, sum})
	p.end()
	switch {
	case err != nil:
	case r.Written == 0 && r.Bad > 0:
		err = fmt.Errorf("none of %s can be converted, and nothing is written", plural(r.Read, "token", "tokens"))
	case r.Written == 0:
		err = fmt.Errorf("%s has no tokens, and nothing is written", c.from.name())
	}
	if err != nil {
		w.Abort()
		return r, nil, c.from.at(err)
	}
	if err := w.Close(); err != nil {
		return r, nil, err
	}
	if ctx.Err() != nil {
		return r, nil, ctx.Err()
	}
	if c.decrypts && c.from.encrypted == openly {
		return r, nil, fmt.Errorf("%s is not encrypted, and nothing is written", c.from.name())
	}
	return r, sum, c.to.commit()
}

// printBad tells of a token that was left out.
func (a *app) printBad(file string, err error) {
	if !a.json {
		fmt.Fprintf(a.stderr, "left out: %s: %s\n", shown(file), shown(err.Error()))
		return
	}
	out := struct {
		Skipped skipped `json:"skipped"`
	}{skipped{File: file, Message: err.Error()}}
	var row *seedfile.RowError
	if errors.As(err, &row) {
		out.Skipped.Line, out.Skipped.Column = row.Line, row.Column
	}
	(&app{stdout: a.stderr}).printJSON(out)
}

// skipped is a token that was left out, for programs.
type skipped struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
}

// finish shreds the old file, where that was asked for, and tells what was done.
func (c *conversion) finish(ctx context.Context, r seedfile.Result, sum *tokenSum) error {
	w := &writtenSeeds{File: c.to.path, Format: c.to.format.Name, Encrypted: c.to.encrypted, Tokens: &r.Written,
		Skipped: r.Bad}
	var err error
	if c.shred && r.Bad == 0 {
		err = c.shredOld(ctx, w, r.Written, sum)
	}
	if err := errors.Join(err, c.app.printWritten(w)); err != nil {
		return err
	}
	if r.Bad > 0 && c.shred && !c.app.json {
		fmt.Fprintf(c.app.stderr, "%s is kept, as it has tokens that were left out\n", shown(c.from.path))
	}
	if r.Bad > 0 {
		return skippedTokens{r.Bad, r.Read}
	}
	return nil
}

// keptOld is why --shred has kept the old file, when the new one is there.
type keptOld struct{ error }

func (e keptOld) Error() string {
	return "the old file is kept, as the new one can't be read again: " + e.error.Error()
}
func (e keptOld) Unwrap() error { return e.error }

// errDiffers is a new file that is not what was written, as when a disk is broken.
var errDiffers = errors.New("the new file does not have the same tokens when it is read again; the old one is kept")

// shredOld reads the new file again, where that can be, and removes the old one.
func (c *conversion) shredOld(ctx context.Context, w *writtenSeeds, tokens int, sum *tokenSum) error {
	if c.to.format.NewReader != nil && len(c.to.recipients) == 0 {
		n, again, err := c.readAgain(ctx, sum)
		if err != nil {
			return keptOld{err}
		}
		if n != tokens || !again.equal(sum) {
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

// readAgain sums up the tokens of the new file.
func (c *conversion) readAgain(ctx context.Context, first *tokenSum) (tokens int, sum *tokenSum, err error) {
	s := c.app.newSeedSource()
	s.from, s.person = c.to.format.Name, c.to.person.again()
	s.assume = first.assume()
	for name, value := range c.to.options.Settings {
		s.settings = append(s.settings, name+"="+value)
	}
	r, err := s.open(ctx, c.to.path)
	defer s.close()
	if err != nil {
		return 0, nil, err
	}
	defer r.Close()
	again := newTokenSum(first.key)
	for {
		t, err := r.Read()
		if err == io.EOF {
			return tokens, again, nil
		}
		if err != nil {
			return tokens, nil, err
		}
		tokens++
		again.add(t)
		t.Wipe()
	}
}

// tokenSum is over all tokens of a file, in their order, and over what makes their codes. Its key is random.
type tokenSum struct {
	key  []byte
	mac  hash.Hash
	last hotp.Parameters
}

// assume tells what a file means that has no word for it. All tokens of such a file are alike.
func (s *tokenSum) assume() (list []string) {
	if s.last.Type == 0 { // of Yubico's own kind
		return nil
	}
	list = []string{"type=" + s.last.Type.String(), "algorithm=" + s.last.Algorithm.String(),
		fmt.Sprintf("digits=%d", s.last.Digits)}
	if s.last.Type == hotp.TOTP {
		list = append(list, fmt.Sprintf("period=%d", s.last.Period))
	}
	return list
}

func newTokenSum(key []byte) *tokenSum {
	if key == nil {
		key = make([]byte, sha256.Size)
		rand.Read(key)
	}
	return &tokenSum{key: key, mac: hmac.New(sha256.New, key)}
}

func (s *tokenSum) add(t *seedfile.Token) {
	fmt.Fprintf(s.mac, "%d %d %d %d %d %d %d ", t.Type, t.Algorithm, t.Digits, t.Period, t.T0, t.Counter, len(t.Seed))
	s.mac.Write(t.Seed)
	s.last = t.Parameters
	if t.Yubico != nil {
		fmt.Fprintf(s.mac, "%s ", t.Yubico.PublicID)
		s.mac.Write(t.Yubico.PrivateID)
	}
}

func (s *tokenSum) equal(other *tokenSum) bool { return hmac.Equal(s.mac.Sum(nil), other.mac.Sum(nil)) }

// summingWriter sums up what is written.
type summingWriter struct {
	seedfile.Writer
	sum *tokenSum
}

func (w *summingWriter) Write(t *seedfile.Token) error {
	err := w.Writer.Write(t)
	if err == nil {
		w.sum.add(t)
	}
	return err
}
