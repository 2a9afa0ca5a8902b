package emulator_test

import (
	"context"
	"fmt"
	"log"

	"fob/fido/ctap"
	"fob/fido/emulator"
)

// A key in memory that is asked without any transport: the quickest way for a Go test.
func Example() {
	key, err := emulator.New(emulator.Options{})
	if err != nil {
		log.Fatal(err)
	}
	request := ctap.Request{Payload: []byte{byte(ctap.CommandGetInfo)}}
	response := key.ServeCTAP(context.Background(), request, func(ctap.KeepaliveStatus) {})
	info, err := ctap.ParseGetInfoResponse(response[1:])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ctap.StatusCode(response[0]), info.Versions)
	// Output: success (CTAP 0x00) [U2F_V2 FIDO_2_0 FIDO_2_1_PRE FIDO_2_1]
}

// A fixture: a key that has been set up once begins every test in the same state.
func ExampleAuthenticator_Export() {
	first, err := emulator.New(emulator.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := first.SetPIN([]byte("1234")); err != nil {
		log.Fatal(err)
	}
	fixture, err := first.Export()
	if err != nil {
		log.Fatal(err)
	}
	second, err := emulator.New(emulator.Options{Fixture: fixture})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(second.Name, len(second.Credentials()), "credentials")
	// Output: fido2.1 0 credentials
}

// A person of one's own: this one looks at what the key wants, and declines.
func ExamplePresence() {
	key, err := emulator.New(emulator.Options{
		Presence: func(ctx context.Context, r emulator.PresenceRequest) error {
			fmt.Println("asked to touch for", r.Command == ctap.CommandSelection)
			return emulator.ErrDenied
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	request := ctap.Request{Payload: []byte{byte(ctap.CommandSelection)}}
	response := key.ServeCTAP(context.Background(), request, func(ctap.KeepaliveStatus) {})
	fmt.Println(ctap.StatusCode(response[0]))
	// Output:
	// asked to touch for true
	// operation denied (CTAP 0x27)
}
