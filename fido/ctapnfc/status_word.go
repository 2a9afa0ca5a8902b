package ctapnfc

import "fmt"

// StatusWord is SW1-SW2, the last two bytes of every response APDU (ISO 7816-4, "Status bytes"). One other than
// SWSuccess is an error as it stands: errors.Is(err, ctapnfc.SWFileNotFound) holds wherever it came from.
type StatusWord uint16

// Status words, by the words of ISO 7816-4.
const (
	SWSuccess                 StatusWord = 0x9000
	SWBytesAvailable          StatusWord = 0x6100 // 61xx: SW2 says how many more, 00 for 256 or more
	SWWrongLength             StatusWord = 0x6700
	SWChannelNotSupported     StatusWord = 0x6881
	SWLastCommandExpected     StatusWord = 0x6883
	SWChainingNotSupported    StatusWord = 0x6884
	SWSecurityStatus          StatusWord = 0x6982
	SWConditionsNotSatisfied  StatusWord = 0x6985 // U2F: test of user presence required
	SWCommandNotAllowed       StatusWord = 0x6986
	SWWrongData               StatusWord = 0x6a80 // U2F: the key handle is not one of this key
	SWFunctionNotSupported    StatusWord = 0x6a81
	SWFileNotFound            StatusWord = 0x6a82
	SWNotEnoughMemory         StatusWord = 0x6a84
	SWIncorrectP1P2           StatusWord = 0x6a86
	SWReferencedDataNotFound  StatusWord = 0x6a88
	SWWrongP1P2               StatusWord = 0x6b00
	SWWrongLe                 StatusWord = 0x6c00 // 6Cxx: SW2 is the exact number of bytes
	SWInstructionNotSupported StatusWord = 0x6d00
	SWClassNotSupported       StatusWord = 0x6e00
	SWNoPreciseDiagnosis      StatusWord = 0x6f00
	SWStatusUpdate            StatusWord = 0x9100 // CTAP 2.2 §11.3.5.2: still at work; the data is a KeepaliveStatus
)

var statusWordText = map[StatusWord]string{
	SWSuccess:                 "success",
	SWBytesAvailable:          "response bytes still available",
	SWWrongLength:             "wrong length",
	SWChannelNotSupported:     "logical channel not supported",
	SWLastCommandExpected:     "last command of the chain expected",
	SWChainingNotSupported:    "command chaining not supported",
	SWSecurityStatus:          "security status not satisfied",
	SWConditionsNotSatisfied:  "conditions of use not satisfied",
	SWCommandNotAllowed:       "command not allowed",
	SWWrongData:               "incorrect parameters in the command data field",
	SWFunctionNotSupported:    "function not supported",
	SWFileNotFound:            "file or application not found",
	SWNotEnoughMemory:         "not enough memory space in the file",
	SWIncorrectP1P2:           "incorrect parameters P1-P2",
	SWReferencedDataNotFound:  "referenced data not found",
	SWWrongP1P2:               "wrong parameters P1-P2",
	SWWrongLe:                 "wrong Le field",
	SWInstructionNotSupported: "instruction code not supported or invalid",
	SWClassNotSupported:       "class not supported",
	SWNoPreciseDiagnosis:      "no precise diagnosis",
	SWStatusUpdate:            "status update",
}

// Error gives the meaning of the status word in words, with the number that a reader can look up.
func (sw StatusWord) Error() string {
	kind := sw
	if sw1 := sw &^ 0xff; sw1 == SWBytesAvailable || sw1 == SWWrongLe {
		kind = sw1
	}
	if text, ok := statusWordText[kind]; ok {
		return fmt.Sprintf("%s (SW %04x)", text, uint16(sw))
	}
	return fmt.Sprintf("unknown status word %04x", uint16(sw))
}

// bytesAvailable is the status word of a response of which n bytes, at least one, are left.
func bytesAvailable(n int) StatusWord {
	if n > 0xff {
		return SWBytesAvailable
	}
	return SWBytesAvailable | StatusWord(n)
}

// available is the number of bytes that GET RESPONSE may ask for now; it is 0 when sw does not say 61xx.
func (sw StatusWord) available() int {
	if sw&^0xff != SWBytesAvailable {
		return 0
	}
	return shortNe(byte(sw))
}
