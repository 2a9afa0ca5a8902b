package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/daemon/store"
	"fob/fido"
	"fob/fido/durable"
	"fob/hotp"
	"fob/hotp/seedfile"
)

const ageExtension = ".age"

var (
	errToTerminal = program.Usage(errors.New("standard output is a terminal; name a file, or redirect it"))
	errOneLock    = program.Usage(errors.New("--plain, --key, --age and --recipient exclude one another, " +
		"and a passphrase goes with none of them but --age"))
)

// seedSink is a seed file that is written. Flags fill it in, and open the rest.
type seedSink struct {
	app        *app
	person     *seedPerson
	path       string // - for standard output
	plain      bool
	key        bool
	age        bool
	recipients []string
	force      bool
	settings   []string
	drop       []string

	format    *seedfile.Format
	encrypted string
	file      *durable.Writer // nil for standard output
	out       io.Writer       // the file, or standard output
	wrapper   io.WriteCloser  // of age, or nil
	options   seedfile.WriteOptions
}

func (a *app) newSeedSink(p *seedPerson) *seedSink { return &seedSink{app: a, person: p} }

// flags are those of each file that is written.
func (s *seedSink) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&s.force, "force", false, "replace the file, when it is there")
	f.BoolVar(&s.key, "key", false, "encrypt with a key that both sides have, instead of a passphrase")
	f.BoolVar(&s.age, "age", false, "encrypt by age, even where the format has a way of its own")
	f.StringArrayVar(&s.recipients, "recipient", nil,
		"encrypt by age to this public `KEY`, age1... or ssh-..., instead of with a passphrase; may be repeated")
	f.StringArrayVar(&s.settings, "set", nil, "`NAME=VALUE` of a setting of the new file's format; may be repeated")
	s.person.newFlags(f)
}

// formatFlags are those of a file that is written in a format.
func (s *seedSink) formatFlags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&s.plain, "plain", false,
		"do not encrypt: who reads the file, a backup or an undeleted copy of it can make all codes")
	s.dropFlag(c)
}

func (s *seedSink) dropFlag(c *cobra.Command) {
	c.Flags().StringSliceVar(&s.drop, "drop", nil, "`FIELD`s that may get lost where the format has no room for them: "+
		seedfile.Droppable.String())
	c.RegisterFlagCompletionFunc("drop", fieldNames)
}

// lock finds out how to encrypt a file of the format. byAge: the format's own file is not encrypted then.
func (s *seedSink) lock(f *seedfile.Format) (lock seedfile.Lock, byAge bool, err error) {
	key := s.key || s.person.newKeyFD >= 0
	byAge = s.age || len(s.recipients) > 0
	passphrase := s.person.newPassphraseFD >= 0
	switch {
	case s.plain && (key || byAge || passphrase), key && (byAge || passphrase), len(s.recipients) > 0 && passphrase:
		return 0, false, errOneLock
	case key && f.Writes&seedfile.Key == 0:
		return 0, false, program.Usage(advised{fmt.Errorf("%s can't be encrypted with a key", f.Name),
			"--recipient KEY encrypts it by age, to a public key"})
	case key:
		return seedfile.Key, false, nil
	case !s.plain && !byAge && f.Writes&seedfile.Passphrase != 0:
		return seedfile.Passphrase, false, nil
	case f.Writes&seedfile.Plain == 0:
		return 0, false, program.Usage(fmt.Errorf("%s is always encrypted with a passphrase", f.Name))
	}
	return seedfile.Plain, !s.plain, nil
}

// prepare checks all that can be checked before anybody is asked for a passphrase, and asks for it then.
func (s *seedSink) prepare(ctx context.Context, path string, f *seedfile.Format) (err error) {
	if f.NewWriter == nil {
		return program.Usage(fmt.Errorf("%s can be read, but not be written", f.Name))
	}
	s.format = f
	lock, byAge, err := s.lock(f)
	if err != nil {
		return err
	}
	if s.options.Settings, err = settings("set", s.settings, f); err != nil {
		return err
	}
	if err := s.checkSettings(); err != nil {
		return err
	}
	if s.options.Drop, err = parseFields(s.drop); err != nil {
		return err
	}
	if err := s.begin(path, byAge); err != nil {
		return err
	}
	s.options.Lock = lock
	switch {
	case byAge:
		return s.wrap(ctx)
	case s.encrypted == withTPM: // the format does so
		return nil
	case lock == seedfile.Plain:
		s.encrypted = openly
		return nil
	}
	s.encrypted = withPassphrase
	if lock == seedfile.Key {
		s.encrypted = withKey
	}
	secret, err := s.person.newSecret(ctx, lock, s.name())
	s.options.Secret = hotp.Seed(secret)
	return err
}

