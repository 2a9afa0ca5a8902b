package ctapnfc

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// The traps of the specification over NFC, and where they are tested. Names in quotes are of the table rules.
//
//   - SELECT answers U2F_V2 or FIDO_2_0: "SELECT with Le", TestProtocols, and TestSelect for the reader
//   - extended and short APDUs: TestCommandForms, TestCardTakesAnyForm, TestSizes
//   - chaining with CLA 0x10 and 0x90: "chain" and those that begin with it, "U2F in a chain"
//   - GET RESPONSE and 61xx: "response for a small Le" and "GET RESPONSE …"
//   - NFCCTAP_GETRESPONSE and 9100, only for clients that can: "status update", "MSG waits", "update of nothing",
//     "cancel", TestUpdates
//   - deselection: "END CTAP_MSG" and "CONTROL otherwise"
//   - 6985, 6A86, 6D00, 6E00 where ISO asks: "GET RESPONSE of nothing", "MSG, P1", "unknown instruction",
//     "unknown class"; the Handler's, 6A80 among them, pass as they are: TestRequestSaysProtocol
//   - presence is the tap, for a short time and once: the Handler decides, TestTapIsTouch of fido/emulator; a card that is
//     powered up anew, TestCardLosesPower of fido/endpoint and of fido/softkey

const (
	selectFIDO = "00a40400 08 a0000006472f0001"
	selectGone = "00a40400 08 a000000647ffffff"
	u2fV2      = "5532465f5632 9000"
	fido20     = "4649444f5f325f30 9000"
	msg        = "80100000 02 0203 00"
	msgAnswer  = "000203 9000"
	wait       = "80108000 01 01 00" // a request that lasts until the touch, from a reader that polls
	poll       = "80110000 00"
	cancel     = "80111100 00"
	upNeeded   = "02 9100"
	touched    = "006f6b 9000"
	cancelled  = "2d 9000"
	end        = "80120100"
	get        = "00c00000 00"
	getFour    = "00c00000 04"
)

var (
	open    = x(selectFIDO, u2fV2)
	pends   = []step{x(wait, upNeeded), lit}
	answers = x(msg, msgAnswer)
)

