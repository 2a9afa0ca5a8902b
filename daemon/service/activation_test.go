package service

import (
	"errors"
	"net"
	"os"
	"testing"
)

// file gives the file of a socket, under a name.
func file(t *testing.T, s interface{ File() (*os.File, error) }, name string) *os.File {
	t.Helper()
	f, err := s.File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	named := os.NewFile(f.Fd(), name)
	t.Cleanup(func() { named.Close() })
	return named
}

func TestOurs(t *testing.T) {
	l, _ := socket(t)
	a, b, v, w := file(t, l, "a"), file(t, l, "b"), file(t, l, SocketName), file(t, l, SocketName)
	for _, c := range []struct {
		files []*os.File
		want  *os.File
		err   error
	}{
		{nil, nil, nil},
		{[]*os.File{a}, a, nil},
		{[]*os.File{a, v}, v, nil},
		{[]*os.File{v, a, b}, v, nil},
		{[]*os.File{a, b}, nil, ErrSockets},
		{[]*os.File{v, a, w}, nil, ErrSockets},
	} {
		if got, err := ours(c.files); got != c.want || err != c.err {
			t.Errorf("%d files: %v, %v", len(c.files), got, err)
		}
	}
}

func TestListenerOf(t *testing.T) {
	unix, path := socket(t)
	l, err := listenerOf(file(t, unix, ""))
	if err != nil {
		t.Fatal(err)
	}
	dial(t, path)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	l.Close()
	if _, err := os.Stat(path); err != nil {
		t.Error("the socket is another's: ", err)
	}

	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	packets, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path + ".packets", Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	pipe, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pipe.Close()
	defer other.Close()
	for name, f := range map[string]*os.File{"TCP": file(t, tcp, ""), "packets": file(t, packets, ""), "no socket": pipe,
		"connected": file(t, c.(*net.UnixConn), "")} {
		if _, err := listenerOf(f); !errors.Is(err, ErrSocket) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingInherited(t *testing.T) {
	t.Setenv("LISTEN_PID", "1") // somebody else
	t.Setenv("LISTEN_FDS", "1")
	if l, err := Inherited(); l != nil || err != nil {
		t.Error(l, err)
	}
	if os.Getenv("LISTEN_FDS") != "" {
		t.Error("programs that we start would take it for theirs")
	}
}
