package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/relyingparty"
	"fob/fido/softkey"
	"fob/fido/webauthn"
	"fob/ipc"
	"fob/ipc/varlink"
)

// varlinkctl prepares systemd's own client (varlinkctl(1), systemd 257).
func varlinkctl(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join("..", ".ci", "varlinkctl"), args...)
	cmd.Stdout, cmd.Stderr = new(bytes.Buffer), new(bytes.Buffer)
	return cmd
}

// needVarlinkctl skips the test where it can't be had, as .ci/varlinkctl says; "make race" tells loudly.
func needVarlinkctl(t *testing.T) {
	t.Helper()
	cmd := varlinkctl(t.Context(), "--version")
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 69 {
		t.Skip("NOT RUN: ", cmd.Stderr)
	}
	if err != nil {
		t.Fatal(err, cmd.Stderr)
	}
}

// TestVarlinkctlIntrospects: systemd's parser takes every interface that fobd has, and finds in it what ours does.
func TestVarlinkctlIntrospects(t *testing.T) {
	needVarlinkctl(t)
	idl, err := varlink.ParseInterface(ipc.EmulatorInterface)
	if err != nil {
		t.Fatal(err)
	}
	emulator := Interface{ipc.EmulatorInterface, make(map[string]varlink.Handler)}
	for _, m := range idl.Methods {
		emulator.Methods[m.Name] = nil
	}
	socket := serveDaemon(t, &Daemon{Source: &fakeSource{}, More: []Interface{emulator}}).Socket
	stdout, _ := output(t, varlinkctl(t.Context(), "info", socket))
	if !strings.Contains(stdout, "Vendor: fob") || !strings.Contains(stdout, "Product: fobd") {
		t.Errorf("info says\n%s", stdout)
	}
	stdout, _ = output(t, varlinkctl(t.Context(), "list-interfaces", socket))
	names := strings.Fields(stdout)
	if !slices.Contains(names, "fob.Device") || !slices.Contains(names, "fob.Emulator") {
		t.Errorf("interfaces: %q", names)
	}
	conn, err := varlink.Dial(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, name := range names {
		var ours struct {
			Description string `json:"description"`
		}
		in := map[string]string{"interface": name}
		if err := conn.Call(t.Context(), "org.varlink.service.GetInterfaceDescription", in, &ours); err != nil {
			t.Fatal(err)
		}
		theirs, complaints := output(t, varlinkctl(t.Context(), "introspect", socket, name))
		if complaints != "" {
			t.Errorf("%s: %s", name, complaints)
		}
		if got, want := layout(t, theirs), layout(t, ours.Description); got != want {
			t.Errorf("%s: varlinkctl understands\n%s\nwant\n%s", name, got, want)
		}
	}
}

// layout gives an interface in the layout of package varlink, without the empty lines of comments, which systemd drops.
func layout(t *testing.T, text string) string {
	t.Helper()
	i, err := varlink.ParseInterface(text)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(i.String(), "\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.TrimSpace(l) == "#" }), "\n")
}

// sequence reads JSON texts (RFC 7464) as varlinkctl prints replies to a call with "more".
func sequence(t *testing.T, r *bufio.Reader, reply any) bool {
	t.Helper()
	line, err := r.ReadBytes('\n')
	if err != nil {
		return false
	}
	if err := json.Unmarshal(bytes.Trim(line, "\x1e\n"), reply); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return true
}

// more begins a call with "more" and gives its replies, which the end of ctx ends.
func more(ctx context.Context, t *testing.T, socket, method, parameters string) (*bufio.Reader, *exec.Cmd) {
	t.Helper()
	cmd := varlinkctl(ctx, "call", "--more", "--json=short", "--timeout=infinity", socket, method, parameters)
	cmd.Stdout = nil
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(out), cmd
}

// TestVarlinkctlCalls calls methods without "more", and gets named errors with their parameters.
func TestVarlinkctlCalls(t *testing.T) {
	needVarlinkctl(t)
	dir, key := plug(t, softkey.Options{})
	socket := filepath.Join(dir, "fob", "fob.sock")
	stdout, _ := output(t, varlinkctl(t.Context(), "call", socket, ipc.MethodList, "{}"))
	var list ipc.ListReply
	err := json.Unmarshal([]byte(stdout), &list)
	if err != nil || len(list.Devices) != 1 || list.Devices[0].Path != key.Path() {
		t.Errorf("%q, %v", stdout, err)
	}
	stdout, _ = output(t, varlinkctl(t.Context(), "call", socket, ipc.MethodGetInfo, `{"newerThanThis":1}`))
	var info ipc.GetInfoReply
	if err := json.Unmarshal([]byte(stdout), &info); err != nil || len(info.Info.Versions) == 0 {
		t.Errorf("%q, %v", stdout, err)
	}
	output(t, varlinkctl(t.Context(), "call", "--oneway", socket, ipc.MethodList, "{}"))
	for _, test := range []struct{ method, parameters, err, reply string }{
		{ipc.MethodGetInfo, `{"device":"x"}`, "fob.Device.UnknownDevice", `{"id":"x"}`},
		{ipc.MethodGetInfo, `{"device":1}`, "org.varlink.service.InvalidParameter", `{"parameter":"device"}`},
		{ipc.MethodSignIn, `{}`, "org.varlink.service.ExpectedMore", `{}`},
		{"fob.Device.Nope", `{}`, "org.varlink.service.MethodNotFound", `{"method":"fob.Device.Nope"}`},
		{"fob.Nope.List", `{}`, "org.varlink.service.InterfaceNotFound", `{"interface":"fob.Nope"}`},
		{ipc.MethodAnswer, `{"token":"x","decline":true}`, "fob.Prompt.UnknownToken", `{}`},
	} {
		cmd := varlinkctl(t.Context(), "call", socket, test.method, test.parameters)
		err := cmd.Run()
		stdout, stderr := cmd.Stdout.(*bytes.Buffer).String(), cmd.Stderr.(*bytes.Buffer).String()
		if err == nil || !strings.Contains(stderr, test.err) || strings.TrimSpace(stdout) != test.reply {
			t.Errorf("%s %s: %v, %q %q", test.method, test.parameters, err, stdout, stderr)
		}
		output(t, varlinkctl(t.Context(), "call", "--graceful="+test.err, socket, test.method, test.parameters))
	}
}

// TestVarlinkctlWatches follows a key that is taken out; the end of varlinkctl ends the watch.
func TestVarlinkctlWatches(t *testing.T) {
	needVarlinkctl(t)
	source := newFakeWatcher(fido.DeviceInfo{ID: "k", Path: "/dev/k"})
	socket := serve(t, source).Socket
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	replies, cmd := more(ctx, t, socket, ipc.MethodDeviceWatch, "{}")
	var first, second ipc.DeviceWatchReply
	if !sequence(t, replies, &first) || len(first.Devices) != 1 {
		t.Fatalf("%+v %s", first, cmd.Stderr)
	}
	source.events <- event(fido.Removed, "k")
	if !sequence(t, replies, &second) || second.Event == nil || second.Event.Kind != ipc.DeviceRemoved {
		t.Errorf("%+v %s", second, cmd.Stderr)
	}
	stop()
	_ = cmd.Wait()
	for end := time.Now().Add(faultBound); ; <-time.After(10 * time.Millisecond) { // of which nothing tells
		if running, _ := source.counts(); running == 0 {
			return
		}
		if time.Now().After(end) {
			t.Fatal("fobd still watches")
		}
	}
}

// TestVarlinkctlSignsIn: a whole ceremony, PIN and all, by varlinkctl alone. The PIN goes through its standard input.
func TestVarlinkctlSignsIn(t *testing.T) {
	needVarlinkctl(t)
	dir, _ := plug(t, softkey.Options{PIN: fido.PIN("1234")})
	socket := filepath.Join(dir, "fob", "fob.sock")
	p := newParty(t, &ipc.Client{Socket: socket})
	if err := p.register(t.Context(), &person{pin: "1234"}, "", relyingparty.RegistrationChoices{}); err != nil {
		t.Fatal(err)
	}
	options, session, err := p.rp.BeginSignIn(p.records, relyingparty.SignInChoices{
		UserVerification: webauthn.UserVerificationRequired})
	if err != nil {
		t.Fatal(err)
	}
	in, _ := json.Marshal(ipc.CeremonyRequest{Options: options, Origin: "https://example.com"})
	replies, cmd := more(t.Context(), t, socket, ipc.MethodSignIn, string(in))
	var kinds []ipc.EventKind
	var last ipc.CeremonyReply
	for reply := (ipc.CeremonyReply{}); sequence(t, replies, &reply); reply = (ipc.CeremonyReply{}) {
		last = reply
		if reply.Event == nil {
			continue
		}
		kinds = append(kinds, reply.Event.Kind)
		if reply.Event.Kind == ipc.EventPIN {
			answer := varlinkctl(t.Context(), "call", socket, ipc.MethodAnswer)
			answer.Stdin = strings.NewReader(`{"token":"` + reply.Event.Token + `","pin":"1234"}`)
			output(t, answer)
		}
	}
	if err := cmd.Wait(); err != nil || !slices.Contains(kinds, ipc.EventPIN) {
		t.Errorf("%v, events %q\n%s", err, kinds, cmd.Stderr)
	}
	if _, err := p.rp.FinishSignIn(session, p.records, last.Response); err != nil {
		t.Errorf("%s: %v", last.Response, err)
	}
}
