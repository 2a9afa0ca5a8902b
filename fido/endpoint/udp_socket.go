package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// ErrNotLoopback means that an address can be reached from other machines. Reports are neither encrypted nor does a
// client prove who it is.
var ErrNotLoopback = errors.New("not a loopback address")

// UDPSocket carries a report of 64 bytes in each datagram; other datagrams are ignored. The client is whoever spoke last.
// When another one speaks, the one before is taken to have hung up. Every user of the machine can be a client.
type UDPSocket struct {
	// Device is what Serve tells the client of the device; its Handler is not used. Set it before Serve.
	Device ctaphid.Device

	conn *net.UDPConn
	service
}

// ListenUDP listens at a loopback address, such as 127.0.0.1:8111. With port 0 it takes one that is free.
func ListenUDP(addr string) (*UDPSocket, error) {
	a, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	if !a.Addr().IsLoopback() {
		return nil, fmt.Errorf("%s: %w", addr, ErrNotLoopback)
	}
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(a))
	if err != nil {
		return nil, err
	}
	return &UDPSocket{conn: conn}, nil
}

// Path is the address, with the port.
func (u *UDPSocket) Path() string { return u.conn.LocalAddr().String() }

// Serve answers the client through h until ctx is done, and returns its error, or until Close, and returns os.ErrClosed.
// When another client speaks, the request in progress is cancelled. Serve may be called again later.
func (u *UDPSocket) Serve(ctx context.Context, h ctap.Handler) error {
	return u.run(ctx, func(ctx context.Context) error {
		u.conn.SetReadDeadline(time.Time{})
		defer whenDone(ctx, func() { u.conn.SetReadDeadline(time.Unix(1, 0)) })()
		device := u.Device
		device.Handler = h
		return device.Serve(ctx, &datagrams{conn: u.conn})
	})
}

// Close ends Serve, waits for it, and closes the socket. A second Close returns os.ErrClosed.
func (u *UDPSocket) Close() error { return u.close(u.conn.Close) }

// datagrams is the socket as a ctaphid.Conn.
type datagrams struct {
	conn  *net.UDPConn
	other *datagram // another client's first, kept until the hang-up has been dealt with

	mu   sync.Mutex
	peer netip.AddrPort // the client; not valid when there is none
}

type datagram struct {
	report ctaphid.Report
	from   netip.AddrPort
}

func (c *datagrams) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	d := c.other
	c.other = nil
	if d == nil {
		var err error
		if d, err = c.receive(ctx); err != nil {
			return ctaphid.Report{}, err
		}
	}
	if peer := c.client(); peer.IsValid() && peer != d.from {
		c.other = d
		c.setClient(netip.AddrPort{})
		return ctaphid.Report{}, ctaphid.ErrHangUp
	}
	c.setClient(d.from)
	return d.report, nil
}

func (c *datagrams) receive(ctx context.Context) (*datagram, error) {
	buf := make([]byte, ctaphid.ReportSize+1)
	for {
		n, from, err := c.conn.ReadFromUDPAddrPort(buf)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			return nil, err
		case n == ctaphid.ReportSize:
			return &datagram{ctaphid.Report(buf[:n]), from}, nil
		}
	}
}

// WriteReport drops what the kernel doesn't take.
func (c *datagrams) WriteReport(ctx context.Context, r ctaphid.Report) error {
	peer := c.client()
	if !peer.IsValid() {
		return ctaphid.ErrDropped
	}
	c.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := c.conn.WriteToUDPAddrPort(r[:], peer)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return ctaphid.ErrDropped
	}
	return nil
}

func (c *datagrams) client() netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.peer
}

func (c *datagrams) setClient(peer netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.peer = peer
}
