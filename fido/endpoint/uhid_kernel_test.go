package endpoint

import (
	"errors"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"fob/fido/ctaphid"
)

// Where the kernel lets us make a hidraw device, the tests of all endpoints use one as well.
func init() {
	if unix.Access(uhidPath, unix.R_OK|unix.W_OK) != nil {
		return
	}
	kinds["hidraw"] = func(t *testing.T, d ctaphid.Device) plugged {
		u, err := OpenUHID(waiting(t), UHIDOptions{})
		if err != nil {
			t.Fatal(err)
		}
		u.Device = d
		const most = 57 + 29*59 // 30 reports: the kernel keeps 32
		return plugged{endpoint: u, dial: func(t *testing.T) leaver { return openHost(t, u.Path()) }, most: most}
	}
}

// TestOpenUHID makes a device, or is told what is missing; 'make test' says so then.
func TestOpenUHID(t *testing.T) {
	u, err := OpenUHID(waiting(t), UHIDOptions{Name: "fob test", Uniq: "42"})
	if errors.Is(err, ErrNoUHID) || errors.Is(err, ErrUHIDPermission) {
		if unix.Access(uhidPath, unix.R_OK|unix.W_OK) == nil && !errors.Is(err, ErrNoUHID) {
			t.Error(err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	uevent, err := os.ReadFile(strings.Replace(u.Path(), "/dev/", "/sys/class/hidraw/", 1) + "/device/uevent")
	for _, want := range []string{"HID_ID=0003:00001209:00000001", "HID_NAME=fob test", "HID_UNIQ=42"} {
		if err != nil || !strings.Contains(string(uevent), want+"\n") {
			t.Errorf("%s, %v: no %s", uevent, err, want)
		}
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(u.Path()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s after Close: %v", u.Path(), err)
	}
}

// A burst goes out at once, what follows at the pace of a bus, and after a pause there is room for a burst again.
func TestUHIDPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(uhidConn)
		send := func(n int) time.Duration {
			started := time.Now()
			for range n {
				c.pace(t.Context())
			}
			return time.Since(started)
		}
		if d := send(uhidBurst); d != 0 {
			t.Errorf("a burst took %v", d)
		}
		if d := send(100); d != 100*uhidInterval {
			t.Errorf("100 reports after it took %v", d)
		}
		time.Sleep(uhidBurst * uhidInterval)
		if d := send(uhidBurst + 1); d != uhidInterval {
			t.Errorf("after a pause: %v", d)
		}
	})
}
