package endpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// ErrNoHidraw means that the kernel has made the device but no node for it has appeared, as in a container, which has a
// /dev of its own.
var ErrNoHidraw = errors.New("the device has no hidraw node")

// hidrawInterval is the time from one look for the node to the next. The kernel makes it a few milliseconds after the
// device; sysfs has no way to wait for it.
const hidrawInterval = 10 * time.Millisecond

// awaitHidraw waits for the node in dev of the hidraw device in class that has the physical location phys.
func awaitHidraw(ctx context.Context, class, dev, phys string) (string, error) {
	look := time.NewTicker(hidrawInterval)
	defer look.Stop()
	for {
		if name, ok := findHidraw(class, phys); ok {
			node := filepath.Join(dev, name)
			if _, err := os.Stat(node); err == nil {
				return node, nil
			}
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return "", fmt.Errorf("%w: %w", ErrNoHidraw, ctx.Err())
		}
	}
}

// findHidraw looks for a line of the devices' uevent files, which hold the strings of UHID_CREATE2.
func findHidraw(class, phys string) (name string, ok bool) {
	entries, err := os.ReadDir(class)
	if err != nil {
		return "", false
	}
	for _, e := range entries {
		uevent, err := os.ReadFile(filepath.Join(class, e.Name(), "device", "uevent"))
		if err == nil && slices.Contains(strings.Split(string(uevent), "\n"), "HID_PHYS="+phys) {
			return e.Name(), true
		}
	}
	return "", false
}