// Each rule begins with the FIDO application selected.
var rules = map[string][]step{
	"SELECT again":              {open, answers},
	"SELECT with Le":            {x(selectFIDO+"00", u2fV2)},
	"SELECT, extended":          {x("00a40400 000008 a0000006472f0001 0000", u2fV2)},
	"SELECT without file info":  {x("00a4040c 08 a0000006472f0001", u2fV2)},
	"SELECT of the next":        {x("00a40402 08 a0000006472f0001", "6a86")},
	"SELECT by file":            {x("00a40000 02 3f00", "6a86")},
	"SELECT of CTAP's class":    {x("80a40400 08 a0000006472f0001", "6d00")},
	"SELECT of a part":          {x("00a40400 07 a0000006472f00", "6a82")},
	"SELECT of nothing":         {x("00a40400", "6a82")},
	"SELECT of another":         {x(selectGone, "6a82"), answers},
	"SELECT in a chain":         {x("10a40400 04 a0000006", "6884"), open, answers},
	"SELECT a little at a time": {x(selectFIDO+"04", "5532465f 6102"), x(get, "5632 9000")},
	"END CTAP_MSG":              {x(end, "9000"), x(msg, "6d00"), x("00030000", "6d00"), open, answers},
	"END CTAP_MSG with Le":      {x(end+"00", "9000"), x(msg, "6d00")},
	"END CTAP_MSG with data":    {x(end+"0101", "6700"), answers},
	"CONTROL otherwise":         {x("80120200", "6a86"), x("80120101", "6a86"), answers},
	"deselected: other commands": {x(end, "9000"), x(poll, "6d00"), x("01a4", "6700"), x("01a40400", "6e00"),
		calls(0)},

	"garbage": {x("", "6700"), x("80", "6700"), x("80100000 02 02", "6700"), answers},
	"unknown instruction": {x("80130000", "6d00"), x("00b00000", "6d00"), x("80010000", "6d00"),
		x("00100000 0104", "6d00")},
	"unknown class": {x("01030000", "6e00"), x("0c030000", "6e00"), x("90", "6700"),
		x("c0100000 0104", "6e00"), x("ffca0000 00", "6e00")},
	"MSG":                   {answers, calls(1)},
	"MSG without Le":        {x("80100000 02 0203", msgAnswer)},
	"MSG, extended":         {x("80100000 000002 0203 0000", msgAnswer)},
	"MSG, without Le too":   {x("80100000 000002 0203", msgAnswer)},
	"MSG that may poll":     {x("80108000 02 0203 00", msgAnswer)},
	"MSG of nothing":        {x("80100000", "6700"), x("80100000 00", "6700"), calls(0)},
	"MSG, P1":               {x("80100100 01 04", "6a86"), x("80108100 01 04", "6a86"), calls(0)},
	"MSG, P2":               {x("80100001 01 04", "6a86"), calls(0)},
	"MSG of most bytes":     {x("80100000 001db8"+hexCount(7608)+"0000", "00"+hexCount(7608)+"9000")},
	"MSG of too many bytes": {x("80100000 001dba"+hexCount(7610)+"0000", "6700"), calls(0)},
	"MSG waits":             {touchAfter(time.Hour), within(time.Hour, x("80100000 01 01 00", touched)), dark},

	"response of 256 bytes": {x("80100000 ff"+hexCount(255)+"00", "00"+hexCount(255)+"9000")},
	"response for a small Le": {x("80100000 02 0203 01", "00 6102"), x("00c00000 01", "02 6101"),
		x("00c00000 01", "03 9000"), x(get, "6985")},
	"GET RESPONSE of class 80": {x("80100000 02 0203 01", "00 6102"), x("80c00000 02", "0203 9000")},
	"GET RESPONSE without Le":  {x("80100000 02 0203 01", "00 6102"), x("00c00000", "0203 9000")},
	"GET RESPONSE, extended":   {x("80100000 02 0203 01", "00 6102"), x("00c00000 000000", "0203 9000")},
	"GET RESPONSE, wrong": {x("80100000 02 0203 01", "00 6102"), x("00c00100 01", "6a86"),
		x("00c00001 01", "6a86"), x("00c00000 0101", "6700"), x(get, "0203 9000")},
	"GET RESPONSE of nothing": {x(get, "6985"), answers, x(get, "6985")},
	"GET RESPONSE too late": {x("80100000 02 0203 01", "00 6102"), x("80100000 01 04", "0004 9000"),
		x(get, "6985")},
	"GET RESPONSE after a part":  {x("80100000 02 0203 01", "00 6102"), x("90100000 01 02", "9000"), x(get, "6985")},
	"GET RESPONSE after garbage": {x("80100000 02 0203 01", "00 6102"), x("00", "6700"), x(get, "6985")},
	"extended, a small Le":       {x("80100000 000002 0203 0001", "00 6102"), x(get, "0203 9000")},

	"chain": {x("90100000 01 02", "9000"), x("90100000 01 03", "9000"),
		x("80100000 01 04 00", "00020304 9000"), calls(1)},
	"chain with Le": {x("90100000 01 02 00", "9000"), x("80100000 01 03 00", msgAnswer)},
	"chain of empty parts": {x("90100000", "9000"), x("90100000 00", "9000"),
		x("80100000 02 0203 00", msgAnswer)},
	"chain, empty end":     {x("90100000 02 0203", "9000"), x("80100000 00", msgAnswer)},
	"chain of extended":    {x("90100000 000001 02", "9000"), x("80100000 000001 03 0000", msgAnswer)},
	"chain, last decides":  {x("90100000 000001 02", "9000"), x("80100000 01 03 01", "00 6102")},
	"chain of another INS": {x("90100000 01 02", "9000"), x("80110000 01 03", "6883"), answers, calls(1)},
	"chain of another CLA": {x("90100000 01 02", "9000"), x("00100000 01 03", "6883"), answers},
	"chain of another P1":  {x("90100000 01 02", "9000"), x("80108000 01 03", "6883"), answers},
	"chain of another P2":  {x("90100000 01 02", "9000"), x("80100001 01 03", "6883"), answers},
	"chain, then SELECT":   {x("90100000 01 04", "9000"), open, answers},
	"chain, then garbage":  {x("90100000 01 04", "9000"), x("80", "6700"), answers},
	"chain, GET RESPONSE":  {x("90100000 01 04", "9000"), x(get, "6985"), answers},
	"chain too long": {x("90100000 001db9"+hexCount(7609), "9000"), x("90100000 01 02", "6700"), answers,
		calls(1)},
	"chain unknown, in all": {x("90990000 01 02", "9000"), x("80990000 01 02", "6d00")},

	"U2F VERSION":       {x("00030000", "00030000 000000 9000")},
	"U2F VERSION, Le":   {x("00030000 00", "00030000 000000 9000")},
	"U2F, extended":     {x("00030000 000000", "00030000 000000 9000")},
	"U2F with data":     {x("00020700 02 0506", "00020700 000002 0506 0000 9000"), calls(1)},
	"U2F, no touch bit": {x("00020800 000002 0506 0000", "00020800 000002 0506 0000 9000")},
	"U2F in a chain":    {x("10010000 01 05", "9000"), x("00010000 01 06 00", "00010000 000002 0506 0000 9000")},
	"U2F, a small Le":   {x("00030000 01", "00 6106"), x(get, "030000 000000 9000")},

	"status update": join(pends, within(100*time.Millisecond, x(poll, upNeeded)), touch, within(0,
		x(poll, touched)), x(poll, "6985"), dark),
	"touch during a poll": join(pends, touchAfter(50*time.Millisecond), within(50*time.Millisecond, x(poll,
		touched))),
	"update, wrong": join(pends, x("80110100", "6a86"), x("80110001", "6a86"),
		x("80110000 01 01", "6700"), touch, x(poll, touched)),
	"updates in a chain":       {x("90108000", "9000"), x(wait, upNeeded), touch, x(poll, touched)},
	"update of nothing":        {x(poll, "6985"), x(cancel, "6985"), answers, x(poll, "6985")},
	"update, extended":         join(pends, touch, x("80110000 000000", touched)),
	"update, a small Le":       join(pends, touch, x("80110000 01", "00 6102"), x(get, "6f6b 9000")),
	"cancel":                   join(pends, x(cancel, cancelled), dark, x(poll, "6985"), answers),
	"cancel comes too late":    join(pends, touch, x(cancel, touched)),
	"another request":          join(pends, answers, dark, x(poll, "6985"), calls(2)),
	"another request pends":    join(pends, x(wait, upNeeded), lit, calls(2), touch, x(poll, touched)),
	"U2F while one pends":      join(pends, x("00030000", "00030000 000000 9000"), dark),
	"GET RESPONSE, one pends":  join(pends, x(get, "6985"), dark, x(poll, "6985")),
	"SELECT while one pends":   join(pends, open, dark, x(poll, "6985")),
	"probe while one pends":    join(pends, x(selectGone, "6a82"), dark),
	"deselect while one pends": join(pends, x(end, "9000"), dark, x(poll, "6d00")),
	"garbage while one pends":  join(pends, x("80", "6700"), dark, x(poll, "6985")),
	"part while one pends":     join(pends, x("90100000 01 02", "9000"), dark),
	"reset while one pends":    join(pends, reset, dark, x(poll, "6d00"), open, x(poll, "6985")),

	"reset":             {reset, x(msg, "6d00"), x("00030000", "6d00"), x(get, "6985"), open, answers},
	"reset in a chain":  {x("90100000 01 04", "9000"), reset, open, answers},
	"reset, then rest":  {x("80100000 02 0203 01", "00 6102"), reset, open, x(get, "6985")},
	"reset, then again": {reset, reset, open, answers},
}

