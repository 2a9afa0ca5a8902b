package hidraw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/hidraw/hidrawtest"
)

// played is a netlink socket that a test sends messages to.
type played struct {
	messages chan message
	errors   chan error
	closed   chan struct{}
}

func newPlayed() *played {
	return &played{make(chan message, 64), make(chan error, 1), make(chan struct{})}
}

func (p *played) read(ctx context.Context) (message, error) {
	select {
	case m := <-p.messages:
		return m, nil
	case err := <-p.errors:
		return message{}, err
	case <-ctx.Done():
		return message{}, ctx.Err()
	}
}

func (p *played) close() error { close(p.closed); return nil }

func hidrawEvent(action string) uevent { return uevent{{"ACTION", action}, {"SUBSYSTEM", "hidraw"}} }

func (p *played) kernel(action string) {
	p.messages <- message{data: kernelMessage(hidrawEvent(action)), groups: groupKernel}
}

func (p *played) udev(action string) {
	p.messages <- message{data: udevMessage(hidrawEvent(action)), groups: groupUdev, port: 200}
}

// want takes the next events, in this order.
func want(t testing.TB, events <-chan Event, list ...string) {
	t.Helper()
	for _, expected := range list {
		if e, ok := <-events; !ok || fmt.Sprintf("%s %s at %s", e.Kind, e.Device.Name, e.Device.Port) != expected {
			t.Fatalf("%+v, expected %s", e, expected)
		}
	}
}

func quiet(t testing.TB, events <-chan Event) {
	t.Helper()
	synctest.Wait()
	select {
	case e := <-events:
		t.Fatalf("unexpected: %v %+v", e.Kind, e.Device)
	default:
	}
}

// inBubble plays a system with udev and the messages of a socket.
func inBubble(t *testing.T, test func(s system, p *played, ctx context.Context)) {
	s := play(t)
	s.do(s.StartUdev())
	synctest.Test(t, func(t *testing.T) {
		s := s
		s.t = t
		p := newPlayed()
		test(s, p, t.Context())
		synctest.Wait()
	})
}

func (s system) start(p *played, devices ...string) <-chan Event {
	s.t.Helper()
	now, events := s.watch(s.t.Context(), true, listener{p})
	var names []string
	for _, d := range now {
		names = append(names, d.Name)
	}
	if !slices.Equal(names, devices) {
		s.t.Fatalf("%v are plugged in, expected %v", names, devices)
	}
	return events
}

func TestPlugAndUnplug(t *testing.T) {
	inBubble(t, func(s system, p *played, _ context.Context) {
		s.do(s.Plug(yubikey))
		s.do(s.Settle(3))
		events := s.start(p, "hidraw3")
		quiet(s.t, events)

		s.do(s.Plug(at(yubikey, "1-3", 4)))
		p.kernel("add")
		quiet(s.t, events) // udev is not done yet
		s.do(s.Settle(4, "G:uaccess"))
		p.udev("add")
		want(s.t, events, "added hidraw4 at 1-3")

		s.do(s.Unplug(3))
		p.kernel("remove")
		want(s.t, events, "removed hidraw3 at 1-2")
		p.udev("remove")
		quiet(s.t, events)

		// Out and in between two looks, at the same port and number.
		s.do(s.Unplug(4))
		s.do(s.Plug(at(yubikey, "1-3", 4)))
		s.do(s.Settle(4))
		p.udev("add")
		want(s.t, events, "removed hidraw4 at 1-3", "added hidraw4 at 1-3")
	})
}

func TestOtherDevicesAndStrangers(t *testing.T) {
	inBubble(t, func(s system, p *played, _ context.Context) {
		events := s.start(p)
		s.do(s.Plug(yubikey))
		s.do(s.Settle(3))
		p.messages <- message{data: kernelMessage(uevent{{"ACTION", "add"}, {"SUBSYSTEM", "usb"}}), groups: groupKernel}
		p.messages <- message{data: []byte("libudev"), groups: groupUdev, port: 1}
		p.messages <- message{data: udevMessage(hidrawEvent("add")), groups: groupUdev, port: 1, uid: 1000}
		quiet(s.t, events)
		p.udev("add")
		want(s.t, events, "added hidraw3 at 1-2")
	})
}

func TestOverrun(t *testing.T) {
	inBubble(t, func(s system, p *played, _ context.Context) {
		s.do(s.Plug(yubikey))
		s.do(s.Settle(3))
		events := s.start(p, "hidraw3")
		s.do(s.Unplug(3))
		s.do(s.Plug(at(yubikey, "1-3", 5)))
		s.do(s.Settle(5))
		p.errors <- errOverrun
		want(s.t, events, "removed hidraw3 at 1-2", "added hidraw5 at 1-3")
	})
}

