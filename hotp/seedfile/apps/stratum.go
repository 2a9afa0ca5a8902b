package apps

import (
	"bytes"
	"io"

	"golang.org/x/crypto/argon2"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Stratum is the backup of Stratum, which was Authenticator Pro.
var Stratum = complete(&seedfile.Format{
	Name:      "stratum",
	Title:     "Stratum (Authenticator Pro), backup",
	Extension: ".stratum",
	Source:    "Stratum, doc/BACKUP_FORMAT.md",
	Carries: seedfile.Capacity{Kinds: carries.Kinds, Algorithms: carries.Algorithms, Fields: carries.Fields,
		Needs: seedfile.FieldIssuer},
	Reads:  seedfile.Plain | seedfile.Passphrase,
	Writes: seedfile.Plain | seedfile.Passphrase,
	Detect: func(head []byte) int {
		switch {
		case bytes.HasPrefix(head, []byte(stratumMagic)), bytes.HasPrefix(head, []byte(oldStratumMagic)):
			return 100
		case begins(head, '{', `"Authenticators"`):
			return 95
		}
		return 0
	},
}, newStratumReader, newStratumWriter)

// How Stratum encrypts: the magic, salt, nonce, and what AES-256-GCM gives. The key comes from Argon2id.
const (
	stratumMagic    = "AUTHENTICATORPRO"
	oldStratumMagic = "AuthenticatorPro" // AES-CBC, which does not show changes
	stratumSalt     = 16                 // bytes
	stratumHeader   = len(stratumMagic) + stratumSalt + nonceSize
	stratumTime     = 3
	stratumMemory   = 64 << 10 // KiB
	stratumThreads  = 4
)

func stratumKey(passphrase, salt []byte) []byte {
	return argon2.IDKey(passphrase, salt, stratumTime, stratumMemory, stratumThreads, keySize)
}

// Numbers of types and algorithms.
var (
	stratumTypes      = []string{1: "hotp", 2: "totp", 3: "mOTP", 4: "steam", 5: "Yandex"}
	stratumAlgorithms = []string{"SHA1", "SHA256", "SHA512"}
)

func newStratumReader(f *seedfile.Format, in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) {
	file, err := readFile(in, f.Name)
	if err != nil {
		return nil, err
	}
	r := &reader{queue: queue{format: f}, file: file, parse: parseStratum}
	switch {
	case bytes.HasPrefix(file, []byte(oldStratumMagic)):
		return nil, wrongFormat(f, "it is encrypted as old versions of the app did: make a new backup with a newer one")
	case bytes.HasPrefix(file, []byte(stratumMagic)):
		r.hidden = true
		if r.file, err = openStratum(f, file, o); err != nil {
			return nil, err
		}
	}
	if err := checkJSON(r.file, f.Name); err != nil {
		r.Close()
		return nil, err
	}
	list := member(r.file, "Authenticators")
	if list == nil {
		r.Close()
		return nil, wrongFormat(f, "it has no Authenticators")
	}
	r.next = array(list)
	return r, nil
}

func openStratum(f *seedfile.Format, file []byte, o seedfile.ReadOptions) ([]byte, error) {
	if len(file) < stratumHeader+tagSize {
		return nil, wrongFormat(f, "it ends too early")
	}
	salt, nonce := file[len(stratumMagic):stratumHeader-nonceSize], file[stratumHeader-nonceSize:stratumHeader]
	return unlock(o, func(passphrase []byte) ([]byte, error) {
		return open(stratumKey(passphrase, salt), nonce, file[stratumHeader:])
	})
}

func parseStratum(text []byte, add func(*seedfile.Token, error)) {
	var e struct {
		Type, Algorithm  uint
		Issuer, Username string
		Secret           secret
		Digits, Period   int
		Counter          uint64
	}
	err := decode(text, &e)
	t := &seedfile.Token{Account: e.Username, Issuer: e.Issuer}
	parts := entry{kind: nameOf(stratumTypes, e.Type), algorithm: nameOf(stratumAlgorithms, e.Algorithm), digits: e.Digits,
		period: e.Period, counter: e.Counter, secret: e.Secret}
	if err == nil {
		err = parts.fill(t)
	}
	clear(e.Secret)
	add(t, err)
}

// nameOf gives the name of a number; none where there is none.
func nameOf(names []string, n uint) string {
	if n >= uint(len(names)) {
		return ""
	}
	return names[n]
}

func newStratumWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	lock, err := lockOf(f, o)
	if err != nil {
		return nil, err
	}
	w := &writer{format: f, out: out, drop: o.Drop, entry: appendStratum, head: `{"Authenticators":[` + "\n",
		separator: ",\n", tail: "\n" + `],"Categories":[],"AuthenticatorCategories":[],"CustomIcons":[]}` + "\n"}
	if lock == seedfile.Passphrase {
		w.seal, w.passphrase = sealStratum, bytes.Clone(o.Secret)
	}
	return w, nil
}

func appendStratum(out []byte, n int, t *seedfile.Token) ([]byte, error) {
	kind, period := uint64(2), t.Period
	if t.Type == hotp.HOTP {
		kind, period = 1, hotp.DefaultTOTP.Period // the app has it in all tokens
	}
	out = appendNumber(out, `{"Type":`, kind)
	out = appendText(append(out, `,"Icon":null,"Issuer":`...), t.Issuer)
	out = appendText(append(out, `,"Username":`...), t.Account)
	out = appendSeed(out, `,"Secret":`, t.Seed)
	out = appendNumber(out, `,"Pin":null,"Algorithm":`, uint64(t.Algorithm-hotp.SHA1))
	out = appendNumber(out, `,"Digits":`, uint64(t.Digits))
	out = appendNumber(out, `,"Period":`, uint64(period))
	out = appendNumber(out, `,"Counter":`, t.Counter)
	return append(appendNumber(out, `,"CopyCount":0,"Ranking":`, uint64(n)), '}'), nil
}

func sealStratum(plain, passphrase []byte) ([]byte, error) {
	salt := random(stratumSalt)
	nonce, sealed := seal(stratumKey(passphrase, salt), plain)
	return append(append(append([]byte(stratumMagic), salt...), nonce...), sealed...), nil
}