func TestRules(t *testing.T) {
	for name, steps := range rules {
		t.Run(name, func(t *testing.T) {
			onBench(t, Card{}, func(b *bench) { do(b, join([]step{open}, steps...)...) })
		})
	}
}

func TestBeforeSelect(t *testing.T) {
	onBench(t, Card{}, func(b *bench) {
		do(b, x(msg, "6d00"), x(poll, "6d00"), x(end, "6d00"), x("00030000", "6d00"), x("b0000000", "6e00"),
			x(get, "6985"), x(selectGone, "6a82"), x(msg, "6d00"), calls(0))
	})
}

func TestProtocols(t *testing.T) {
	const version, versionAnswer = "00030000", "00030000 000000 9000"
	for _, test := range []struct {
		card  Card
		steps []step
	}{
		{Card{NoU2F: true}, []step{x(selectFIDO, fido20), answers, x(version, "6d00"), calls(1)}},
		{Card{NoCBOR: true}, []step{open, x(version, versionAnswer), x(msg, "6d00"), x(poll, "6d00"), x(end, "6d00"),
			calls(1)}},
		{Card{NoU2F: true, NoCBOR: true}, []step{x(selectFIDO, "6a82"), x(version, "6d00")}},
	} {
		onBench(t, test.card, func(b *bench) { do(b, test.steps...) })
	}
	if got := (&Card{}).Exchange(t.Context(), unhex(selectFIDO)); string(got) != "\x6a\x82" {
		t.Errorf("without a handler: % x", got)
	}
}

