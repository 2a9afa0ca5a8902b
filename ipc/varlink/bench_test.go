package varlink

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/godbus/dbus/v5"
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

// BenchmarkRoundTripBesideDBus is the same call, beside one to another process's like through a dbus-daemon of our own.
func BenchmarkRoundTripBesideDBus(b *testing.B) {
	b.Run("fob", benchmarkCall)
	b.Run("baseline", benchmarkDBus)
}

func benchmarkCall(b *testing.B) {
	s := &Server{CallsPerSecond: 1e9}
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

// busEcho is the D-Bus object that gives back what it gets.
type busEcho struct{}

func (busEcho) Echo(text string) (string, *dbus.Error) { return text, nil }

func benchmarkDBus(b *testing.B) {
	address := startBus(b)
	service, client := joinBus(b, address), joinBus(b, address)
	if err := service.Export(busEcho{}, "/a/b", "a.b"); err != nil {
		b.Fatal(err)
	}
	object := client.Object(service.Names()[0], "/a/b")
	b.ReportAllocs()
	for b.Loop() {
		var out string
		if err := object.CallWithContext(b.Context(), "a.b.Echo", 0, "hello").Store(&out); err != nil {
			b.Fatal(err)
		}
	}
}

// startBus runs a message bus that lets everybody do everything.
func startBus(b *testing.B) (address string) {
	b.Helper()
	dir := b.TempDir()
	config := filepath.Join(dir, "bus.conf")
	text := fmt.Sprintf(`<busconfig><listen>unix:path=%s/bus</listen>
		<policy context="default"><allow own="*"/><allow send_destination="*"/><allow receive_sender="*"/></policy>
		</busconfig>`, dir)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	daemon := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address=1")
	out, err := daemon.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	daemon.Stderr = os.Stderr
	if err := daemon.Start(); err != nil {
		b.Fatal("the package dbus-daemon is needed: ", err)
	}
	b.Cleanup(func() {
		daemon.Process.Kill()
		daemon.Wait()
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		b.Fatal(err)
	}
	return "unix:path=" + dir + "/bus"
}

func joinBus(b *testing.B, address string) *dbus.Conn {
	b.Helper()
	conn, err := dbus.Connect(address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}
