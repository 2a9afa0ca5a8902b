package hidraw_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"fob/fido/endpoint"
	"fob/fido/hidraw"
)

// TestUHID: a real device of the kernel's comes, is opened, and goes, where the kernel lets us make one.
func TestUHID(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var tree hidraw.Tree
	_, events, err := tree.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	serial := fmt.Sprintf("serial%08x", time.Now().UnixNano())
	plug := func() (*endpoint.UHID, hidraw.Device) {
		t.Helper()
		u, err := endpoint.OpenUHID(ctx, endpoint.UHIDOptions{Name: "fob hidraw test", Uniq: serial})
		if errors.Is(err, endpoint.ErrNoUHID) || errors.Is(err, endpoint.ErrUHIDPermission) || errors.Is(err, endpoint.ErrNoHidraw) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		d := await(t, events, hidraw.Added, u.Path())
		t.Logf("%v from the node to the event", time.Since(begin))
		return u, d
	}
	u, d := plug()
	if d.Product != "fob hidraw test" || d.Serial != serial || d.VendorID != 0x1209 || d.Bus != hidraw.BusUSB || d.Port != "" {
		t.Errorf("%+v", d)
	}
	if again, err := tree.ByNode(u.Path()); err != nil || again != d {
		t.Errorf("%+v, %v; expected %+v", again, err, d)
	}
	nodes, err := hidraw.NewNodes()
	if err != nil {
		t.Fatal(err)
	}
	defer nodes.Close()
	if err := nodes.Follow(u.Path()); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(u.Path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if opened, _, err := nodes.Wait(ctx); err != nil || len(opened) != 1 || opened[0] != u.Path() {
		t.Errorf("%v, %v", opened, err)
	}
	f.Close()
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	await(t, events, hidraw.Removed, d.Node)

	v, again := plug()
	if again.Path == d.Path || tree.ID(again) != tree.ID(d) {
		t.Errorf("%s at %s was %s at %s", tree.ID(again), again.Path, tree.ID(d), d.Path)
	}
	if err := v.Close(); err != nil {
		t.Error(err)
	}
	await(t, events, hidraw.Removed, again.Node)
}

// await waits for an event of a node; other devices may come and go, and udev changes who may open a new one.
func await(t *testing.T, events <-chan hidraw.Event, kind hidraw.Kind, node string) hidraw.Device {
	t.Helper()
	for e := range events {
		if e.Kind == kind && e.Device.Node == node {
			return e.Device
		}
	}
	t.Fatalf("never %v: %s", kind, node)
	panic("unreachable")
}
