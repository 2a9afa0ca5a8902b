package main

import (
	"context"
	"errors"
	"iter"
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
	fob.TPM.Status fob.TPM.SRK
	fob.OTP.List fob.OTP.Add fob.OTP.Code fob.OTP.Rename fob.OTP.Remove fob.OTP.Export fob.OTP.Provision
	fob.OTP.Clone
	fob.Account.Realms fob.Account.CreateRealm fob.Account.RemoveRealm fob.Account.Principals fob.Account.AddPrincipal
	fob.Account.RemovePrincipal fob.Account.Tokens fob.Account.ImportToken fob.Account.RemoveToken
	fob.Account.BeginEnrol fob.Account.FinishEnrol fob.Account.Detach fob.Account.Resync fob.Account.Unlock
	fob.Account.IssueTicket fob.Account.BeginSignIn fob.Account.FinishSignIn fob.Account.CheckSession
	fob.Account.EndSession fob.Account.Keys
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

// startAnyUser starts a fobd of the user fob that serves all users, with a policy and an emulated key.
func startAnyUser(t *testing.T, policy string) *manager {
	t.Helper()
	if os.Getuid() != root {
		t.Skip("NOT RUN: only root can be other users")
	}
	m := newManager(t)
	dir := filepath.Dir(m.client.Socket)
	state, rules := filepath.Join(dir, "state"), filepath.Join(dir, "policy.toml")
	if err := errors.Join(os.WriteFile(rules, []byte(policy), 0o644), os.Mkdir(state, 0o700),
		os.Chown(state, fob, fob), os.Chmod(m.client.Socket, 0o666),
		os.Chmod(dir, 0o755), os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(filepath.Dir(fobdPath), 0o755)); err != nil {
		t.Fatal(err)
	}
	m.env = append(m.env, "NOTIFY_SOCKET=", "STATE_DIRECTORY="+state)
	m.user = &syscall.Credential{Uid: fob, Gid: fob}
	m.start("--any-user", "--policy", rules, "--emulator", "--emulator-touch", "never")
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
	m := startAnyUser(t, "[[rule]]\nverbs = ['register', 'sign-in', 'manage', 'reset']\naction = 'allow'\n")
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

// stream is a call that goes on.
type stream struct {
	*testing.T
	next func() (varlink.Reply, error, bool)
}

// callAs calls a method as a user, on a connection that is closed with the test.
func callAs(t *testing.T, socket string, uid int, method string, in any) stream {
	t.Helper()
	c := dialAs(t, socket, uid)
	t.Cleanup(func() { c.Close() })
	next, stop := iter.Pull2(c.Stream(t.Context(), method, in))
	t.Cleanup(stop)
	return stream{t, next}
}

// event waits for a reply and gives its event; none for a reply that has none.
func (s stream) event() *ipc.Event {
	s.Helper()
	reply, err, _ := s.next()
	var r ipc.EventReply
	if err == nil {
		err = reply.Bind(&r)
	}
	if err != nil {
		s.Error(err)
		return &ipc.Event{Caller: &ipc.Caller{}}
	}
	return r.Event
}

// TestPromptersOfTheHost: at a fobd of the whole host, one of root's programs is asked about other users' ceremonies,
// and their own programs are not.
func TestPromptersOfTheHost(t *testing.T) {
	m := startAnyUser(t, "[[rule]]\nverbs = ['register']\naction = 'ask'\n")
	socket := m.client.Socket
	if err := first(t, socket, stranger, ipc.MethodRegisterPrompter); !errors.Is(err, varlink.PermissionDenied{}) {
		t.Error(err)
	}
	if err := first(t, socket, fob, ipc.MethodRegisterPrompter); !errors.Is(err, ipc.NotAPrompter{}) {
		t.Error("not in the policy: ", err)
	}
	prompter := callAs(t, socket, root, ipc.MethodRegisterPrompter, nil)
	if e := prompter.event(); e != nil {
		t.Fatalf("%+v", e)
	}
	ceremony := callAs(t, socket, stranger, ipc.MethodRegister, registration)
	asked := make(chan *ipc.Event, 1)
	go func() { asked <- ceremony.event() }() // or else nothing is read
	e := prompter.event()
	if e.Kind != ipc.EventConsent || e.Caller.PID != os.Getpid() || e.Caller.Executable != "" {
		t.Errorf("%+v, %+v", e, e.Caller)
	}
	answer := map[string]any{"token": e.Token, "choice": 0}
	for uid, want := range map[int]error{fob: ipc.UnknownToken{}, stranger + 1: ipc.UnknownToken{}} {
		if _, err, _ := callAs(t, socket, uid, ipc.MethodAnswer, answer).next(); !errors.Is(err, want) {
			t.Errorf("%d answers: %v", uid, err)
		}
	}
	if _, err, _ := callAs(t, socket, root, ipc.MethodAnswer, answer).next(); err != nil {
		t.Error(err)
	}
	if e := await(t, asked); e.Kind != ipc.EventTouch {
		t.Errorf("%+v", e)
	}
}
