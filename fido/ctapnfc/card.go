package ctapnfc

import (
	"bytes"
	"context"
	"time"

	"fob/fido/ctap"
)

// MaxPayload is the longest request, and the longest response of a Handler, in bytes. ISO 7816 sets no limit to a chain
// of commands, so this is the one of CTAPHID (CTAP 2.2 §11.2.4): whatever a Handler serves there, it serves here.
const MaxPayload = 7609

// AID is the application identifier of FIDO (§11.3.3), for U2F and CTAP2 alike.
const AID = "\xa0\x00\x00\x06\x47\x2f\x00\x01"

// Classes of commands. A part of a chain that is not the last one has the chaining bit (ISO 7816-4, "Class byte").
const (
	claISO      = 0x00
	claCTAP     = 0x80
	claChaining = 0x10
)

// Instructions of ISO 7816-4.
const (
	insSelect      = 0xa4
	insGetResponse = 0xc0
)

const (
	selectByName    = 0x04 // P1 of SELECT: the data is an AID
	selectDataFlags = 0x0c // bits of P2 that ask for file information, which an application may answer as it likes
)

// Applet is an application on a Card. It answers one whole command: chains are put together, and what does not fit the
// Le of the command is kept for GET RESPONSE. Its first command is the SELECT that has named it, which makes it forget
// what an earlier session left. It gets what SELECT is otherwise than by name, too: OATH has another use for that.
type Applet func(ctx context.Context, c Command) Response

// Exchange answers a command APDU by a response APDU, as Card.Exchange does. It may return nil once ctx is done.
type Exchange func(ctx context.Context, command []byte) []byte

// Card is the authenticator's side. Its methods must not be called at the same time. Every exported field may be zero.
type Card struct {
	// Handler answers NFCCTAP_MSG and U2F commands. It gets the latter as extended APDUs with Le, whatever form they
	// came in, so that there is one form for it to know (that of CTAPHID_MSG). Its responses are at most MaxPayload
	// bytes. Requests are of TransportNFC and Channel 0. With nil, the card has no FIDO application.
	Handler ctap.Handler
	// NoU2F says that Handler does not speak CTAP1/U2F: SELECT answers FIDO_2_0 then, and U2F commands are unknown.
	// Otherwise it answers U2F_V2, whether or not there is CTAP2 besides; platforms ask authenticatorGetInfo (§11.3.3).
	NoU2F bool
	// NoCBOR says that Handler does not speak CTAP2: the NFCCTAP commands are unknown.
	NoCBOR bool
	// Applets are further applications, by their AIDs in binary.
	Applets map[string]Applet
	// UpdateInterval is how long a command waits for news from the Handler before it answers "status update"; 0 means
	// 100 ms.
	UpdateInterval time.Duration

	selected Applet
	foreign  bool     // it is one of Applets
	chain    *Command // parts of a command whose last one is awaited
	rest     Response // what GET RESPONSE brings; empty when there is nothing
	pending  *pending // the request that NFCCTAP_GETRESPONSE asks after
}

// Exchange answers a command APDU by a response APDU, of at least 2 bytes. The platform that has said it can ask again
// gets an answer within UpdateInterval; for another one Exchange lasts until the Handler has answered. When ctx is done
// it cancels the Handler and returns its answer.
//
// A request that Exchange has left pending ends with the next command other than NFCCTAP_GETRESPONSE, or with Reset.
func (k *Card) Exchange(ctx context.Context, command []byte) []byte {
	c, err := ParseCommand(bytes.Clone(command)) // parts and requests outlive the call
	if err != nil {
		k.forgetExchange()
		return Response{SW: SWWrongLength}.Bytes()
	}
	return k.exchange(ctx, c).Bytes()
}

// Reset is the loss of power: every application is deselected, a pending request is cancelled and waited for. Whoever
// is done with the Card calls it last.
func (k *Card) Reset() {
	k.forgetExchange()
	k.selected, k.foreign = nil, false
}

// forgetExchange ends what spans more than one command. Only the selection stays.
func (k *Card) forgetExchange() {
	k.abandon()
	k.chain = nil
	k.rest = Response{}
}

