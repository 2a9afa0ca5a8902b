package vendors

import (
	"errors"
	"io"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// DeepnetXML is what Deepnet Security delivers for its SafeID tokens, and DualShield imports. Its header has codes of
// the maker and the product, for all tokens of the file; it has no word for type, digits and period. Seeds that it
// has encrypted can't be read.
var DeepnetXML = deepnet(&seedfile.Format{
	Name: "deepnet-xml", Title: "Deepnet SafeID, XML for DualShield", Extension: ".xml",
	Source: "Deepnet Security: Token seed file format, DualShield (V5x) Format",
	Reads:  seedfile.Plain, Writes: seedfile.Plain,
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP | seedfile.TOTP, Algorithms: sha1, Digits: []int{6, 8},
		Periods: []int{30, 60}, Needs: seedfile.FieldSerial | seedfile.FieldManufacturer | seedfile.FieldModel,
		Fields: seedfile.FieldSerial | seedfile.FieldManufacturer | seedfile.FieldModel},
	Detect: xmlDetect("data", "<header>", "<encode>"),
})

const unsaidOfDeepnet = seedfile.FieldKind | seedfile.FieldDigits | seedfile.FieldPeriod

func deepnet(f *seedfile.Format) *seedfile.Format {
	f.Settings = seedfile.UnsaidSettings(f.Carries, unsaidOfDeepnet)
	f.NewReader = func(in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) {
		u, err := (columns.Options{Settings: o.Settings, Reading: &o.Assume}).Unsaid(f, unsaidOfDeepnet)
		if err != nil {
			return nil, err
		}
		d := &deepnetFile{format: f, unsaid: u}
		return newXMLReader(f, in, "data", d.parse), nil
	}
	f.NewWriter = func(out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
		u, err := seedfile.NewUnsaid(f, unsaidOfDeepnet, o.Settings)
		if err != nil {
			return nil, err
		}
		d := &deepnetFile{format: f, unsaid: u}
		return &deepnetWriter{file: d, Writer: columns.NewWriter(f, xmlLines, out, o.Drop,
			columns.Frame{Head: xmlHead + "<data>\n", Tail: "</tokens>\n</data>\n"}, d.fill)}, nil
	}
	return f
}

// deepnetFile is a file that is read or written: its header is about all tokens.
type deepnetFile struct {
	format       *seedfile.Format
	unsaid       *seedfile.Unsaid
	header       bool // it is there already
	manufacturer string
	model        string
}

func (d *deepnetFile) parse(r *record) (*seedfile.Token, error) {
	switch r.name {
	case "header":
		return nil, d.parseHeader(r)
	case "token":
	default:
		return nil, nil
	}
	if !d.header {
		return nil, d.bad(r, "its header does not come before the tokens")
	}
	t := &seedfile.Token{Manufacturer: d.manufacturer, Model: d.model, Parameters: hotp.Parameters{Algorithm: hotp.SHA1}}
	d.unsaid.Fill(t)
	var err error
	if t.Serial, err = r.text("serial"); err != nil {
		return t, err
	}
	t.Seed, err = r.seed("seed")
	return t, err
}

func (d *deepnetFile) bad(r *record, problem string) error {
	return &seedfile.FormatError{Format: d.format.Name, Line: r.line, Column: r.column, Problem: problem}
}

func (d *deepnetFile) parseHeader(r *record) error {
	var texts [4]string
	for i, path := range []string{"manufacturerCode", "productCode", "encode", "encrypt"} {
		var err error
		if texts[i], err = r.text(path); err != nil {
			return d.bad(r, errors.Unwrap(err).Error())
		}
	}
	d.manufacturer, d.model = texts[0], texts[1]
	switch {
	case d.header:
		return d.bad(r, "it has a second header")
	case !strings.EqualFold(texts[2], "HEX"):
		return d.bad(r, "its seeds are not in hexadecimal digits: encode must be HEX")
	case !strings.EqualFold(texts[3], "NONE"):
		return d.bad(r, "its seeds are encrypted, which only Deepnet's programs can read: ask for a file with encrypt NONE")
	case d.manufacturer == "" || d.model == "":
		return d.bad(r, "its header lacks manufacturerCode or productCode")
	}
	d.header = true
	return nil
}

// fill makes the line of a token, and the header before that of the first one.
func (d *deepnetFile) fill(l *columns.Line, t *seedfile.Token) error {
	if err := d.same(t); err != nil {
		return err
	}
	if !d.header {
		if err := d.fillHeader(l, t); err != nil {
			return err
		}
	}
	raw(l, "<token><serial>")
	if err := xmlText(d.format, l, t, seedfile.FieldSerial, t.Serial); err != nil {
		return err
	}
	raw(l, "</serial><seed>")
	l.Append(t.Seed.AppendHex)
	raw(l, "</seed></token>")
	if err := d.unsaid.Check(t); err != nil {
		return err
	}
	d.header, d.manufacturer, d.model = true, t.Manufacturer, t.Model
	return nil
}

// same tells whether a token goes under the header that is there.
func (d *deepnetFile) same(t *seedfile.Token) error {
	loss := func(f seedfile.Field, value, other string) error {
		return &seedfile.LossError{Format: d.format.Name, Token: t.Name(), Field: f,
			Value: value + " in a file of " + other + ": write it into another one"}
	}
	switch {
	case d.header && t.Manufacturer != d.manufacturer:
		return loss(seedfile.FieldManufacturer, t.Manufacturer, d.manufacturer)
	case d.header && t.Model != d.model:
		return loss(seedfile.FieldModel, t.Model, d.model)
	}
	return nil
}

func (d *deepnetFile) fillHeader(l *columns.Line, t *seedfile.Token) error {
	raw(l, "<header><manufacturerCode>")
	if err := xmlText(d.format, l, t, seedfile.FieldManufacturer, t.Manufacturer); err != nil {
		return err
	}
	raw(l, "</manufacturerCode><productCode>")
	if err := xmlText(d.format, l, t, seedfile.FieldModel, t.Model); err != nil {
		return err
	}
	raw(l, "</productCode><encode>HEX</encode><encrypt>NONE</encrypt></header>\n<tokens>\n")
	return nil
}

// deepnetWriter has no file without tokens, which would have no header.
type deepnetWriter struct {
	seedfile.Writer
	file *deepnetFile
}

// Close implements seedfile.Writer.
func (w *deepnetWriter) Close() error {
	if !w.file.header {
		w.Abort()
		return errors.New("there is no token, so that there is nothing to write")
	}
	return w.Writer.Close()
}
