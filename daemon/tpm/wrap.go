package tpm

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/google/go-tpm/tpm2"

	"fob/fido"
	"fob/hotp"
)

// Wrapped is a key of HMAC that somebody without the TPM has encrypted to its storage root key (part 1, "Outer
// Duplication Wrapper"). It is not secret, and says nothing of who has made it: whoever has the public key can.
type Wrapped struct {
	Parent    []byte // the name of the storage root key
	Public    []byte // TPMT_PUBLIC
	Duplicate []byte // of TPM2B_PRIVATE
	Seed      []byte // of TPM2B_ENCRYPTED_SECRET
}

const wrappedVersion = 1

// MaxWrapped is the most that a Wrapped has when it is encoded, in bytes.
const MaxWrapped = 1 + 4*(2+maxPart)

// Encode gives w as bytes.
func (w *Wrapped) Encode() []byte {
	b := []byte{wrappedVersion}
	for _, part := range [][]byte{w.Parent, w.Public, w.Duplicate, w.Seed} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(part))), part...)
	}
	return b
}

// ParseWrapped reverses Encode. The error is ErrInvalid.
func ParseWrapped(b []byte) (*Wrapped, error) {
	if len(b) == 0 || len(b) > MaxWrapped || b[0] != wrappedVersion {
		return nil, ErrInvalid
	}
	parts, err := cut(b[1:], 4)
	if err != nil {
		return nil, err
	}
	for _, part := range parts {
		if len(part) == 0 {
			return nil, ErrInvalid
		}
	}
	if _, err := parsePublic(parts[1]); err != nil {
		return nil, err
	}
	return &Wrapped{parts[0], parts[1], parts[2], parts[3]}, nil
}

// Wrap encrypts a seed, which stays the caller's, so that the TPM of the storage root key alone can use it, as a key of
// HMAC. It needs no TPM.
func (k *SRK) Wrap(a hotp.Algorithm, seed hotp.Seed) (*Wrapped, error) {
	key, err := hmacKey(a, seed)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	obfuscation := make([]byte, sha256.Size)
	rand.Read(obfuscation)
	public := hmacTemplate(a)
	public.ObjectAttributes.UserWithAuth, public.ObjectAttributes.NoDA = true, true
	public.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: unique(obfuscation, key)})
	name, err := tpm2.ObjectName(&public)
	if err != nil {
		return nil, err
	}
	to, err := tpm2.ImportEncapsulationKey(k.public)
	if err != nil {
		return nil, err
	}
	sensitive := sensitiveKey(obfuscation, key)
	defer sensitive.Wipe()
	duplicate, secret, err := tpm2.CreateDuplicate(rand.Reader, to, name.Buffer, sensitive)
	if err != nil {
		return nil, err
	}
	parent, err := checkSRK(k.public)
	return &Wrapped{Parent: parent, Public: marshalPublic(&public), Duplicate: duplicate, Seed: secret}, err
}

// unique binds the public part of a symmetric object to its sensitive one (part 1, "Public Area Creation").
func unique(obfuscation []byte, key fido.Secret) []byte {
	h := sha256.New()
	h.Write(obfuscation)
	h.Write(key)
	return h.Sum(nil)
}

// sensitiveKey encodes a TPMT_SENSITIVE without authValue (part 2). The caller wipes it.
func sensitiveKey(obfuscation []byte, key fido.Secret) fido.Secret {
	b := make(fido.Secret, 0, 8+len(obfuscation)+len(key))
	b = binary.BigEndian.AppendUint16(b, uint16(tpm2.TPMAlgKeyedHash))
	b = append(b, 0, 0)
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(obfuscation))), obfuscation...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(key))), key...)
}

// Import takes in what was wrapped to this TPM. Another one gives ErrForeign.
func (t *TPM) Import(ctx context.Context, w *Wrapped) (o *Object, err error) {
	if _, ok := w.Algorithm(); !ok {
		return nil, ErrInvalid
	}
	err = t.withSRK(ctx, w.Parent, func(c *conn, k *srk) error {
		o, err = k.importKey(c, w)
		return err
	})
	if errors.Is(err, ErrCleared) {
		return nil, ErrForeign
	}
	return o, err
}

// Algorithm gives the hash of a key that Wrap has made.
func (w *Wrapped) Algorithm() (hotp.Algorithm, bool) {
	p, err := parsePublic(w.Public)
	if err != nil || p.Type != tpm2.TPMAlgKeyedHash {
		return 0, false
	}
	for a := range algorithms {
		like := hmacTemplate(a)
		like.ObjectAttributes.UserWithAuth, like.ObjectAttributes.NoDA = true, true
		like.Unique = p.Unique
		if bytes.Equal(marshalPublic(&like), w.Public) {
			return a, true
		}
	}
	return 0, false
}

func (k *srk) importKey(c *conn, w *Wrapped) (*Object, error) {
	s, err := k.begin(c, tpm2.TPMSEHMAC)
	if err != nil {
		return nil, err
	}
	defer s.end(c)
	r, err := tpm2.Import{
		ParentHandle: tpm2.AuthHandle{Handle: k.handle, Name: tpm2.TPM2BName{Buffer: k.name}, Auth: s},
		ObjectPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](w.Public),
		Duplicate:    tpm2.TPM2BPrivate{Buffer: w.Duplicate},
		InSymSeed:    tpm2.TPM2BEncryptedSecret{Buffer: w.Seed},
	}.Execute(c)
	if fault := (tpm2.TPMFmt1Error{}); errors.As(err, &fault) && !errors.Is(err, tpm2.TPMRCScheme) &&
		!errors.Is(err, tpm2.TPMRCHash) {
		return nil, &Error{Kind: ErrInvalid, Err: err}
	}
	if err != nil {
		return nil, err
	}
	return k.object(w.Public, r.OutPrivate.Buffer, nil)
}
