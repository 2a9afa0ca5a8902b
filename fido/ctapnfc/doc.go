// Package ctapnfc is both ends of the framing of CTAP over ISO 7816 and NFC (CTAP 2.2 §11.3): a [Card] turns command
// APDUs into requests to a [ctap.Handler], a [Reader] turns requests into command APDUs.
//
// The reader always speaks first: one [Command] goes in, one [Response] comes out. A message that is longer than one
// APDU goes in as a chain of commands, and comes out through GET RESPONSE. A card that waits for a person answers
// "status update" to a reader that knows how to ask again (NFCCTAP_GETRESPONSE), and simply takes its time otherwise.
// What carries the APDUs (PC/SC, a virtual reader, a function call) is a [Transceiver] to one side and the caller of
// [Card.Exchange] to the other.
package ctapnfc
