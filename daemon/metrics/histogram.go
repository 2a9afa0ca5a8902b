package metrics

import (
	"math/bits"
	"time"

	"fob/ipc"
)

// histogram counts durations in microseconds. A bucket is a quarter of a power of two wide, so that a percentile is less
// than a quarter too high.
type histogram struct {
	buckets [4 * 44]int // up to half a year
	count   int
	longest time.Duration
	total   time.Duration
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.buckets[bucket(uint64(d.Microseconds()))]++
	h.count++
	h.longest = max(h.longest, d)
	h.total += d
}

// bucket is where a number belongs: up to 3 its own, then by its highest bit and the two below.
func bucket(n uint64) int {
	if n < 4 {
		return int(n)
	}
	high := bits.Len64(n) - 1 // 2 or more
	return min(4*(high-1)+int(n>>(high-2)&3), len(histogram{}.buckets)-1)
}

// highest is the highest number of a bucket.
func highest(b int) uint64 {
	if b < 4 {
		return uint64(b)
	}
	high := b/4 + 1
	return uint64(4+b%4+1)<<(high-2) - 1
}

// percentile is a number that so many of a hundred are not above.
func (h *histogram) percentile(p int) int {
	rank := (h.count*p + 99) / 100
	for b, n := range h.buckets {
		if rank -= n; rank <= 0 {
			return int(min(highest(b), uint64(h.longest.Microseconds())))
		}
	}
	return int(h.longest.Microseconds())
}

func (h *histogram) latency() ipc.Latency {
	return ipc.Latency{Count: h.count, P50: h.percentile(50), P90: h.percentile(90), P99: h.percentile(99),
		Longest: int(h.longest.Microseconds()), Total: int(h.total.Microseconds())}
}
