package libfido2

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/ctaphid"
	"fob/fido/emulator"
)

func TestOpen(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", "/dev/hidraw-none", "/sys/none/nfc0", file, filepath.Dir(file), "/dev/nu\x00ll"} {
		if _, err := Open(path); !errors.Is(err, fido.ErrNoDevice) {
			t.Errorf("%q: %v", path, err)
		}
	}
	if err := openError(unix.EACCES); !errors.Is(err, fido.ErrDenied) || !errors.Is(err, os.ErrPermission) {
		t.Error(err)
	}
}

func TestOpenNeither(t *testing.T) {
	path, _ := plugDevice(t, ctaphid.Device{Capabilities: ctaphid.CapNMSG}, newKey(t, emulator.Options{}))
	if _, err := Open(path); err != fido.ErrNotFIDO2 {
		t.Fatal(err)
	}
}

func TestOpenBusy(t *testing.T) {
	f := newFinger()
	path, _ := plug(t, newKey(t, emulator.Options{Presence: f.presence}))
	r := registration("ada")
	params := []ctap.PublicKeyCredentialParameters{{Type: ctap.TypePublicKey, Alg: r.Algorithm}}
	other := ctap.MakeCredentialRequest{
		ClientDataHash: r.ClientDataHash, RP: &r.RP, User: &r.User, PubKeyCredParams: params,
	}
	openNeighbour(t, path).begin(t, other.Encode())
	await(t, "light", f.waiting)
	if _, err := Open(path); !errors.Is(err, fido.ErrDeviceBusy) {
		t.Fatal(err)
	}
}

func TestOpenLocked(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{}))
	open(t, path)
	if _, err := Open(path); err != fido.ErrDeviceBusy {
		t.Fatal(err)
	}
}

func TestOpenMute(t *testing.T) {
	if _, err := Open(openPTY(t).Path()); !errors.Is(err, fido.ErrDeviceGone) { // nobody serves it
		t.Fatal(err)
	}
}

func TestClose(t *testing.T) {
	path, _ := plug(t, newKey(t, emulator.Options{}))
	d := open(t, path)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != os.ErrClosed {
		t.Fatal(err)
	}
	if _, err := d.GetInfo(t.Context()); err != os.ErrClosed {
		t.Fatal(err)
	}
	open(t, path) // the lock is free again
}

func TestDevices(t *testing.T) {
	if _, err := Devices(); err != nil {
		t.Fatal(err)
	}
	got := printable("Yu\x1b[2Jbi\u202eco\xff" + strings.Repeat("é", 100))
	if got != "Yu[2Jbico"+strings.Repeat("é", 55) {
		t.Errorf("%q", got)
	}
}
