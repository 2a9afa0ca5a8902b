package endpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctaphid"
)

// kernel plays the kernel's end of /dev/uhid. A report goes to the host that has the device open.
type kernel struct{ fd int }

func openUHIDKernel(t *testing.T) (*UHID, kernel) {
	t.Helper()
	ours, kernels := pair(t)
	u, err := newUHID(ours)
	if err != nil {
		t.Fatal(err)
	}
	return u, kernel{kernels}
}

// kernelEvent encodes an event as the kernel does: struct uhid_event in full length.
func kernelEvent(e uhidEvent) []byte {
	b := make([]byte, uhidEventSize)
	binary.NativeEndian.PutUint32(b, e.Type)
	switch e.Type {
	case uhidOutput:
		copy(b[4:], e.Data)
		binary.NativeEndian.PutUint16(b[4+uhidDataMax:], uint16(len(e.Data)))
		b[4+uhidDataMax+2] = 1 // rtype: UHID_OUTPUT_REPORT
	case uhidGetReport, uhidSetReport:
		binary.NativeEndian.PutUint32(b[4:], e.ID)
	}
	return b
}

// tell waits for room, where the kernel, whose queue is shorter, would drop what a host does.
func (k kernel) tell(events ...uhidEvent) error {
	for _, e := range events {
		_, err := unix.Write(k.fd, kernelEvent(e))
		for errors.Is(err, unix.EAGAIN) {
			poll(patience, pollFD(k.fd, unix.POLLOUT))
			_, err = unix.Write(k.fd, kernelEvent(e))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hear waits for an event of ours.
func (k kernel) hear(ctx context.Context) ([]byte, error) {
	for ctx.Err() == nil {
		revents, err := poll(20*time.Millisecond, pollFD(k.fd, unix.POLLIN))
		if err != nil || revents[0] == 0 {
			continue
		}
		b := make([]byte, uhidEventSize)
		n, err := unix.Read(k.fd, b)
		return b[:n], err
	}
	return nil, ctx.Err()
}

// uhidHost is a host that has the device open.
type uhidHost struct{ kernel }

func (k kernel) open(t *testing.T) uhidHost {
	t.Helper()
	for k.pending() { // nobody had the device open, so nobody gets it
		k.hear(t.Context())
	}
	if err := k.tell(uhidEvent{Type: uhidOpen}); err != nil {
		t.Fatal(err)
	}
	return uhidHost{k}
}

func (k kernel) pending() bool {
	revents, err := poll(0, pollFD(k.fd, unix.POLLIN))
	return err == nil && revents[0]&unix.POLLIN != 0
}

func (h uhidHost) leave() { h.tell(uhidEvent{Type: uhidClose}) }

func (h uhidHost) WriteReport(_ context.Context, r ctaphid.Report) error {
	return h.tell(uhidEvent{Type: uhidOutput, Data: append([]byte{0}, r[:]...)})
}

func (h uhidHost) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	b, err := h.hear(ctx)
	if err != nil {
		return ctaphid.Report{}, err
	}
	if len(b) != 4+2+ctaphid.ReportSize || binary.NativeEndian.Uint32(b) != uhidInput2 ||
		binary.NativeEndian.Uint16(b[4:]) != ctaphid.ReportSize {
		return ctaphid.Report{}, errors.New("no UHID_INPUT2 of 64 bytes")
	}
	return ctaphid.Report(b[6:]), nil
}

// A hang-up comes in its place, and nothing is written between it and the Device's knowing of it.
func TestUHIDHangUp(t *testing.T) {
	u, k := openUHIDKernel(t)
	defer u.Close()
	ctx, c := waiting(t), &u.conn
	one, two := ctaphid.Report{1}, ctaphid.Report{2}
	if err := c.WriteReport(ctx, one); err != ctaphid.ErrDropped {
		t.Errorf("written without a host: %v", err)
	}
	first := k.open(t)
	first.WriteReport(ctx, one)
	first.leave()
	k.open(t).WriteReport(ctx, two)
	c.fill()
	if r, err := c.ReadReport(ctx); r != one || err != nil {
		t.Errorf("first: %v, %v", r[0], err)
	}
	if err := c.WriteReport(ctx, one); err != ctaphid.ErrDropped {
		t.Errorf("written to the next host: %v", err)
	}
	if _, err := c.ReadReport(ctx); err != ctaphid.ErrHangUp {
		t.Errorf("hang-up: %v", err)
	}
	if err := c.WriteReport(ctx, one); err != ctaphid.ErrDropped {
		t.Errorf("written before the hang-up was dealt with: %v", err)
	}
	if r, err := c.ReadReport(ctx); r != two || err != nil {
		t.Errorf("second: %v, %v", r[0], err)
	}
	if err := c.WriteReport(ctx, two); err != nil {
		t.Errorf("written to the host: %v", err)
	}
	if b, err := k.hear(ctx); !bytes.Equal(b, input2(two)) || err != nil {
		t.Errorf("the host reads %x, %v", b, err)
	}
}

// The kernel may have no room for a hang-up. The next host shows that there was one.
func TestUHIDLostHangUp(t *testing.T) {
	u, k := openUHIDKernel(t)
	defer u.Close()
	k.open(t)
	k.open(t)
	u.conn.fill()
	if _, err := u.conn.ReadReport(waiting(t)); err != ctaphid.ErrHangUp {
		t.Errorf("%v", err)
	}
}

// What hosts do besides is refused or passed over: they get an answer and the device goes on.
func TestUHIDOtherEvents(t *testing.T) {
	u, k := openUHIDKernel(t)
	go u.Serve(t.Context(), newKey())
	defer u.Close()
	k.tell(uhidEvent{Type: uhidStart})
	h := k.open(t)
	for _, e := range []uhidEvent{{Type: uhidGetReport, ID: 7}, {Type: uhidSetReport, ID: 0x01020304}} {
		k.tell(e)
		want := binary.NativeEndian.AppendUint32(nil, e.Type+1)
		want = binary.NativeEndian.AppendUint32(want, e.ID)
		want = append(want, binary.NativeEndian.AppendUint16(nil, uint16(unix.EIO))...)
		if b, err := k.hear(waiting(t)); !bytes.Equal(b, want) || err != nil {
			t.Errorf("event %d: answer %x, %v", e.Type, b, err)
		}
	}
	numbered := append([]byte{1}, make([]byte, ctaphid.ReportSize)...)
	k.tell(uhidEvent{Type: uhidOutput, Data: numbered}, uhidEvent{Type: uhidOutput, Data: make([]byte, 64)},
		uhidEvent{Type: uhidOutput}, uhidEvent{Type: 99}, uhidEvent{Type: uhidStop})
	echoesTo(t, h)
}

// The device reads no more ahead than it has promised to.
func TestUHIDFlood(t *testing.T) {
	ours, kernels := pair(t)
	for _, fd := range []int{ours, kernels} {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<22)
	}
	u, err := newUHID(ours)
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	k := kernel{kernels}
	h := k.open(t)
	flood, written := kernelEvent(uhidEvent{Type: uhidOutput, Data: make([]byte, recordSize)}), 0
	for ; written < 10*uhidAhead; written++ {
		if _, err := unix.Write(k.fd, flood); err != nil {
			break
		}
		if err := u.conn.WriteReport(t.Context(), ctaphid.Report{}); err != nil {
			t.Fatal(err)
		}
		h.ReadReport(t.Context())
	}
	if n := len(u.conn.ahead); n != uhidAhead || written <= uhidAhead {
		t.Errorf("%d events ahead of %d", n, written)
	}
}

func TestUHIDMalformedEvent(t *testing.T) {
	u, k := openUHIDKernel(t)
	defer u.Close()
	unix.Write(k.fd, []byte{1, 2, 3})
	if err := u.Serve(t.Context(), newKey()); !errors.Is(err, errUHIDEvent) {
		t.Errorf("Serve: %v", err)
	}
}

func TestUHIDDestroy(t *testing.T) {
	u, k := openUHIDKernel(t)
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	if b, err := k.hear(t.Context()); !bytes.Equal(b, []byte{1, 0, 0, 0}) || err != nil {
		t.Errorf("Close says %x, %v", b, err)
	}
}

func TestUHIDErrors(t *testing.T) {
	for errno, want := range map[unix.Errno][]error{
		unix.ENOENT: {ErrNoUHID, fs.ErrNotExist},
		unix.ENODEV: {ErrNoUHID, fs.ErrNotExist},
		unix.EACCES: {ErrUHIDPermission, fs.ErrPermission},
		unix.EPERM:  {ErrUHIDPermission, fs.ErrPermission},
		unix.EMFILE: {unix.EMFILE},
	} {
		for _, w := range want {
			if err := uhidError(errno); !errors.Is(err, w) {
				t.Errorf("%v: %v is not %v", errno, err, w)
			}
		}
	}
	for _, o := range []UHIDOptions{{Name: "schlüssel"}, {Name: "two\nlines"}, {Name: strings.Repeat("n", 128)},
		{Uniq: strings.Repeat("1", 64)}, {Uniq: "\x00"}} {
		if _, err := OpenUHID(t.Context(), o); err != ErrUHIDText {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestHidraw(t *testing.T) {
	class, dev := t.TempDir(), t.TempDir()
	add := func(name, phys string) {
		folder := filepath.Join(class, name, "device")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		uevent := "DRIVER=hid-generic\nHID_ID=0003:00001209:00000001\nHID_NAME=key\nHID_PHYS=" + phys + "\nHID_UNIQ=1\n"
		if err := os.WriteFile(filepath.Join(folder, "uevent"), []byte(uevent), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	add("hidraw0", "usb-0000:00:14.0-1/input0")
	add("hidraw1", "fob/OTHER")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := awaitHidraw(ctx, class, dev, "fob/OURS"); !errors.Is(err, ErrNoHidraw) || !errors.Is(err, context.Canceled) {
		t.Errorf("not there: %v", err)
	}
	found := make(chan string)
	go func() {
		node, _ := awaitHidraw(waiting(t), class, dev, "fob/OURS")
		found <- node
	}()
	add("hidraw2", "fob/OURS")
	if _, err := awaitHidraw(ctx, class, dev, "fob/OURS"); !errors.Is(err, ErrNoHidraw) {
		t.Errorf("no node: %v", err)
	}
	node := filepath.Join(dev, "hidraw2")
	if err := os.WriteFile(node, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := <-found; got != node {
		t.Errorf("found %q, want %q", got, node)
	}
}

// layout prints our view of struct uhid_event's layout, to be compared with the one of the kernel's header.
const layout = `
#include <linux/uhid.h>
#include <linux/input.h>
#include <stddef.h>
#include <stdio.h>
#define AT(member) printf("%s %zu\n", #member, offsetof(struct uhid_event, u.member))
int main(void) {
	printf("size %zu\n", sizeof(struct uhid_event));
	AT(create2.phys); AT(create2.uniq); AT(create2.rd_size); AT(create2.bus); AT(create2.vendor); AT(create2.product);
	AT(create2.rd_data); AT(input2.size); AT(input2.data); AT(output.data); AT(output.size); AT(get_report.id);
	AT(set_report.id); AT(get_report_reply.id); AT(get_report_reply.err); AT(set_report_reply.id); AT(set_report_reply.err);
	printf("types %d %d %d %d %d %d %d %d %d %d %d %d\n", UHID_DESTROY, UHID_START, UHID_STOP, UHID_OPEN, UHID_CLOSE,
		UHID_OUTPUT, UHID_GET_REPORT, UHID_GET_REPORT_REPLY, UHID_CREATE2, UHID_INPUT2, UHID_SET_REPORT,
		UHID_SET_REPORT_REPLY);
	printf("bus %d\n", BUS_USB);
}`

// TestUHIDLayout asks the C compiler and the kernel's header where the members are.
func TestUHIDLayout(t *testing.T) {
	program := filepath.Join(t.TempDir(), "layout")
	cc := exec.Command("gcc", "-x", "c", "-o", program, "-")
	cc.Stdin = strings.NewReader(layout)
	if out, err := cc.CombinedOutput(); err != nil {
		t.Fatalf("%v: needs the packages gcc and libc6-dev\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	const want = `size 4380
create2.phys 132
create2.uniq 196
create2.rd_size 260
create2.bus 262
create2.vendor 264
create2.product 268
create2.rd_data 280
input2.size 4
input2.data 6
output.data 4
output.size 4100
get_report.id 4
set_report.id 4
get_report_reply.id 4
get_report_reply.err 8
set_report_reply.id 4
set_report_reply.err 8
types 1 2 3 4 5 6 9 10 11 12 13 14
bus 3
`
	if string(out) != want {
		t.Errorf("the header says\n%swant\n%s", out, want)
	}
	o := UHIDOptions{Name: "a key", Uniq: "serial", VendorID: 0x1209, ProductID: 0xabcd}
	b := o.create2("a place")
	text := func(from, to int) string { return strings.TrimRight(string(b[from:to]), "\x00") }
	n, ne := binary.NativeEndian, binary.NativeEndian.Uint32
	if n.Uint32(b) != 11 || text(4, 132) != o.Name || text(132, 196) != "a place" || text(196, 260) != o.Uniq ||
		int(n.Uint16(b[260:])) != len(b)-280 || n.Uint16(b[262:]) != 3 || ne(b[264:]) != 0x1209 || ne(b[268:]) != 0xabcd ||
		len(b) != 280+34 || uhidEventSize != 4380 || !bytes.HasPrefix(b[280:], []byte{6, 0xd0, 0xf1, 9, 1}) {
		t.Errorf("UHID_CREATE2 %x", b)
	}
}

// FuzzUHIDEvents parses arbitrary events: encoding one again gives an event that says the same.
func FuzzUHIDEvents(f *testing.F) {
	f.Add(kernelEvent(uhidEvent{Type: uhidOutput, Data: make([]byte, recordSize)}))
	f.Add(kernelEvent(uhidEvent{Type: uhidGetReport, ID: 7})[:9])
	f.Add([]byte{5, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := parseUHIDEvent(b)
		if err != nil {
			if got := len(b) >= 4 && len(b) < 4+uhidDataMax; got {
				t.Errorf("%x: %v", b, err)
			}
			return
		}
		again := kernelEvent(e)
		if e.Type == uhidOutput {
			full := append(bytes.Clone(b), make([]byte, uhidEventSize-len(b))...)
			if size := 4 + uhidDataMax; !bytes.Equal(full[:4+len(e.Data)], again[:4+len(e.Data)]) ||
				!bytes.Equal(full[size:size+2], again[size:size+2]) {
				t.Errorf("%x: got %+v", b, e)
			}
		}
		f, err := parseUHIDEvent(again)
		if err != nil || f.Type != e.Type || f.ID != e.ID || !bytes.Equal(f.Data, e.Data) {
			t.Errorf("%+v became %+v, %v", e, f, err)
		}
		if r, ok := e.report(); ok && !bytes.Equal(append([]byte{0}, r[:]...), e.Data) {
			t.Errorf("%+v: report %x", e, r)
		}
	})
}
