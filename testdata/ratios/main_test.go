package main

import (
	"errors"
	"strings"
	"testing"
)

const sample = `goos: linux
goarch: amd64
pkg: fob/fido/emulator
cpu: AMD EPYC
BenchmarkMakeCredential/fob-2         	   20000	     50000 ns/op
BenchmarkMakeCredential/baseline-2    	   30000	     40000 ns/op	    7474 B/op	      85 allocs/op
BenchmarkGetAssertion/allow-list/fob-2     	   20000	     50000 ns/op
BenchmarkGetAssertion/allow-list/fob-2     	   20000	     70000 ns/op
BenchmarkGetAssertion/allow-list/baseline-2	   40000	     30000.5 ns/op	  12.3 MB/s
PASS
ok  	fob/fido/emulator	14.539s
?   	fob/cmd/fobd	[no test files]
pkg: fob/ipc/varlink
BenchmarkRoundTrip/baseline	   1000	     9.5 ns/op
BenchmarkRoundTrip/fob	   1000	     38 ns/op
BenchmarkFrame-16	   1000	     1000 ns/op	  12.50 KiB/key	  3.000 threads	  7 B/op
PASS
ok  	fob/ipc/varlink	14.539s
`

const sampleTable = `
                                             ns/op       ops/s  baseline ns/op baseline ops/s  ratio
fido/emulator MakeCredential                 50000       20000           40000          25000   0.80
fido/emulator GetAssertion/allow-list        60000       16667           30000          33333   0.50
ipc/varlink RoundTrip                           38    26315789              10      105263158   0.25
ipc/varlink Frame                             1000     1000000
ratio: operations per second, of fob to its baseline
ipc/varlink Frame: 12.50 KiB/key, 3.000 threads
`

func TestTable(t *testing.T) {
	var out strings.Builder
	if err := run(strings.NewReader(sample), &out); err != nil {
		t.Error(err)
	}
	if got := "\n" + out.String(); got != sampleTable {
		t.Errorf("printed %swant %s", got, sampleTable)
	}
}

func TestFailures(t *testing.T) {
	const good = "pkg: fob/a\nBenchmarkX/fob-2 	 100 	 9.5 ns/op\n"
	for _, test := range []struct{ input, want string }{
		{"", errNone.Error()},
		{"pkg: fob/a\nPASS\nok  	fob/a	0.1s\n", errNone.Error()},
		{"BenchmarkX/fob-2\nBenchmarkY 1 0 ns/op\nBenchmarkZ 1 x ns/op\nBenchmarkZ ns/op\n", errNone.Error()},
		{good + "FAIL	fob/b [build failed]\n", "fob/b [build failed]"},
		{good + "--- FAIL: BenchmarkX/baseline\nFAIL\n", "BenchmarkX/baseline"},
		{good + "    --- FAIL: BenchmarkX/baseline\n", "BenchmarkX/baseline"},
		{good + "panic: oh\n", "panic: oh"},
		{good + strings.Repeat("x", 1<<17), "token too long"},
	} {
		var out strings.Builder
		err := run(strings.NewReader(test.input), &out)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.60q: %v, want %s", test.input, err, test.want)
		}
		if errors.Is(err, errNone) && out.Len() > 0 {
			t.Errorf("%.60q: %v, printed %q", test.input, err, out.String())
		}
	}
}
