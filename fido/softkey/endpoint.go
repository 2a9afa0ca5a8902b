package softkey

import (
	"context"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/ctapnfc"
	"fob/fido/endpoint"
	"fob/fido/oathapplet"
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

// Place makes the endpoint of a key: PTY, UHID, VPCD, or what Unix and UDP give. Errors are those of fido/endpoint.
type Place func(ctx context.Context, k *Key) (Endpoint, error)

// PTY plugs a key in at a pseudo-terminal.
func PTY(_ context.Context, k *Key) (Endpoint, error) {
	p, err := endpoint.OpenPTY()
	if err != nil {
		return nil, err
	}
	p.Device = k.device()
	return p, nil
}

// UHID makes a key a hidraw device of this machine's.
func UHID(ctx context.Context, k *Key) (Endpoint, error) {
	u, err := endpoint.OpenUHID(ctx, endpoint.UHIDOptions{Name: "fob emulated key"})
	if err != nil {
		return nil, err
	}
	u.Device = k.device()
	return u, nil
}

// VPCD puts a key into the virtual reader of pcscd.
func VPCD(ctx context.Context, k *Key) (Endpoint, error) {
	v, err := endpoint.OpenVPCD(ctx, endpoint.VPCDAddr)
	if err != nil {
		return nil, err
	}
	v.Card.NoU2F, v.Card.NoCBOR = !k.U2F, !k.CTAP2()
	v.Link = k.linkCard
	if k.oath {
		v.Card.Applets = map[string]ctapnfc.Applet{oathapplet.AID: k.OATH().Serve}
	}
	return v, nil
}

// Unix serves bare reports at a Unix socket.
func Unix(path string) Place {
	return func(_ context.Context, k *Key) (Endpoint, error) {
		s, err := endpoint.ListenUnix(path)
		if err != nil {
			return nil, err
		}
		s.Device = k.device()
		return s, nil
	}
}

// UDP serves bare reports at a loopback address.
func UDP(addr string) Place {
	return func(_ context.Context, k *Key) (Endpoint, error) {
		s, err := endpoint.ListenUDP(addr)
		if err != nil {
			return nil, err
		}
		s.Device = k.device()
		return s, nil
	}
}

// device is what a key of this profile tells over CTAPHID.
func (k *Key) device() ctaphid.Device {
	caps := ctaphid.CapWink // which follows from Wink; here it keeps caps from being 0
	if k.CTAP2() {
		caps |= ctaphid.CapCBOR
	}
	if !k.U2F {
		caps |= ctaphid.CapNMSG
	}
	d := ctaphid.Device{Version: k.DeviceVersion, Capabilities: caps, Link: k.link}
	if !k.NoWink {
		d.Wink = k.wink
	}
	return d
}

// wink is a line in the log, and what Options.Wink adds.
func (k *Key) wink() {
	k.log.Info("wink")
	if k.winks != nil {
		k.winks()
	}
}
