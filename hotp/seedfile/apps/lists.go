package apps

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"fob/hotp/otpauth"
	"fob/hotp/seedfile"
)

// OTPAuth is a list of otpauth URIs, one a line. Migration URIs among them are read too.
var OTPAuth = complete(&seedfile.Format{
	Name:      "otpauth",
	Title:     "otpauth:// URIs, one a line",
	Extension: ".txt",
	Source:    "Google Authenticator, Key Uri Format",
	Carries:   otpauth.Carries,
	Reads:     seedfile.Plain,
	Writes:    seedfile.Plain,
	Detect: func(head []byte) int {
		if beginsFold(head, "otpauth://") {
			return 80
		}
		return 0
	},
}, newListReader, newOTPAuthWriter)

// Migration is a list of otpauth-migration URIs, one a line: what Google Authenticator shows as one QR code after the
// other. All that belong together must be in the file.
var Migration = complete(&seedfile.Format{
	Name:      "otpauth-migration",
	Title:     "Google Authenticator, otpauth-migration:// URIs, one a line",
	Extension: ".txt",
	Source:    "Google Authenticator, MigrationPayload",
	Carries:   otpauth.MigrationCarries,
	Reads:     seedfile.Plain,
	Writes:    seedfile.Plain,
	Detect: func(head []byte) int {
		if beginsFold(head, "otpauth-migration://") {
			return 100
		}
		return 0
	},
}, newListReader, newMigrationWriter)

func beginsFold(head []byte, scheme string) bool {
	head = trimSpace(bytes.TrimPrefix(head, []byte("\ufeff")))
	return len(head) >= len(scheme) && bytes.EqualFold(head[:len(scheme)], []byte(scheme))
}

// maxLine is how long a line may be, in bytes.
const maxLine = 64 << 10

// listReader reads lists of URIs.
type listReader struct {
	queue
	in      *bufio.Reader
	line    int
	batches map[int32]*batches // of migrations, by their ID
	plain   []byte             // what was decrypted, where the file is encrypted
}

// batches tells which URIs of a migration were there.
type batches struct {
	size int
	seen map[int]bool
}

func newListReader(f *seedfile.Format, in io.Reader, _ seedfile.ReadOptions) (seedfile.Reader, error) {
	return newList(f, in), nil
}

func newList(f *seedfile.Format, in io.Reader) *listReader {
	r := &listReader{queue: queue{format: f}, in: bufio.NewReaderSize(in, maxLine+2), batches: make(map[int32]*batches)}
	if bom, _ := r.in.Peek(3); string(bom) == "\ufeff" {
		r.in.Discard(3)
	}
	return r
}

// Read implements seedfile.Reader.
func (r *listReader) Read() (*seedfile.Token, error) {
	for len(r.pending) == 0 {
		line, err := r.in.ReadSlice('\n') // a part of the reader's buffer
		r.line++
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			clear(line)
			return nil, r.skip()
		case len(line) == 0 && errors.Is(err, io.EOF):
			return nil, r.end()
		case err != nil && !errors.Is(err, io.EOF):
			clear(line)
			return nil, err
		case len(bytes.TrimRight(line, "\r\n")) > maxLine:
			clear(line)
			return nil, r.tooLong()
		}
		r.parse(line)
		clear(line)
	}
	return r.first()
}

// skip goes on behind a line that is too long.
func (r *listReader) skip() error {
	for {
		rest, err := r.in.ReadSlice('\n')
		clear(rest)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case err != nil && !errors.Is(err, io.EOF):
			return err
		default:
			return r.tooLong()
		}
	}
}

func (r *listReader) tooLong() error {
	return &seedfile.RowError{Line: r.line, Column: maxLine + 1,
		Problem: fmt.Errorf("the line is longer than %d bytes", maxLine)}
}

