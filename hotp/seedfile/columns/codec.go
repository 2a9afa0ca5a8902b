package columns

import (
	"io"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Codec reads and writes one file of a format.
type Codec struct {
	Layout
	Frame
	Parse Parser
	Fill  Filler
	Sure  func(*Row) int // see Detect
}

// Options are what a Codec is made by. Reading is nil for a writer.
type Options struct {
	Settings map[string]string
	Reading  *hotp.Parameters // what a file that does not tell is to mean
	Any      bool             // the file is looked at alone, whatever settings must say to read it
	Drop     seedfile.Field   // what may get lost in writing
}

// Setting gives a setting, or what stands for it where it is not given.
func (o Options) Setting(name, otherwise string) string {
	if value, given := o.Settings[name]; given {
		return value
	}
	return otherwise
}

// Unsaid gives the parameters of which the file has no word.
func (o Options) Unsaid(f *seedfile.Format, fields seedfile.Field) (*seedfile.Unsaid, error) {
	u, err := seedfile.NewUnsaid(f, fields, o.Settings)
	if err == nil && o.Reading != nil {
		err = u.Assume(*o.Reading)
	}
	return u, err
}

// Complete makes a plain format of columns of a description and what begins a file.
func Complete(f *seedfile.Format, begin func(Options) (*Codec, error)) *seedfile.Format {
	f.Reads, f.Writes = seedfile.Plain, seedfile.Plain
	f.Detect = func(head []byte) int {
		c, err := begin(Options{Reading: &hotp.Parameters{Type: hotp.HOTP}, Any: true})
		if err != nil {
			return 0
		}
		return Detect(c.Layout, head, c.Parse, c.Sure)
	}
	f.NewReader = func(in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) {
		c, err := begin(Options{Settings: o.Settings, Reading: &o.Assume})
		if err != nil {
			return nil, err
		}
		return NewReader(f, c.Layout, in, c.Parse), nil
	}
	f.NewWriter = func(out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
		c, err := begin(Options{Settings: o.Settings, Drop: o.Drop})
		if err != nil {
			return nil, err
		}
		return NewWriter(f, c.Layout, out, o.Drop, c.Frame, c.Fill), nil
	}
	return f
}

// Encoding gives a setting for formats whose files have seeds in one of two encodings.
func Encoding(usual, other string) seedfile.Setting {
	return seedfile.Setting{Name: "encoding", Values: []string{usual, other},
		Usage: "how seeds are written; " + usual + " where it is not given"}
}

// BySetting gives what decodes seeds in a column as the setting says.
func (o Options) BySetting(usual string) func(*Row, int) (hotp.Seed, error) {
	switch encoding := o.Setting("encoding", usual); {
	case o.Any:
		return func(r *Row, i int) (hotp.Seed, error) {
			if seed, err := r.Base32(i); err == nil {
				return seed, nil
			}
			return r.Hex(i)
		}
	case encoding == "hex":
		return (*Row).Hex
	}
	return (*Row).Base32
}
