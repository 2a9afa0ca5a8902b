package pcsc

import (
	"context"
	"fmt"
	"io"
	"time"
)

// ShareMode says whether other programs may use the card meanwhile.
type ShareMode uint32

const (
	Exclusive ShareMode = 1 // SCARD_SHARE_EXCLUSIVE
	Shared    ShareMode = 2 // SCARD_SHARE_SHARED
	Direct    ShareMode = 3 // SCARD_SHARE_DIRECT: the reader, with or without a card
)

// Protocol is a transmission protocol of ISO 7816-3, or a set of them.
type Protocol uint32

const (
	T0  Protocol = 1 // SCARD_PROTOCOL_T0
	T1  Protocol = 2 // SCARD_PROTOCOL_T1
	Raw Protocol = 4 // SCARD_PROTOCOL_RAW
)

// Disposition says what becomes of the card when one is done with it.
type Disposition uint32

const (
	LeaveCard   Disposition = 0 // SCARD_LEAVE_CARD
	ResetCard   Disposition = 1 // SCARD_RESET_CARD
	UnpowerCard Disposition = 2 // SCARD_UNPOWER_CARD
	EjectCard   Disposition = 3 // SCARD_EJECT_CARD
)

// Attribute names a property of a reader (PC/SC part 3, reader attributes).
type Attribute uint32

const (
	VendorName         Attribute = 0x00010100 // SCARD_ATTR_VENDOR_NAME
	VendorSerial       Attribute = 0x00010103 // SCARD_ATTR_VENDOR_IFD_SERIAL_NO
	DeviceFriendlyName Attribute = 0x7fff0003 // SCARD_ATTR_DEVICE_FRIENDLY_NAME
)

// Card is a connection to a card in a reader.
type Card struct {
	Reader   string
	Protocol Protocol // the one that was agreed on; 0 in Direct mode

	client *Client
	handle int32
}

// Connect connects to the card in a reader, which speaks one of the protocols. It powers the card up if need be.
//
// It fails with ErrSharingViolation when another program has the card for itself, or when any uses it and mode is
// Exclusive. While another program has a transaction, pcscd waits for its end, without limit.
func (c *Client) Connect(ctx context.Context, reader string, mode ShareMode, protocols Protocol) (*Card, error) {
	m := connectMsg{Context: c.context, ShareMode: mode, Preferred: protocols}
	if copy(m.Reader[:maxReaderName-1], reader) < len(reader) {
		return nil, ErrUnknownReader
	}
	err := c.do(ctx, func() error {
		if err := c.call(cmdConnect, &m); err != nil {
			return err
		}
		return code(m.RV)
	})
	if err != nil {
		return nil, err
	}
	return &Card{Reader: reader, Protocol: m.Active, client: c, handle: m.Card}, nil
}

// Reconnect changes mode and protocols, and does to the card what init says. It clears ErrResetCard. A card that was
// Exclusive and is Shared again stays locked for others, at least by pcscd 1.9.9: Disconnect from it instead.
func (k *Card) Reconnect(ctx context.Context, mode ShareMode, protocols Protocol, init Disposition) error {
	m := reconnectMsg{Card: k.handle, ShareMode: mode, Preferred: protocols, Initialization: init}
	err := k.call(ctx, cmdReconnect, &m, &m.Card, &m.RV)
	if err == nil {
		k.Protocol = m.Active
	}
	return err
}

// Disconnect ends the connection, and its transaction with it.
func (k *Card) Disconnect(ctx context.Context, d Disposition) error {
	m := disposeMsg{Card: k.handle, Disposition: d}
	return k.call(ctx, cmdDisconnect, &m, &m.Card, &m.RV)
}

// lockInterval is the least time from one attempt to begin a transaction to the next.
const lockInterval = 100 * time.Millisecond

// Begin begins a transaction: until End, other programs can't use the card. It waits while another one has a
// transaction; when ctx is done meanwhile, the error is both ErrSharingViolation and ctx.Err().
func (k *Card) Begin(ctx context.Context) error {
	next := time.NewTicker(lockInterval)
	defer next.Stop()
	err := k.begin(ctx)
	for err == ErrSharingViolation {
		select {
		case <-next.C:
			err = k.begin(ctx)
		case <-ctx.Done():
		}
		if ctx.Err() != nil && err != nil {
			return fmt.Errorf("%w: %w", ErrSharingViolation, ctx.Err())
		}
	}
	return err
}