// parse reads one line. Blank ones have no tokens.
func (r *listReader) parse(line []byte) {
	uri := bytes.TrimSpace(line)
	if len(uri) == 0 {
		return
	}
	before := bytes.Index(line, uri)
	if otpauth.IsMigration(uri) {
		r.parseMigration(uri, before)
		return
	}
	if r.format == Migration {
		r.add(new(seedfile.Token), errNoMigration, r.line, before+1)
		return
	}
	t, err := otpauth.Parse(uri)
	if t == nil {
		t = new(seedfile.Token)
	}
	r.add(t, named(t, err), r.line, columnOf(err, before))
}

var errNoMigration = errors.New("is no otpauth-migration URI")

// columnOf gives the column of what is wrong with a URI, before which so many bytes stand.
func columnOf(err error, before int) int {
	var wrong *otpauth.Error
	if errors.As(err, &wrong) && wrong.Column > 0 {
		return before + wrong.Column
	}
	return before + 1
}

func (r *listReader) parseMigration(uri []byte, before int) {
	m, err := otpauth.ParseMigration(uri)
	if err != nil {
		r.add(new(seedfile.Token), err, r.line, columnOf(err, before))
		return
	}
	for _, t := range m.Tokens {
		r.add(t, named(t, nil), r.line, before+1)
	}
	for _, bad := range m.Bad {
		bad.Line, bad.Column = r.line, before+1
		r.pending = append(r.pending, result{err: bad})
	}
	if m.Size > 1 {
		r.count(m)
	}
}

// count notes a batch.
func (r *listReader) count(m *otpauth.Migration) {
	b := r.batches[m.ID]
	if b == nil {
		b = &batches{seen: make(map[int]bool)}
		r.batches[m.ID] = b
	}
	b.size = max(b.size, m.Size)
	b.seen[m.Index] = true
}

// end gives io.EOF, or which batch is missing: its tokens would be lost without a word.
func (r *listReader) end() error {
	for _, id := range slices.Sorted(maps.Keys(r.batches)) {
		b := r.batches[id]
		if len(b.seen) == b.size {
			continue
		}
		missing := 0
		for b.seen[missing] {
			missing++
		}
		return wrongFormat(r.format, fmt.Sprintf("QR code %d of %d is missing: scan all that the app shows",
			missing+1, b.size))
	}
	return io.EOF
}

// Close implements seedfile.Reader.
func (r *listReader) Close() error {
	r.wipe()
	ahead, _ := r.in.Peek(r.in.Buffered())
	clear(ahead)
	clear(r.plain)
	return nil
}

func newOTPAuthWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	if _, err := lockOf(f, o); err != nil {
		return nil, err
	}
	return newLineWriter(f, out, o, ""), nil
}

// newLineWriter writes URIs, each with more behind it.
func newLineWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions, more string) *writer {
	entry := func(out []byte, _ int, t *seedfile.Token) ([]byte, error) {
		if err := otpauth.CheckNames(f.Name, t); err != nil {
			return out, err
		}
		out, err := otpauth.Append(out, t)
		return append(append(out, more...), '\n'), err
	}
	return &writer{format: f, out: out, drop: o.Drop, entry: entry}
}

// migrationWriter writes all URIs at the end, since each tells how many there are.
type migrationWriter struct {
	format  *seedfile.Format
	out     io.Writer
	drop    seedfile.Field
	batches otpauth.Batches
}

func newMigrationWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	if _, err := lockOf(f, o); err != nil {
		return nil, err
	}
	return &migrationWriter{format: f, out: out, drop: o.Drop}, nil
}

// Write implements seedfile.Writer.
func (w *migrationWriter) Write(t *seedfile.Token) error {
	if err := w.format.Check(t, w.drop); err != nil {
		return err
	}
	return w.batches.Add(t)
}

// Close implements seedfile.Writer.
func (w *migrationWriter) Close() error {
	defer w.Abort()
	for _, uri := range w.batches.AppendURIs(nil) {
		_, err := w.out.Write(append(uri, '\n'))
		clear(uri)
		if err != nil {
			return err
		}
	}
	return nil
}

// Abort implements seedfile.Writer.
func (w *migrationWriter) Abort() { w.batches.Wipe() }