func TestOtherApplets(t *testing.T) {
	var seen []string
	oath := func(_ context.Context, c Command) Response {
		seen = append(seen, fmt.Sprintf("%02x%02x %x", c.CLA, c.INS, c.Data))
		return Response{Data: count(300), SW: SWSuccess}
	}
	onBench(t, Card{Applets: map[string]Applet{"\xa0\x00": oath, AID: oath}}, func(b *bench) {
		do(b, open, x(wait, upNeeded),
			x("00a40400 02 a000 02", "0203 6100"), dark,
			x("10010000 01 01", "9000"), x("00010000 01 02 02", "0203 6100"), x(getFour, "04050607 6100"),
			x(poll, hexCount(256)+"612c"), // not FIDO's now
			open, x(poll, "6985"), answers)
	})
	if got, want := strings.Join(seen, ", "), "00a4 a000, 0001 0102, 8011 "; got != want {
		t.Errorf("applet got %q, want %q", got, want)
	}
}

// TestSelectOtherwise: an applet gets what SELECT is otherwise than by name, FIDO does not.
func TestSelectOtherwise(t *testing.T) {
	var seen []string
	oath := func(_ context.Context, c Command) Response {
		seen = append(seen, fmt.Sprintf("%02x%02x%02x%02x %x", c.CLA, c.INS, c.P1, c.P2, c.Data))
		return Response{SW: SWSuccess}
	}
	onBench(t, Card{Applets: map[string]Applet{"\xa0\x00": oath}}, func(b *bench) {
		do(b, x("00a40001 02 7400", "6a86"), open, x("00a40001 02 7400", "6a86"), x("00a40400 02 a000", "9000"),
			x("00a40001 02 7400", "9000"), x("00a40400 02 a001", "6a82"), x("00a40001 02 7401", "9000"),
			open, x("00a40001 02 7400", "6a86"))
	})
	if got, want := strings.Join(seen, ", "), "00a40400 a000, 00a40001 7400, 00a40001 7401"; got != want {
		t.Errorf("applet got %q, want %q", got, want)
	}
}

