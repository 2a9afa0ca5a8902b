package varlink

import (
	"io"
	"net"
	"testing"
)

const (
	benchCall  = `{"method":"a.b.Echo","parameters":{"text":"hello"}}` + "\x00"
	benchReply = `{"parameters":{"text":"hello"}}` + "\x00"
)

// BenchmarkRoundTrip calls a method that does nothing. The baseline moves as many bytes over the same kind of socket,
// without looking at them.
func BenchmarkRoundTrip(b *testing.B) {
	b.Run("fob", benchmarkCall)
	b.Run("baseline", benchmarkBareEcho)
}

func benchmarkCall(b *testing.B) {
	s := new(Server)
	err := s.Register("interface a.b\nmethod Echo(text: string) -> (text: string)", map[string]Handler{"Echo": echo})
	if err != nil {
		b.Fatal(err)
	}
	path, _ := start(b, s)
	c := dial(b, path)
	b.SetBytes(int64(len(benchCall) + len(benchReply)))
	b.ReportAllocs()
	for b.Loop() {
		var out text
		if err := c.Call(b.Context(), "a.b.Echo", text{"hello"}, &out); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkBareEcho(b *testing.B) {
	path, l := listen(b)
	defer l.Close()
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		buf := make([]byte, len(benchCall))
		for {
			if _, err := io.ReadFull(nc, buf); err != nil {
				return
			}
			if _, err := nc.Write([]byte(benchReply)); err != nil {
				return
			}
		}
	}()
	nc, err := net.Dial("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	b.SetBytes(int64(len(benchCall) + len(benchReply)))
	b.ReportAllocs()
	buf := make([]byte, len(benchReply))
	for b.Loop() {
		if _, err := nc.Write([]byte(benchCall)); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(nc, buf); err != nil {
			b.Fatal(err)
		}
	}
}
