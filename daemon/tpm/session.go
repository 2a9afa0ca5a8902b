package tpm

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"fob/fido"
)

// session is a tpm2.Session whose secrets pass through no memory but ours, and are wiped: go-tpm's own leaves copies of
// PINs and parameters behind. It is salted, and encrypts the first parameter by AES-128 in CFB mode, both ways (part 1,
// "Session-based encryption").
type session struct {
	handle      tpm2.TPMHandle
	key         fido.Secret // sessionKey
	auth        fido.Secret // the authValue of what it authorizes; the caller wipes it
	nonceCaller []byte
	nonceTPM    []byte

	// A parameter that is secret. It takes the place of one of zeros that go-tpm has encoded, of the same length, in the
	// moment before that is encrypted.
	in fido.Secret
	// An answer that is secret, where takes is set. It is taken from go-tpm in the moment after it was decrypted.
	takes bool
	out   fido.Secret
}

var _ tpm2.Session = (*session)(nil)

// nonceSize is that of the session's hash, SHA-256, in bytes.
const nonceSize = sha256.Size

var errSession = errors.New("the answer is not that of the TPM: its HMAC is wrong")

// begin starts a session. The caller ends it.
func (k *srk) begin(c *conn, kind tpm2.TPMSE) (*session, error) {
	to, err := tpm2.ImportEncapsulationKey(k.public)
	if err != nil {
		return nil, err
	}
	salt, encrypted, err := tpm2.CreateEncryptedSalt(rand.Reader, to)
	if err != nil {
		return nil, err
	}
	defer clear(salt)
	s := &session{nonceCaller: make([]byte, nonceSize)}
	rand.Read(s.nonceCaller)
	r, err := tpm2.StartAuthSession{
		TPMKey: k.handle, Bind: tpm2.TPMRHNull, NonceCaller: tpm2.TPM2BNonce{Buffer: s.nonceCaller},
		EncryptedSalt: tpm2.TPM2BEncryptedSecret{Buffer: encrypted}, SessionType: kind, Symmetric: aes128CFB,
		AuthHash: tpm2.TPMAlgSHA256,
	}.Execute(c)
	if err != nil {
		return nil, err
	}
	s.handle, s.nonceTPM = tpm2.TPMHandle(r.SessionHandle.HandleValue()), r.NonceTPM.Buffer
	s.key = tpm2.KDFa(crypto.SHA256, salt, "ATH", s.nonceTPM, s.nonceCaller, sha256.Size*8)
	return s, nil
}

var aes128CFB = tpm2.TPMTSymDef{
	Algorithm: tpm2.TPMAlgAES,
	KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
	Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
}

// end has the TPM forget the session, and wipes it.
func (s *session) end(c *conn) {
	c.flush(s.handle)
	s.key.Wipe()
	s.in.Wipe()
	s.out.Wipe()
}

// Init implements tpm2.Session: begin has done it.
func (*session) Init(transport.TPM) error { return nil }

// CleanupFailure implements tpm2.Session: end does it.
func (*session) CleanupFailure(transport.TPM) error { return nil }

// NonceTPM implements tpm2.Session.
func (s *session) NonceTPM() tpm2.TPM2BNonce { return tpm2.TPM2BNonce{Buffer: s.nonceTPM} }

// NewNonceCaller implements tpm2.Session.
func (s *session) NewNonceCaller() error {
	s.nonceCaller = make([]byte, nonceSize) // the one before may still be in a command
	rand.Read(s.nonceCaller)
	return nil
}

// Handle implements tpm2.Session.
func (s *session) Handle() tpm2.TPMHandle { return s.handle }

// IsEncryption implements tpm2.Session: answers are encrypted.
func (*session) IsEncryption() bool { return true }

// IsDecryption implements tpm2.Session: parameters are encrypted.
func (*session) IsDecryption() bool { return true }

// unsealing is a session of a command without parameters, which the TPM wants to have none encrypted.
type unsealing struct{ *session }

// IsDecryption implements tpm2.Session.
func (unsealing) IsDecryption() bool { return false }

// Authorize implements tpm2.Session.
func (u unsealing) Authorize(cc tpm2.TPMCC, parameters, _ []byte, names []tpm2.TPM2BName, _ int) (
	*tpm2.TPMSAuthCommand, error) {
	return u.authorize(cc, parameters, names, tpm2.TPMASession{ContinueSession: true, Encrypt: true}), nil
}

