package emulator

import (
	"bytes"
	"testing"
	"time"

	"fob/fido/ctap"
)

// blobbing is a request of authenticatorLargeBlobs to a key with a PIN, where bytes 0 to 9 of an array of 20 are
// written.
type blobbing struct {
	attempt
	r *ctap.LargeBlobsRequest
}

// begunBlob is what begin writes to the key before the request.
var begunBlob = bytes.Repeat([]byte{1}, 10)

func beginBlobbing(t *testing.T, r ctap.LargeBlobsRequest) *blobbing {
	t.Helper()
	p := protected(t, "fido2.1")
	first := &ctap.LargeBlobsRequest{Set: begunBlob, Offset: number(0), Length: number(20)}
	b := &blobbing{holding(p, ctap.PermissionLargeBlobWrite), first}
	p.must(b.send())
	b.r = &r
	return b
}

func (b *blobbing) send() error {
	if b.r.Set != nil || b.r.Get == nil {
		b.r.PINUVAuthProtocol, b.r.PINUVAuthParam = b.protocol, b.sign(b.r.AuthMessage())
	}
	_, err := b.platform.send(b.r.Encode())
	return err
}

// TestLargeBlobsPrecedence goes through the steps of §6.10.2.
func TestLargeBlobsPrecedence(t *testing.T) {
	type spoiled = misstep[*blobbing]
	unsigned, noProtocol, otherProtocol, forged, forbidden := signing(func(b *blobbing) *attempt { return &b.attempt })
	for i, s := range []*spoiled{&unsigned, &noProtocol, &otherProtocol, &forged, &forbidden} {
		s.step = "step 5.5." + string(rune('1'+i)) + s.step[len("step N"):]
	}
	shape := []spoiled{
		{"step 1, no offset", ctap.ErrInvalidParameter, "offset", func(b *blobbing) { b.r.Offset = nil }},
		{"step 2, neither get nor set", ctap.ErrInvalidParameter, "data", func(b *blobbing) { b.r.Get, b.r.Set = nil, nil }},
		{"step 3, get and set", ctap.ErrInvalidParameter, "data",
			func(b *blobbing) { b.r.Get, b.r.Set = number(1), []byte{1} }},
	}
	long := spoiled{"step 5.1, a fragment too long", ctap.ErrInvalidLength, "data",
		func(b *blobbing) { b.r.Set = make([]byte, b.a.maxFragment()+1) }}
	token := []spoiled{unsigned, noProtocol, otherProtocol, forged, forbidden}
	beyond := spoiled{"step 5.6, more than the length", ctap.ErrInvalidParameter, "data",
		func(b *blobbing) { b.r.Set = make([]byte, 21) }}
	for _, test := range []struct {
		name string
		r    ctap.LargeBlobsRequest
		own  []spoiled
	}{
		{"get", ctap.LargeBlobsRequest{Get: number(17), Offset: number(0)}, []spoiled{
			{"step 4.1, a length", ctap.ErrInvalidParameter, "", func(b *blobbing) { b.r.Length = number(17) }},
			{"step 4.2, a pinUvAuthParam", ctap.ErrInvalidParameter, "param",
				func(b *blobbing) { b.r.PINUVAuthParam = []byte{1} }},
			{"step 4.2, a pinUvAuthProtocol", ctap.ErrInvalidParameter, "protocol",
				func(b *blobbing) { b.r.PINUVAuthProtocol = 1 }},
			{"step 4.3, too much", ctap.ErrInvalidLength, "data",
				func(b *blobbing) { b.r.Get = number(int(b.a.maxFragment()) + 1) }},
			{"step 4.4, behind the end", ctap.ErrInvalidParameter, "offset", func(b *blobbing) { b.r.Offset = number(18) }},
		}},
		{"set, first fragment", ctap.LargeBlobsRequest{Set: begunBlob, Offset: number(0), Length: number(20)},
			append(append([]spoiled{long,
				{"step 5.2.1, no length", ctap.ErrInvalidParameter, "length", func(b *blobbing) { b.r.Length = nil }},
				{"step 5.2.2, no space", ctap.ErrLargeBlobStorageFull, "length",
					func(b *blobbing) { b.r.Length = number(int(b.a.MaxLargeBlobArray) + 1) }},
				{"step 5.2.3, shorter than the hash", ctap.ErrInvalidParameter, "length",
					func(b *blobbing) { b.r.Length = number(16) }},
			}, token...), beyond)},
		{"set, last fragment", ctap.LargeBlobsRequest{Set: []byte{1}, Offset: number(10)},
			append(append([]spoiled{long,
				{"step 5.3, a length", ctap.ErrInvalidParameter, "length", func(b *blobbing) { b.r.Length = number(20) }},
				{"step 5.4, out of order", ctap.ErrInvalidSeq, "offset", func(b *blobbing) { b.r.Offset = number(11) }},
				{"step 5.4, nothing begun", ctap.ErrInvalidSeq, "begun", func(b *blobbing) { b.a.pending = pending{} }},
			}, token...), beyond,
				spoiled{"step 5.10.1, another hash", ctap.ErrIntegrityFailure, "data",
					func(b *blobbing) { b.r.Set = make([]byte, 10) }})},
	} {
		t.Run("§6.10.2 "+test.name, func(t *testing.T) {
			begin := func(t *testing.T) *blobbing { return beginBlobbing(t, test.r) }
			missteps(t, begin, (*blobbing).send, append(shape[:3:3], test.own...))
		})
	}
}

