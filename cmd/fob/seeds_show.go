package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"fob/cmd/internal/program"
	"fob/fido/durable"
	"fob/hotp"
	"fob/hotp/otpauth"
	"fob/hotp/qr"
	"fob/hotp/seedfile"
)

var errRevealed = program.Usage(errors.New("seeds are shown at a terminal alone; --plain lets them go elsewhere, " +
	"where who reads them can make all codes"))

// showing is one run of show.
type showing struct {
	app    *app
	from   *seedSource
	reveal bool
	qr     bool
	png    string
	plain  bool
	tokens []string

	table *tabwriter.Writer
	shown int
}

func (a *app) seedsShow() *cobra.Command {
	s := &showing{app: a, from: a.newSeedSource()}
	c := &cobra.Command{
		Use:   "show FILE",
		Short: "Show the tokens of a seed file, without their seeds",
		Long: `show lists the tokens of FILE, - for standard input: with --json an object a line. Seeds are shown with
--reveal, as Base32, and --qr draws QR codes for a phone; both at a terminal alone, unless --plain is
given, too. --png writes the QR codes to files in a folder, which takes --plain.`,
		Example: "  fob seeds show tokens.pskc --token ACME000017 --qr",
		Args:    exactly("name the FILE to show, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkGiven(c.Flags()); err != nil {
				return err
			}
			return seedsError(c.Context(), s.run(c.Context(), args[0]))
		},
	}
	f := c.Flags()
	f.BoolVar(&s.reveal, "reveal", false, "show the seeds, as Base32")
	f.BoolVar(&s.qr, "qr", false, "draw QR codes of otpauth URIs, which have the seeds")
	f.StringVar(&s.png, "png", "", "write the QR codes as PNG to this `FOLDER`, a file for each token")
	f.BoolVar(&s.plain, "plain", false, "let seeds go to a pipe or a file, too")
	f.StringArrayVar(&s.tokens, "token", nil, "show the token with this `NAME` alone: a serial number, account, user or "+
		"ID; may be repeated")
	s.from.flags(c)
	return c
}

func (s *showing) run(ctx context.Context, path string) error {
	if err := s.check(); err != nil {
		return err
	}
	defer s.from.close()
	s.from.shows = true
	s.table = tabwriter.NewWriter(s.app.stdout, 0, 0, 2, ' ', 0)
	var first error
	bad := 0
	err := s.from.each(ctx, s.app, path, func(t *seedfile.Token) {
		if first == nil && s.wants(t) {
			s.shown++
			first = s.show(t)
		}
	}, func(err error) {
		bad++
		s.app.printBad(s.from.name(), err)
	})
	if err := errors.Join(s.from.at(err), first, s.table.Flush()); err != nil {
		return err
	}
	switch {
	case bad > 0:
		return foundInSeeds(bad)
	case s.shown == 0 && len(s.tokens) > 0:
		return fmt.Errorf("%s has no such token", shown(s.from.name()))
	}
	return nil
}

// check finds out whether seeds would go where they should not.
func (s *showing) check() error {
	switch {
	case s.plain || !s.reveal && !s.qr && s.png == "":
		return nil
	case s.png != "":
		return program.Usage(errors.New("--png writes seeds to files in the clear, which takes --plain"))
	case !isTerminal(s.app.stdout):
		return errRevealed
	}
	return nil
}

// wants tells whether a token is one of those that were asked for.
func (s *showing) wants(t *seedfile.Token) bool {
	return len(s.tokens) == 0 || slices.ContainsFunc(s.tokens, func(name string) bool {
		return name != "" && (name == t.Serial || name == t.Account || name == t.User || name == t.ID)
	})
}

// flushRows is after how many rows a table is printed; wider columns may follow then.
const flushRows = 1000

func (s *showing) show(t *seedfile.Token) error {
	switch {
	case s.png != "":
		return s.writePNG(t)
	case s.qr:
		return s.drawQR(t)
	case s.app.json:
		return s.printObject(t)
	}
	if s.shown == 1 {
		s.header()
	}
	s.row(t)
	if s.shown%flushRows == 0 {
		return s.table.Flush()
	}
	return nil
}

func (s *showing) header() {
	fmt.Fprint(s.table, "SERIAL\tTYPE\tHASH\tDIGITS\tSECONDS\tBITS\tISSUER\tACCOUNT\tUSER\tMADE BY")
	if s.reveal {
		fmt.Fprint(s.table, "\tSEED")
	}
	fmt.Fprintln(s.table)
}

func (s *showing) row(t *seedfile.Token) {
	serial := t.Serial
	if serial == "" {
		serial = t.ID
	}
	kind, algorithm, digits, period := "yubico", "", "", ""
	if t.Yubico == nil {
		kind, algorithm, digits = t.Type.String(), t.Algorithm.String(), fmt.Sprint(t.Digits)
	}
	if t.Type == hotp.TOTP {
		period = fmt.Sprint(t.Period)
	}
	cells := []string{serial, kind, algorithm, digits, period, fmt.Sprint(8 * len(t.Seed)), t.Issuer, t.Account, t.User,
		strings.TrimSpace(t.Manufacturer + " " + t.Model)}
	for i, c := range cells {
		cells[i] = orDash(shown(c))
	}
	io.WriteString(s.table, strings.Join(cells, "\t"))
	if s.reveal {
		text := base32Text(t.Seed)
		defer clear(text)
		s.table.Write(append([]byte("\t"), text...))
	}
	fmt.Fprintln(s.table)
}

