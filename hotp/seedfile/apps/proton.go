package apps

import (
	"archive/zip"
	"bytes"
	"io"
	"path"

	"fob/hotp/seedfile"
)

// ProtonAuthenticator is the export of Proton Authenticator without encryption. It has no HOTP.
var ProtonAuthenticator = complete(&seedfile.Format{
	Name:      "proton-authenticator",
	Title:     "Proton Authenticator, export without encryption",
	Extension: ".json",
	Source:    "Proton Authenticator, export of version 1",
	Carries:   totpCarries,
	Reads:     seedfile.Plain,
	Writes:    seedfile.Plain,
	Detect: func(head []byte) int {
		if begins(head, '{', `"entries"`, `"entry_type"`) || begins(head, '{', `"entries"`, `"content"`, `"uri"`) {
			return 90
		}
		return 0
	},
}, newProtonAuthenticatorReader, newProtonAuthenticatorWriter)

func newProtonAuthenticatorReader(f *seedfile.Format, in io.Reader, _ seedfile.ReadOptions) (seedfile.Reader, error) {
	file, err := readJSON(in, f.Name)
	if err != nil {
		return nil, err
	}
	list := member(file, "entries")
	if list == nil {
		clear(file)
		return nil, wrongFormat(f, "it has no entries; one that is encrypted can't be read")
	}
	return &reader{queue: queue{format: f}, file: file, next: array(list), parse: parseProtonAuthenticator}, nil
}

func parseProtonAuthenticator(text []byte, add func(*seedfile.Token, error)) {
	var e struct {
		Content struct {
			URI  secret
			Name string
		}
	}
	err := decode(text, &e)
	defer func() { clear(e.Content.URI) }()
	if err != nil {
		add(&seedfile.Token{Account: e.Content.Name}, err)
		return
	}
	add(parseTOTP(e.Content.URI, "", e.Content.Name))
}

func newProtonAuthenticatorWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	if _, err := lockOf(f, o); err != nil {
		return nil, err
	}
	return &writer{format: f, out: out, drop: o.Drop, head: `{"version":1,"entries":[` + "\n", separator: ",\n",
		tail: "\n]}\n", entry: func(out []byte, n int, t *seedfile.Token) ([]byte, error) {
			out = append(append(out, `{"id":"`...), entryID(n, t)...)
			out, err := appendURI(out, `","content":{"uri":`, f.Name, t)
			out = appendText(append(out, `,"entry_type":"Totp","name":`...), firstOf(t.Account, t.Issuer))
			return append(out, `},"note":null}`...), err
		}}, nil
}

// ProtonPass is the export of Proton Pass without encryption: a ZIP file, or the data.json in it. It can't be written,
// since an item of Proton Pass is more than a token.
var ProtonPass = complete(&seedfile.Format{
	Name:      "proton-pass",
	Title:     "Proton Pass, export without encryption",
	Extension: ".zip",
	Source:    "Proton Pass, data.json of an export",
	Carries:   totpCarries,
	Reads:     seedfile.Plain,
	Detect: func(head []byte) int {
		if bytes.HasPrefix(head, zipMagic) && bytes.Contains(head, []byte("Proton Pass/")) {
			return 95
		}
		if begins(head, '{', `"vaults"`) {
			return 80
		}
		return 0
	},
}, newProtonPassReader, nil)

var zipMagic = []byte("PK\x03\x04")

func newProtonPassReader(f *seedfile.Format, in io.Reader, _ seedfile.ReadOptions) (seedfile.Reader, error) {
	file, err := readFile(in, f.Name)
	if err != nil {
		return nil, err
	}
	r := &reader{queue: queue{format: f}, file: file, parse: parseProtonPass}
	if bytes.HasPrefix(file, zipMagic) {
		defer clear(file)
		r.hidden = true
		if r.file, err = unzip(f, file); err != nil {
			return nil, err
		}
	}
	if err := checkJSON(r.file, f.Name); err != nil {
		r.Close()
		return nil, err
	}
	vaults := member(r.file, "vaults")
	if vaults == nil || vaults[0] != '{' {
		r.Close()
		return nil, wrongFormat(f, "it has no vaults")
	}
	r.next = protonItems(vaults)
	return r, nil
}

// unzip gives the data.json of an archive.
func unzip(f *seedfile.Format, file []byte) ([]byte, error) {
	archive, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		return nil, wrongFormat(f, "it is no ZIP file")
	}
	for _, one := range archive.File {
		switch path.Base(one.Name) {
		case "data.json":
			data, err := one.Open()
			if err != nil {
				return nil, wrongFormat(f, "its data.json can't be unpacked")
			}
			defer data.Close()
			return readFile(data, f.Name)
		case "data.pgp":
			return nil, wrongFormat(f, "it is encrypted with PGP: decrypt its data.pgp first")
		}
	}
	return nil, wrongFormat(f, "it has no data.json")
}

// protonItems gives the items of all vaults, one after the other.
func protonItems(vaults []byte) func() []byte {
	rest := vaults[1:]
	items := func() []byte { return nil }
	return func() []byte {
		for {
			if item := items(); item != nil {
				return item
			}
			var key, vault []byte
			if key, vault, rest = cutMember(rest); key == nil {
				return nil
			}
			items = array(member(vault, "items"))
		}
	}
}

// parseProtonPass adds the token of a login, and those of fields that people have added to an item.
func parseProtonPass(text []byte, add func(*seedfile.Token, error)) {
	var e struct {
		Data struct {
			Metadata struct{ Name string }
			Content  struct {
				ItemUsername, ItemEmail string
				TOTPURI                 secret
			}
			ExtraFields []struct {
				Data struct{ TOTPURI secret }
			}
		}
	}
	err := decode(text, &e)
	d := &e.Data
	issuer, account := d.Metadata.Name, firstOf(d.Content.ItemUsername, d.Content.ItemEmail)
	uris := []secret{d.Content.TOTPURI}
	for _, field := range d.ExtraFields {
		uris = append(uris, field.Data.TOTPURI)
	}
	if err != nil {
		add(&seedfile.Token{Issuer: issuer, Account: account}, err)
	}
	for _, uri := range uris {
		if err == nil && len(uri) > 0 {
			add(parseTOTP(uri, issuer, account))
		}
		clear(uri)
	}
}
