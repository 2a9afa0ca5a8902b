package softkey

import (
	"context"

	"fob/fido/ctap"
)

// Endpoint is a place to plug a key in, one of those of fido/endpoint.
type Endpoint interface {
	// Path is where other programs find the key: a device node, a socket, or an address.
	Path() string
	// Serve answers through h until ctx is done, the endpoint is lost, or Close, when it returns os.ErrClosed.
	Serve(ctx context.Context, h ctap.Handler) error
	// Close unplugs the key. It ends Serve and waits for it.
	Close() error
}
