package fault

import (
	"math/rand/v2"
	"time"

	"fob/fido/ctap"
)

// random becomes one of the other effects each time that it happens.
type random struct{}

func (random) String() string { return "random" }

// effectFor chooses an effect that suits a place, and that suitable admits.
func (random) effectFor(p place, chance *rand.Rand, suitable func(effect) bool) effect {
	for {
		e := randomEffects[chance.IntN(len(randomEffects))](chance)
		if suits(e, p) && suitable(e) {
			return e
		}
	}
}

// randomEffects make the effects that random becomes. Waits are short, and a key that is pulled out comes back, so that
// those who test with random faults see many of them.
var randomEffects = []func(*rand.Rand) effect{
	func(*rand.Rand) effect { return drop{} },
	func(*rand.Rand) effect { return duplicate{} },
	func(chance *rand.Rand) effect { return delay{Duration: upTo(chance, 100)} },
	func(*rand.Rand) effect { return corruptBit{} },
	func(chance *rand.Rand) effect {
		return corrupt{[]string{"cid", "seq", "nonce", "short", "long", "huge"}[chance.IntN(6)]}
	},
	func(chance *rand.Rand) effect { return unplug{out: upTo(chance, 500)} },
	func(chance *rand.Rand) effect { return status(1 + chance.IntN(0xff)) },
	func(chance *rand.Rand) effect { return randomStatusWord(chance) },
	func(*rand.Rand) effect { return garbage{} },
	func(*rand.Rand) effect { return truncate{} },
	func(*rand.Rand) effect { return oversize{} },
	func(chance *rand.Rand) effect {
		status := ctap.KeepaliveStatus(chance.IntN(4))
		return keepalives{n: 1 + chance.Uint64N(50), every: upTo(chance, 10), status: status}
	},
	func(chance *rand.Rand) effect { return hang{mode: []string{"", "deaf", "silent"}[chance.IntN(3)]} },
	func(chance *rand.Rand) effect { return slow{upTo(chance, 500)} },
	func(chance *rand.Rand) effect { return clock{upTo(chance, 3_600_000) - 30*time.Minute} },
}

// upTo is a duration of at least one and at most so many milliseconds.
func upTo(chance *rand.Rand, milliseconds int) time.Duration {
	return time.Duration(1+chance.IntN(milliseconds)) * time.Millisecond
}

func randomStatusWord(chance *rand.Rand) statusWord {
	words := []ctap.U2FStatus{
		ctap.U2FWrongLength, ctap.U2FConditionsNotSatisfied, ctap.U2FCommandNotAllowed, ctap.U2FWrongData,
		ctap.U2FInstructionNotSupported, ctap.U2FClassNotSupported, ctap.U2FUnknown,
	}
	return statusWord(words[chance.IntN(len(words))])
}
