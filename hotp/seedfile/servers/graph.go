package servers

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// EntraGraph is the body of the request by which Microsoft Graph makes tokens in Microsoft Entra ID: PATCH
// /directory/authenticationMethodDevices/hardwareOathDevices. A user is the ID of an object there.
var EntraGraph = entraGraph(&seedfile.Format{
	Name: "entra-graph", Title: "Microsoft Entra ID, Graph JSON", Extension: ".json",
	Source: "Microsoft Graph: Create one or more hardwareOathTokenAuthenticationMethodDevice objects",
	Reads:  seedfile.Plain, Writes: seedfile.Plain,
	Carries: seedfile.Capacity{Kinds: seedfile.TOTP, Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256},
		Digits: []int{6}, Periods: []int{30, 60}, MaxSeed: entraMaxSeed,
		Fields: seedfile.FieldSerial | seedfile.FieldManufacturer | seedfile.FieldModel | seedfile.FieldUser,
		Needs:  seedfile.FieldSerial | seedfile.FieldManufacturer | seedfile.FieldModel},
})

var graphHead = regexp.MustCompile(`^(\x{feff})?\s*\{\s*"@context"\s*:\s*"#\$delta"`)

// objectID is an ID of an object in Entra.
var objectID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func entraGraph(f *seedfile.Format) *seedfile.Format {
	f.Detect = func(head []byte) int {
		if graphHead.Match(head) {
			return sureHeader
		}
		return 0
	}
	f.NewReader = func(in io.Reader, _ seedfile.ReadOptions) (seedfile.Reader, error) {
		b := &elements{in: skipBOM(in)}
		return &graphReader{format: f, from: b, in: json.NewDecoder(b)}, nil
	}
	f.NewWriter = func(out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
		w := &graphWriter{format: f}
		return columns.NewWriter(f, requests, out, o.Drop,
			columns.Frame{Head: `{"@context":"#$delta","value":[` + "\n", Next: ",", Tail: "]}\n"}, w.fill), nil
	}
	return f
}

func skipBOM(in io.Reader) io.Reader {
	b := bufio.NewReaderSize(in, 16)
	if head, err := b.Peek(3); err == nil && string(head) == "\ufeff" {
		b.Discard(len(head))
	}
	return b
}

// graphDevice is one token. Graph itself writes the period as a text now and then.
type graphDevice struct {
	Serial       string          `json:"serialNumber"`
	Manufacturer string          `json:"manufacturer"`
	Model        string          `json:"model"`
	Secret       seedText        `json:"secretKey"`
	Period       json.RawMessage `json:"timeIntervalInSeconds"`
	Hash         string          `json:"hashFunction"`
	AssignTo     *struct {
		ID string `json:"id"`
	} `json:"assignTo"`
}

var graphHashes = map[string]hotp.Algorithm{"": hotp.SHA1, "hmacsha1": hotp.SHA1, "hmacsha256": hotp.SHA256}

// elements bounds what json.Decoder holds of a file: one element of an array. It knows in which line it is.
type elements struct {
	in    io.Reader
	room  int
	lines []int64 // where lines end that the decoder may not have passed yet
	read  int64
	line  int // of the last place that was asked for, from 0 on
}

// maxElement is more than the longest token needs.
const maxElement = 64 << 10

var errElement = errors.New("a token is longer than 64 KiB")

func (e *elements) Read(p []byte) (int, error) {
	if e.room <= 0 {
		return 0, errElement
	}
	n, err := e.in.Read(p[:min(len(p), e.room)])
	for i, c := range p[:n] {
		if c == '\n' {
			e.lines = append(e.lines, e.read+int64(i))
		}
	}
	e.read, e.room = e.read+int64(n), e.room-n
	return n, err
}

// at gives the line of a place, which must not lie before the last one.
func (e *elements) at(offset int64) int {
	passed := 0
	for passed < len(e.lines) && e.lines[passed] < offset {
		passed++
	}
	e.lines = e.lines[:copy(e.lines, e.lines[passed:])]
	e.line += passed
	return e.line + 1
}

type graphReader struct {
	format *seedfile.Format
	from   *elements
	in     *json.Decoder
	begun  bool
	over   bool
}

func (r *graphReader) Close() error { return nil }

func (r *graphReader) Read() (*seedfile.Token, error) {
	r.from.room = maxElement
	if !r.begun {
		if err := r.begin(); err != nil {
			return nil, r.fatal(err)
		}
		r.begun = true
	}
	if r.over {
		return nil, io.EOF
	}
	if !r.in.More() {
		return nil, r.end()
	}
	return r.device()
}

