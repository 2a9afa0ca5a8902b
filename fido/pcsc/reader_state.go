package pcsc

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// CardState is a set of bits that say how the card in a reader is.
type CardState uint32

const (
	CardUnknown    CardState = 0x01 // SCARD_UNKNOWN
	CardAbsent     CardState = 0x02 // SCARD_ABSENT
	CardPresent    CardState = 0x04 // SCARD_PRESENT
	CardSwallowed  CardState = 0x08 // SCARD_SWALLOWED: in the reader, but it does not answer
	CardPowered    CardState = 0x10 // SCARD_POWERED
	CardNegotiable CardState = 0x20 // SCARD_NEGOTIABLE
	CardSpecific   CardState = 0x40 // SCARD_SPECIFIC
)

// SharedExclusively is the Sharing of a reader whose card one program has for itself.
const SharedExclusively = -1

// ReaderState is what pcscd tells of a reader.
type ReaderState struct {
	Name     string    // unique among the readers, at most 127 bytes, e.g. "ACS ACR122U PICC Interface 00 00"
	Events   uint32    // counts the cards that came and went
	State    CardState // of the card
	Sharing  int32     // how many programs use the card, or SharedExclusively
	ATR      []byte    // answer to reset, at most 33 bytes; empty while there is no card that answers
	Protocol Protocol  // that the card speaks; 0 while nobody uses it
}

// HasCard tells whether there is a card in the reader that answers.
func (r ReaderState) HasCard() bool {
	return r.State&CardPresent != 0 && r.State&CardSwallowed == 0 && len(r.ATR) > 0
}

// notInitialized is the ATR length of a reader whose card has not been powered up yet (READER_NOT_INITIALIZED).
const notInitialized = maxATR + 1

// readerStates gives the readers that there are; the other places of the table are empty.
func readerStates(m *statesMsg) ([]ReaderState, error) {
	var states []ReaderState
	for i := range m {
		if m[i].Name[0] == 0 {
			continue
		}
		s, err := m[i].readerState()
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(states, func(o ReaderState) bool { return o.Name == s.Name }) {
			return nil, badReply("two readers named %q", s.Name)
		}
		states = append(states, s)
	}
	return states, nil
}

// readerState leaves out what lies behind the ends of name and ATR: the daemon does not wipe it.
func (m *stateMsg) readerState() (ReaderState, error) {
	name, _, ended := bytes.Cut(m.Name[:], []byte{0})
	switch {
	case !ended || !utf8.Valid(name):
		return ReaderState{}, badReply("reader name %q", m.Name[:])
	case m.ATRLength > notInitialized:
		return ReaderState{}, badReply("ATR of %d bytes", m.ATRLength)
	}
	s := ReaderState{
		Name: string(name), Events: m.Events, State: m.State, Sharing: m.Sharing, Protocol: m.Protocol,
	}
	if m.ATRLength > 0 && m.ATRLength <= maxATR {
		s.ATR = bytes.Clone(m.ATR[:m.ATRLength])
	}
	return s, nil
}
