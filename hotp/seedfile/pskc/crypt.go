package pskc

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash"
	"strings"
	"unsafe"

	"fob/hotp"
)

// Errors of what encrypts a file.
var (
	// ErrNoMAC is that of a value that is encrypted by CBC and has no ValueMAC, or of one in a file without MACMethod
	// (RFC 6030 §6.1.1). With the setting mac=optional it is read.
	ErrNoMAC = errors.New("its seed is encrypted, but no MAC protects it; the setting mac=optional does without")
	// ErrCertificate is that of a file whose key is encrypted to a certificate (RFC 6030 §6.3).
	ErrCertificate = errors.New("the file is encrypted to a certificate, which is not supported")
	errPadding     = errors.New("its encrypted value has a bad length or padding")
)

// AlgorithmError says that a file has an algorithm that is not supported.
type AlgorithmError struct {
	Use       string // "encryption", "MAC", "key derivation"
	Algorithm string // its URI
}

func (e *AlgorithmError) Error() string {
	if e.Algorithm == "" {
		return "no " + e.Use + " algorithm is named"
	}
	return e.Use + " algorithm " + quote([]byte(e.Algorithm)) + " is not supported"
}

// mode is the way in which a cipher encrypts.
type mode uint8

const (
	cbc  mode = iota
	wrap      // AES key wrap (RFC 3394, RFC 5649): it authenticates what it encrypts
)

// encryption is an algorithm of XML Encryption.
type encryption struct {
	name    string // behind the # of its URI
	mode    mode
	keySize int // bytes
	block   func(key []byte) (cipher.Block, error)
}

var encryptions = [...]encryption{
	{"aes128-cbc", cbc, 16, aes.NewCipher},
	{"aes192-cbc", cbc, 24, aes.NewCipher},
	{"aes256-cbc", cbc, 32, aes.NewCipher},
	{"tripledes-cbc", cbc, 24, des.NewTripleDESCipher},
	{"kw-aes128", wrap, 16, aes.NewCipher},
	{"kw-aes192", wrap, 24, aes.NewCipher},
	{"kw-aes256", wrap, 32, aes.NewCipher},
}

// fragment gives what stands behind the # of a URI; files of drafts have that alone.
func fragment(uri []byte) []byte {
	for i, c := range uri {
		if c == '#' {
			return uri[i+1:]
		}
	}
	return uri
}

// encryptionOf gives the number of an algorithm in encryptions, from 1 on, or 0.
func encryptionOf(uri []byte) uint8 {
	name := fragment(uri)
	for i := range encryptions {
		if encryptions[i].name == string(name) {
			return uint8(i + 1)
		}
	}
	return 0
}

