package store

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"

	"fob/fido"
)

// What is on the disk of a record: its place, a hash by which nobody without the data key knows the record's name, and
// its box, XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) of bucket, name and value with the place as associated data. A
// box in another place does not open.
const (
	bucketPrefix = 8 // bytes of a place that the records of a bucket have in common
	placeSize    = 32
	sumSize      = sha256.Size
)

// keys are what is made of the data key, one for each purpose.
type keys struct {
	boxes       cipher.AEAD
	places, sum fido.Secret
}

func newKeys(data fido.Secret) (*keys, error) {
	var made [3]fido.Secret
	for i, purpose := range []string{"boxes", "places", "summary"} {
		k, err := hkdf.Expand(sha256.New, data, "fob store 1: "+purpose, chacha20poly1305.KeySize)
		if err != nil {
			return nil, err
		}
		made[i] = k
	}
	defer made[0].Wipe()
	boxes, err := chacha20poly1305.NewX(made[0])
	return &keys{boxes, made[1], made[2]}, err
}

func (k *keys) wipe() {
	k.places.Wipe()
	k.sum.Wipe()
}

func (k *keys) mac(key fido.Secret, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, p := range parts {
		h.Write(binary.AppendUvarint(nil, uint64(len(p))))
		h.Write(p)
	}
	return h.Sum(nil)
}

// prefix is what the places of a bucket's records begin with.
func (k *keys) prefix(b Bucket) []byte {
	return k.mac(k.places, []byte(b))[:bucketPrefix]
}

// place is where a record lies.
func (k *keys) place(b Bucket, name string) []byte {
	hash := k.mac(k.places, []byte(b), []byte(name))
	return append(k.prefix(b), hash[:placeSize-bucketPrefix]...)
}

// Record is what the store keeps.
type Record struct {
	Bucket Bucket
	Name   string
	Value  fido.Secret
}

// seal makes the box of a record.
func (k *keys) seal(r Record, place []byte) []byte {
	plain := make([]byte, 0, 2*binary.MaxVarintLen16+len(r.Bucket)+len(r.Name)+len(r.Value))
	defer func() { clear(plain) }()
	for _, text := range []string{string(r.Bucket), r.Name} {
		plain = append(binary.AppendUvarint(plain, uint64(len(text))), text...)
	}
	plain = append(plain, r.Value...)
	return k.box(plain, associated(place))
}

func (k *keys) box(plain, associated []byte) []byte {
	box := make([]byte, chacha20poly1305.NonceSizeX, chacha20poly1305.NonceSizeX+len(plain)+chacha20poly1305.Overhead)
	rand.Read(box)
	return k.boxes.Seal(box, box, plain, associated)
}

var errBox = errors.New("box does not open")

func (k *keys) unbox(box, associated []byte) ([]byte, error) {
	if len(box) < chacha20poly1305.NonceSizeX {
		return nil, errBox
	}
	nonce, box := box[:chacha20poly1305.NonceSizeX], box[chacha20poly1305.NonceSizeX:]
	return k.boxes.Open(nil, nonce, box, associated)
}

// open reverses seal. The caller wipes plain, which the value is a part of.
func (k *keys) open(place, box []byte) (r Record, plain fido.Secret, err error) {
	if plain, err = k.unbox(box, associated(place)); err != nil {
		return Record{}, nil, errBox
	}
	bucket, rest, ok := cutText(plain)
	name, value, ok2 := cutText(rest)
	r = Record{Bucket(bucket), name, value[:len(value):len(value)]}
	if !ok || !ok2 || !bytes.Equal(k.place(r.Bucket, r.Name), place) {
		plain.Wipe()
		return Record{}, nil, errBox
	}
	return r, plain, nil
}

// cutText cuts a text off that its length comes before.
func cutText(b []byte) (text string, rest []byte, ok bool) {
	n, read := binary.Uvarint(b)
	if read <= 0 || n > uint64(len(b)-read) {
		return "", nil, false
	}
	end := read + int(n)
	return string(b[read:end]), b[end:], true
}

func associated(place []byte) []byte { return append([]byte("record "), place...) }

// summary says which records there are, in a few bytes that one change brings up to date: how many, how large they are,
// and the sum, by exclusive or, of their hashes under a key (MSet-XOR-Hash of Clarke et al., Asiacrypt 2003). It is kept
// in a box too.
type summary struct {
	count, size uint64
	sum         [sumSize]byte
}

// add puts a record in.
func (s *summary) add(k *keys, place, box []byte) {
	s.count++
	s.size += uint64(len(box))
	subtle.XORBytes(s.sum[:], s.sum[:], k.mac(k.sum, place, box))
}

// remove reverses add.
func (s *summary) remove(k *keys, place, box []byte) {
	s.count--
	s.size -= uint64(len(box))
	subtle.XORBytes(s.sum[:], s.sum[:], k.mac(k.sum, place, box))
}

// associatedSummary binds a summary to the schema, so that nobody turns the version back.
var associatedSummary = []byte("summary of version " + version)

func (s *summary) seal(k *keys) []byte {
	plain := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, s.count), s.size)
	return k.box(append(plain, s.sum[:]...), associatedSummary)
}

func openSummary(k *keys, box []byte) (s summary, err error) {
	plain, err := k.unbox(box, associatedSummary)
	if err != nil || len(plain) != 16+sumSize {
		return summary{}, errBox
	}
	s.count, s.size = binary.BigEndian.Uint64(plain), binary.BigEndian.Uint64(plain[8:])
	copy(s.sum[:], plain[16:])
	return s, nil
}