func (r *graphReader) device() (*seedfile.Token, error) {
	var d graphDevice
	defer func() { clear(d.Secret) }()
	var kind *json.UnmarshalTypeError
	err := r.in.Decode(&d)
	line := r.from.at(r.in.InputOffset())
	switch {
	case errors.As(err, &kind), errors.Is(err, errSeedText):
		return nil, &seedfile.RowError{Line: line, Problem: jsonProblem(err)}
	case err != nil:
		return nil, r.fatal(err)
	}
	t, err := d.token()
	if err == nil {
		t.Line = line
		err = r.format.Check(t, 0)
	}
	if err != nil {
		t.Wipe()
		return nil, columns.Bad(t, line, 0, err)
	}
	return t, nil
}

func (d *graphDevice) token() (*seedfile.Token, error) {
	t := &seedfile.Token{Serial: d.Serial, Manufacturer: d.Manufacturer, Model: d.Model,
		Parameters: hotp.Parameters{Type: hotp.TOTP, Digits: 6, Algorithm: graphHashes[d.Hash]}}
	if d.AssignTo != nil {
		t.User = d.AssignTo.ID
	}
	seed, err := d.Secret.seed(hotp.ParseSeed)
	if err != nil {
		return t, err
	}
	t.Seed = seed
	t.Period, err = strconv.Atoi(string(bytes.Trim(d.Period, `"`)))
	if err != nil {
		return t, errors.New("its timeIntervalInSeconds is no whole number")
	}
	return t, nil
}

// begin reads up to the first token.
func (r *graphReader) begin() error {
	if err := r.expect(json.Delim('{')); err != nil {
		return err
	}
	for {
		key, err := r.in.Token()
		if err != nil {
			return err
		}
		if key == "value" {
			return r.expect(json.Delim('['))
		}
		if key == json.Delim('}') {
			return r.bad("it has no value")
		}
		var other json.RawMessage
		if err := r.in.Decode(&other); err != nil {
			return err
		}
	}
}

func (r *graphReader) expect(want json.Delim) error {
	switch got, err := r.in.Token(); {
	case err != nil:
		return err
	case got != want:
		return r.bad("a " + want.String() + " was expected")
	}
	return nil
}

// end reads what stands behind the last token, and gives io.EOF where that is as it must be.
func (r *graphReader) end() error {
	if err := r.expect(json.Delim(']')); err != nil {
		return r.fatal(err)
	}
	for r.in.More() {
		if _, err := r.in.Token(); err != nil { // a key
			return r.fatal(err)
		}
		var other json.RawMessage
		if err := r.in.Decode(&other); err != nil {
			return r.fatal(err)
		}
	}
	if err := r.expect(json.Delim('}')); err != nil {
		return r.fatal(err)
	}
	if _, err := r.in.Token(); !errors.Is(err, io.EOF) {
		return r.bad("something stands behind the end")
	}
	r.over = true
	return io.EOF
}

// bad is an error of the file as a whole, at the place that was read last.
func (r *graphReader) bad(problem string) error { return r.badAt(r.in.InputOffset(), problem) }

func (r *graphReader) badAt(offset int64, problem string) error {
	return &seedfile.FormatError{Format: r.format.Name, Line: r.from.at(offset), Column: 1, Problem: problem}
}

// fatal makes such an error of what encoding/json says, and leaves what comes from the file's own reader as it is.
func (r *graphReader) fatal(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return r.badAt(syntax.Offset, jsonProblem(err).Error())
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, errElement):
		return r.badAt(r.from.read, jsonProblem(err).Error())
	}
	return err
}

type graphWriter struct {
	format *seedfile.Format
	count  int
}

func (w *graphWriter) fill(l *columns.Line, t *seedfile.Token) error {
	if t.User != "" && !objectID.MatchString(t.User) {
		return &seedfile.ValueError{Format: w.format.Name, Token: t.Name(), Field: seedfile.FieldUser,
			Problem: "is not the ID of an object, such as 0cadbf92-af6b-4cf3-ba77-3f381e059551"}
	}
	w.count++
	l.Word(`{"@contentId":"` + strconv.Itoa(w.count) + `","serialNumber":` + quoted(t.Serial) + `,"manufacturer":` +
		quoted(t.Manufacturer) + `,"model":` + quoted(t.Model) + `,"secretKey":"`)
	l.Append(t.Seed.AppendBase32)
	l.Append(func(b []byte) []byte {
		b = fmt.Appendf(b, `","timeIntervalInSeconds":%d,"hashFunction":"hmacsha%s"`, t.Period,
			map[hotp.Algorithm]string{hotp.SHA1: "1", hotp.SHA256: "256"}[t.Algorithm])
		if t.User != "" {
			b = append(b, `,"assignTo":{"id":`+quoted(t.User)+`}`...)
		}
		return append(b, '}')
	})
	return nil
}