func (k *Card) exchange(ctx context.Context, c Command) Response {
	if !isPoll(c) {
		k.abandon()
	}
	if isGetResponse(c) {
		k.chain = nil
		return k.getResponse(c)
	}
	k.rest = Response{}
	whole, sw := k.assemble(c)
	if whole == nil {
		return Response{SW: sw}
	}
	return k.deliver(*whole, k.dispatch(ctx, *whole))
}

// dispatch answers a whole command. Without an application there is no instruction but SELECT: 6D00 rather than 6985,
// which a U2F client takes for "not touched yet" and tries again for ever.
func (k *Card) dispatch(ctx context.Context, c Command) Response {
	switch {
	case c.CLA != claISO && c.CLA != claCTAP: // logical channels and secure messaging among them
		return Response{SW: SWClassNotSupported}
	case isSelect(c) && !(k.foreign && c.P1 != selectByName): // an applet may have its own use for the rest
		return k.selectApplet(ctx, c)
	case k.selected == nil:
		return Response{SW: SWInstructionNotSupported}
	}
	return k.selected(ctx, c)
}

// selectApplet answers SELECT. When the application is not there the one before stays selected: readers probe for all
// kinds of cards, at any time.
func (k *Card) selectApplet(ctx context.Context, c Command) Response {
	if c.P1 != selectByName || c.P2&^selectDataFlags != 0 {
		return Response{SW: SWIncorrectP1P2}
	}
	applet, foreign := k.applet(string(c.Data))
	if applet == nil {
		return Response{SW: SWFileNotFound}
	}
	k.selected, k.foreign = applet, foreign
	return applet(ctx, c)
}

func (k *Card) applet(aid string) (applet Applet, foreign bool) {
	if aid == AID && k.Handler != nil && !(k.NoU2F && k.NoCBOR) {
		return k.fido, false
	}
	return k.Applets[aid], true
}

// assemble takes a command or a part of one (ISO 7816-4, "Command chaining") and returns it when it is whole. A chain
// ends with its last part or an error. SELECT, which is how a new client begins, interrupts it and has no parts itself.
func (k *Card) assemble(c Command) (*Command, StatusWord) {
	more := c.CLA == claISO|claChaining || c.CLA == claCTAP|claChaining
	if more {
		c.CLA &^= claChaining
	}
	before := k.chain
	k.chain = nil
	switch {
	case isSelect(c) && more:
		return nil, SWChainingNotSupported
	case isSelect(c) || before == nil:
	case !sameHeader(*before, c):
		return nil, SWLastCommandExpected
	default:
		c.Data = append(before.Data, c.Data...)
	}
	if len(c.Data) > MaxPayload {
		return nil, SWWrongLength
	}
	if more {
		k.chain = &c
		return nil, SWSuccess
	}
	return &c, SWSuccess
}

// getResponse answers GET RESPONSE. Readers send it in either class.
func (k *Card) getResponse(c Command) Response {
	switch {
	case c.P1 != 0 || c.P2 != 0:
		return Response{SW: SWIncorrectP1P2}
	case len(c.Data) > 0:
		return Response{SW: SWWrongLength}
	case len(k.rest.Data) == 0:
		return Response{SW: SWConditionsNotSatisfied}
	}
	return k.deliver(c, k.rest)
}

// deliver keeps back what the reader has no room for (§11.3.6). A command without Le gets what its form has room for:
// readers in use leave it out and expect an answer all the same.
func (k *Card) deliver(c Command, r Response) Response {
	room := c.Ne
	if room == 0 {
		room = maxShortNe
		if c.Extended {
			room = maxExtendedNe
		}
	}
	k.rest = Response{}
	if len(r.Data) <= room {
		return r
	}
	k.rest = Response{Data: r.Data[room:], SW: r.SW}
	return Response{Data: r.Data[:room], SW: bytesAvailable(len(k.rest.Data))}
}

func sameHeader(a, b Command) bool {
	return a.CLA == b.CLA && a.INS == b.INS && a.P1 == b.P1 && a.P2 == b.P2
}

func isSelect(c Command) bool { return c.CLA == claISO && c.INS == insSelect }

func isGetResponse(c Command) bool {
	return (c.CLA == claISO || c.CLA == claCTAP) && c.INS == insGetResponse
}
