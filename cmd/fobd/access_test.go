package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"fob/ipc"
	"fob/ipc/varlink"
)

// everybodys are the methods that any user may call whom 'fobd --any-user' serves; all others are for fobd's own user
// and root. This list is written by hand: who adds a method decides here whose it is.
var everybodys = strings.Fields(`
	fob.Device.List fob.Device.Watch fob.Device.GetInfo fob.Device.Wink fob.Device.SetPIN fob.Device.ChangePIN
	fob.Device.ForcePINChange fob.Device.SetMinPINLength fob.Device.SetMinPINLengthRPIDs fob.Device.SetAlwaysUV
	fob.Device.EnableEnterpriseAttestation fob.Device.ListCredentials fob.Device.RenameCredential
	fob.Device.DeleteCredential fob.Device.ListLargeBlobs fob.Device.GetLargeBlob fob.Device.SetLargeBlob
	fob.Device.DeleteLargeBlob fob.Device.ListFingerprints fob.Device.AddFingerprint fob.Device.RenameFingerprint
	fob.Device.RemoveFingerprint fob.Device.Reset
	fob.Ceremony.Register fob.Ceremony.SignIn
	fob.Prompt.Answer
	fob.Store.Status fob.Service.Status fob.Service.Ping
	org.varlink.service.GetInfo org.varlink.service.GetInterfaceDescription`)

var owners = strings.Fields(`
	fob.Prompt.Register
	fob.Store.Unlock fob.Store.Seal fob.Store.Export fob.Store.Import fob.Store.Upload fob.Store.Reset
	fob.Audit.Query fob.Audit.Follow fob.Audit.Verify
	fob.Service.Metrics fob.Service.Reload
	fob.Emulator.List fob.Emulator.Touch fob.Emulator.Deny fob.Emulator.Present fob.Emulator.SetPolicy
	fob.Emulator.Remove fob.Emulator.Insert fob.Emulator.Replug fob.Emulator.SetNextError fob.Emulator.SetRetries
	fob.Emulator.AdvanceClock fob.Emulator.Credentials fob.Emulator.Watch`)

// Users of the machine of the test.
const (
	root     = 0
	fob      = 60001 // that of fobd
	stranger = 60002
)

// dialAs connects as a user: that of the thread counts, which is thrown away afterwards.
func dialAs(t *testing.T, path string, uid int) *varlink.Conn {
	t.Helper()
	var c net.Conn
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		const same = ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, same, uintptr(uid), same); errno != 0 {
			err = errno
			return
		}
		c, err = net.Dial("unix", path)
	}()
	if <-done; err != nil {
		t.Fatal(err)
	}
	return varlink.NewConn(c)
}

// startAnyUser starts a fobd of the user fob that serves all users, with an emulated key.
func startAnyUser(t *testing.T) *manager {
	t.Helper()
	if os.Getuid() != root {
		t.Skip("NOT RUN: only root can be other users")
	}
	m := newManager(t)
	dir := filepath.Dir(m.client.Socket)
	state := filepath.Join(dir, "state")
	if err := errors.Join(os.Mkdir(state, 0o700), os.Chown(state, fob, fob), os.Chmod(m.client.Socket, 0o666),
		os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(filepath.Dir(fobdPath), 0o755)); err != nil {
		t.Fatal(err)
	}
	m.env = append(m.env, "NOTIFY_SOCKET=", "STATE_DIRECTORY="+state)
	m.user = &syscall.Credential{Uid: fob, Gid: fob}
	m.start("--any-user", "--emulator", "--emulator-touch", "never")
	return m
}

// methods lists all that a fobd has.
func methods(t *testing.T, socket string) (names []string) {
	t.Helper()
	c := dialAs(t, socket, stranger)
	defer c.Close()
	var info struct {
		Interfaces []string `json:"interfaces"`
	}
	if err := c.Call(t.Context(), "org.varlink.service.GetInfo", nil, &info); err != nil {
		t.Fatal(err)
	}
	for _, name := range info.Interfaces {
		var out struct {
			Description string `json:"description"`
		}
		in := map[string]string{"interface": name}
		if err := c.Call(t.Context(), "org.varlink.service.GetInterfaceDescription", in, &out); err != nil {
			t.Fatal(err)
		}
		i, err := varlink.ParseInterface(out.Description)
		if err != nil {
			t.Fatal(name, err)
		}
		for _, m := range i.Methods {
			names = append(names, name+"."+m.Name)
		}
	}
	return names
}

// first is the error of the first reply to a call without parameters.
func first(t *testing.T, socket string, uid int, method string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := dialAs(t, socket, uid)
	defer c.Close()
	for _, err := range c.Stream(ctx, method, map[string]bool{"wait": false}) {
		return err
	}
	return errors.New("no reply")
}

// TestAccess calls every method of a fobd that serves several users, as each kind of user.
func TestAccess(t *testing.T) {
	m := startAnyUser(t)
	all := methods(t, m.client.Socket)
	slices.Sort(all)
	listed := slices.Sorted(slices.Values(slices.Concat(everybodys, owners)))
	if !slices.Equal(all, listed) {
		t.Errorf("fobd has\n%q\nand the lists above\n%q", all, listed)
	}
	ending := []string{ipc.MethodRemove} // what takes the key away comes last
	all = append(slices.DeleteFunc(all, func(name string) bool { return slices.Contains(ending, name) }), ending...)
	for _, method := range all {
		for _, uid := range []int{stranger, root, fob} {
			err := first(t, m.client.Socket, uid, method)
			denied := errors.Is(err, varlink.PermissionDenied{})
			if want := uid == stranger && !slices.Contains(everybodys, method); denied != want {
				t.Errorf("%s by %d: %v", method, uid, err)
			}
		}
	}
}
