package metrics

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"fob/ipc"
)

func TestSnapshot(t *testing.T) {
	var m Metrics
	if s := m.Snapshot(); s.Calls == nil || s.Latencies == nil || s.Counters == nil { // null is no list in JSON
		t.Errorf("%+v", s)
	}
	m.Call("b.Two", "ok", 3*time.Microsecond)
	m.Call("b.Two", "a.Bad", time.Microsecond)
	m.Call("a.One", "ok", 0)
	m.Call("b.Two", "ok", 2*time.Microsecond)
	m.Count("x")
	m.Count("x")
	want := ipc.Metrics{
		Calls: []ipc.Calls{{Method: "a.One", Result: "ok", Count: 1}, {Method: "b.Two", Result: "a.Bad", Count: 1},
			{Method: "b.Two", Result: "ok", Count: 2}},
		Latencies: []ipc.Latency{{Method: "a.One", Count: 1},
			{Method: "b.Two", Count: 3, P50: 2, P90: 3, P99: 3, Longest: 3, Total: 6}},
		Counters: map[string]int{"x": 2},
	}
	got := m.Snapshot()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	got.Counters["x"] = 7
	if m.Snapshot().Counters["x"] != 2 {
		t.Error("a snapshot is not a copy")
	}
	var none *Metrics
	none.Call("a.One", "ok", 0)
	none.Count("x")
	if s := none.Snapshot(); len(s.Calls) > 0 {
		t.Errorf("%+v", s)
	}
}

// TestPercentiles holds the percentiles to those of a sorted list.
func TestPercentiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var h histogram
		var all []int
		for range 1 + r.IntN(300) {
			n := int(r.Uint64N(1 << (1 + r.Uint64N(40))))
			all = append(all, n)
			h.add(time.Duration(n) * time.Microsecond)
		}
		slices.Sort(all)
		for _, p := range []int{50, 90, 99, 100} {
			want, got := all[(len(all)*p+99)/100-1], h.percentile(p)
			if got < want || got > want+want/4 || p == 100 && got != want {
				t.Fatalf("percentile %d of %v is %d, not %d", p, all, got, want)
			}
		}
	}
}

// TestBuckets: they follow one another without a gap, and take what is far too long.
func TestBuckets(t *testing.T) {
	for b := range len(histogram{}.buckets) - 1 {
		if top := highest(b); bucket(top) != b || bucket(top+1) != b+1 {
			t.Errorf("%d is in bucket %d, %d in %d; expected %d", top, bucket(top), top+1, bucket(top+1), b)
		}
	}
	var h histogram
	h.add(1<<63 - 1)
	h.add(-time.Hour)
	if got := h.latency(); got.Count != 2 || got.P50 != 0 || got.Longest != int(time.Duration(1<<63-1).Microseconds()) {
		t.Errorf("%+v", got)
	}
}
