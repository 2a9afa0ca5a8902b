package tpm

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/google/go-tpm/tpm2"

	"fob/fido"
	"fob/hotp"
)

// algorithms are the hashes of HMAC, and how a TPM calls them.
var algorithms = map[hotp.Algorithm]struct {
	id    tpm2.TPMIAlgHash
	new   func() hash.Hash
	block int // the longest key, in bytes; HMAC takes the hash of longer ones (RFC 2104 §2)
}{
	hotp.SHA1:   {tpm2.TPMAlgSHA1, sha1.New, sha1.BlockSize},
	hotp.SHA256: {tpm2.TPMAlgSHA256, sha256.New, sha256.BlockSize},
	hotp.SHA512: {tpm2.TPMAlgSHA512, sha512.New, sha512.BlockSize},
}

// NewHMAC makes a key of HMAC of a seed, which stays the caller's. The key never leaves the TPM, which gives it to no
// other one. ErrUnsupported says that the TPM does not know the hash.
func (t *TPM) NewHMAC(ctx context.Context, a hotp.Algorithm, seed hotp.Seed, lock Lock) (*Object, error) {
	key, err := hmacKey(a, seed)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	template := hmacTemplate(a)
	template.ObjectAttributes.FixedTPM, template.ObjectAttributes.FixedParent = true, true
	return t.create(ctx, key, template, lock)
}

// hmacKey is a copy of a seed, or its hash where it is longer than a block. The caller wipes it.
func hmacKey(a hotp.Algorithm, seed hotp.Seed) (fido.Secret, error) {
	alg, ok := algorithms[a]
	if !ok || len(seed) == 0 {
		return nil, ErrUnfit
	}
	if len(seed) <= alg.block {
		return bytes.Clone(fido.Secret(seed)), nil
	}
	h := alg.new()
	h.Write(seed)
	key := h.Sum(nil)
	h.Reset()
	h.Write(make([]byte, alg.block-1)) // over the end of the seed, which the hash has kept
	return key, nil
}

// hmacTemplate is a key of HMAC by an algorithm.
func hmacTemplate(a hotp.Algorithm) tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{SignEncrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{
			Scheme: tpm2.TPMTKeyedHashScheme{
				Scheme: tpm2.TPMAlgHMAC,
				Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC,
					&tpm2.TPMSSchemeHMAC{HashAlg: algorithms[a].id}),
			},
		}),
	}
}

// MaxMessage is the longest message of HMAC, in bytes (part 2, "MAX_DIGEST_BUFFER").
const MaxMessage = 1024

// HMAC computes the HMAC of a message by a key that NewHMAC has made, or that was wrapped to this TPM.
func (t *TPM) HMAC(ctx context.Context, o *Object, pin fido.Secret, message []byte) (mac fido.Secret, err error) {
	if len(message) > MaxMessage {
		return nil, ErrUnfit
	}
	err = t.use(ctx, o, pin, func(c *conn, h tpm2.AuthHandle, s *session) error {
		s.takes = true
		_, err := tpm2.Hmac{Handle: h, Buffer: tpm2.TPM2BMaxBuffer{Buffer: message}, HashAlg: tpm2.TPMAlgNull}.Execute(c)
		mac = s.take()
		return err
	})
	if err != nil {
		mac.Wipe()
		return nil, err
	}
	return mac, nil
}