// TestLargeBlobsUnprotected: a token is asked for where alwaysUv is on, even if there is none to be had, and else not
// without PIN and finger (§6.10.2 step 5.5).
func TestLargeBlobsUnprotected(t *testing.T) {
	for _, test := range []struct {
		alwaysUV bool
		want     error
	}{{false, nil}, {true, ctap.ErrPUATRequired}} {
		p := newPlatform(t, Options{})
		p.must(p.a.update(func(s *state) { s.AlwaysUV = test.alwaysUV }))
		p.wants(p.writeBlobs(nil, ctap.EmptyLargeBlobArray), test.want)
	}
}

// TestLargeBlobsContinue: a fragment that was refused may be sent again; what comes between, too late, or from another
// channel ends the write (§6, stateful commands).
func TestLargeBlobsContinue(t *testing.T) {
	array := ctap.AppendLargeBlobHash([]byte{0x81, 0x41, 1})
	first := func() *ctap.LargeBlobsRequest {
		return &ctap.LargeBlobsRequest{Set: array[:10], Offset: number(0), Length: number(len(array))}
	}
	last := func() *ctap.LargeBlobsRequest { return &ctap.LargeBlobsRequest{Set: array[10:], Offset: number(10)} }
	for _, test := range []struct {
		name    string
		between func(p *platform, token []byte)
		want    error
	}{
		{"nothing", func(*platform, []byte) {}, nil},
		{"a refused fragment", func(p *platform, token []byte) {
			_, err := p.blobs(nil, last())
			p.wants(err, ctap.ErrPUATRequired)
			_, err = p.blobs(token, &ctap.LargeBlobsRequest{Set: array, Offset: number(10)})
			p.wants(err, ctap.ErrInvalidParameter)
		}, nil},
		{"another command", func(p *platform, _ []byte) { p.info() }, ctap.ErrInvalidSeq},
		{"another channel", func(p *platform, _ []byte) { p.channel++ }, ctap.ErrInvalidSeq},
		{"half a minute", func(p *platform, _ []byte) {
			p.a.now = func() time.Time { return time.Now().Add(pendingTimeout + time.Second) }
		}, ctap.ErrInvalidSeq},
		{"the end of the token", func(p *platform, _ []byte) {
			p.expire()
			p.a.pending.last = p.a.now()
		}, ctap.ErrInvalidSeq},
		{"a new first fragment", func(p *platform, token []byte) {
			_, err := p.blobs(token, first())
			p.must(err)
		}, nil},
		{"a new first fragment that is refused", func(p *platform, token []byte) {
			_, err := p.blobs(nil, first())
			p.wants(err, ctap.ErrPUATRequired)
		}, ctap.ErrInvalidSeq},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := protected(t, "fido2.1")
			token := holding(p, ctap.PermissionLargeBlobWrite).token.secret
			_, err := p.blobs(token, first())
			p.must(err)
			test.between(p, token)
			_, err = p.blobs(token, last())
			p.wants(err, test.want)
			p.a.now = time.Now
			if got := p.readBlobs(); bytes.Equal(got, array) != (test.want == nil) {
				t.Errorf("the key has %x", got)
			}
		})
	}
}
