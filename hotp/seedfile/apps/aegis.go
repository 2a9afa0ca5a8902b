package apps

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/crypto/scrypt"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Aegis is the vault of Aegis Authenticator.
var Aegis = complete(&seedfile.Format{
	Name:      "aegis",
	Title:     "Aegis Authenticator, vault",
	Extension: ".json",
	Source:    "Aegis, docs/vault.md",
	Carries:   carries,
	Reads:     seedfile.Plain | seedfile.Passphrase,
	Writes:    seedfile.Plain | seedfile.Passphrase,
	Detect: func(head []byte) int {
		if begins(head, '{', `"header"`, `"slots"`) {
			return 95
		}
		return 0
	},
}, newAegisReader, newAegisWriter)

// Cost of scrypt in vaults that are written, as Aegis has it, and how much a vault may ask for: 128 MiB.
const (
	aegisN, aegisR, aegisP = 1 << 15, 8, 1
	maxAegisMemory         = 128 << 20
	maxAegisP              = 4
	maxAegisSlots          = 16 // with passphrases
)

// aegisSlot is a slot of the header: the key of the vault, encrypted.
type aegisSlot struct {
	Type      int
	Key       hexBytes
	KeyParams aegisParams `json:"key_params"`
	N, R, P   int
	Salt      hexBytes
}

type aegisParams struct{ Nonce, Tag hexBytes }

const aegisPassphrase = 1 // the type of slot

// hexBytes are bytes in hexadecimal digits.
type hexBytes []byte

// UnmarshalText decodes the digits.
func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func newAegisReader(f *seedfile.Format, in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) {
	file, err := readJSON(in, f.Name)
	if err != nil {
		return nil, err
	}
	r := &reader{queue: queue{format: f}, file: file, parse: parseAegis}
	db := member(file, "db")
	if len(db) > 0 && db[0] == '"' {
		defer clear(file)
		r.hidden = true
		if db, err = openAegis(f, file, db, o); err != nil {
			return nil, err
		}
		r.file = db
	}
	list := member(db, "entries")
	if list == nil {
		r.Close()
		return nil, wrongFormat(f, "it has no db.entries")
	}
	r.next = array(list)
	return r, nil
}

// openAegis decrypts the db of a vault.
func openAegis(f *seedfile.Format, file, db []byte, o seedfile.ReadOptions) ([]byte, error) {
	var header struct {
		Slots  []aegisSlot
		Params aegisParams
	}
	if err := decode(member(file, "header"), &header); err != nil {
		return nil, wrongFormat(f, "the header "+err.Error())
	}
	slots := slices.DeleteFunc(header.Slots, func(s aegisSlot) bool { return s.Type != aegisPassphrase })
	if len(slots) == 0 || len(slots) > maxAegisSlots {
		return nil, wrongFormat(f, fmt.Sprintf("it has %d passphrases, and not 1 to %d", len(slots), maxAegisSlots))
	}
	for _, s := range slots {
		if err := s.check(f); err != nil {
			return nil, err
		}
	}
	sealed, err := base64.StdEncoding.DecodeString(string(unquote(db)))
	if err != nil {
		return nil, wrongFormat(f, "the db is no Base64")
	}
	sealed = append(sealed, header.Params.Tag...)
	plain, err := unlock(o, func(passphrase []byte) ([]byte, error) {
		for _, s := range slots {
			if key, err := s.open(passphrase); err == nil {
				return open(key, header.Params.Nonce, sealed)
			}
		}
		return nil, seedfile.ErrWrongKey
	})
	if err != nil {
		return nil, err
	}
	if err := checkJSON(plain, f.Name); err != nil {
		clear(plain)
		return nil, err
	}
	return plain, nil
}

// check bounds what a slot costs.
func (s *aegisSlot) check(f *seedfile.Format) error {
	switch {
	case s.N < 2 || s.N&(s.N-1) != 0 || s.R < 1 || s.P < 1:
		return wrongFormat(f, "the parameters of scrypt are wrong")
	case s.P > maxAegisP || s.R > maxAegisMemory/128 || s.N > maxAegisMemory/128/s.R:
		return wrongFormat(f, "it wants too much of scrypt")
	case len(s.Key) != keySize:
		return wrongFormat(f, "the key of a slot is too short or too long")
	}
	return nil
}

