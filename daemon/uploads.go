package daemon

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"sync"

	"fob/daemon/store"
	"fob/ipc"
	"fob/ipc/varlink"
)

// uploads are the backup that comes in, by parts on another connection than that of the call which wants it. There is
// one at a time. The zero value is ready.
type uploads struct {
	mu    sync.Mutex
	token string // empty while none is wanted
	data  []byte
	done  chan struct{}
}

// receive asks for a backup and waits until it is there as a whole.
func (d *Daemon) receive(ctx context.Context, c *storeCall) ([]byte, error) {
	u := &d.uploads
	token, done := rand.Text(), make(chan struct{})
	u.mu.Lock()
	u.token, u.data, u.done = token, nil, done
	u.mu.Unlock()
	defer func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.token, u.data = "", nil
	}()
	e := &ipc.StoreEvent{Kind: ipc.StoreUpload, Token: token}
	if err := c.call.Continue(ipc.StoreEventReply{Event: e}); err != nil {
		return nil, err
	}
	select {
	case <-done:
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.data, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// upload implements fob.Store.Upload.
func (d *Daemon) upload(_ context.Context, c *varlink.Call) (any, error) {
	var in ipc.UploadRequest
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	part, err := base64.RawURLEncoding.DecodeString(in.Data)
	if err != nil || len(part) > ipc.MaxUpload {
		return nil, varlink.InvalidParameter{Parameter: "data"}
	}
	return nil, d.uploads.add(in.Token, part, in.Last)
}

func (u *uploads) add(token string, part []byte, last bool) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if token == "" || token != u.token {
		return ipc.UnknownToken{}
	}
	if len(u.data)+len(part) > store.MaxBackup {
		return varlink.InvalidParameter{Parameter: "data"}
	}
	u.data = append(u.data, part...)
	if last {
		u.token = ""
		close(u.done)
	}
	return nil
}
