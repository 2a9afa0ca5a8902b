package workbench

import (
	"context"
	"encoding/base64"
	"errors"
	"net"
	"time"

	"fob/daemon"
	"fob/fido/emulator"
	"fob/ipc"
	"fob/ipc/varlink"
)

const (
	maxPiece      = 16        // items in one reply, which then has some 64 KiB at most
	maxTimes      = 1_000_000 // of SetNextError
	maxPINRetries = 8         // of SetRetries, as maxUVRetries
	maxUVRetries  = 3
	plugTime      = 20 * time.Second // to plug a key in again; pcscd and udev may be slow
)

// Serve answers the connections of l until ctx ends. Only processes of our own user are served. It closes l.
func (w *Workbench) Serve(ctx context.Context, l net.Listener) error {
	s := &varlink.Server{
		Vendor: "fob", Product: "fob emulate", Version: w.Version,
		Authorize:    daemon.SameUser,
		MaxMessage:   128 << 10,
		MaxPipelined: 2, MaxConnections: 1024, // 512 MiB for a hostile program of ours
		Log: w.Log,
	}
	i := w.Interface()
	if err := s.Register(i.Description, i.Methods); err != nil {
		return errors.Join(err, l.Close())
	}
	return s.Serve(ctx, l)
}

// Interface is fob.Emulator, for a server of several interfaces.
func (w *Workbench) Interface() daemon.Interface {
	return daemon.Interface{Description: ipc.EmulatorInterface, Methods: map[string]varlink.Handler{
		"List":         w.list,
		"Touch":        w.touch,
		"Deny":         w.deny,
		"Present":      w.present,
		"SetPolicy":    w.setPolicy,
		"Remove":       w.remove,
		"Insert":       w.insert,
		"Replug":       w.replug,
		"SetNextError": w.setNextError,
		"SetRetries":   w.setRetries,
		"AdvanceClock": w.advanceClock,
		"Credentials":  w.credentials,
		"Watch":        w.watch,
	}}
}

// which is for the methods that take a key alone.
func (w *Workbench) which(c *varlink.Call, find func(string) (*Key, error)) (*Key, error) {
	var in ipc.WhichKey
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return find(in.Key)
}

func (w *Workbench) list(_ context.Context, c *varlink.Call) (any, error) {
	var in ipc.WhichKey
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	keys := w.all()
	if in.Key != "" {
		k, err := w.find(in.Key)
		if err != nil {
			return nil, err
		}
		keys = []*Key{k}
	}
	return pieces(c, keys, func(piece []*Key) any {
		reply := ipc.EmulatedKeysReply{Keys: make([]ipc.EmulatedKey, len(piece))}
		for i, k := range piece {
			reply.Keys[i] = k.describe()
		}
		return reply
	})
}

// pieces sends a list in several replies where it is long, and gives the last.
func pieces[T any](c *varlink.Call, list []T, reply func([]T) any) (any, error) {
	for len(list) > maxPiece {
		if err := c.Continue(reply(list[:maxPiece])); err != nil {
			return nil, err
		}
		list = list[maxPiece:]
	}
	return reply(list), nil
}

// describe is the key as programs see it.
func (k *Key) describe() ipc.EmulatedKey {
	s, path := k.Status(), k.Path()
	d := ipc.EmulatedKey{
		ID: k.ID, Endpoint: k.Endpoint, Path: path, Device: deviceID(path), Profile: k.Name,
		Lost: k.gone.Err() != nil, Policy: k.person.Policy(),
		PINSet: s.PINSet, PINRetries: int(s.PINRetries), PINAuthBlocked: s.PINAuthBlocked,
		UVRetries: int(s.UVRetries), Fingerprints: s.Fingerprints,
		SignCount: int(s.SignCount), Credentials: s.Discoverable,
		ClockAhead: int(k.clock.Ahead() / time.Second), NextErrors: []ipc.NextError{},
	}
	if open := k.person.Waiting(); len(open) > 0 {
		d.Waiting = shown(open[0])
	}
	for _, f := range k.Failures() {
		e := ipc.NextError{Status: f.Status.Name(), Times: int(f.Times)}
		if f.Command != 0 {
			e.Command = f.Command.String()
		}
		d.NextErrors = append(d.NextErrors, e)
	}
	return d
}

func (w *Workbench) credentials(_ context.Context, c *varlink.Call) (any, error) {
	k, err := w.which(c, w.find)
	if err != nil {
		return nil, err
	}
	return pieces(c, k.Key.Credentials(), func(piece []emulator.Credential) any {
		reply := ipc.CredentialsReply{Credentials: make([]ipc.EmulatedCredential, len(piece))}
		for i := range piece {
			reply.Credentials[i] = public(&piece[i])
		}
		return reply
	})
}

// public is a credential without its secrets.
func public(c *emulator.Credential) ipc.EmulatedCredential {
	return ipc.EmulatedCredential{
		ID: base64.RawURLEncoding.EncodeToString(c.ID), RPID: cut(c.RPID, maxRPID), RPName: cut(c.RPName, maxName),
		UserID:   base64.RawURLEncoding.EncodeToString(c.UserID),
		UserName: cut(c.UserName, maxName), UserDisplayName: cut(c.UserDisplayName, maxName),
		Alg: int(c.Algorithm), CredProtect: int(c.CredProtect), HMACSecret: c.HMACSecret,
		CredBlob: len(c.CredBlob) > 0, LargeBlobKey: len(c.LargeBlobKey) > 0, ThirdPartyPayment: c.ThirdPartyPayment,
		SignCount: int(c.SignCount),
	}
}

func (w *Workbench) watch(ctx context.Context, c *varlink.Call) (any, error) {
	var in ipc.WhichKey
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	id := ""
	if in.Key != "" {
		k, err := w.find(in.Key)
		if err != nil {
			return nil, err
		}
		id = k.ID
	}
	watcher := w.events.join(id)
	defer w.events.leave(watcher)
	begin := ipc.KeyEvent{Kind: ipc.KeyWatching, Time: timestamp(time.Now())}
	if err := c.Continue(ipc.WatchReply{Event: begin}); err != nil {
		return nil, err
	}
	for {
		select {
		case e := <-watcher.events:
			if err := c.Continue(ipc.WatchReply{Event: e}); err != nil {
				return nil, err
			}
		case <-ctx.Done():
			return nil, ipc.Ended{}
		}
	}
}
