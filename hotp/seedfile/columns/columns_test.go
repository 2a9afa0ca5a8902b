package columns

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"fob/hotp"
	"fob/hotp/seedfile"
)

var comma = Layout{Separator: ',', Quoted: true, Comment: '#',
	Fields: []seedfile.Field{seedfile.FieldSerial, seedfile.FieldSeed, seedfile.FieldPeriod}}

// rows splits a file, with the places of its columns.
func rows(t *testing.T, l Layout, in io.Reader) (all [][]Column) {
	t.Helper()
	r := NewReader(&seedfile.Format{Name: "test"}, l, in, func(r *Row) (*seedfile.Token, error) {
		var row []Column
		for _, c := range r.Columns {
			row = append(row, Column{bytes.Clone(c.Text), c.At})
		}
		all = append(all, row)
		return nil, nil
	})
	if _, err := r.Read(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	return all
}

func TestSplit(t *testing.T) {
	for _, test := range []struct {
		file string
		want []string // text@at, with spaces between
	}{
		{"a,b", []string{"a@1", "b@3"}},
		{",", []string{"@1", "@2"}},
		{" a ,\tb\t, c", []string{"a@2", "b@6", "c@10"}},
		{`"a,""b""" , "c"`, []string{`a,"b"@1`, "c@13"}},
		{`a"b,""`, []string{`a"b@1`, "@5"}},
		{"ä,b", []string{"ä@1", "b@4"}},
		{"\n \r\n# c,d\n #\na,\r\n", []string{"a@1", "@3"}},
		{"\ufeffa", []string{"a@1"}},
	} {
		for _, in := range []io.Reader{strings.NewReader(test.file), iotest.OneByteReader(strings.NewReader(test.file)),
			iotest.DataErrReader(strings.NewReader(test.file))} {
			var got []string
			for _, row := range rows(t, comma, in) {
				for _, c := range row {
					got = append(got, string(c.Text)+"@"+strconv.Itoa(c.At))
				}
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q: %q, expected %q", test.file, got, test.want)
			}
		}
	}
}

// TestLines: lines come whole, however the file comes, up to the longest; one that is longer is an error of its own.
func TestLines(t *testing.T) {
	longest := strings.Repeat("x", MaxLine)
	file := "a\n" + longest + "\r\n" + longest + "y\nb\n" + strings.Repeat("z", 1<<20) + "\nc"
	for _, in := range []io.Reader{strings.NewReader(file), iotest.HalfReader(strings.NewReader(file)),
		iotest.DataErrReader(strings.NewReader(file))} {
		l := lines{in: in}
		for i, want := range []string{"a", longest, "", "b", "", "c"} {
			line, err := l.next()
			if string(line) != want || (want == "") != errors.Is(err, errTooLong) || l.at != i+1 {
				t.Errorf("line %d: %.10q, %v, expected %.10q", l.at, line, err, want)
			}
		}
		if _, err := l.next(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		l.wipe()
		if slices.ContainsFunc(l.buf, func(b byte) bool { return b != 0 }) {
			t.Error("something is left in the buffer")
		}
	}
}

// TestNoProgress: a reader that gives nothing does not keep ours for ever.
func TestNoProgress(t *testing.T) {
	l := lines{in: nothing{}}
	if _, err := l.next(); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

type nothing struct{}

func (nothing) Read([]byte) (int, error) { return 0, nil }

// FuzzSplit: where encoding/csv reads a file of whole lines, the columns are the same, but for spaces around them.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a,b\n", "\"a,\"\"b\",c\n", " a , b\r\n", ",\n", "\"\"\n", "a\n\nb,c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, file string) {
		oracle := csv.NewReader(strings.NewReader(file))
		oracle.FieldsPerRecord = -1
		want, err := oracle.ReadAll()
		if err != nil || !utf8.ValidString(file) || strings.ContainsAny(file, "\r\ufeff") || multiline(want) {
			return
		}
		var got [][]string
		for _, row := range rows(t, Layout{Separator: ',', Quoted: true}, strings.NewReader(file)) {
			var texts []string
			for _, c := range row {
				texts = append(texts, string(c.Text))
			}
			got = append(got, texts)
		}
		want = slices.DeleteFunc(want, func(row []string) bool { return len(row) == 1 && strings.Trim(row[0], " \t") == "" })
		got = slices.DeleteFunc(got, func(row []string) bool { return len(row) == 1 && row[0] == "" })
		if !slices.EqualFunc(got, want, sameRow) {
			t.Errorf("%q: %q, expected %q", file, got, want)
		}
	})
}

func sameRow(got, want []string) bool {
	return slices.EqualFunc(got, want, func(a, b string) bool { return a == strings.Trim(b, " \t") })
}

func multiline(rows [][]string) bool {
	return slices.ContainsFunc(rows, func(row []string) bool {
		return slices.ContainsFunc(row, func(text string) bool { return strings.Contains(text, "\n") })
	})
}

