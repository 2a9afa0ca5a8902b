package apps

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"

	"golang.org/x/crypto/argon2"

	"fob/hotp/otpauth"
	"fob/hotp/seedfile"
)

// Ente is the export of Ente Auth: otpauth URIs, one a line, each with a codeDisplay that tells how the app shows it,
// as plain text or encrypted. Tokens in the app's trash are among them.
var Ente = complete(&seedfile.Format{
	Name:      "ente",
	Title:     "Ente Auth, export",
	Extension: ".txt",
	Source:    "Ente, docs/auth/migration/export.md",
	Carries:   otpauth.Carries,
	Reads:     seedfile.Plain | seedfile.Passphrase,
	Writes:    seedfile.Plain | seedfile.Passphrase,
	Detect: func(head []byte) int {
		switch {
		case beginsFold(head, "otpauth://") && bytes.Contains(head, []byte("codeDisplay=")):
			return 95
		case begins(head, '{', `"kdfParams"`):
			return 95
		}
		return 0
	},
}, newEnteReader, newEnteWriter)

// How Ente encrypts: the key comes from Argon2id with one thread, what it encrypts is one message of libsodium's
// secretstream. The app asks for as much memory as the phone gives, and for the more time the less that is, so that
// both multiplied are 4 GiB at most.
const (
	enteSalt      = 16       // bytes
	enteMemory    = 64 << 20 // bytes
	enteTime      = 3
	maxEnteMemory = 1 << 30
	maxEnteCost   = 4 << 30
)

// enteFile is an encrypted export.
type enteFile struct {
	Version   int
	KDFParams struct {
		MemLimit, OpsLimit uint64
		Salt               []byte
	}
	EncryptedData, EncryptionNonce []byte
}

func newEnteReader(f *seedfile.Format, in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) {
	r := newList(f, in)
	if first, _ := r.in.Peek(1); string(first) != "{" {
		return r, nil
	}
	file, err := readJSON(r.in, f.Name)
	if err != nil {
		return nil, err
	}
	var e enteFile
	if err := decode(file, &e); err != nil {
		return nil, wrongFormat(f, err.Error())
	}
	if err := e.check(f); err != nil {
		return nil, err
	}
	plain, err := unlock(o, e.open)
	if err != nil {
		return nil, err
	}
	r = newList(f, bytes.NewReader(plain))
	r.plain = plain
	return r, nil
}

// check bounds what a file costs.
func (e *enteFile) check(f *seedfile.Format) error {
	k := &e.KDFParams
	switch {
	case e.Version != 1:
		return wrongFormat(f, fmt.Sprintf("its version is %d, and not 1", e.Version))
	case k.OpsLimit < 1 || k.MemLimit < 8<<10 || len(k.Salt) != enteSalt:
		return wrongFormat(f, "the parameters of Argon2id are wrong")
	case k.MemLimit > maxEnteMemory || k.OpsLimit > maxEnteCost/k.MemLimit:
		return wrongFormat(f, "it wants too much of Argon2id")
	case len(e.EncryptionNonce) != streamHeader || len(e.EncryptedData) < streamOverhead:
		return wrongFormat(f, "what is encrypted is too short")
	}
	return nil
}

func (e *enteFile) open(passphrase []byte) ([]byte, error) {
	k := &e.KDFParams
	key := argon2.IDKey(passphrase, k.Salt, uint32(k.OpsLimit), uint32(k.MemLimit>>10), 1, keySize)
	defer clear(key)
	return openStream(key, e.EncryptionNonce, e.EncryptedData)
}

// enteDisplay is how Ente shows a token that nobody has touched: a URI has it in its query, as JSON.
const enteDisplay = "&codeDisplay=%7B%22pinned%22%3Afalse%2C%22trashed%22%3Afalse%2C%22lastUsedAt%22%3A0%2C" +
	"%22tapCount%22%3A0%2C%22tags%22%3A%5B%5D%7D"

func newEnteWriter(f *seedfile.Format, out io.Writer, o seedfile.WriteOptions) (seedfile.Writer, error) {
	lock, err := lockOf(f, o)
	if err != nil {
		return nil, err
	}
	w := newLineWriter(f, out, o, enteDisplay)
	if lock == seedfile.Passphrase {
		w.seal, w.passphrase = sealEnte, bytes.Clone(o.Secret)
	}
	return w, nil
}

func sealEnte(plain, passphrase []byte) ([]byte, error) {
	salt, header := random(enteSalt), random(streamHeader)
	key := argon2.IDKey(passphrase, salt, enteTime, enteMemory>>10, 1, keySize)
	defer clear(key)
	sealed, err := sealStream(key, header, plain)
	text := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `{"version":1,"kdfParams":{"memLimit":%d,"opsLimit":%d,"salt":"%s"},"encryptedData":"%s",`+
		`"encryptionNonce":"%s"}`+"\n", enteMemory, enteTime, text(salt), text(sealed), text(header)), err
}