// checkSettings finds those that are missing.
func (s *seedSink) checkSettings() error {
	for _, one := range s.format.Settings {
		if _, given := s.options.Settings[one.Name]; one.Must && !given {
			return program.Usage(advised{fmt.Errorf("%s needs --set %s=...: %s", s.format.Name, one.Name, one.Usage),
				fmt.Sprintf("'fob seeds formats %s' tells more", s.format.Name)})
		}
	}
	return nil
}

// begin begins the file; nothing is at its path before commit.
func (s *seedSink) begin(path string, byAge bool) (err error) {
	s.path = path
	if path == "-" {
		if isTerminal(s.app.stdout) {
			return errToTerminal
		}
		s.out = s.app.stdout
		return nil
	}
	if byAge && !strings.HasSuffix(path, ageExtension) {
		s.path += ageExtension
	}
	if !byAge && strings.HasSuffix(path, ageExtension) {
		return program.Usage(fmt.Errorf("%s would not be a file of age; name it otherwise, or give --age", shown(path)))
	}
	if s.file, err = durable.NewWriter(s.path, s.force); err == nil {
		s.out = s.file
	}
	return err
}

func (s *seedSink) name() string {
	if s.path == "-" {
		return "standard output"
	}
	return s.path
}

// wrap encrypts by age what is written from now on.
func (s *seedSink) wrap(ctx context.Context) error {
	s.encrypted = withAge
	recipients, err := ageRecipients(s.recipients)
	if err != nil {
		return err
	}
	if len(recipients) == 0 {
		passphrase, err := s.person.newSecret(ctx, seedfile.Passphrase, s.name())
		if err != nil {
			return err
		}
		one, err := store.PassphraseRecipient(fido.Secret(passphrase))
		if err != nil {
			return err
		}
		recipients = append(recipients, one)
	}
	s.wrapper, err = age.Encrypt(s.out, recipients...)
	s.out = s.wrapper
	return err
}

// open begins the format's file.
func (s *seedSink) open() (seedfile.Writer, error) {
	w, err := s.format.NewWriter(s.out, s.options)
	if errors.As(err, new(*seedfile.SettingError)) {
		err = program.Usage(err)
	}
	return w, err
}

// commit puts the file in its place, once all is written.
func (s *seedSink) commit() error {
	if s.wrapper != nil {
		if err := s.wrapper.Close(); err != nil {
			return err
		}
	}
	if s.file == nil {
		return nil
	}
	return s.file.Commit()
}

// abort leaves nothing of a file that is not in its place yet.
func (s *seedSink) abort() {
	if s.file != nil {
		s.file.Abort()
	}
}

// writtenSeeds is the result of a command that writes a seed file.
type writtenSeeds struct {
	File      string `json:"file"`
	Format    string `json:"format,omitempty"`
	Encrypted string `json:"encrypted"` // "no", "key", "passphrase", "age" or "tpm"
	Tokens    *int   `json:"tokens,omitempty"`
	Skipped   int    `json:"skipped,omitempty"`
	Shredded  string `json:"shredded,omitempty"` // the file that was read
	Compared  bool   `json:"compared,omitempty"` // the new file was read again, and has the same tokens
}

// locks are the ways to encrypt a file in words.
var locks = map[string]string{
	withKey:        "encrypted with your key",
	withPassphrase: "encrypted with your passphrase",
	withAge:        "encrypted by age",
	withTPM:        "encrypted to one TPM",
	openly:         "NOT encrypted",
}

// printWritten tells what was written. Standard output may be the file.
func (a *app) printWritten(w *writtenSeeds) error {
	out := a.stdout
	if w.File == "-" {
		out = a.stderr
	}
	if a.json {
		return (&app{stdout: out}).printJSON(w)
	}
	name := shown(w.File)
	if w.File == "-" {
		name = "standard output"
	}
	what := "the file is"
	if w.Tokens != nil {
		what = plural(*w.Tokens, "token is", "tokens are")
	}
	fmt.Fprintf(out, "%s written to %s, %s\n", what, name, locks[w.Encrypted])
	if w.Encrypted == openly && w.File != "-" {
		fmt.Fprintln(a.stderr, "who reads it, a backup or an undeleted copy of it can make all codes; "+
			"remove it when it is imported: shred -u, which an SSD may ignore")
	}
	a.printShredded(out, w)
	return nil
}

func (a *app) printShredded(out io.Writer, w *writtenSeeds) {
	if w.Shredded == "" {
		return
	}
	checked := "which was not read again"
	if w.Compared {
		checked = "which was read again and has the same tokens"
	}
	fmt.Fprintf(out, "%s is overwritten and removed, after the new file was written, %s\n", shown(w.Shredded), checked)
	fmt.Fprintln(a.stderr, "copies may be left of it: an SSD writes elsewhere when it overwrites, and journals, "+
		"snapshots and backups keep what was")
}
