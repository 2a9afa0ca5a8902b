package endpoint

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"fob/fido/ctaphid"
)

func TestUnixSocketIsPrivate(t *testing.T) {
	u := listenUnix(t)
	info, err := os.Stat(u.Path())
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode()&os.ModeSocket == 0 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := ListenUnix(u.Path()); err == nil {
		t.Error("two sockets at one path")
	}
	u.Close()
	if _, err := os.Stat(u.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
}

// One client at a time: others find their connection closed, and the one is not disturbed.
func TestOtherClientsAreRefused(t *testing.T) {
	u, k := listenUnix(t), newKey()
	go u.Serve(t.Context(), k)
	defer u.Close()
	one := dial(t, "unix", u.Path())
	ask(t, one, channel(t, one), "touch")
	await(t, "lit", k.lit)
	for range 10 {
		other := dial(t, "unix", u.Path())
		if n, err := other.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("other client read %d, %v", n, err)
		}
	}
	close(k.touch)
	for {
		r, err := one.ReadReport(waiting(t))
		if err != nil {
			t.Fatal(err)
		}
		if p := ctaphid.ParsePacket(r); p.Command == ctaphid.CommandCBOR {
			if !bytes.HasPrefix(p.Data, []byte("\x00touched")) {
				t.Errorf("reply %q", p.Data)
			}
			return
		}
	}
}

// A client that doesn't read is closed, and the next one gets its place.
func TestClientThatDoesNotRead(t *testing.T) {
	u := listenUnix(t)
	go u.Serve(t.Context(), newKey())
	defer u.Close()
	one := dial(t, "unix", u.Path())
	cid := channel(t, one)
	ping, _ := ctaphid.Message{CID: cid, Command: ctaphid.CommandPing, Payload: make([]byte, ctaphid.MaxPayload)}.Reports()
	var err error
	for i := 0; err == nil; i++ {
		err = one.WriteReport(t.Context(), ping[i%len(ping)])
	}
	echoesTo(t, dial(t, "unix", u.Path()))
}

// Clients that leave half a report behind, or keep coming and going while the one before is not even read to its end.
func TestClientsComeAndGo(t *testing.T) {
	u := listenUnix(t)
	go u.Serve(t.Context(), newKey())
	defer u.Close()
	for range 50 {
		for range 5 {
			c := dial(t, "unix", u.Path())
			c.Write(make([]byte, 100))
			c.Close()
		}
		last := dial(t, "unix", u.Path())
		echoesTo(t, last)
		last.Close()
	}
}

func TestUDPAddress(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", "192.0.2.1:8111", "[::]:0"} {
		if _, err := ListenUDP(addr); !errors.Is(err, ErrNotLoopback) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if _, err := ListenUDP("localhost"); err == nil {
		t.Error("no address")
	}
}

// Datagrams of another length are no reports.
func TestUDPOtherDatagrams(t *testing.T) {
	u, err := ListenUDP("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go u.Serve(t.Context(), newKey())
	defer u.Close()
	c, other := dial(t, "udp", u.Path()), dial(t, "udp", u.Path())
	opened := openClient(t, c)
	for _, n := range []int{0, 1, 63, 65, 1000} {
		c.Write(make([]byte, n))
		other.Write(make([]byte, n)) // nor does it take the key over
	}
	if err := opened.Ping(waiting(t), []byte("pong")); err != nil {
		t.Error(err)
	}
}

// A client that is gone for good: the kernel's ICMP is no error of ours.
func TestUDPClientIsGone(t *testing.T) {
	u, err := ListenUDP("[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- u.Serve(t.Context(), newKey()) }()
	for range 10 {
		c := dial(t, "udp", u.Path())
		ask(t, c, channel(t, c), "e")
		c.Close()
	}
	echoesTo(t, dial(t, "udp", u.Path()))
	u.Close()
	if err := <-served; err != os.ErrClosed {
		t.Errorf("Serve: %v", err)
	}
}
