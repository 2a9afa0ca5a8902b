package endpoint

import (
	"bytes"
	"encoding/binary"
	"errors"

	"golang.org/x/sys/unix"

	"fob/fido/ctaphid"
)

// Types of struct uhid_event (linux/uhid.h, Documentation/hid/uhid.rst).
const (
	uhidDestroy        = 1
	uhidStart          = 2
	uhidStop           = 3
	uhidOpen           = 4 // the first host has opened the device
	uhidClose          = 5 // the last host has closed it
	uhidOutput         = 6
	uhidGetReport      = 9
	uhidGetReportReply = 10
	uhidCreate2        = 11
	uhidInput2         = 12
	uhidSetReport      = 13
	uhidSetReportReply = 14
)

const (
	uhidDataMax   = 4096 // UHID_DATA_MAX
	uhidEventSize = 4380 // sizeof(struct uhid_event)
)

// errUHIDEvent is an event that the kernel does not send.
var errUHIDEvent = errors.New("malformed uhid event")

// uhidEvent is an event from the kernel, as much of it as matters to a device.
type uhidEvent struct {
	Type uint32
	Data []byte // of UHID_OUTPUT: what the host has written, report number first
	ID   uint32 // of UHID_GET_REPORT and UHID_SET_REPORT, for the reply
}

// parseUHIDEvent decodes an event. The kernel may leave out zeros at the end. Data is a copy.
func parseUHIDEvent(b []byte) (uhidEvent, error) {
	if len(b) < 4 || len(b) > uhidEventSize {
		return uhidEvent{}, errUHIDEvent
	}
	if len(b) < uhidEventSize {
		b = append(bytes.Clone(b), make([]byte, uhidEventSize-len(b))...)
	}
	e := uhidEvent{Type: binary.NativeEndian.Uint32(b)}
	payload := b[4:]
	switch e.Type {
	case uhidOutput: // struct uhid_output_req: data, size, rtype
		size := binary.NativeEndian.Uint16(payload[uhidDataMax:])
		if size > uhidDataMax {
			return uhidEvent{}, errUHIDEvent
		}
		e.Data = bytes.Clone(payload[:size])
	case uhidGetReport, uhidSetReport: // id, rnum, rtype, ...
		e.ID = binary.NativeEndian.Uint32(payload)
	}
	return e, nil
}

// report is the report of UHID_OUTPUT. It is false for one of another size, or with a report number, of which CTAPHID
// has none.
func (e uhidEvent) report() (ctaphid.Report, bool) {
	if len(e.Data) != recordSize || e.Data[0] != 0 {
		return ctaphid.Report{}, false
	}
	return ctaphid.Report(e.Data[1:]), true
}

// reportDescriptor is that of CTAP 2.2 §11.2.8.1: usage page 0xF1D0, usage CTAPHID, and 64 bytes in each direction.
var reportDescriptor = []byte{
	0x06, 0xd0, 0xf1, // Usage Page (FIDO Alliance)
	0x09, 0x01, // Usage (CTAPHID)
	0xa1, 0x01, // Collection (Application)
	0x09, 0x20, // Usage (Data In)
	0x15, 0x00, 0x26, 0xff, 0x00, // Logical Minimum (0), Maximum (255)
	0x75, 0x08, 0x95, ctaphid.ReportSize, // Report Size (8 bits), Count
	0x81, 0x02, // Input (Data, Variable, Absolute)
	0x09, 0x21, // Usage (Data Out)
	0x15, 0x00, 0x26, 0xff, 0x00,
	0x75, 0x08, 0x95, ctaphid.ReportSize,
	0x91, 0x02, // Output (Data, Variable, Absolute)
	0xc0, // End Collection
}

// create2 is struct uhid_create2_req, whose strings end with a zero byte. Programs look for keys on BUS_USB only.
func (o UHIDOptions) create2(phys string) []byte {
	text := func(s string, size int) []byte { return append([]byte(s), make([]byte, size-len(s))...) }
	b := binary.NativeEndian.AppendUint32(nil, uhidCreate2)
	b = append(b, text(o.Name, 128)...)
	b = append(b, text(phys, 64)...)
	b = append(b, text(o.Uniq, 64)...)
	b = binary.NativeEndian.AppendUint16(b, uint16(len(reportDescriptor)))
	b = binary.NativeEndian.AppendUint16(b, unix.BUS_USB)
	b = binary.NativeEndian.AppendUint32(b, uint32(o.VendorID))
	b = binary.NativeEndian.AppendUint32(b, uint32(o.ProductID))
	b = append(b, make([]byte, 4+4)...) // version, country
	return append(b, reportDescriptor...)
}

// input2 is struct uhid_input2_req: a report for the hosts, without a report number.
func input2(r ctaphid.Report) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uhidInput2)
	b = binary.NativeEndian.AppendUint16(b, ctaphid.ReportSize)
	return append(b, r[:]...)
}

// refusal answers a host's request for a feature report, which CTAPHID does not have; nil for other events. Without it
// the host would wait for five seconds.
func (e uhidEvent) refusal() []byte {
	reply := map[uint32]uint32{uhidGetReport: uhidGetReportReply, uhidSetReport: uhidSetReportReply}[e.Type]
	if reply == 0 {
		return nil
	}
	b := binary.NativeEndian.AppendUint32(nil, reply)
	b = binary.NativeEndian.AppendUint32(b, e.ID)
	return binary.NativeEndian.AppendUint16(b, uint16(unix.EIO))
}

// destroy is UHID_DESTROY.
func destroy() []byte { return binary.NativeEndian.AppendUint32(nil, uhidDestroy) }

// isText says that s is printable ASCII, which is what programs expect of a device's strings, and shorter than size.
func isText(s string, size int) bool {
	return len(s) < size && !bytes.ContainsFunc([]byte(s), func(r rune) bool { return r < ' ' || r > '~' })
}
