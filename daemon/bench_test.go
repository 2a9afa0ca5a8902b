package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/helper"
	"fob/fido/softkey"
	"fob/fido/webauthn"
	"fob/ipc"
)

// nobody is asked nothing: the key has no PIN and one account.
type nobody struct{}

func (nobody) Waiting(ipc.Event)                                     {}
func (nobody) Touch(ipc.Event)                                       {}
func (nobody) Passed(ipc.Event)                                      {}
func (nobody) Chosen(ipc.Event)                                      {}
func (nobody) PIN(context.Context, ipc.Event) (ipc.Secret, error)    { return nil, ipc.ErrDeclined }
func (nobody) NewPIN(context.Context, ipc.Event) (ipc.Secret, error) { return nil, ipc.ErrDeclined }
func (nobody) Choose(context.Context, ipc.Event) (int, error)        { return 0, ipc.ErrDeclined }

// BenchmarkSignIn signs in through fobd: socket, helper processes and the key's pseudo-terminal. The baseline is a run of
// fido2-assert, which asks the same key for the same.
func BenchmarkSignIn(b *testing.B) {
	key, err := softkey.Plug(b.Context(), softkey.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer key.Close()
	source := &helper.Source{Path: helperPath, NoDiscovery: true,
		Extra: func() []fido.DeviceInfo { return []fido.DeviceInfo{key.Info()} }}
	client := serve(b, source)
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- source.Keep(ctx) }()
	defer func() { stop(); <-ended }()
	id := registered(b, client)
	b.Run("fob", func(b *testing.B) {
		r := ipc.CeremonyRequest{Origin: "https://example.com", Options: fmt.Appendf(nil,
			`{"challenge":"AAAAAAAAAAAAAAAAAAAAAA","rpId":"example.com","userVerification":"discouraged",
			"allowCredentials":[{"type":"public-key","id":%q}]}`, base64.RawURLEncoding.EncodeToString(id))}
		for b.Loop() {
			if _, err := client.SignIn(b.Context(), r, nobody{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("baseline", func(b *testing.B) {
		encode := base64.StdEncoding.EncodeToString
		input := fmt.Sprintf("%s\nexample.com\n%s\n", encode(make([]byte, sha256.Size)), encode(id))
		path := filepath.Join(b.TempDir(), "input")
		if err := os.WriteFile(path, []byte(input), 0o600); err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			out, err := exec.Command("fido2-assert", "-G", "-p", "-i", path, key.Path()).CombinedOutput()
			if err != nil {
				b.Fatalf("%v (fido2-assert is in the package fido2-tools)\n%s", err, out)
			}
		}
	})
}

// registered gives the ID of a new credential of example.com.
func registered(b *testing.B, client *ipc.Client) []byte {
	b.Helper()
	response, err := client.Register(b.Context(), ipc.CeremonyRequest{Origin: "https://example.com", Options: json.RawMessage(
		`{"rp":{"id":"example.com","name":"Example"},"user":{"id":"YWxpY2U","name":"alice","displayName":"Alice"},
		"challenge":"AAAAAAAAAAAAAAAAAAAAAA","pubKeyCredParams":[{"type":"public-key","alg":-7}]}`)}, nobody{})
	if err != nil {
		b.Fatal(err)
	}
	parsed, err := webauthn.ParseRegistrationResponse(response)
	if err != nil {
		b.Fatal(err)
	}
	return parsed.RawID
}

// BenchmarkHotplug takes an emulated key out and plugs it in while a client of fobd's watches; the baseline is the same
// with nobody watching. The time from the moment at which the key is in or out to the client's event comes besides.
func BenchmarkHotplug(b *testing.B) {
	var moved atomic.Int64 // when
	var changed atomic.Pointer[func()]
	key, err := softkey.Plug(b.Context(), softkey.Options{Moved: func(string, bool) {
		moved.Store(time.Now().UnixNano())
		if f := changed.Load(); f != nil {
			(*f)()
		}
	}})
	if err != nil {
		b.Fatal(err)
	}
	defer key.Close()
	replug := func(b *testing.B, done func()) {
		if err := key.Remove(); err != nil {
			b.Fatal(err)
		}
		done()
		if err := key.Insert(b.Context()); err != nil {
			b.Fatal(err)
		}
		done()
	}
	b.Run("fob", func(b *testing.B) {
		client := serve(b, &helper.Source{
			Path: helperPath, NoDiscovery: true,
			Extra:        func() []fido.DeviceInfo { return []fido.DeviceInfo{key.Info()} },
			ExtraChanged: func(f func()) func() { changed.Store(&f); return func() { changed.Store(nil) } },
		})
		ctx, stop := context.WithCancel(b.Context())
		ready, events, done := make(chan struct{}), make(chan time.Duration, 1), make(chan error)
		go func() {
			done <- client.WatchDevices(ctx, func([]ipc.Device) error { close(ready); return nil },
				func(ipc.DeviceEvent) error {
					events <- time.Duration(time.Now().UnixNano() - moved.Load())
					return nil
				})
		}()
		<-ready
		var total time.Duration
		count := 0
		for b.Loop() {
			replug(b, func() { total += <-events; count++ })
		}
		b.ReportMetric(float64(total.Microseconds())/float64(count), "µs/event")
		stop()
		<-done
	})
	b.Run("baseline", func(b *testing.B) {
		for b.Loop() {
			replug(b, func() {})
		}
	})
}
