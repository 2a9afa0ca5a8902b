package apps

import (
	"io"

	"fob/hotp/seedfile"
)

// Bitwarden is the export of Bitwarden, both of the password manager and of its authenticator, without encryption. It
// has no HOTP.
var Bitwarden = complete(&seedfile.Format{
	Name:      "bitwarden",
	Title:     "Bitwarden, export without encryption, JSON",
	Extension: ".json",
	Source:    "Bitwarden Help, \"Condition a Bitwarden .json or .csv\"",
	Carries:   totpCarries,
	Reads:     seedfile.Plain,
	Writes:    seedfile.Plain,
	Detect: func(head []byte) int {
		if begins(head, '{', `"encrypted"`) || begins(head, '{', `"items"`, `"login"`) {
			return 90
		}
		return 0
	},
}, newBitwardenReader, newBitwardenWriter)

// totpCarries is what apps can hold that have a URI of TOTP alone.
var totpCarries = seedfile.Capacity{
	Kinds:      seedfile.TOTP,
	Algorithms: carries.Algorithms,
	Fields:     seedfile.FieldAccount | seedfile.FieldIssuer,
}

func newBitwardenReader(f *seedfile.Format, in io.Reader, _ seedfile.ReadOptions) (seedfile.Reader, error) {
	file, err := readJSON(in, f.Name)
	if err != nil {
		return nil, err
	}
	list := member(file, "items")
	problem := ""
	switch {
	case string(member(file, "encrypted")) == "true":
		problem = "it is encrypted by Bitwarden: export it as .json without encryption"
	case list == nil:
		problem = "it has no items"
	default:
		return &reader{queue: queue{format: f}, file: file, next: array(list), parse: parseBitwarden}, nil
	}
	clear(file)
	return nil, wrongFormat(f, problem)
}

// parseBitwarden passes over items that have no one-time passwords.
func parseBitwarden(text []byte, add func(*seedfile.Token, error)) {
	var e struct {
		Name  string
		Login struct {
			Username string
			TOTP     secret
		}
	}
	err := decode(text, &e)
	totp := e.Login.TOTP
	defer clear(totp)
	switch {
	case err != nil:
		add(&seedfile.Token{Issuer: e.Name, Account: e.Login.Username}, err)
	case len(totp) > 0:
		add(parseTOTP(totp, e.Name, e.Login.Username))
	}
}

func newBitwardenWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	if _, err := lockOf(f, o); err != nil {
		return nil, err
	}
	return &writer{format: f, out: out, drop: o.Drop, head: `{"encrypted":false,"folders":[],"items":[` + "\n",
		separator: ",\n", tail: "\n]}\n", entry: func(out []byte, _ int, t *seedfile.Token) ([]byte, error) {
			return appendBitwarden(out, f.Name, t)
		}}, nil
}

func appendBitwarden(out []byte, format string, t *seedfile.Token) ([]byte, error) {
	out = appendText(append(out, `{"type":1,"name":`...), firstOf(t.Issuer, t.Account))
	out = append(out, `,"notes":null,"favorite":false,"fields":[],"reprompt":0,"login":{"uris":[],"username":`...)
	out = appendText(out, t.Account)
	out, err := appendURI(out, `,"password":null,"totp":`, format, t)
	return append(out, `}}`...), err
}
