package servers

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// EntraCSV is what Microsoft Entra ID imports, and in what Token2 and other makers deliver tokens for it. Entra wants a
// user in each row before it takes the file; makers leave the column empty, so that a reader takes both.
var EntraCSV = entraCSV(&seedfile.Format{
	Name: "entra-csv", Title: "Microsoft Entra ID, CSV (Token2 and others deliver it too)", Extension: ".csv",
	Source: "Microsoft Entra: OATH tokens, Upload a CSV file",
	Carries: seedfile.Capacity{Kinds: seedfile.TOTP, Algorithms: sha1, Digits: []int{6}, Periods: []int{30, 60},
		MaxSeed: entraMaxSeed, Needs: seedfile.FieldSerial,
		Fields: seedfile.FieldUser | seedfile.FieldSerial | seedfile.FieldManufacturer | seedfile.FieldModel},
})

// entraMaxSeed are 128 letters of Base32, in bytes.
const entraMaxSeed = 80

const entraHeader = "upn,serial number,secret key,time interval,manufacturer,model"

// entraFields are the columns in the order of the header.
var entraFields = []seedfile.Field{seedfile.FieldUser, seedfile.FieldSerial, seedfile.FieldSeed, seedfile.FieldPeriod,
	seedfile.FieldManufacturer, seedfile.FieldModel}

func entraCSV(f *seedfile.Format) *seedfile.Format {
	return columns.Complete(f, func(columns.Options) (*columns.Codec, error) {
		e := &entraFile{format: f}
		return &columns.Codec{
			Layout: columns.Layout{Separator: ',', Quoted: true},
			Frame:  columns.Frame{Head: entraHeader + "\n"},
			Parse:  e.parse,
			Fill: func(l *columns.Line, t *seedfile.Token) error {
				l.Text(seedfile.FieldUser, t.User)
				l.Text(seedfile.FieldSerial, t.Serial)
				l.Base32(t.Seed)
				l.Number(uint64(t.Period))
				l.Text(seedfile.FieldManufacturer, t.Manufacturer)
				l.Text(seedfile.FieldModel, t.Model)
				return nil
			},
			Sure: func(*columns.Row) int { return sureHeader },
		}, nil
	})
}

// entraFile is a file that is read: the header says where each column is.
type entraFile struct {
	format *seedfile.Format
	fields []seedfile.Field // of each column; 0 for one without a name
}

func (e *entraFile) parse(r *columns.Row) (*seedfile.Token, error) {
	if e.fields == nil {
		return nil, e.header(r)
	}
	r.Fields = e.fields
	if err := r.Between(1, len(e.fields)); err != nil {
		return nil, err
	}
	t := &seedfile.Token{Parameters: hotp.Parameters{Type: hotp.TOTP, Algorithm: hotp.SHA1, Digits: 6}}
	var failed error
	for i, f := range e.fields {
		if err := e.column(r, i, f, t); err != nil && failed == nil {
			failed = err
		}
	}
	return t, failed
}

func (e *entraFile) column(r *columns.Row, i int, f seedfile.Field, t *seedfile.Token) (err error) {
	switch f {
	case seedfile.FieldUser:
		t.User = r.Text(i)
	case seedfile.FieldSerial:
		t.Serial = r.Text(i)
	case seedfile.FieldSeed:
		t.Seed, err = r.Base32(i)
	case seedfile.FieldPeriod:
		t.Period, err = r.Int(i, 0)
	case seedfile.FieldManufacturer:
		t.Manufacturer = r.Text(i)
	case seedfile.FieldModel:
		t.Model = r.Text(i)
	default:
		return empty(r, i, "something in a column that has no name")
	}
	return err
}

// header finds the columns by their names, in any order and either case.
func (e *entraFile) header(r *columns.Row) error {
	names := strings.Split(entraHeader, ",")
	bad := func(i int, problem string) error {
		return &seedfile.FormatError{Format: e.format.Name, Line: r.Line, Column: i, Problem: problem}
	}
	var fields []seedfile.Field
	for _, c := range r.Columns {
		i := slices.Index(names, string(bytes.ToLower(c.Text)))
		switch {
		case i < 0 && len(c.Text) > 0:
			return bad(c.At, "the header must be "+entraHeader+", and has another column here")
		case i < 0:
			fields = append(fields, 0)
		case slices.Contains(fields, entraFields[i]):
			return bad(c.At, fmt.Sprintf("the header has the column %s twice", names[i]))
		default:
			fields = append(fields, entraFields[i])
		}
	}
	for _, i := range []int{1, 2, 3} {
		if !slices.Contains(fields, entraFields[i]) {
			return bad(1, fmt.Sprintf("the header lacks the column %s", names[i]))
		}
	}
	e.fields = fields
	return nil
}