// open gives the key of the vault.
func (s *aegisSlot) open(passphrase []byte) ([]byte, error) {
	key, err := scrypt.Key(passphrase, s.Salt, s.N, s.R, s.P, keySize)
	if err != nil {
		return nil, err
	}
	return open(key, s.KeyParams.Nonce, slices.Concat(s.Key, s.KeyParams.Tag))
}

func parseAegis(text []byte, add func(*seedfile.Token, error)) {
	var e struct {
		Type, Name, Issuer string
		Info               struct {
			Secret         secret
			Algo           string
			Digits, Period int
			Counter        uint64
		}
	}
	err := decode(text, &e)
	t := &seedfile.Token{Account: e.Name, Issuer: e.Issuer}
	i := &e.Info
	parts := entry{kind: e.Type, algorithm: i.Algo, digits: i.Digits, period: i.Period,
		counter: i.Counter, secret: i.Secret}
	if err == nil {
		err = parts.fill(t)
	}
	clear(i.Secret)
	add(t, err)
}

func newAegisWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	lock, err := lockOf(f, o)
	if err != nil {
		return nil, err
	}
	const db = `{"version":3,"entries":[` + "\n"
	w := &writer{format: f, out: out, drop: o.Drop, entry: appendAegis,
		head: `{"version":1,"header":{"slots":null,"params":null},"db":` + db, separator: ",\n",
		tail: "\n" + `],"groups":[]}}` + "\n"}
	if lock == seedfile.Passphrase {
		w.head, w.tail = db, "\n"+`],"groups":[]}`
		w.seal, w.passphrase = sealAegis, bytes.Clone(o.Secret)
	}
	return w, nil
}

func appendAegis(out []byte, n int, t *seedfile.Token) ([]byte, error) {
	out = append(append(out, `{"type":"`...), t.Type.String()...)
	out = append(append(out, `","uuid":"`...), entryID(n, t)...)
	out = appendText(append(out, `","name":`...), t.Account)
	out = appendText(append(out, `,"issuer":`...), t.Issuer)
	out = appendSeed(out, `,"note":"","favorite":false,"icon":null,"info":{"secret":`, t.Seed)
	out = append(append(out, `,"algo":"`...), t.Algorithm.String()...)
	out = appendNumber(out, `","digits":`, uint64(t.Digits))
	if t.Type == hotp.HOTP {
		out = appendNumber(out, `,"counter":`, t.Counter)
	} else {
		out = appendNumber(out, `,"period":`, uint64(t.Period))
	}
	return append(out, `},"groups":[]}`...), nil
}

// sealAegis encrypts a db with a random key, and that with a passphrase.
func sealAegis(plain, passphrase []byte) ([]byte, error) {
	salt, vaultKey := random(keySize), random(keySize)
	wrapping, err := scrypt.Key(passphrase, salt, aegisN, aegisR, aegisP, keySize)
	if err != nil {
		return nil, err
	}
	keyNonce, key := seal(wrapping, vaultKey)
	nonce, db := seal(vaultKey, plain)
	body, tag := db[:len(db)-tagSize], db[len(db)-tagSize:]
	id := hex.EncodeToString(random(16))
	return fmt.Appendf(nil, `{"version":1,"header":{"slots":[{"type":1,"uuid":"%s","key":"%x",`+
		`"key_params":{"nonce":"%x","tag":"%x"},"n":%d,"r":%d,"p":%d,"salt":"%x","repaired":true,"is_backup":false}],`+
		`"params":{"nonce":"%x","tag":"%x"}},"db":"%s"}`+"\n",
		strings.Join([]string{id[:8], id[8:12], "4" + id[13:16], "8" + id[17:20], id[20:]}, "-"),
		key[:keySize], keyNonce, key[keySize:], aegisN, aegisR, aegisP, salt,
		nonce, tag, base64.StdEncoding.EncodeToString(body)), nil
}
