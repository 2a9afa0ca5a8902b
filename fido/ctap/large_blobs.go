package ctap

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
)

// LargeBlobsRequest holds the parameters of authenticatorLargeBlobs (§6.10). Exactly one of Get and Set is present.
type LargeBlobsRequest struct {
	Get               *uint       `cbor:"1,keyasint,omitzero"` // bytes to read
	Set               Bytes       `cbor:"2,keyasint,omitzero"` // fragment to write
	Offset            *uint       `cbor:"3,keyasint,omitzero"`
	Length            *uint       `cbor:"4,keyasint,omitzero"` // of the whole array, with offset 0
	PINUVAuthParam    Bytes       `cbor:"5,keyasint,omitzero"`
	PINUVAuthProtocol PINProtocol `cbor:"6,keyasint,omitzero"`
}

// LargeBlobsResponse is the answer to authenticatorLargeBlobs with get.
type LargeBlobsResponse struct {
	Config Bytes `cbor:"1,keyasint"`
}

// EmptyLargeBlobArray is what a key holds at first: an empty CBOR array and the first 16 bytes of its SHA-256 (§6.10).
var EmptyLargeBlobArray = AppendLargeBlobHash([]byte{0x80})

// LargeBlobHashLength is the length of the hash at the end of a serialized large-blob array, in bytes.
const LargeBlobHashLength = 16

// AppendLargeBlobHash makes a serialized large-blob array of a CBOR array (§6.10).
func AppendLargeBlobHash(array []byte) []byte {
	sum := sha256.Sum256(array)
	return append(array[:len(array):len(array)], sum[:LargeBlobHashLength]...)
}

// CheckLargeBlobArray checks the hash at the end of a serialized large-blob array; ErrIntegrityFailure.
func CheckLargeBlobArray(b []byte) error {
	if len(b) < LargeBlobHashLength+1 {
		return ErrIntegrityFailure
	}
	if !bytes.Equal(AppendLargeBlobHash(b[:len(b)-LargeBlobHashLength]), b) {
		return ErrIntegrityFailure
	}
	return nil
}

// ParseLargeBlobsRequest decodes the parameters of authenticatorLargeBlobs.
func ParseLargeBlobsRequest(b []byte) (*LargeBlobsRequest, error) { return parse[LargeBlobsRequest](b) }

// ParseLargeBlobsResponse decodes the answer, without its status byte; set answers with the status alone.
func ParseLargeBlobsResponse(b []byte) (*LargeBlobsResponse, error) {
	return parseOptional[LargeBlobsResponse](b)
}

// AuthMessage is what the pinUvAuthParam covers: 32 bytes of 0xff, the command, the offset and the hash of the
// fragment (§6.10.2).
func (r *LargeBlobsRequest) AuthMessage() []byte {
	m := bytes.Repeat([]byte{0xff}, 32)
	m = append(m, byte(CommandLargeBlobs), 0)
	var offset uint
	if r.Offset != nil {
		offset = *r.Offset
	}
	m = binary.LittleEndian.AppendUint32(m, uint32(offset))
	sum := sha256.Sum256(r.Set)
	return append(m, sum[:]...)
}

// Encode gives the request as it travels: the command byte and the parameters.
func (r *LargeBlobsRequest) Encode() []byte { return encode(CommandLargeBlobs, r) }

// Encode gives the response as it travels: StatusOK and the parameters.
func (r *LargeBlobsResponse) Encode() Response { return respond(r) }
