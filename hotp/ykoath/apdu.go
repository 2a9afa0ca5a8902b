package ykoath

import (
	"context"
	"encoding/binary"
)

// Card carries APDUs to a security key.
type Card interface {
	// Transmit sends a command APDU and waits for the response APDU. Neither is kept.
	Transmit(ctx context.Context, command []byte) ([]byte, error)
}

// instruction is a command of the protocol.
type instruction byte

// The instructions.
const (
	insPut           instruction = 0x01
	insDelete        instruction = 0x02
	insSetCode       instruction = 0x03
	insReset         instruction = 0x04
	insRename        instruction = 0x05
	insList          instruction = 0xa1
	insCalculate     instruction = 0xa2
	insValidate      instruction = 0xa3
	insSelect        instruction = 0xa4 // with P1 = 4; else it is
	insCalculateAll  instruction = 0xa4
	insSendRemaining instruction = 0xa5
)

const (
	selectByName = 0x04   // P1 of SELECT
	truncate     = 0x01   // P2 of CALCULATE and CALCULATE ALL
	resetP1P2    = 0xdead // of RESET
)

// command is a command of which the response may come in several parts.
type command struct {
	name   string // the specification's
	ins    instruction
	p1, p2 byte
	data   []byte // at most maxData bytes; call wipes it
}

const (
	maxData     = 255 // of a short APDU; none of our commands can have more
	maxParts    = 1024
	statusBytes = 2
	maxResponse = 256 + statusBytes // of a short APDU
)

// call sends a command and gives the whole response. An error is one of the card, a *CommandError without meaning, or a
// *ReplyError.
func call(ctx context.Context, card Card, c command) ([]byte, error) {
	defer clear(c.data)
	part, status, err := transmit(ctx, card, c)
	whole := part
	for parts := 1; err == nil && status&0xff00 == StatusMore; parts++ {
		if parts >= maxParts || len(part) == 0 {
			return nil, badReply("a response without end")
		}
		part, status, err = transmit(ctx, card, command{name: c.name, ins: insSendRemaining})
		whole = append(whole, part...)
	}
	switch {
	case err != nil:
		return nil, err
	case status != StatusOK:
		return nil, &CommandError{Command: c.name, Status: status}
	}
	return whole, nil
}

// transmit sends one APDU, in the form that all keys know: Lc and no Le where there are data, as Yubico's programs do.
func transmit(ctx context.Context, card Card, c command) ([]byte, Status, error) {
	apdu := make([]byte, 0, 5+maxData)
	apdu = append(apdu, 0, byte(c.ins), c.p1, c.p2, byte(len(c.data)))
	apdu = append(apdu, c.data...)
	defer clear(apdu)
	reply, err := card.Transmit(ctx, apdu)
	if err != nil {
		return nil, 0, err
	}
	n := len(reply) - statusBytes
	if n < 0 || len(reply) > maxResponse {
		return nil, 0, badReply("response of %d bytes", len(reply))
	}
	return reply[:n:n], Status(binary.BigEndian.Uint16(reply[n:])), nil
}
