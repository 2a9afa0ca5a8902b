package apps

import (
	"encoding/binary"

	"golang.org/x/crypto/chacha20"
	//lint:ignore SA1019 secretstream is one of the constructions that need it bare
	"golang.org/x/crypto/poly1305"

	"fob/hotp/seedfile"
)

// What follows is the first and only message of a stream of libsodium's crypto_secretstream_xchacha20poly1305, without
// additional data. It is a byte that tells what kind of message it is, the message, and a MAC.
const (
	streamHeader   = 24 // bytes that stand apart from the message
	streamOverhead = 1 + poly1305.TagSize
	streamFinal    = 3  // TAG_FINAL
	streamBlock    = 64 // the block of ChaCha20 in which the first byte is alone
)

// stream is the state for one message.
type stream struct {
	cipher *chacha20.Cipher
	mac    *poly1305.MAC
}

// newStream begins a message: the first block of the key stream is the key of the MAC.
func newStream(key, header []byte) (*stream, error) {
	subkey, err := chacha20.HChaCha20(key, header[:16])
	if err != nil {
		return nil, err
	}
	defer clear(subkey)
	nonce := append([]byte{1, 0, 0, 0}, header[16:]...) // the number of the message
	cipher, err := chacha20.NewUnauthenticatedCipher(subkey, nonce)
	if err != nil {
		return nil, err
	}
	var first [streamBlock]byte
	defer clear(first[:])
	cipher.XORKeyStream(first[:], first[:])
	return &stream{cipher, poly1305.New((*[32]byte)(first[:32]))}, nil
}

// kind encrypts or decrypts the byte that tells the kind of message, which has a block of its own.
func (s *stream) kind(in byte, sealed bool) (out byte) {
	var block [streamBlock]byte
	block[0] = in
	s.cipher.XORKeyStream(block[:], block[:])
	out = block[0]
	if sealed {
		block[0] = in
	}
	s.mac.Write(block[:])
	return out
}

// finish gives all of the encrypted message to the MAC. libsodium pads with as many zeros as are too many, and not with
// those that lack.
func (s *stream) finish(sealed []byte) {
	s.mac.Write(sealed)
	s.mac.Write(make([]byte, len(sealed)%16))
	s.mac.Write(binary.LittleEndian.AppendUint64(make([]byte, 8), uint64(streamBlock+len(sealed))))
}

func sealStream(key, header, plain []byte) ([]byte, error) {
	s, err := newStream(key, header)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 1+len(plain), streamOverhead+len(plain))
	out[0] = s.kind(streamFinal, false)
	s.cipher.XORKeyStream(out[1:], plain)
	s.finish(out[1:])
	return s.mac.Sum(out), nil
}

// openStream decrypts a message that is not shorter than streamOverhead. Its error is seedfile.ErrWrongKey, where the
// MAC is wrong.
func openStream(key, header, sealed []byte) ([]byte, error) {
	s, err := newStream(key, header)
	if err != nil {
		return nil, err
	}
	body, mac := sealed[1:len(sealed)-poly1305.TagSize], sealed[len(sealed)-poly1305.TagSize:]
	kind := s.kind(sealed[0], true)
	s.finish(body)
	if !s.mac.Verify(mac) || kind != streamFinal {
		return nil, seedfile.ErrWrongKey
	}
	plain := make([]byte, len(body))
	s.cipher.XORKeyStream(plain, body)
	return plain, nil
}
