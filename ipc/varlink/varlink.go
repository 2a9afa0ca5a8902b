// Package varlink speaks the Varlink protocol (https://varlink.org) over Unix stream sockets, as server and as client.
//
// A message is one JSON object followed by a NUL byte (https://varlink.org/Method-Call). A client sends calls and
// reads replies in the same order; a call with "more" may have several, all but the last marked "continues". A service
// describes itself: each interface is registered with its text in the Varlink definition language, and anyone may ask
// for it through org.varlink.service.
//
// The other side is never trusted: sizes, times and counts are bounded. The connection is the call's lifeline: when
// the client hangs up, the context of the handler that is running ends.
//
// Messages may carry secrets, so every buffer of this package is zeroed once it was used. Two copies are out of its
// reach: Go strings that a caller binds a secret to (bind to a []byte), and the buffers that encoding/json keeps for
// itself when it encodes (pass a [json.RawMessage], which is sent as it is).
package varlink

import (
	"errors"
	"time"
)

// Defaults of the limits; a limit that is zero means its default.
const (
	DefaultMaxMessage     = 1 << 20 // bytes of one message, without its NUL
	DefaultMaxConnections = 256
	DefaultCallsPerSecond = 200
	DefaultMaxPipelined   = 16 // calls read ahead of the one that runs
	DefaultFrameTimeout   = 10 * time.Second
	DefaultWriteTimeout   = 10 * time.Second
)

var (
	// ErrMessageTooLarge is returned for a message longer than the limit, in either direction.
	ErrMessageTooLarge = errors.New("varlink: message too large")
	// ErrMalformed is returned for a message that is not a Varlink call or reply.
	ErrMalformed = errors.New("varlink: malformed message")
)
