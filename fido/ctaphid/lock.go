package ctaphid

import (
	"context"
	"time"
)

// MaxLock is the longest time of a CTAPHID_LOCK (§11.2.9.2.2).
const MaxLock = 10 * time.Second

// lock is what CTAPHID_LOCK gives one channel for a time. The zero value is no lock.
type lock struct {
	cid   CID
	until time.Time
}

// owner is the channel that has the lock, or reservedCID.
func (l *lock) owner() CID {
	if !time.Now().Before(l.until) {
		return reservedCID
	}
	return l.cid
}

// excludes says that cid may not send messages because another channel has the lock. That goes for CTAPHID_INIT too;
// but a new host still gets a channel, by the broadcast one, to be told there that the device is busy.
func (l *lock) excludes(cid CID) bool {
	owner := l.owner()
	return owner != reservedCID && owner != cid
}

func (l *lock) release() { *l = lock{} }

// obeyLock answers CTAPHID_LOCK (§11.2.9.2.2): a number of seconds, counted from now even if there were some left; 0
// releases the lock. Nothing else does but its end: a CTAPHID_INIT of the owner aborts its transaction alone.
func (s *session) obeyLock(ctx context.Context, m Message) error {
	if len(m.Payload) != 1 {
		return s.refuse(ctx, m.CID, ErrInvalidLen)
	}
	d := time.Duration(m.Payload[0]) * time.Second
	if d > MaxLock {
		return s.refuse(ctx, m.CID, ErrInvalidPar)
	}
	s.lock = lock{m.CID, time.Now().Add(d)}
	return s.send(ctx, Message{m.CID, m.Command, nil})
}
