package softkey_test

import (
	"context"
	"fmt"
	"log"
	"os/exec"
	"time"

	"fob/fido/emulator"
	"fob/fido/softkey"
)

// A key that other programs open at key.Path(), without root or hardware: libfido2 and all that is built on it,
// OpenSSH, and fobd.
func Example() {
	key, err := softkey.Plug(context.Background(), softkey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer key.Close()
	out, err := exec.Command("fido2-token", "-I", key.Path()).Output()
	fmt.Println(len(out) > 0, err)
	// Output: true <nil>
}

// A key with a PIN and a fingerprint sensor, at which nobody puts a finger for a while.
func ExamplePlug() {
	profile, err := emulator.LookupProfile("fingerprint")
	if err != nil {
		log.Fatal(err)
	}
	key, err := softkey.Plug(context.Background(), softkey.Options{
		Profile:  profile,
		PIN:      []byte("1234"),
		Presence: emulator.After(100 * time.Millisecond),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer key.Close()
	fmt.Println(key.MaxFingerprints, "fingers at most")
	// Output: 5 fingers at most
}

// A key that is pulled out and plugged in again: what was set up is still there, the path may be another one.
func ExampleKey_Remove() {
	key, err := softkey.Plug(context.Background(), softkey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer key.Close()
	if err := key.Remove(); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("removed: %q\n", key.Path())
	if err := key.Insert(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("inserted:", key.Path() != "")
	// Output:
	// removed: ""
	// inserted: true
}