func base32Text(seed hotp.Seed) []byte { return seed.AppendBase32(make([]byte, 0, 2*len(seed)+8)) }

// shownToken is a token for programs. Its seed is added behind it.
type shownToken struct {
	Serial       string     `json:"serial,omitempty"`
	ID           string     `json:"id,omitempty"`
	Type         string     `json:"type"`
	Algorithm    string     `json:"algorithm,omitempty"`
	Digits       int        `json:"digits,omitempty"`
	Period       int        `json:"period,omitempty"`
	T0           int64      `json:"t0,omitempty"`
	Counter      uint64     `json:"counter,omitempty"`
	Drift        int64      `json:"drift,omitempty"`
	Issuer       string     `json:"issuer,omitempty"`
	Account      string     `json:"account,omitempty"`
	User         string     `json:"user,omitempty"`
	Manufacturer string     `json:"manufacturer,omitempty"`
	Model        string     `json:"model,omitempty"`
	Start        *time.Time `json:"start,omitempty"`
	Expiry       *time.Time `json:"expiry,omitempty"`
	PublicID     string     `json:"publicId,omitempty"`
	Bits         int        `json:"seedBits"`
}

func (s *showing) printObject(t *seedfile.Token) error {
	o := shownToken{Serial: t.Serial, ID: t.ID, Type: "yubico", Digits: t.Digits, Period: t.Period, T0: t.T0,
		Counter: t.Counter, Drift: t.Drift, Issuer: t.Issuer, Account: t.Account, User: t.User,
		Manufacturer: t.Manufacturer, Model: t.Model, Bits: 8 * len(t.Seed)}
	if t.Yubico != nil {
		o.PublicID = t.Yubico.PublicID
	} else {
		o.Type, o.Algorithm = t.Type.String(), t.Algorithm.String()
	}
	if !t.Start.IsZero() {
		o.Start = &t.Start
	}
	if !t.Expiry.IsZero() {
		o.Expiry = &t.Expiry
	}
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(o); err != nil {
		return err
	}
	return s.writeObject(bytes.TrimSuffix(line.Bytes(), []byte("}\n")), t)
}

// writeObject ends an object, with the seed where it is revealed.
func (s *showing) writeObject(object []byte, t *seedfile.Token) error {
	line := make([]byte, 0, len(object)+2*len(t.Seed)+64)
	defer func() { clear(line[:cap(line)]) }()
	line = append(line, object...)
	if s.reveal {
		line = append(line, `,"seed":"`...)
		line = append(t.Seed.AppendBase32(line), '"')
	}
	_, err := s.app.stdout.Write(append(line, "}\n"...))
	return err
}

// uri gives the otpauth URI of a token, which the caller wipes.
func (s *showing) uri(t *seedfile.Token) ([]byte, error) {
	c := *t
	if c.Account == "" && c.Issuer == "" {
		c.Account = t.Name()
	}
	return otpauth.Append(make([]byte, 0, otpauth.MaxURI), &c)
}

func (s *showing) drawQR(t *seedfile.Token) error {
	uri, err := s.uri(t)
	defer clear(uri)
	if err != nil {
		return err
	}
	if err := s.fits(uri); err != nil {
		return err
	}
	fmt.Fprintf(s.app.stdout, "%s\n", shown(t.Name()))
	return qr.Terminal(s.app.stdout, uri)
}

// fits tells whether a QR code fits in the lines of the terminal: one that is broken is no code.
func (s *showing) fits(uri []byte) error {
	out, ok := s.app.stdout.(*os.File)
	if !ok {
		return nil
	}
	size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 { // no terminal, or one that does not tell
		return nil
	}
	wide, err := qr.Columns(uri)
	if err == nil && wide > int(size.Col) {
		err = advised{fmt.Errorf("the QR code is %d columns wide, and the terminal has %d", wide, size.Col),
			"make the window larger, or the letters smaller, or write it to a file with --png FOLDER --plain"}
	}
	return err
}

// writePNG writes the QR code of a token to a file that has its name.
func (s *showing) writePNG(t *seedfile.Token) error {
	uri, err := s.uri(t)
	defer clear(uri)
	if err != nil {
		return err
	}
	w, err := durable.NewWriter(filepath.Join(s.png, fileName(t.Name())+".png"), false)
	if err != nil {
		return err
	}
	defer w.Abort()
	if err := qr.PNG(w, uri); err != nil {
		return err
	}
	return w.Commit()
}

// fileName makes the name of a file of that of a token.
func fileName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("/\\:*?\"<>|", r) {
			return '_'
		}
		return r
	}, strings.TrimLeft(name, "."))
}