// hashes are those of HMAC, by the names that follow "hmac-".
var hashes = map[string]func() hash.Hash{
	"sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New}

// hashOf gives the hash function of an algorithm such as http://www.w3.org/2000/09/xmldsig#hmac-sha1, or nil.
func hashOf(uri string) func() hash.Hash {
	name := strings.ToLower(string(fragment([]byte(uri))))
	if name, ok := strings.CutPrefix(name, "hmac-"); ok {
		return hashes[strings.Replace(name, "sha-", "sha", 1)]
	}
	return nil
}

// What PBKDF2 may be told. A file that asks for more would keep its reader busy for minutes.
const (
	maxIterations = 10_000_000
	maxSalt       = 1024 // bytes
)

// derivation is how a passphrase becomes the key (RFC 6030 §6.2).
type derivation struct {
	salt       []byte
	iterations int
	keySize    int
	prf        func() hash.Hash
}

func (d *derivation) key(passphrase []byte) ([]byte, error) {
	if len(passphrase) == 0 {
		return nil, errKeySize
	}
	text := unsafe.String(&passphrase[0], len(passphrase)) // a string could not be wiped
	return pbkdf2.Key(d.prf, text, d.salt, d.iterations, d.keySize)
}

// keys are what opens the values of a file.
type keys struct {
	main   []byte
	blocks [len(encryptions)]cipher.Block // those that fit the main key
	mac    []byte
	macOf  func() hash.Hash // nil: the file has no MACMethod
	// certain says that the main key is that of the file, so that MACs which are wrong are those of changed values.
	certain bool
}

func newKeys(main []byte) (*keys, error) {
	k := &keys{main: main}
	for i, e := range encryptions {
		if e.keySize != len(main) {
			continue
		}
		block, err := e.block(main)
		if err != nil {
			return nil, err
		}
		k.blocks[i] = block
	}
	return k, nil
}

func (k *keys) wipe() {
	if k != nil {
		clear(k.main)
		clear(k.mac)
	}
}

// opener opens values, one after the other.
type opener struct {
	*keys
	hmac hash.Hash // nil: as macOf
	sum  []byte
}

func newOpener(k *keys) *opener {
	o := &opener{keys: k}
	if k != nil && k.macOf != nil {
		o.hmac = hmac.New(k.macOf, k.mac)
	}
	return o
}

// verify tells whether a MAC is that of what was encrypted.
func (o *opener) verify(encrypted, mac []byte) bool {
	o.hmac.Reset()
	o.hmac.Write(encrypted)
	o.sum = o.hmac.Sum(o.sum[:0])
	return subtle.ConstantTimeCompare(o.sum, mac) == 1
}

var errKeySize = errors.New("the key has not the length that the algorithm wants")

// decrypt decrypts a value in place. With strict, padding must be that of PKCS #7; XML Encryption (§5.2) wants no more
// of it than its last byte.
func (k *keys) decrypt(algorithm uint8, encrypted []byte, strict bool) ([]byte, error) {
	e := encryptions[algorithm-1]
	block := k.blocks[algorithm-1]
	if block == nil {
		return nil, errKeySize
	}
	if e.mode == wrap {
		return unwrap(block, encrypted)
	}
	size := block.BlockSize()
	if len(encrypted) < 2*size || len(encrypted)%size != 0 {
		return nil, errPadding
	}
	iv, text := encrypted[:size], encrypted[size:]
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(text, text)
	n := int(text[len(text)-1])
	if n < 1 || n > size || strict && !padded(text[len(text)-n:], byte(n)) {
		return nil, errPadding
	}
	return text[:len(text)-n], nil
}

func padded(padding []byte, n byte) bool {
	for _, c := range padding {
		if c != n {
			return false
		}
	}
	return true
}

// errUnwrap says that a wrapped key was changed, or wrapped by another.
var errUnwrap = errors.New("its wrapped value is not of this key")

// unwrap undoes AES key wrap in place, with padding (RFC 5649) or without (RFC 3394).
func unwrap(block cipher.Block, wrapped []byte) ([]byte, error) {
	n := len(wrapped)/8 - 1
	if len(wrapped)%8 != 0 || n < 1 || n > 64 {
		return nil, errUnwrap
	}
	var b [16]byte
	defer clear(b[:])
	if n == 1 {
		block.Decrypt(wrapped, wrapped)
	} else {
		for t := 6 * n; t > 0; t-- {
			r := wrapped[8+(t-1)%n*8:][:8]
			copy(b[:8], wrapped)
			copy(b[8:], r)
			binary.BigEndian.PutUint64(b[:], binary.BigEndian.Uint64(b[:])^uint64(t))
			block.Decrypt(b[:], b[:])
			copy(wrapped, b[:8])
			copy(r, b[8:])
		}
	}
	return unwrapped(wrapped, n)
}

// unwrapped checks the initial value that came out, and takes the padding off.
func unwrapped(b []byte, n int) ([]byte, error) {
	const plain, withPadding = 0xA6A6A6A6A6A6A6A6, 0xA65959A6
	iv, text := binary.BigEndian.Uint64(b), b[8:]
	if iv == plain && n > 1 {
		return text, nil
	}
	length := int(uint32(iv))
	if iv>>32 != withPadding || length <= 8*(n-1) || length > 8*n || !padded(text[length:], 0) {
		return nil, errUnwrap
	}
	return text[:length], nil
}

// encryptor encrypts values, one after the other, with a MAC each.
type encryptor struct {
	block cipher.Block
	hmac  hash.Hash
}

// appendEncrypted appends the initialization vector and what the plain text is encrypted to, by CBC with the padding of
// PKCS #7. Nothing of the plain text stays behind.
func (e *encryptor) appendEncrypted(out, iv []byte, plain hotp.Seed) []byte {
	out = append(out, iv...)
	from := len(out)
	out = append(out, plain...)
	n := aes.BlockSize - len(plain)%aes.BlockSize
	for range n {
		out = append(out, byte(n))
	}
	cipher.NewCBCEncrypter(e.block, iv).CryptBlocks(out[from:], out[from:])
	return out
}

func (e *encryptor) appendMAC(out, encrypted []byte) []byte {
	e.hmac.Reset()
	e.hmac.Write(encrypted)
	return e.hmac.Sum(out)
}
