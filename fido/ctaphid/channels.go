package ctaphid

import "slices"

// channels is the list of allocated channels, the least recently used first (§11.2.3).
type channels struct {
	cids []CID
	last CID // allocated last; a CID comes back only after all others, so a host never inherits another's state
}

func (c *channels) allocated(cid CID) bool { return slices.Contains(c.cids, cid) }

// used notes that a host used the channel just now.
func (c *channels) used(cid CID) {
	i := slices.Index(c.cids, cid)
	c.cids = append(slices.Delete(c.cids, i, i+1), cid)
}

// allocate returns a new channel. When there are limit already, it recycles the least recently used one other than
// keep; it is false when there is none.
func (c *channels) allocate(limit int, keep CID) (CID, bool) {
	if len(c.cids) >= limit {
		i := slices.IndexFunc(c.cids, func(cid CID) bool { return cid != keep })
		if i < 0 {
			return 0, false
		}
		c.cids = slices.Delete(c.cids, i, i+1)
	}
	for c.last++; c.last == reservedCID || c.last == BroadcastCID || c.allocated(c.last); c.last++ {
	}
	c.cids = append(c.cids, c.last)
	return c.last, true
}
