package hotp

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
)

// generator makes codes of one token, by an HMAC (RFC 2104) that leaves nothing of the seed in memory: those of
// crypto/hmac, and of libraries on top of it, keep copies that nobody can wipe.
type generator struct {
	digits       int
	hash         hash.Hash
	inner, outer []byte // the blocks with which both hashes begin: the key, mixed with ipad and opad
	sum          []byte
}

func newGenerator(p Parameters, seed Seed) (*generator, error) {
	if err := p.Valid(); err != nil {
		return nil, err
	}
	if err := seed.Valid(); err != nil {
		return nil, err
	}
	h := p.Algorithm.hash()
	g := &generator{p.Digits, h, make([]byte, h.BlockSize()), make([]byte, h.BlockSize()), make([]byte, 0, h.Size())}
	g.setKey(seed)
	return g, nil
}

func (a Algorithm) hash() hash.Hash {
	switch a {
	case SHA256:
		return sha256.New()
	case SHA512:
		return sha512.New()
	}
	return sha1.New()
}

// setKey takes the seed as the key. One that is longer than a block is hashed (RFC 2104 §3).
func (g *generator) setKey(seed Seed) {
	if len(seed) > len(g.inner) {
		g.hash.Write(seed)
		g.sum = g.hash.Sum(g.sum[:0])
		seed = g.sum
	}
	copy(g.inner, seed)
	for i, c := range g.inner {
		g.inner[i], g.outer[i] = c^0x36, c^0x5c
	}
}

// code gives the code for a moving factor.
func (g *generator) code(movingFactor uint64) (string, error) {
	g.hash.Reset()
	g.hash.Write(g.inner)
	g.hash.Write(binary.BigEndian.AppendUint64(nil, movingFactor))
	g.sum = g.hash.Sum(g.sum[:0])
	g.hash.Reset()
	g.hash.Write(g.outer)
	g.hash.Write(g.sum)
	g.sum = g.hash.Sum(g.sum[:0])
	return truncate(g.sum, g.digits), nil
}

// wipe overwrites what is made of the seed. The hash has the end of a long seed in its buffer, which two writes fill.
func (g *generator) wipe() {
	clear(g.inner)
	clear(g.outer)
	clear(g.sum[:cap(g.sum)])
	g.hash.Reset()
	g.hash.Write(g.inner[:1])
	g.hash.Write(g.inner[1:])
	g.hash.Reset()
}