// format is a format for tests: serial number, seed, and a period.
func format() *seedfile.Format {
	f := &seedfile.Format{Name: "test", Carries: seedfile.Capacity{Kinds: seedfile.TOTP, Digits: []int{6},
		Algorithms: []hotp.Algorithm{hotp.SHA1}, Fields: seedfile.FieldSerial | seedfile.FieldUser}}
	return Complete(f, func(Options) (*Codec, error) {
		return &Codec{Layout: comma, Parse: parse, Fill: fill, Sure: func(r *Row) int { return 50 }}, nil
	})
}

func parse(r *Row) (t *seedfile.Token, err error) {
	t = &seedfile.Token{Serial: r.Text(0), Parameters: hotp.DefaultTOTP}
	if t.Seed, err = r.Hex(1); err != nil {
		return t, err
	}
	t.Period, err = r.Int(2, 30)
	return t, err
}

func fill(l *Line, t *seedfile.Token) error {
	l.Text(seedfile.FieldSerial, t.Serial)
	l.Hex(t.Seed)
	l.Number(uint64(t.Period))
	l.Text(seedfile.FieldUser, t.User)
	return nil
}

// TestDetect: the last line of a head counts only where it is whole; bad rows make it less sure.
func TestDetect(t *testing.T) {
	f := format()
	long := strings.Repeat("1,00,30\n", seedfile.HeadSize)[:seedfile.HeadSize-1] + "x"
	for head, want := range map[string]int{"": 0, "1,00": 50, "# x\n\n1,00\n2,00\nx\n": 38, "x\n1,00\n": 0, "1,00\nx\n": 0,
		long: 50, strings.Repeat("x", seedfile.HeadSize): 0} {
		if got := f.Detect([]byte(head)); got != want {
			t.Errorf("%.20q: %d, expected %d", head, got, want)
		}
	}
}

// TestNoSecretForName: a name that may be a seed is not shown where the seed could not be read.
func TestNoSecretForName(t *testing.T) {
	const seed = "3132333435363738393031323334353637383930"
	r, err := format().NewReader(strings.NewReader(seed+",token1\n1000133508267,x\n"), seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"line 1, column 42: the seed is not in hexadecimal digits",
		"line 2, column 15: token 1000133508267: the seed has an odd number of hexadecimal digits"} {
		if _, err := r.Read(); err == nil || err.Error() != want {
			t.Errorf("%v, expected %s", err, want)
		}
	}
}

// TestSwapped: a seed that stands where the serial number should be is refused, when the serial number can be read as a
// seed, too. A long serial number beside a seed is none.
func TestSwapped(t *testing.T) {
	const seed = "3132333435363738393031323334353637383930"
	r, err := format().NewReader(strings.NewReader(seed+",10000001\n"+seed+","+seed+"\n10000001,"+seed[:20]+"\n"),
		seedfile.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(); !errors.Is(err, errSwapped) || strings.Contains(err.Error(), seed) ||
		!errors.As(err, new(*seedfile.RowError)) {
		t.Error(err)
	}
	for range 2 {
		if _, err := r.Read(); err != nil {
			t.Error(err)
		}
	}
}

// TestWriterKeepsNothing: after the end, no buffer has a seed, and none has grown out of the one that is wiped.
func TestWriterKeepsNothing(t *testing.T) {
	var out bytes.Buffer
	made, err := format().NewWriter(&out, seedfile.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := made.(*writer)
	whole, line := &w.buf[:1][0], &w.line.buf[:1][0]
	token := &seedfile.Token{Serial: strings.Repeat("a\"", 512), User: strings.Repeat("\"b", 512),
		Seed: hotp.NewSeed(hotp.MaxSeed), Parameters: hotp.DefaultTOTP}
	for range 100 {
		if err := w.Write(token); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil || out.Len() == 0 {
		t.Fatal(err)
	}
	if whole != &w.buf[:1][0] || line != &w.line.buf[:1][0] {
		t.Error("a buffer has grown")
	}
	for _, b := range [][]byte{w.buf[:cap(w.buf)], w.line.buf[:cap(w.line.buf)]} {
		if slices.ContainsFunc(b, func(c byte) bool { return c != 0 }) {
			t.Error("something is left in a buffer")
		}
	}
}

// TestWriterFails: an error of the file ends the writer.
func TestWriterFails(t *testing.T) {
	broken := errors.New("the disk is full")
	w, err := format().NewWriter(writerOf{broken}, seedfile.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&seedfile.Token{Seed: hotp.NewSeed(20), Parameters: hotp.DefaultTOTP}); err != nil {
		t.Error(err)
	}
	if err := w.Close(); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type writerOf struct{ err error }

func (w writerOf) Write([]byte) (int, error) { return 0, w.err }