func TestBadResponses(t *testing.T) {
	lengths := map[byte]int{0: 0, 1: 1, 2: MaxPayload, 3: MaxPayload + 1} // by the fourth byte of the request
	h := func(_ context.Context, r ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
		return make(ctap.Response, lengths[r.Payload[3]])
	}
	zeros := strings.Repeat("00", MaxPayload)
	onBench(t, Card{Handler: handlerFunc(h)}, func(b *bench) {
		do(b, open,
			x("80100000 000004 00000002 0000", zeros+"9000"), x("80100000 000004 00000003 0000", "7f 9000"),
			x("80100000 04 00000000 00", "7f 9000"), x("80108000 04 00000000 00", "7f 9000"),
			x("00030002 000000", zeros), x("00030003 000000", "6f00"),
			x("00030001", "6f00"), x("00030000", "6f00"))
	})
}

func TestRequestSaysProtocol(t *testing.T) {
	var got []string
	h := func(_ context.Context, r ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
		got = append(got, fmt.Sprintf("%d %v %x", r.Channel, r.U2F, r.Payload))
		return ctap.Response{0x69, 0x85}
	}
	onBench(t, Card{Handler: handlerFunc(h)}, func(b *bench) {
		do(b, open, x("80100000 01 04", "6985 9000"), x("00020300 01 07", "6985"))
	})
	if s := strings.Join(got, ", "); s != "0 false 04, 0 true 00020300000001070000" {
		t.Errorf("handler got %s", s)
	}
}

func TestUpdates(t *testing.T) {
	var status chan ctap.KeepaliveStatus
	h := func(_ context.Context, _ ctap.Request, keepalive func(ctap.KeepaliveStatus)) ctap.Response {
		for s := range status {
			keepalive(s)
		}
		return ctap.Response{0}
	}
	onBench(t, Card{Handler: handlerFunc(h), UpdateInterval: time.Second}, func(b *bench) {
		status = make(chan ctap.KeepaliveStatus) // in the bubble, so that time passes while the handler waits
		say := func(s ctap.KeepaliveStatus) step { return func(b *bench) { status <- s; synctest.Wait() } }
		do(b, open,
			within(time.Second, x(wait, "01 9100")),
			within(time.Second, x(poll, "01 9100")),
			say(2), within(0, x(poll, "02 9100")), within(time.Second, x(poll, "02 9100")),
			say(2), say(1), within(0, x(poll, "01 9100")), // only the latest one counts
			func(*bench) { close(status) }, x(poll, "00 9000"))
	})
}

// When the place of the card is taken away, its last answer is that of the cancelled Handler.
func TestContextOfExchange(t *testing.T) {
	for _, command := range []string{wait, "80100000 01 01 00"} {
		h := func(ctx context.Context, _ ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
			<-ctx.Done()
			return ctap.Response{byte(ctap.ErrKeepaliveCancel)}
		}
		onBench(t, Card{Handler: handlerFunc(h), UpdateInterval: time.Hour}, func(b *bench) {
			do(b, open)
			ctx, stop := context.WithTimeout(b.t.Context(), time.Minute)
			defer stop()
			if got := b.card.Exchange(ctx, unhex(command)); string(got) != "\x2d\x90\x00" {
				b.t.Errorf("answered % x", got)
			}
			do(b, x(poll, "6985"))
		})
	}
}

// A request outlives the context of the command that has begun it.
func TestPendingOutlivesContext(t *testing.T) {
	onBench(t, Card{}, func(b *bench) {
		do(b, open)
		ctx, stop := context.WithCancel(b.t.Context())
		got := b.card.Exchange(ctx, unhex(wait))
		stop()
		if string(got) != "\x02\x91\x00" {
			b.t.Errorf("answered % x", got)
		}
		do(b, lit, touch, x(poll, touched))
	})
}

// The caller may use its buffer again while a request or a chain is under way.
func TestExchangeCopies(t *testing.T) {
	onBench(t, Card{}, func(b *bench) {
		do(b, open)
		part := unhex("90100000 01 02")
		b.exchange(part)
		clear(part)
		do(b, x("80100000 01 03 00", msgAnswer))
	})
}
