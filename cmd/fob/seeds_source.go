package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"filippo.io/age/armor"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"fob/cmd/internal/program"
	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/formats"
)

// How files are encrypted, in words for programs.
const (
	openly         = "no"
	withKey        = "key"
	withPassphrase = "passphrase"
	withAge        = "age"
	withTPM        = "tpm"
)

// seedSource is a seed file that is read. Flags fill it in, and open the rest.
type seedSource struct {
	app      *app
	person   *seedPerson
	path     string // - for standard input
	from     string // the name of the format; empty: it is detected
	assume   []string
	settings []string

	file      *os.File // nil for standard input
	info      fs.FileInfo
	format    *seedfile.Format
	encrypted string
	wrapped   bool         // in a file of age
	shows     bool         // tokens are printed while the file is read
	read      atomic.Int64 // bytes
	content   *bufio.Reader
}

func (a *app) newSeedSource() *seedSource { return &seedSource{app: a, person: newSeedPerson()} }

func (s *seedSource) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.from, "from", "", "`FORMAT` of the file, where it is not to be detected")
	f.StringSliceVar(&s.assume, "assume", nil,
		"`NAME=VALUE` of what the file does not tell: type, algorithm, digits, period or t0; may be repeated")
	f.StringArrayVar(&s.settings, "from-set", nil, "`NAME=VALUE` of a setting of the file's format; may be repeated")
	s.person.flags(f)
	c.RegisterFlagCompletionFunc("from", formatNames(readable))
}

// name is what a message calls the file.
func (s *seedSource) name() string {
	if s.path == "-" {
		return "standard input"
	}
	return s.path
}

// openFile opens what is to be read, and finds out whether it is a file of age.
func (s *seedSource) openFile(ctx context.Context, path string) error {
	s.path = path
	if path == "-" && s.person.usesStdin() {
		return program.Usage(errors.New("standard input can't have both the file and a secret"))
	}
	raw, err := s.openRaw(ctx)
	if err != nil {
		return err
	}
	s.encrypted = openly
	s.content = bufio.NewReaderSize(&countingReader{ctx, raw, &s.read}, 1<<16)
	return s.unwrap(ctx)
}

// openRaw opens the file. Standard input is opened anew where it is a pipe, so that reading ends when the command does.
func (s *seedSource) openRaw(ctx context.Context) (io.Reader, error) {
	path := s.path
	if path == "-" {
		in, ok := s.app.stdin.(*os.File)
		if !ok || !waits(in) {
			return s.app.stdin, nil
		}
		path = fmt.Sprintf("/proc/self/fd/%d", in.Fd())
	}
	f, err := openInput(ctx, path)
	if err != nil {
		return nil, err
	}
	s.file = f
	s.info, err = f.Stat()
	if err == nil && s.info.IsDir() {
		err = &fs.PathError{Op: "open", Path: s.path, Err: unix.EISDIR}
	}
	return f, err
}

// openInput opens a file to be read. Opening a FIFO waits until somebody writes to it, or until ctx ends.
func openInput(ctx context.Context, path string) (*os.File, error) {
	flags := os.O_RDONLY | unix.O_NOCTTY
	info, err := os.Stat(path)
	fifo := err == nil && info.Mode()&fs.ModeNamedPipe != 0
	if fifo {
		flags |= unix.O_NONBLOCK // to open it does not wait then, and nothing ends that
	}
	f, err := os.OpenFile(path, flags, 0)
	if err != nil || !fifo {
		return f, err
	}
	if err := awaitWriter(ctx, f); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// awaitWriter waits until a FIFO can be read. Before that it would seem to be at its end.
func awaitWriter(ctx context.Context, f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	release := context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })
	defer release()
	err = conn.Read(func(fd uintptr) bool {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0 || err != nil && err != unix.EINTR
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// waits tells whether reading a file may take until somebody writes to it.
func waits(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&(fs.ModeNamedPipe|fs.ModeCharDevice) != 0
}

// countingReader ends with a context, between two reads.
type countingReader struct {
	ctx  context.Context
	in   io.Reader
	read *atomic.Int64
}

func (r *countingReader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, r.ctx.Err()
	}
	if f, ok := r.in.(*os.File); ok {
		release := context.AfterFunc(r.ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) }) // a pipe; others do not wait
		defer release()
	}
	n, err := r.in.Read(b)
	r.read.Add(int64(n))
	if r.ctx.Err() != nil {
		return n, r.ctx.Err()
	}
	return n, err
}

const ageHeader = "age-encryption.org/"

// unwrap decrypts a file of age.
func (s *seedSource) unwrap(ctx context.Context) error {
	head, err := s.content.Peek(len(armor.Header))
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	var in io.Reader = s.content
	switch {
	case bytes.HasPrefix(head, []byte(armor.Header)):
		in = armor.NewReader(s.content)
	case !bytes.HasPrefix(head, []byte(ageHeader)):
		return nil
	}
	identity := &ageIdentity{ctx: ctx, person: s.person, name: s.name()}
	clearText, err := age.Decrypt(in, identity)
	if err != nil {
		return err
	}
	s.encrypted, s.wrapped = withAge, true
	s.content = bufio.NewReaderSize(clearText, 1<<16)
	return nil
}

// open opens the file, finds out its format, and begins to read.
func (s *seedSource) open(ctx context.Context, path string) (seedfile.Reader, error) {
	if s.content == nil {
		if err := s.openFile(ctx, path); err != nil {
			return nil, err
		}
	}
	if err := s.findFormat(); err != nil {
		return nil, err
	}
	return s.begin(ctx)
}

