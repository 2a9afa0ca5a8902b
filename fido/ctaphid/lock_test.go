package ctaphid

import (
	"testing"
	"time"
)

func locks(cid CID, seconds string) step {
	return func(b *bench) {
		b.t.Helper()
		b.message(cid, CommandLock, seconds)
		b.expect(cid, CommandLock, "")
	}
}

// bad is a CTAPHID_LOCK that is refused.
func bad(cid CID, payload string, e Error) step {
	return func(b *bench) {
		b.t.Helper()
		b.message(cid, CommandLock, payload)
		b.expect(cid, CommandError, string([]byte{byte(e)}))
	}
}

// shut and free are what the other channel finds.
func shut(b *bench) {
	b.t.Helper()
	do(b, []step{ping(chanB, "x"), refused(chanB, ErrChannelBusy), quiet})
}
func free(b *bench) { b.t.Helper(); do(b, []step{ping(chanB, "x"), pong(chanB, "x"), quiet}) }

// expires has the lock end after d, to the millisecond.
func expires(d time.Duration) step {
	return func(b *bench) {
		b.t.Helper()
		do(b, []step{after(d - time.Millisecond), shut, after(time.Millisecond), free})
	}
}

func lights(b *bench) { b.t.Helper(); do(b, lit) }

var (
	reinitB     = host(chanB, CommandInit, "abcdefgh")
	reinitDoneB = device(chanB, CommandInit, "abcdefgh\x00\x00\x00\x02\x02\x01\x02\x03\x04")
)

// Each rule begins with a lock of two seconds on chanA.
var lockRules = map[string][]step{
	"expires":               {expires(2 * time.Second)},
	"of most seconds":       {locks(chanA, "\x0a"), expires(10 * time.Second)},
	"of too many":           {bad(chanA, "\x0b", ErrInvalidPar), expires(2 * time.Second)},
	"of far too many":       {bad(chanA, "\xff", ErrInvalidPar), shut},
	"without a time":        {bad(chanA, "", ErrInvalidLen), shut},
	"with two times":        {bad(chanA, "\x01\x01", ErrInvalidLen), shut},
	"released":              {locks(chanA, "\x00"), free, locks(chanA, "\x00"), free},
	"anew":                  {after(time.Second), locks(chanA, "\x02"), expires(2 * time.Second)},
	"shortened":             {locks(chanA, "\x01"), expires(time.Second)},
	"work does not prolong": {after(time.Second), ping(chanA, "x"), pong(chanA, "x"), expires(time.Second)},
	"ends in mid-work": {after(1950 * time.Millisecond), lights, after(50 * time.Millisecond), shut, touch,
		touched(chanA), free},
	"hang-up": {hangUp, free},

	"owner works":    {lights, shut, touch, touched(chanA), shut},
	"owner's half":   {initial(chanA, CommandPing, 58), shut, next(chanA, 0), pong(chanA, string(fill(58))), shut},
	"owner's INIT":   {lights, reinit, reinitDone, dark, shut},
	"owner's CANCEL": {lights, cancel(chanA), isCancelled, shut},

	"another locks":          {bad(chanB, "\x05", ErrChannelBusy), locks(chanA, "\x00"), locks(chanB, "\x05")},
	"another unlocks":        {bad(chanB, "\x00", ErrChannelBusy), shut},
	"another's INIT":         {reinitB, refused(chanB, ErrChannelBusy), locks(chanA, "\x00"), reinitB, reinitDoneB},
	"another's CANCEL":       {lights, cancel(chanB), quiet, touch, touched(chanA)},
	"another's continuation": {next(chanB, 0), quiet},
	"another's long message": {ping(chanB, long(200)), refused(chanB, ErrChannelBusy), quiet},
	"new host":               {open(3), ping(3, "x"), refused(3, ErrChannelBusy), expires(2 * time.Second)},
	"unknown channel":        {ping(9, "x"), refused(9, ErrInvalidChannel)},
}

func TestLock(t *testing.T) {
	for name, steps := range lockRules {
		t.Run(name, func(t *testing.T) {
			onBench(t, Device{Version: [3]byte{1, 2, 3}}, func(b *bench) {
				b.open(chanA)
				b.open(chanB)
				do(b, join([]step{locks(chanA, "\x02")}, steps...))
			})
		})
	}
}

func TestLockOfBusyDevice(t *testing.T) {
	onBench(t, Device{Version: [3]byte{1, 2, 3}}, func(b *bench) {
		b.open(chanA)
		b.open(chanB)
		do(b, []step{locks(chanA, "\x00"), free, lights, bad(chanB, "\x05", ErrChannelBusy), touch, touched(chanA)})
	})
}

// A host can't get rid of another's lock by taking channels until the owner's is recycled.
func TestLockIsNotOutflooded(t *testing.T) {
	onBench(t, Device{Version: [3]byte{1, 2, 3}, MaxChannels: 2}, func(b *bench) {
		b.open(chanA)
		do(b, []step{locks(chanA, "\x01")})
		for cid := chanB; cid < 6; cid++ {
			b.open(cid)
			do(b, []step{ping(cid, "x"), refused(cid, ErrChannelBusy), ping(chanA, "x"), pong(chanA, "x")})
		}
		do(b, []step{after(time.Second), ping(5, "x"), pong(5, "x")})
		b.open(6)
		do(b, []step{ping(chanA, "x"), refused(chanA, ErrInvalidChannel)})
	})
	onBench(t, Device{Version: [3]byte{1, 2, 3}, MaxChannels: 1}, func(b *bench) {
		b.open(chanA)
		do(b, []step{locks(chanA, "\x01"), host(BroadcastCID, CommandInit, "12345678"),
			refused(BroadcastCID, ErrChannelBusy), after(time.Second)})
		b.open(chanB)
	})
}
