package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/emulator"
	"fob/fido/helper"
	"fob/fido/softkey"
	"fob/fido/webauthn"
	"fob/ipc"
)

// nobody is asked nothing: the key has no PIN and one account.
type nobody struct{}

func (nobody) Waiting(ipc.Event)                                     {}
func (nobody) Touch(ipc.Event)                                       {}
func (nobody) Plug(ipc.Event)                                        {}
func (nobody) Tap(ipc.Event)                                         {}
func (nobody) Passed(ipc.Event)                                      {}
func (nobody) Chosen(ipc.Event)                                      {}
func (nobody) Sample(ipc.Event)                                      {}
func (nobody) Replug(ipc.Event)                                      {}
func (nobody) PIN(context.Context, ipc.Event) (ipc.Secret, error)    { return nil, ipc.ErrDeclined }
func (nobody) NewPIN(context.Context, ipc.Event) (ipc.Secret, error) { return nil, ipc.ErrDeclined }
func (nobody) Choose(context.Context, ipc.Event) (int, error)        { return 0, ipc.ErrDeclined }

// BenchmarkSignIn signs in through fobd: socket, helper process and the key's pseudo-terminal. A touch takes 20 ms. The
// baseline is a bare program in C that asks an equal key for the same by libfido2; what fob adds is the rest. The two
// take turns, so that both meet the same machine, and each has a key of its own, as fobd would look who opens its one.
// What counts is the median.
func BenchmarkSignIn(b *testing.B) {
	o := softkey.Options{Presence: emulator.After(20 * time.Millisecond)}
	client, _ := benchKey(b, o)
	options := signInOptions(registered(b, client))
	key, err := softkey.Plug(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { key.Close() })
	id := registered(b, serve(b, &helper.Source{Path: helperPath, NoDiscovery: true,
		Extra: func() []fido.DeviceInfo { return []fido.DeviceInfo{key.Info()} }}))
	bare := bareProgram(b, key.Path(), "example.com", hex.EncodeToString(id))
	var fobs, bares []time.Duration
	for range 60 {
		fobs = append(fobs, timed(func() {
			if _, err := client.SignIn(b.Context(), options, nobody{}); err != nil {
				b.Fatal(err)
			}
		}))
		bares = append(bares, timed(bare))
	}
	b.Run("fob", func(b *testing.B) { reportMedian(b, fobs) })
	b.Run("baseline", func(b *testing.B) { reportMedian(b, bares) })
}

// timed tells how long f takes, and waits a while: a person does, and fobd prepares for the next ceremony meanwhile.
func timed(f func()) time.Duration {
	begin := time.Now()
	f()
	took := time.Since(begin)
	time.Sleep(30 * time.Millisecond)
	return took
}

func reportMedian(b *testing.B, times []time.Duration) {
	for b.Loop() { // what there is to measure was measured before
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2]), "ns/op")
}

// BenchmarkSignInProcess is BenchmarkSignIn with a touch that takes no time, against a run of fido2-assert each.
func BenchmarkSignInProcess(b *testing.B) {
	client, key := benchKey(b, softkey.Options{})
	id := registered(b, client)
	benchSignIn(b, client, id)
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
			pause(b)
		}
	})
}

// benchSignIn signs in through fobd.
func benchSignIn(b *testing.B, client *ipc.Client, id []byte) {
	b.Helper()
	r := signInOptions(id)
	b.Run("fob", func(b *testing.B) {
		for b.Loop() {
			if _, err := client.SignIn(b.Context(), r, nobody{}); err != nil {
				b.Fatal(err)
			}
			pause(b)
		}
	})
}

// signInOptions asks for an assertion of the credential.
func signInOptions(id []byte) ipc.CeremonyRequest {
	return ipc.CeremonyRequest{Origin: "https://example.com", Options: fmt.Appendf(nil,
		`{"challenge":"AAAAAAAAAAAAAAAAAAAAAA","rpId":"example.com","userVerification":"discouraged",
		"allowCredentials":[{"type":"public-key","id":%q}]}`, base64.RawURLEncoding.EncodeToString(id))}
}

// pause is the time between two ceremonies, in which fobd prepares for the next; it does not count.
func pause(b *testing.B) {
	b.StopTimer()
	time.Sleep(30 * time.Millisecond)
	b.StartTimer()
}

// benchKey plugs in a key and serves it, with helpers kept ready as fobd has them.
func benchKey(b *testing.B, o softkey.Options) (*ipc.Client, *softkey.Key) {
	b.Helper()
	key, err := softkey.Plug(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	source := &helper.Source{Path: helperPath, NoDiscovery: true,
		Extra: func() []fido.DeviceInfo { return []fido.DeviceInfo{key.Info()} }}
	client := serve(b, source)
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error)
	go func() { ended <- source.Keep(ctx) }()
	b.Cleanup(func() {
		stop()
		<-ended
		key.Close()
	})
	return client, key
}

// bareProgram builds testdata/bare.c and starts it; the function that it gives has it sign in once.
func bareProgram(b *testing.B, args ...string) (signIn func()) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bare")
	build := exec.Command("sh", "-c", `cc -O2 -o "$1" testdata/bare.c $(pkg-config --cflags --libs libfido2)`, "sh", path)
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	program := exec.Command(path, args...)
	program.Stderr = os.Stderr
	in, err := program.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := program.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := program.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		program.Wait()
	})
	return func() {
		if _, err := in.Write([]byte{0}); err != nil {
			b.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			b.Fatal(err)
		}
	}
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