// Authorize implements tpm2.Session (part 1, "HMAC computation").
func (s *session) Authorize(cc tpm2.TPMCC, parameters, _ []byte, names []tpm2.TPM2BName, _ int) (
	*tpm2.TPMSAuthCommand, error) {
	return s.authorize(cc, parameters, names, tpm2.TPMASession{ContinueSession: true, Encrypt: true, Decrypt: true}), nil
}

func (s *session) authorize(cc tpm2.TPMCC, parameters []byte, names []tpm2.TPM2BName, a tpm2.TPMASession,
) *tpm2.TPMSAuthCommand {
	h := sha256.New() // cpHash
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(cc)))
	for _, name := range names {
		h.Write(name.Buffer)
	}
	h.Write(parameters)
	return &tpm2.TPMSAuthCommand{
		Handle: s.handle, Nonce: tpm2.TPM2BNonce{Buffer: s.nonceCaller}, Attributes: a,
		Authorization: tpm2.TPM2BData{Buffer: s.mac(h.Sum(nil), s.nonceCaller, s.nonceTPM, a)},
	}
}

// Validate implements tpm2.Session.
func (s *session) Validate(rc tpm2.TPMRC, cc tpm2.TPMCC, parameters []byte, _ []tpm2.TPM2BName, _ int,
	answer *tpm2.TPMSAuthResponse) error {
	h := sha256.New() // rpHash
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(rc)))
	h.Write(binary.BigEndian.AppendUint32(nil, uint32(cc)))
	h.Write(parameters)
	s.nonceTPM = answer.Nonce.Buffer
	if !hmac.Equal(s.mac(h.Sum(nil), s.nonceTPM, s.nonceCaller, answer.Attributes), answer.Authorization.Buffer) {
		return errSession
	}
	return nil
}

// mac authenticates the hash of a command or an answer.
func (s *session) mac(hash, newer, older []byte, a tpm2.TPMASession) []byte {
	value := s.value()
	defer value.Wipe()
	m := hmac.New(sha256.New, value)
	for _, part := range [][]byte{hash, newer, older, attributes(a)} {
		m.Write(part)
	}
	return m.Sum(nil)
}

// value is sessionValue: sessionKey and authValue. The caller wipes it.
func (s *session) value() fido.Secret {
	v := make(fido.Secret, 0, len(s.key)+len(s.auth))
	return append(append(v, s.key...), s.auth...)
}

// attributes encodes those that we use (part 2, "TPMA_SESSION").
func attributes(a tpm2.TPMASession) []byte {
	b := byte(0)
	for bit, on := range map[byte]bool{
		1: a.ContinueSession, 1 << 1: a.AuditExclusive, 1 << 2: a.AuditReset, 1 << 5: a.Decrypt, 1 << 6: a.Encrypt,
		1 << 7: a.Audit,
	} {
		if on {
			b |= bit
		}
	}
	return []byte{b}
}

// Encrypt implements tpm2.Session.
func (s *session) Encrypt(parameter []byte) error {
	if s.in != nil && len(s.in) != len(parameter) {
		return ErrUnfit
	}
	copy(parameter, s.in)
	return s.cfb(parameter, s.nonceCaller, s.nonceTPM, true)
}

// Decrypt implements tpm2.Session.
func (s *session) Decrypt(parameter []byte) error {
	if err := s.cfb(parameter, s.nonceTPM, s.nonceCaller, false); err != nil {
		return err
	}
	if s.takes {
		s.out.Wipe()
		s.out = bytes.Clone(parameter)
		clear(parameter)
	}
	return nil
}

// take gives the secret that was the last answer, and is the caller's now.
func (s *session) take() fido.Secret {
	out := s.out
	s.out = nil
	return out
}

// cfb encrypts or decrypts in place (part 1, "CFB mode parameter encryption").
func (s *session) cfb(b, newer, older []byte, encrypt bool) error {
	value := s.value()
	defer value.Wipe()
	const keySize = 16
	key := fido.Secret(tpm2.KDFa(crypto.SHA256, value, "CFB", newer, older, (keySize+aes.BlockSize)*8))
	defer key.Wipe()
	block, err := aes.NewCipher(key[:keySize])
	if err != nil {
		return err
	}
	var before, stream [aes.BlockSize]byte
	copy(before[:], key[keySize:])
	for ; len(b) > 0; b = b[min(len(b), aes.BlockSize):] {
		part := b[:min(len(b), aes.BlockSize)]
		block.Encrypt(stream[:], before[:])
		if !encrypt {
			copy(before[:], part)
		}
		for i := range part {
			part[i] ^= stream[i]
		}
		if encrypt {
			copy(before[:], part)
		}
	}
	return nil
}
