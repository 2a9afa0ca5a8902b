package check

import "slices"

// entry is a hash, in two halves, and the token that has it: 12 bytes.
type entry struct{ high, low, index uint32 }

func (e entry) hash() uint64 { return uint64(e.high)<<32 | uint64(e.low) }

// buckets are parts of a table, by the first bits of the hash: each grows by itself, so that there is never a second
// copy of all.
const bucketBits = 8

// table is a list of hashes.
type table [1 << bucketBits][]entry

func (t *table) add(hash uint64, index int) {
	b := &t[hash>>(64-bucketBits)]
	*b = append(*b, entry{uint32(hash >> 32), uint32(hash), uint32(index)})
}

// repeated gives the tokens whose hash others have, too, in groups, each in the order of the file. It sorts in place.
func (t *table) repeated() (groups [][]int) {
	for _, b := range t {
		slices.SortFunc(b, func(x, y entry) int {
			switch {
			case x.hash() < y.hash():
				return -1
			case x.hash() > y.hash():
				return 1
			}
			return int(x.index) - int(y.index)
		})
		for len(b) > 0 {
			n := 1
			for n < len(b) && b[n].hash() == b[0].hash() {
				n++
			}
			if n > 1 {
				groups = append(groups, indexes(b[:n]))
			}
			b = b[n:]
		}
	}
	return groups
}

func indexes(entries []entry) []int {
	list := make([]int, len(entries))
	for i, e := range entries {
		list[i] = int(e.index)
	}
	return list
}