// A udev that hangs hides a key for three seconds and no longer.
func TestUdevHangs(t *testing.T) {
	inBubble(t, func(s system, p *played, _ context.Context) {
		s.do(s.Plug(yubikey))
		events := s.start(p)
		begin := time.Now()
		want(s.t, events, "added hidraw3 at 1-2")
		s.do(s.Plug(at(yubikey, "1-3", 5)))
		p.kernel("add")
		want(s.t, events, "added hidraw5 at 1-3")
		if took := time.Since(begin); took < settleTime || took > 4*settleTime {
			t.Errorf("after %v", took)
		}
	})
}

func TestSocketFails(t *testing.T) {
	inBubble(t, func(s system, p *played, _ context.Context) {
		events := s.start(p)
		p.errors <- io.ErrUnexpectedEOF
		if e, ok := <-events; ok {
			t.Errorf("%+v", e)
		}
		<-p.closed
	})
}

func TestWatchEnds(t *testing.T) {
	inBubble(t, func(s system, p *played, _ context.Context) {
		ctx, cancel := context.WithCancel(s.t.Context())
		_, events := s.watch(ctx, true, listener{p})
		s.do(s.Plug(yubikey))
		s.do(s.Settle(3))
		p.udev("add") // and nobody takes the event
		synctest.Wait()
		cancel()
		for range events {
		}
		<-p.closed
	})
}

// TestWatchNodes: without udev, and where no message of the kernel comes, /dev tells.
func TestWatchNodes(t *testing.T) {
	goroutines := runtime.NumGoroutine()
	s := play(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	now, events, err := s.Watch(ctx)
	if err != nil || len(now) > 0 {
		t.Fatal(now, err)
	}
	s.do(s.Connect(yubikey)) // it has no node yet, as in a container
	s.do(s.File("/dev/hidraw3", ""))
	want(t, events, "added hidraw3 at 1-2")
	node := filepath.Join(s.System.Root, "dev/hidraw3")
	s.do(os.Chmod(node, 0o600))
	want(t, events, "changed hidraw3 at 1-2")
	if acl := userACL(123); unix.Setxattr(node, "system.posix_acl_access", acl, 0) == nil { // not each file system can
		want(t, events, "changed hidraw3 at 1-2")
	}
	s.do(s.Unplug(3))
	want(t, events, "removed hidraw3 at 1-2")
	cancel()
	for range events {
	}
	for end := time.Now().Add(patience); runtime.NumGoroutine() > goroutines; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("goroutines are left")
		}
	}
}

// userACL is an access list that lets one more user in: version 2, then tag, permissions and ID of each entry.
func userACL(uid byte) []byte {
	return []byte{2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255, 255, 2, 0, 6, 0, uid, 0, 0, 0,
		4, 0, 0, 0, 255, 255, 255, 255, 0x10, 0, 6, 0, 255, 255, 255, 255, 0x20, 0, 0, 0, 255, 255, 255, 255}
}

// patience ends tests that would hang.
const patience = 30 * time.Second

func TestWatchThatHearsNothing(t *testing.T) {
	s := play(t)
	s.do(s.Remove("/dev"))
	if _, err := s.watchNodes(); err == nil {
		t.Error("a folder that is not there is watched")
	}
}

// TestNetlink: the socket can be had without rights, and its wait ends with the context. Nobody but root can send to it.
func TestNetlink(t *testing.T) {
	n, err := openNetlink()
	if err != nil {
		t.Skip(err)
	}
	defer n.close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- (listener{n}).wait(ctx) }()
	stranger, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stranger)
	own, err := unix.Getsockname(int(n.f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	unix.SetNonblock(int(n.f.Fd()), true) // which Fd undoes
	to := &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Pid: own.(*unix.SockaddrNetlink).Pid}
	if err := unix.Sendto(stranger, udevMessage(added), 0, to); err != nil {
		t.Log("not even sent:", err)
	}
	select {
	case err := <-done:
		t.Fatalf("a stranger's message woke it: %v", err)
	case <-time.After(10 * time.Millisecond):
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// BenchmarkHotplug is the time from a node in /dev to the event.
func BenchmarkHotplug(b *testing.B) {
	s := play(b)
	_, events, err := s.Watch(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	s.do(s.Connect(hidrawtest.Key{Port: "1-2", Number: 3, VendorID: 1, ProductID: 2}))
	for b.Loop() {
		s.do(s.File("/dev/hidraw3", ""))
		<-events
		b.StopTimer()
		s.do(s.Remove("/dev/hidraw3"))
		<-events
		b.StartTimer()
	}
}
