// Command fob-fido-helper drives one security key with libfido2, for fobd. It is not for people: fobd starts it with
// one end of a socket pair as file descriptor 3 (see fob/fido/helper), and it ends when the other end is closed.
// "--sandbox-report" confines the process as for a key and prints, as JSON, how well that went.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"fob/fido"
	"fob/fido/helper"
	"fob/fido/libfido2"
	"fob/fido/sandbox"
)

const (
	exitFailure = 1
	exitUsage   = 64 // EX_USAGE of sysexits.h
	socket      = 3
)

// version is set when a release is built.
var version = "devel"

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) == 1 && args[0] == "--version" {
		fmt.Println("fob-fido-helper", version)
		return 0
	}
	if len(args) == 1 && args[0] == "--sandbox-report" {
		return report()
	}
	conn, err := connection()
	if len(args) > 0 || err != nil {
		fmt.Fprintln(os.Stderr, "fob-fido-helper: this is a part of fobd, which starts it when it needs a security key")
		return exitUsage
	}
	if err := helper.Serve(context.Background(), conn, driver{}); err != nil {
		fmt.Fprintln(os.Stderr, "fob-fido-helper:", err)
		return exitFailure
	}
	return 0
}

func report() int {
	if err := json.NewEncoder(os.Stdout).Encode(sandbox.Device("")); err != nil {
		fmt.Fprintln(os.Stderr, "fob-fido-helper:", err)
		return exitFailure
	}
	return 0
}

func connection() (net.Conn, error) {
	if kind, err := unix.GetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		return nil, unix.ENOTSOCK
	}
	f := os.NewFile(socket, "fobd")
	defer f.Close()
	return net.FileConn(f)
}

// driver is libfido2 as helper.Serve wants it.
type driver struct{}

func (driver) Confine(path string) (helper.Sandbox, error) {
	if err := sandbox.Limit(); err != nil {
		return helper.Sandbox{}, err
	}
	if path == "" {
		return sandbox.Discovery(), nil
	}
	if err := libfido2.Prepare(); err != nil {
		return helper.Sandbox{}, err
	}
	return sandbox.Device(path), nil
}

func (driver) Devices() ([]fido.DeviceInfo, error) { return libfido2.Devices() }

func (driver) Rehearse() (fido.Authenticator, []byte, error) {
	d, err := libfido2.Rehearse()
	if err != nil {
		return nil, nil, err
	}
	return d, libfido2.RehearsedID, nil
}

func (driver) Open(path string) (fido.Authenticator, error) {
	d, err := libfido2.Open(path)
	if err != nil {
		return nil, err
	}
	return d, nil
}