// begin begins to read the tokens of a file that is open, and whose format is found.
func (s *seedSource) begin(ctx context.Context) (seedfile.Reader, error) {
	o, err := s.options(ctx)
	if err != nil {
		return nil, err
	}
	r, err := s.format.NewReader(s.content, o)
	if err != nil {
		return nil, unsaid(err)
	}
	return &endingReader{ctx, r}, nil
}

// unsaid tells by which flag a format wants to be told what it does not know.
func unsaid(err error) error {
	var e *seedfile.SettingError
	if !errors.As(err, &e) {
		return err
	}
	flag := "--from-set"
	if slices.Contains([]string{"type", "algorithm", "digits", "period", "t0"}, e.Name) {
		flag = "--assume"
	}
	return program.Usage(advised{err, fmt.Sprintf("%s %s=... says it", flag, e.Name)})
}

// endingReader ends with a context.
type endingReader struct {
	ctx context.Context
	seedfile.Reader
}

func (r *endingReader) Read() (*seedfile.Token, error) {
	if r.ctx.Err() != nil {
		return nil, r.ctx.Err()
	}
	return r.Reader.Read()
}

// options are what reading takes.
func (s *seedSource) options(ctx context.Context) (o seedfile.ReadOptions, err error) {
	opener := s.person.opener(ctx, s.name())
	o.Unlock = func(lock seedfile.Lock, hint string) (hotp.Seed, error) {
		s.encrypted = withPassphrase
		if lock == seedfile.Key {
			s.encrypted = withKey
		}
		return opener(lock, hint)
	}
	if o.Settings, err = settings("from-set", s.settings, s.format); err != nil {
		return o, err
	}
	for _, text := range s.assume {
		if err := assume(&o.Assume, text); err != nil {
			return o, err
		}
	}
	return o, nil
}

// assume reads one of --assume.
func assume(p *hotp.Parameters, text string) (err error) {
	name, value, _ := strings.Cut(text, "=")
	switch name {
	case "type":
		p.Type, err = parseType(value)
		return err
	case "algorithm":
		p.Algorithm, err = parseAlgorithm(value)
		return err
	case "digits":
		p.Digits, err = strconv.Atoi(value)
	case "period":
		p.Period, err = strconv.Atoi(value)
	case "t0":
		p.T0, err = strconv.ParseInt(value, 10, 64)
	default:
		return program.Usage(fmt.Errorf("--assume %s: it is for type, algorithm, digits, period and t0, "+
			"as in period=60", text))
	}
	if err != nil {
		return program.Usage(fmt.Errorf("--assume %s is no number", text))
	}
	return nil
}

// ambiguous is a file that may have several formats.
type ambiguous struct {
	name       string
	candidates []*seedfile.Format
}

func (e *ambiguous) Error() string {
	names := make([]string, len(e.candidates))
	for i, f := range e.candidates {
		names[i] = f.Name
	}
	return fmt.Sprintf("%s may have one of these formats: %s", e.name, strings.Join(names, ", "))
}

func (e *ambiguous) Hint() string { return "say which one with --from" }

// findFormat takes the format that was named, or detects it.
func (s *seedSource) findFormat() (err error) {
	if s.from != "" {
		s.format, err = formatByName(s.from)
		if err == nil && s.format.NewReader == nil {
			err = program.Usage(fmt.Errorf("%s can be written, but not be read", s.from))
		}
		return err
	}
	head, err := s.content.Peek(seedfile.HeadSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch found := formats.Detect(head); len(found) {
	case 0:
		if hint := foreign(head); hint != "" {
			return advised{fmt.Errorf("%s is no seed file by itself", s.name()), hint}
		}
		return advised{fmt.Errorf("%s has no format that fob knows", s.name()),
			"name its format with --from; 'fob seeds formats' lists them"}
	case 1:
		s.format = found[0]
	default:
		return program.Usage(&ambiguous{s.name(), found})
	}
	return nil
}

// foreign is what to do with a file that has to be unpacked first; nothing for others.
func foreign(head []byte) string {
	switch {
	case len(head) == 0:
		return "it is empty"
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return "it is a zip archive: unzip -p FILE | fob seeds ... -"
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return "it is UTF-16: iconv -f UTF-16 -t UTF-8 FILE | fob seeds ... -"
	case bytes.HasPrefix(head, []byte("-----BEGIN PGP")):
		return "it is encrypted by PGP: gpg -d FILE | fob seeds ... -"
	}
	return ""
}

// at adds the name of the file to an error of what is in it.
func (s *seedSource) at(err error) error {
	if errors.As(err, new(*seedfile.RowError)) || errors.As(err, new(*seedfile.FormatError)) ||
		errors.Is(err, seedfile.ErrWrongKey) || errors.As(err, new(*seedfile.LockedError)) {
		return fmt.Errorf("%s: %w", s.name(), err)
	}
	return err
}

// part is how much of the file is read, from 0 to 1; false where nobody knows.
func (s *seedSource) part() (float64, bool) {
	if s.info == nil || !s.info.Mode().IsRegular() || s.info.Size() == 0 {
		return 0, false
	}
	return float64(s.read.Load()) / float64(s.info.Size()), true
}

func (s *seedSource) close() {
	if s.file != nil {
		s.file.Close()
	}
	s.person.wipe()
}
