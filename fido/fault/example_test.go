package fault_test

import (
	"context"
	"fmt"
	"os/exec"

	"fob/fido/fault"
	"fob/fido/softkey"
)

// A key is pulled out while its answer to makeCredential is on its way. The program under test is libfido2's fido2-cred
// here; yours opens key.Path() as well.
func Example() {
	in := fault.New(1, fault.MustParse("unplug out packet 2 of makeCredential"))
	key, err := softkey.Plug(context.Background(), in.Options(softkey.Options{}))
	if err != nil {
		panic(err)
	}
	defer key.Close()
	script := `printf '%s\n' AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= example.com alice YWxpY2U= |
		fido2-cred -M "$1" 2>&1`
	said, err := exec.Command("sh", "-c", script, "sh", key.Path()).Output()
	fmt.Printf("%s%v\n", said, err)
	for _, i := range in.Injected() {
		fmt.Println(i.Effect, "at", i.Where)
	}
	// Output:
	// fido2-cred: fido_dev_make_cred: FIDO_ERR_RX
	// exit status 1
	// unplug at out packet 2 of makeCredential
}

// A key that comes back after a moment has what it had kept before. Wait waits for it.
func ExampleInjector_Wait() {
	in := fault.New(1, fault.MustParse("unplug for 20ms in packet 1"))
	key, err := softkey.Plug(context.Background(), in.Options(softkey.Options{}))
	if err != nil {
		panic(err)
	}
	defer key.Close()
	if err := exec.Command("fido2-token", "-I", key.Path()).Run(); err != nil {
		fmt.Println("pulled out")
	}
	in.Wait()
	if err := exec.Command("fido2-token", "-I", key.Path()).Run(); err == nil {
		fmt.Println("works again")
	}
	// Output:
	// pulled out
	// works again
}

// A mistake in a fault is told with what may stand there.
func ExampleParse() {
	_, err := fault.Parse("drop in the ocean")
	fmt.Println(err)
	f, err := fault.Parse("corrupt seq out packet 1 of getAssertion")
	fmt.Println(f, err)
	// Output:
	// fault "drop in the ocean": "in the" is none of in packet, out packet
	// corrupt seq out packet 1 of getAssertion 1 <nil>
}

// Random faults find what nobody has thought of; a seed repeats a run that has failed.
func ExampleRandom() {
	for seed := range uint64(3) {
		in := fault.New(seed, fault.Random(2)...) // percent
		key, err := softkey.Plug(context.Background(), in.Options(softkey.Options{}))
		if err != nil {
			panic(err)
		}
		// ... ceremonies at key.Path(); where one goes wrong, tell the seed and in.Injected()
		key.Close()
		in.Wait()
	}
}