// beginTime is how long one attempt to begin a transaction may go on after the caller has given up. To break it off,
// and the connection with it, might have pcscd reset the card; it answers each attempt soon.
const beginTime = time.Second

func (k *Card) begin(ctx context.Context) error {
	patient, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(beginTime, cancel) })()
	m := cardMsg{Card: k.handle}
	err := k.call(patient, cmdBeginTransaction, &m, &m.Card, &m.RV)
	if err == context.Canceled {
		err = ctx.Err()
	}
	return err
}

// End ends a transaction.
func (k *Card) End(ctx context.Context, d Disposition) error {
	m := disposeMsg{Card: k.handle, Disposition: d}
	return k.call(ctx, cmdEndTransaction, &m, &m.Card, &m.RV)
}

// Status tells whether the card is still there and as it was: else it fails with ErrRemovedCard, ErrResetCard or
// ErrReaderUnavailable.
func (k *Card) Status(ctx context.Context) error {
	m := cardMsg{Card: k.handle}
	return k.call(ctx, cmdStatus, &m, &m.Card, &m.RV)
}

// Attribute gives an attribute of the reader, at most 264 bytes. Drivers know few of them: ErrUnsupportedFeature.
func (k *Card) Attribute(ctx context.Context, a Attribute) ([]byte, error) {
	m := attribMsg{Card: k.handle, Attr: a, Length: maxAttribute}
	if err := k.call(ctx, cmdGetAttrib, &m, &m.Card, &m.RV); err != nil {
		return nil, err
	}
	if m.Length > maxAttribute {
		return nil, badReply("attribute of %d bytes", m.Length)
	}
	return m.Data[:m.Length:m.Length], nil
}

// call makes a call about this card. The card and the code are fields of msg.
func (k *Card) call(ctx context.Context, cmd command, msg any, card *int32, rv *uint32) error {
	return k.client.do(ctx, func() error {
		if err := k.client.call(cmd, msg); err != nil {
			return err
		}
		return k.check(*card, *rv)
	})
}

// check wants a reply to be about this card.
func (k *Card) check(card int32, rv uint32) error {
	if card != k.handle {
		return badReply("reply about another card")
	}
	return code(rv)
}

// pciSize is the length of an SCARD_IO_REQUEST, which has no protocol control information behind its two numbers.
const pciSize = 16

const statusSize = 2 // SW1-SW2

// Transmit sends a command APDU, short or extended, and gives the response APDU, at least the two bytes of its status.
// When ctx is done before the card has answered, the Client is closed.
func (k *Card) Transmit(ctx context.Context, apdu []byte) ([]byte, error) {
	if len(apdu) > maxAPDU {
		return nil, fmt.Errorf("APDU of %d bytes: %w", len(apdu), ErrInsufficientBuffer)
	}
	m := transmitMsg{
		Card: k.handle, SendProtocol: k.Protocol, SendPCI: pciSize, SendLength: uint32(len(apdu)),
		RecvProtocol: k.Protocol, RecvPCI: pciSize, RecvLength: maxAPDU,
	}
	var response []byte
	err := k.client.do(ctx, func() (err error) {
		if err := k.client.send(cmdTransmit, m, apdu); err != nil {
			return err
		}
		response, err = k.response(&m)
		return err
	})
	return response, err
}

func (k *Card) response(m *transmitMsg) ([]byte, error) {
	if err := readMsg(k.client.conn, m); err != nil {
		return nil, err
	}
	if err := k.check(m.Card, m.RV); err != nil {
		return nil, err
	}
	if m.RecvLength > maxAPDU {
		return nil, badReply("response APDU of %d bytes", m.RecvLength)
	}
	response := make([]byte, m.RecvLength)
	if _, err := io.ReadFull(k.client.conn, response); err != nil {
		return nil, err
	}
	if len(response) < statusSize { // as the virtual reader says that the card has left
		return nil, ErrNotTransacted
	}
	return response, nil
}
