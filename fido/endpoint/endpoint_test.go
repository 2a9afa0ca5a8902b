package endpoint

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// What holds for every endpoint that carries reports, is tested here for each of them.

// plugged is an endpoint and the way to open it as a host does.
type plugged struct {
	endpoint interface {
		Path() string
		Serve(context.Context, ctap.Handler) error
		Close() error
	}
	dial func(t *testing.T) leaver
	most int // bytes of a message that a host may write without a pause; 0 for ctaphid.MaxPayload
}

// leaver is a host that can go.
type leaver interface {
	ctaphid.Conn
	leave()
}

func (h host) leave() { h.close() }

var kinds = map[string]func(t *testing.T, d ctaphid.Device) plugged{
	"pty": func(t *testing.T, d ctaphid.Device) plugged {
		p, err := OpenPTY()
		if err != nil {
			t.Fatal(err)
		}
		p.Device = d
		return plugged{endpoint: p, dial: func(t *testing.T) leaver { return openHost(t, p.Path()) }}
	},
	"uhid": func(t *testing.T, d ctaphid.Device) plugged {
		u, k := openUHIDKernel(t)
		u.Device = d
		return plugged{endpoint: u, dial: func(t *testing.T) leaver { return k.open(t) }}
	},
	"unix": func(t *testing.T, d ctaphid.Device) plugged {
		u := listenUnix(t)
		u.Device = d
		return plugged{endpoint: u, dial: func(t *testing.T) leaver { return dial(t, "unix", u.Path()) }}
	},
	"udp": func(t *testing.T, d ctaphid.Device) plugged {
		u, err := ListenUDP("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		u.Device = d
		return plugged{endpoint: u, dial: func(t *testing.T) leaver { return dial(t, "udp", u.Path()) }}
	},
}

func listenUnix(t *testing.T) *UnixSocket {
	t.Helper()
	u, err := ListenUnix(filepath.Join(t.TempDir(), "key"))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// client is a client of a socket.
type client struct{ net.Conn }

func dial(t *testing.T, network, addr string) client {
	t.Helper()
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return client{conn}
}

func (c client) leave() { c.Close() }

func (c client) WriteReport(_ context.Context, r ctaphid.Report) error {
	_, err := c.Write(r[:])
	return err
}

func (c client) ReadReport(ctx context.Context) (r ctaphid.Report, err error) {
	c.SetReadDeadline(time.Time{})
	defer whenDone(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })()
	_, err = io.ReadFull(c, r[:])
	return r, errors.Join(err, ctx.Err())
}

// serving serves an endpoint of each kind until the test ends.
func serving(t *testing.T, d ctaphid.Device, test func(t *testing.T, p plugged, k *key)) {
	for name, plug := range kinds {
		t.Run(name, func(t *testing.T) {
			p, k := plug(t, d), newKey()
			served := make(chan error, 1)
			go func() { served <- p.endpoint.Serve(t.Context(), k) }()
			defer func() {
				if err := p.endpoint.Close(); err != nil {
					t.Error("close:", err)
				}
				if err := <-served; err != os.ErrClosed {
					t.Error("serve:", err)
				}
			}()
			test(t, p, k)
		})
	}
}

func openClient(t *testing.T, c ctaphid.Conn) *ctaphid.Client {
	t.Helper()
	opened, err := ctaphid.Open(waiting(t), c)
	if err != nil {
		t.Fatal("open:", err)
	}
	return opened
}

func TestMessages(t *testing.T) {
	device := ctaphid.Device{Version: [3]byte{1, 2, 3}, Capabilities: ctaphid.CapCBOR | ctaphid.CapNMSG}
	serving(t, device, func(t *testing.T, p plugged, k *key) {
		c := openClient(t, p.dial(t))
		if c.DeviceVersion != device.Version || c.Capabilities != device.Capabilities {
			t.Errorf("client %+v", c)
		}
		for _, n := range []int{0, 1, 57, 58, 1000, cmp.Or(p.most, ctaphid.MaxPayload)} {
			data := make([]byte, n)
			for i := range data {
				data[i] = byte(i)
			}
			if err := c.Ping(waiting(t), data); err != nil {
				t.Errorf("ping of %d bytes: %v", n, err)
			}
		}
		touched, told := false, ctap.KeepaliveStatus(0)
		reply, err := c.CBOR(waiting(t), []byte("touch"), func(s ctap.KeepaliveStatus) {
			if told = s; !touched {
				touched = true
				close(k.touch)
			}
		})
		if string(reply) != "\x00touched" || err != nil || told != ctap.KeepaliveUPNeeded {
			t.Errorf("reply %q, %v, status %d", reply, err, told)
		}
	})
}

// Hosts that go in the middle of something, and the next one without a pause between them.
func TestNextHost(t *testing.T) {
	leave := map[string]func(t *testing.T, c ctaphid.Conn, k *key){
		"lit": func(t *testing.T, c ctaphid.Conn, k *key) {
			ask(t, c, channel(t, c), "touch")
			await(t, "lit", k.lit)
		},
		"reply unread": func(t *testing.T, c ctaphid.Conn, _ *key) {
			ask(t, c, channel(t, c), "e"+string(make([]byte, 1000)))
		},
		"half message": func(t *testing.T, c ctaphid.Conn, _ *key) {
			cid := channel(t, c)
			c.WriteReport(t.Context(), ctaphid.Packet{CID: cid, Initial: true, Command: ctaphid.CommandCBOR, BCNT: 99}.Report())
		},
		"nothing": func(*testing.T, ctaphid.Conn, *key) {},
	}
	serving(t, ctaphid.Device{}, func(t *testing.T, p plugged, k *key) {
		for name, leave := range leave {
			t.Run(name, func(t *testing.T) {
				for range 20 {
					h := p.dial(t)
					leave(t, h, k)
					h.leave()
					next := p.dial(t)
					echoesTo(t, next)
					next.leave()
					if name == "lit" {
						await(t, "dark", k.dark)
					}
				}
			})
		}
	})
}

// channel gets a host a channel, as ctaphid.Open does, and tells which.
func channel(t *testing.T, c ctaphid.Conn) ctaphid.CID {
	t.Helper()
	nonce := []byte("a nonce.")
	init := ctaphid.Packet{CID: ctaphid.BroadcastCID, Initial: true, Command: ctaphid.CommandInit, BCNT: 8, Data: nonce}
	if err := c.WriteReport(t.Context(), init.Report()); err != nil {
		t.Fatal(err)
	}
	for {
		r, err := c.ReadReport(waiting(t))
		if err != nil {
			t.Fatal("init:", err)
		}
		if p := ctaphid.ParsePacket(r); p.Command == ctaphid.CommandInit && bytes.HasPrefix(p.Data, nonce) {
			return ctaphid.CID(binary.BigEndian.Uint32(p.Data[8:]))
		}
	}
}

// ask sends a CBOR request and doesn't wait for an answer.
func ask(t *testing.T, c ctaphid.Conn, cid ctaphid.CID, payload string) {
	t.Helper()
	reports, err := ctaphid.Message{CID: cid, Command: ctaphid.CommandCBOR, Payload: []byte(payload)}.Reports()
	for _, r := range reports {
		err = errors.Join(err, c.WriteReport(t.Context(), r))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestServeAgain(t *testing.T) {
	for name, plug := range kinds {
		t.Run(name, func(t *testing.T) {
			p, k := plug(t, ctaphid.Device{}), newKey()
			for range 3 {
				ctx, cancel := context.WithCancel(t.Context())
				served := make(chan error)
				go func() { served <- p.endpoint.Serve(ctx, k) }()
				h := p.dial(t)
				ask(t, h, channel(t, h), "touch")
				await(t, "lit", k.lit)
				if err := p.endpoint.Serve(ctx, k); err != ErrServing {
					t.Errorf("second Serve: %v", err)
				}
				cancel()
				if err := <-served; !errors.Is(err, context.Canceled) {
					t.Errorf("Serve, cancelled: %v", err)
				}
				await(t, "dark", k.dark)
				h.leave()
			}
			if err := p.endpoint.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if err := p.endpoint.Serve(t.Context(), k); err != os.ErrClosed {
				t.Errorf("Serve after Close: %v", err)
			}
			if err := p.endpoint.Close(); err != os.ErrClosed {
				t.Errorf("second Close: %v", err)
			}
		})
	}
	nothingRuns(t, "fob/fido/ctaphid.(*session)", "endpoint.(*UnixSocket)")
}

// pair is two ends of a connection that keeps messages apart, as /dev/uhid does.
func pair(t *testing.T) (ours, kernels int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[1]) })
	return fds[0], fds[1]
}
