package ipc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"

	"fob/ipc"
	"fob/ipc/varlink"
)

// The zero Client talks to the user's own fobd. Here it is told of one that the example plays.
func ExampleClient_Devices() {
	socket, stop := play()
	defer stop()
	client := &ipc.Client{Socket: socket}
	devices, err := client.Devices(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, d := range devices {
		fmt.Println(d.ID, d.Product, "by", d.Transport)
	}
	// Output: k7w2mzqe Example Key by usb
}

// teller says what happens and knows the PIN; all else it declines.
type teller struct{ ipc.Decliner }

func (teller) Touch(e ipc.Event) { fmt.Println("touch", e.Product) }

func (teller) PIN(_ context.Context, e ipc.Event) (ipc.Secret, error) {
	fmt.Println("PIN of", e.Product, "with", e.Retries, "attempts left")
	return ipc.Secret("1234"), nil
}

// A whole ceremony: the options are those that the relying party has made, and the response is for it.
func ExampleClient_SignIn() {
	socket, stop := play()
	defer stop()
	client := &ipc.Client{Socket: socket}
	response, err := client.SignIn(context.Background(), ipc.CeremonyRequest{
		Options: json.RawMessage(`{"challenge":"bm90IHJlYWxseSByYW5kb20","rpId":"example.com"}`),
		Origin:  "https://example.com",
	}, teller{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(response))
	// Output:
	// PIN of Example Key with 8 attempts left
	// touch Example Key
	// {"id":"...","type":"public-key"}
}

// Errors have types, and say what the person can do.
func ExampleError() {
	socket, stop := play()
	defer stop()
	client := &ipc.Client{Socket: socket}
	_, err := client.GetInfo(context.Background(), "q7xn2abc")
	var unknown ipc.UnknownDevice
	if errors.As(err, &unknown) {
		fmt.Println("no key", unknown.ID)
	}
	var named ipc.Error
	if errors.As(err, &named) {
		fmt.Printf("%s: %v\nhint: %s\n", named.VarlinkError(), err, named.Hint())
	}
	_, err = (&ipc.Client{Socket: "/nowhere/fob.sock"}).Devices(context.Background())
	fmt.Println(errors.As(err, new(*ipc.NotRunning)))
	// Output:
	// no key q7xn2abc
	// fob.Device.UnknownDevice: no key "q7xn2abc" is plugged in
	// hint: a key gets a new id when it is plugged in again; see 'fob devices'
	// true
}

// play is a fobd with one key, as far as the examples go. It gives the socket.
func play() (socket string, stop func()) {
	folder, err := os.MkdirTemp("", "fob-example")
	if err != nil {
		log.Fatal(err)
	}
	socket = filepath.Join(folder, "fob.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- player().Serve(ctx, l) }()
	return socket, func() {
		cancel()
		<-ended
		os.RemoveAll(folder)
	}
}

func player() *varlink.Server {
	answered := make(chan struct{}, 1)
	s := new(varlink.Server)
	register(s, ipc.DeviceInterface, map[string]varlink.Handler{"List": listed, "GetInfo": unknown})
	register(s, ipc.CeremonyInterface, map[string]varlink.Handler{
		"SignIn": func(ctx context.Context, c *varlink.Call) (any, error) { return signIn(ctx, c, answered) }})
	register(s, ipc.PromptInterface, map[string]varlink.Handler{
		"Answer": func(context.Context, *varlink.Call) (any, error) { answered <- struct{}{}; return nil, nil }})
	return s
}

// register leaves methods without a handler unimplemented.
func register(s *varlink.Server, description string, methods map[string]varlink.Handler) {
	i, err := varlink.ParseInterface(description)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range i.Methods {
		if methods[m.Name] == nil {
			methods[m.Name] = nil
		}
	}
	if err := s.Register(description, methods); err != nil {
		log.Fatal(err)
	}
}

func listed(context.Context, *varlink.Call) (any, error) {
	return ipc.ListReply{Devices: []ipc.Device{{ID: "k7w2mzqe", Product: "Example Key", Transport: "usb"}}}, nil
}

func unknown(_ context.Context, c *varlink.Call) (any, error) {
	var in ipc.WhichDevice
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	return nil, ipc.UnknownDevice{ID: in.Device}
}

func signIn(ctx context.Context, c *varlink.Call, answered <-chan struct{}) (any, error) {
	const product = "Example Key"
	pin := ipc.Event{Kind: ipc.EventPIN, Product: product, Token: "t", Retries: 8}
	if err := c.Continue(ipc.EventReply{Event: &pin}); err != nil {
		return nil, err
	}
	select {
	case <-answered:
	case <-ctx.Done():
		return nil, ipc.Cancelled{}
	}
	if err := c.Continue(ipc.EventReply{Event: &ipc.Event{Kind: ipc.EventTouch, Product: product}}); err != nil {
		return nil, err
	}
	return ipc.CeremonyReply{Response: json.RawMessage(`{"id":"...","type":"public-key"}`)}, nil
}
