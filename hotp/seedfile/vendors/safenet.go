package vendors

import (
	"fmt"
	"io"
	"strconv"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/columns"
)

// SafeNetXML is what SafeNet, before it Aladdin, delivers for the eToken PASS. It has no word for the algorithm, which
// consumers tell by the seed: SHA-256 for 32 bytes, else SHA-1; and none for the digits. The name of the product is
// the token's model.
var SafeNetXML = safeNet(&seedfile.Format{
	Name: "safenet-xml", Title: "SafeNet or Aladdin eToken PASS, XML", Extension: ".xml",
	Source: "privacyIDEA: lib/importotp.py",
	Reads:  seedfile.Plain, Writes: seedfile.Plain,
	Carries: seedfile.Capacity{Kinds: seedfile.HOTP, Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256},
		Digits: []int{6, 8}, Fields: seedfile.FieldSerial | seedfile.FieldCounter | seedfile.FieldModel,
		Needs: seedfile.FieldSerial},
	Detect: xmlDetect("Tokens", "<Token ", "serial="),
})

// connector is the ID of the application that checks codes of an eToken PASS.
const connector = "{ab1397d2-ddb6-4705-b66e-9f83f322deb9}"

const (
	safeNetSeed    = "Applications/Application/Seed"
	safeNetCounter = "Applications/Application/MovingFactor"
)

func safeNet(f *seedfile.Format) *seedfile.Format {
	f.Settings = seedfile.UnsaidSettings(f.Carries, seedfile.FieldDigits)
	f.NewReader = func(in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) {
		u, err := (columns.Options{Settings: o.Settings, Reading: &o.Assume}).Unsaid(f, seedfile.FieldDigits)
		if err != nil {
			return nil, err
		}
		return newXMLReader(f, in, "Tokens", func(r *record) (*seedfile.Token, error) { return parseSafeNet(r, u) }), nil
	}
	f.NewWriter = func(out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
		u, err := seedfile.NewUnsaid(f, seedfile.FieldDigits, o.Settings)
		if err != nil {
			return nil, err
		}
		return columns.NewWriter(f, xmlLines, out, o.Drop,
			columns.Frame{Head: xmlHead + "<Tokens>\n", Tail: "</Tokens>\n"},
			func(l *columns.Line, t *seedfile.Token) error { return fillSafeNet(f, l, t, u) }), nil
	}
	return f
}

func parseSafeNet(r *record, u *seedfile.Unsaid) (t *seedfile.Token, err error) {
	if r.name != "Token" {
		return nil, nil
	}
	t = &seedfile.Token{Parameters: hotp.DefaultHOTP}
	u.Fill(t)
	if t.Serial, err = r.text("@serial"); err != nil {
		return t, err
	}
	if t.Model, err = r.text("ProductName"); err != nil {
		return t, err
	}
	if t.Seed, err = r.seed(safeNetSeed); err != nil {
		return t, err
	}
	t.Algorithm = guessedHash(len(t.Seed))
	counter, err := r.one(safeNetCounter)
	if counter == nil {
		return t, err
	}
	if t.Counter, err = strconv.ParseUint(string(counter.text), 10, 63); err != nil {
		return t, counter.error(fmt.Errorf("the moving factor is no number"))
	}
	return t, nil
}

// guessedHash is the rule of those who read such files, by the length of the seed in bytes.
func guessedHash(seed int) hotp.Algorithm {
	if seed == hotp.SHA256.Size() {
		return hotp.SHA256
	}
	return hotp.SHA1
}

func fillSafeNet(f *seedfile.Format, l *columns.Line, t *seedfile.Token, u *seedfile.Unsaid) error {
	if guess := guessedHash(len(t.Seed)); guess != t.Algorithm {
		return &seedfile.LossError{Format: f.Name, Token: t.Name(), Field: seedfile.FieldAlgorithm,
			Value: fmt.Sprintf("%s, but by its seed of %d bytes it is taken for %s", t.Algorithm, len(t.Seed), guess)}
	}
	raw(l, `<Token serial="`)
	if err := xmlText(f, l, t, seedfile.FieldSerial, t.Serial); err != nil {
		return err
	}
	raw(l, `">`)
	if t.Model != "" {
		raw(l, "<ProductName>")
		if err := xmlText(f, l, t, seedfile.FieldModel, t.Model); err != nil {
			return err
		}
		raw(l, "</ProductName>")
	}
	raw(l, `<Applications><Application ConnectorID="`+connector+`"><Seed>`)
	l.Append(t.Seed.AppendHex)
	raw(l, "</Seed><MovingFactor>"+strconv.FormatUint(t.Counter, 10)+"</MovingFactor>")
	raw(l, "</Application></Applications></Token>")
	return u.Check(t)
}
