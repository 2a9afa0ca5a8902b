package servers

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"runtime"
	"strconv"
	"testing"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// repeated is a file of n lines, of which none is kept.
type repeated struct {
	head, line []byte
	n          int
	at         []byte
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(r.at) == 0 {
			if r.n == 0 {
				break
			}
			r.at, r.n = r.line, r.n-1
			if r.head != nil {
				r.at, r.head = r.head, nil
				r.n++
			}
		}
		k := copy(p[n:], r.at)
		n, r.at = n+k, r.at[k:]
	}
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func entraLines(n int) *repeated {
	return &repeated{n: n, head: []byte(entraHeader + "\n"),
		line: []byte("helga@contoso.com,1234567,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,60,Contoso,HardwareKey\n")}
}

// TestMemory: a file may be of any length, and takes no more memory than a short one.
func TestMemory(t *testing.T) {
	const rows = 50_000
	for _, test := range []struct {
		format *seedfile.Format
		in     *repeated
		count  int
	}{
		{EntraCSV, entraLines(rows), rows},
		{EntraGraph, &repeated{n: rows, head: []byte(`{"value":[` + graphLine), line: []byte("," + graphLine)}, rows + 1},
	} {
		end := []byte("")
		if test.format == EntraGraph {
			end = []byte("]}")
		}
		r, err := test.format.NewReader(io.MultiReader(test.in, bytes.NewReader(end)), seedfile.ReadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		w, err := test.format.NewWriter(io.Discard, seedfile.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		result, err := (&seedfile.Conversion{}).Run(r, w)
		if err != nil || result.Written != test.count {
			t.Fatalf("%s: %+v, %v", test.format.Name, result, err)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
			t.Errorf("%s: %d bytes are held for %d rows", test.format.Name, grown, rows)
		}
		runtime.KeepAlive(r)
		runtime.KeepAlive(w)
	}
}

const graphLine = `{"serialNumber":"1","manufacturer":"m","model":"n","secretKey":"GEZDGNBVGY3TQOJQ","timeIntervalInSeconds":30}` + "\n"

const benchRows = 100_000

// BenchmarkRead reads a file of Entra ID, of Duo and of Graph, beside encoding/csv and Base32 alone.
func BenchmarkRead(b *testing.B) {
	duo := func() *repeated {
		return &repeated{n: benchRows, line: []byte("1234567,3132333435363738393031323334353637383930\n")}
	}
	graph := func() io.Reader {
		return io.MultiReader(&repeated{n: benchRows, head: []byte(`{"value":[` + graphLine), line: []byte("," + graphLine)},
			bytes.NewReader([]byte("]}")))
	}
	b.Run("entra-csv", func(b *testing.B) { benchRead(b, EntraCSV, func() io.Reader { return entraLines(benchRows) }) })
	b.Run("duo", func(b *testing.B) { benchRead(b, Duo, func() io.Reader { return duo() }) })
	b.Run("entra-graph", func(b *testing.B) { benchRead(b, EntraGraph, graph) })
	b.Run("baseline", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r := csv.NewReader(entraLines(benchRows))
			r.ReuseRecord = true
			r.Read()
			for {
				row, err := r.Read()
				if err != nil {
					break
				}
				if _, err := hotp.ParseSeed([]byte(row[2])); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func benchRead(b *testing.B, f *seedfile.Format, file func() io.Reader) {
	b.ReportAllocs()
	for b.Loop() {
		r, err := f.NewReader(file(), seedfile.ReadOptions{Assume: hotp.DefaultTOTP})
		if err != nil {
			b.Fatal(err)
		}
		for {
			t, err := r.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			t.Wipe()
		}
	}
}

// BenchmarkWrite writes files of Entra ID, of Duo and of Graph, beside encoding/csv.
func BenchmarkWrite(b *testing.B) {
	token := with(totp("1234567", 6, 60), func(t *seedfile.Token) {
		t.User, t.Manufacturer, t.Model = user1, "Contoso", "HardwareKey"
	})
	b.Run("entra-csv", func(b *testing.B) { benchWrite(b, EntraCSV, token) })
	b.Run("duo", func(b *testing.B) { benchWrite(b, Duo, totp("1234567", 6, 30)) })
	b.Run("entra-graph", func(b *testing.B) { benchWrite(b, EntraGraph, token) })
	b.Run("baseline", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			w := csv.NewWriter(io.Discard)
			seed := make([]byte, 0, 64)
			for range benchRows {
				w.Write([]string{token.User, token.Serial, string(token.Seed.AppendBase32(seed[:0])),
					strconv.Itoa(token.Period), token.Manufacturer, token.Model})
			}
			w.Flush()
		}
	})
}

func benchWrite(b *testing.B, f *seedfile.Format, t *seedfile.Token) {
	b.ReportAllocs()
	for b.Loop() {
		w, err := f.NewWriter(io.Discard, seedfile.WriteOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for range benchRows {
			if err := w.Write(t); err != nil {
				b.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
