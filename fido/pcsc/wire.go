package pcsc

import (
	"encoding/binary"
	"io"
)

// command is a pcsc_msg_commands.
type command uint32

const (
	cmdEstablishContext command = 0x01
	cmdConnect          command = 0x04
	cmdReconnect        command = 0x05
	cmdDisconnect       command = 0x06
	cmdBeginTransaction command = 0x07
	cmdEndTransaction   command = 0x08
	cmdTransmit         command = 0x09
	cmdStatus           command = 0x0b
	cmdGetAttrib        command = 0x0f
	cmdVersion          command = 0x11
	cmdGetReadersState  command = 0x12
	cmdWaitStateChange  command = 0x13
	cmdStopWaiting      command = 0x14
)

const (
	maxReaderName = 128               // MAX_READERNAME, with the NUL
	maxATR        = 33                // MAX_ATR_SIZE
	maxAttribute  = 264               // MAX_BUFFER_SIZE
	maxAPDU       = 4 + 3 + 1<<16 + 3 // MAX_BUFFER_SIZE_EXTENDED
	maxReaders    = 16                // PCSCLITE_MAX_READERS_CONTEXTS
)

// The structures of winscard_msg.h, field by field. What the daemon fills in comes back in the same structure.
type (
	// header is a struct rxHeader. It goes before every request; replies have none.
	header struct {
		Size    uint32 // of the structure that follows, without what follows that
		Command command
	}
	versionMsg struct {
		Major, Minor int32
		RV           uint32
	}
	establishMsg struct {
		Scope, Context, RV uint32
	}
	connectMsg struct {
		Context   uint32
		Reader    [maxReaderName]byte
		ShareMode ShareMode
		Preferred Protocol
		Card      int32
		Active    Protocol
		RV        uint32
	}
	reconnectMsg struct {
		Card           int32
		ShareMode      ShareMode
		Preferred      Protocol
		Initialization Disposition
		Active         Protocol
		RV             uint32
	}
	disposeMsg struct { // disconnect_struct and end_struct
		Card        int32
		Disposition Disposition
		RV          uint32
	}
	cardMsg struct { // begin_struct and status_struct
		Card int32
		RV   uint32
	}
	transmitMsg struct { // the command APDU follows it, and the response APDU if it succeeds
		Card         int32
		SendProtocol Protocol
		SendPCI      uint32
		SendLength   uint32
		RecvProtocol Protocol
		RecvPCI      uint32
		RecvLength   uint32
		RV           uint32
	}
	attribMsg struct {
		Card   int32
		Attr   Attribute
		Data   [maxAttribute]byte
		Length uint32
		RV     uint32
	}
	// waitMsg is what comes once after each CMD_WAIT_READER_STATE_CHANGE: when something has changed, or as the answer
	// to CMD_STOP_WAITING_READER_STATE_CHANGE.
	waitMsg struct {
		Timeout, RV uint32
	}
	// stateMsg is a READER_STATE (eventhandler.h).
	stateMsg struct {
		Name      [maxReaderName]byte
		Events    uint32
		State     CardState
		Sharing   int32
		ATR       [maxATR]byte
		_         [3]byte
		ATRLength uint32
		Protocol  Protocol
	}
	statesMsg [maxReaders]stateMsg
)

// appendMsg appends a structure in the machine's byte order. It can't fail: the structures are of fixed sizes.
func appendMsg(b []byte, msg any) []byte {
	b, err := binary.Append(b, binary.NativeEndian, msg)
	if err != nil {
		panic(err)
	}
	return b
}

// appendRequest appends a header and a structure, or a header alone for nil.
func appendRequest(b []byte, c command, msg any) []byte {
	if msg == nil {
		return appendMsg(b, header{Command: c})
	}
	b = appendMsg(b, header{uint32(binary.Size(msg)), c})
	return appendMsg(b, msg)
}

// readMsg reads a structure, a pointer to which is msg.
func readMsg(r io.Reader, msg any) error { return binary.Read(r, binary.NativeEndian, msg) }
