package ctapnfc

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/fido/ctap"
)

// transceiver is a Transceiver by a function.
type transceiver func(ctx context.Context, command []byte) ([]byte, error)

func (f transceiver) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	return f(ctx, command)
}

// wire carries APDUs to the bench's card and keeps their headers.
type wire struct {
	*bench
	log       []string // CLA INS P1 of each command, after SELECT
	shortOnly bool     // answers extended commands by 6700
}

func (w *wire) Transmit(ctx context.Context, command []byte) ([]byte, error) {
	c, err := ParseCommand(command)
	if err != nil {
		w.t.Errorf("sent % x: %v", command, err)
	}
	w.log = append(w.log, hex.EncodeToString(command[:3]))
	if w.shortOnly && c.Extended {
		return Response{SW: SWWrongLength}.Bytes(), nil
	}
	return w.card.Exchange(ctx, command), nil
}

// sent takes the log, runs of the same command written once with their number.
func (w *wire) sent() string {
	var runs []string
	for i := 0; i < len(w.log); {
		n := 1
		for i+n < len(w.log) && w.log[i+n] == w.log[i] {
			n++
		}
		runs = append(runs, fmt.Sprintf("%s*%d", w.log[i], n))
		i += n
	}
	w.log = nil
	return strings.Join(runs, " ")
}

// withReader runs test with a reader of a card in a synctest bubble.
func withReader(t *testing.T, k Card, test func(w *wire, r *Reader)) {
	onBench(t, k, func(b *bench) {
		w := &wire{bench: b}
		r, err := Select(b.t.Context(), w)
		if err != nil {
			b.t.Fatal(err)
		}
		w.log = nil
		test(w, r)
	})
}

// echo answers any request by itself.
func echo(_ context.Context, r ctap.Request, _ func(ctap.KeepaliveStatus)) ctap.Response {
	return r.Payload
}

var sizes = []int{1, 2, 127, 128, 254, 255, 256, 257, 258, 509, 510, 511, 512, 513, 765, 766, 1024, 4096,
	7600, 7608, 7609}

func TestSizes(t *testing.T) {
	forms := map[string]func(w *wire, r *Reader){
		"extended":     func(*wire, *Reader) {},
		"short":        func(_ *wire, r *Reader) { r.ShortOnly = true },
		"falling back": func(w *wire, _ *Reader) { w.shortOnly = true },
	}
	for name, set := range forms {
		for _, n := range sizes {
			t.Run(fmt.Sprint(name, n), func(t *testing.T) {
				withReader(t, Card{Handler: handlerFunc(echo)}, func(w *wire, r *Reader) {
					set(w, r)
					reply, err := r.CBOR(w.t.Context(), count(n), nil)
					if !bytes.Equal(reply, count(n)) || err != nil {
						w.t.Fatalf("reply of %d bytes, %v", len(reply), err)
					}
					if got, want := w.sent(), apdusFor(name, n); got != want {
						w.t.Errorf("sent %s, want %s", got, want)
					}
				})
			})
		}
	}
}

// apdusFor is what a request of n bytes and a response of as many take.
func apdusFor(form string, n int) string {
	var runs []string
	extended := form == "extended" && n > 255
	if parts := (n - 1) / 255; parts > 0 && !extended {
		if form == "falling back" {
			runs = append(runs, "801080*1")
		}
		runs = append(runs, fmt.Sprintf("901080*%d", parts))
	}
	runs = append(runs, "801080*1")
	if rounds := (n - 1) / 256; rounds > 0 && !extended {
		runs = append(runs, fmt.Sprintf("00c000*%d", rounds))
	}
	return strings.Join(runs, " ")
}

// Commands of every size in every form, sent by hand: one extended APDU, or parts of any size.
func TestCardTakesAnyForm(t *testing.T) {
	for _, n := range sizes {
		onBench(t, Card{Handler: handlerFunc(echo)}, func(b *bench) {
			do(b, open)
			whole := fmt.Sprintf("%s9000", hexCount(n))
			do(b, x(fmt.Sprintf("80100000 00%04x %s 0000", n, hexCount(n)), whole))
			for _, room := range []int{1, 240, 250, 255} {
				rest := count(n)
				for ; len(rest) > room; rest = rest[room:] {
					do(b, x(fmt.Sprintf("90100000 %02x %x 00", room, rest[:room]), "9000"))
				}
				got := b.exchange(unhex(fmt.Sprintf("80100000 %02x %x 00", len(rest), rest)))
				if n <= 256 && hex.EncodeToString(got) != whole {
					b.t.Errorf("%d bytes in parts of %d: answer % x", n, room, got)
				}
				r, _ := ParseResponse(got)
				if n > 256 && (len(r.Data) != 256 || r.SW != bytesAvailable(n-256)) {
					b.t.Errorf("%d bytes in parts of %d: answer of %d bytes, %v", n, room, len(r.Data), r.SW)
				}
			}
		})
	}
}

func TestFallsBackOnce(t *testing.T) {
	withReader(t, Card{Handler: handlerFunc(echo)}, func(w *wire, r *Reader) {
		w.shortOnly = true
		for _, want := range []string{"801080*1 901080*1 801080*1 00c000*1", "901080*1 801080*1 00c000*1"} {
			if _, err := r.CBOR(w.t.Context(), count(300), nil); err != nil {
				w.t.Error(err)
			}
			if got := w.sent(); got != want {
				w.t.Errorf("sent %s, want %s", got, want)
			}
		}
	})
}

// A card that takes neither form leaves no mark.
func TestTooLongForCard(t *testing.T) {
	refuse := func(_ context.Context, command []byte) ([]byte, error) {
		if command[1] == insSelect {
			return unhex(u2fV2), nil
		}
		return Response{SW: SWWrongLength}.Bytes(), nil
	}
	r, _ := Select(t.Context(), transceiver(refuse))
	if _, err := r.CBOR(t.Context(), count(300), nil); err != SWWrongLength || r.ShortOnly {
		t.Errorf("short only %v, %v", r.ShortOnly, err)
	}
}

func TestReaderRefuses(t *testing.T) {
	withReader(t, Card{}, func(w *wire, r *Reader) {
		for _, n := range []int{0, 7610} {
			if _, err := r.CBOR(w.t.Context(), count(n), nil); !errors.Is(err, SWWrongLength) {
				w.t.Errorf("%d bytes: %v", n, err)
			}
		}
		for _, apdu := range []string{"0003", "00010000 001dba" + hexCount(7610)} {
			if _, err := r.Msg(w.t.Context(), unhex(apdu)); !errors.Is(err, SWWrongLength) {
				w.t.Errorf("msg %.20s: %v", apdu, err)
			}
		}
		ctx, cancel := context.WithCancel(w.t.Context())
		cancel()
		if _, err := r.CBOR(ctx, []byte{4}, nil); err != context.Canceled {
			w.t.Errorf("cancelled: %v", err)
		}
		if s := w.sent(); s != "" {
			w.t.Errorf("sent %s", s)
		}
	})
}

func TestMsg(t *testing.T) {
	withReader(t, Card{}, func(w *wire, r *Reader) {
		for _, n := range []int{1, 255, 256, 7000} {
			apdu, _ := Command{INS: 1, P1: 3, Data: count(n), Ne: maxExtendedNe, Extended: true}.Bytes()
			reply, err := r.Msg(w.t.Context(), apdu)
			if want := append(apdu, 0x90, 0x00); !bytes.Equal(reply, want) || err != nil {
				w.t.Errorf("%d bytes: reply of %d, %v", n, len(reply), err)
			}
		}
		reply, err := r.Msg(w.t.Context(), unhex("00030000"))
		if hex.EncodeToString(reply) != "000300000000009000" || err != nil {
			w.t.Errorf("version: % x, %v", reply, err)
		}
		if reply, err := r.Msg(w.t.Context(), unhex("00990000")); string(reply) != "\x6d\x00" || err != nil {
			w.t.Errorf("unknown: % x, %v", reply, err)
		}
	})
}

func TestSelect(t *testing.T) {
	var bad *BadReplyError
	for reply, check := range map[string]func(r *Reader, err error) bool{
		u2fV2:                  func(r *Reader, err error) bool { return r.Version == "U2F_V2" && err == nil },
		fido20:                 func(r *Reader, err error) bool { return r.Version == "FIDO_2_0" && err == nil },
		"6a82":                 func(r *Reader, err error) bool { return r == nil && err == SWFileNotFound },
		"9000":                 func(_ *Reader, err error) bool { return errors.As(err, &bad) },
		"5532465f5633 9000":    func(_ *Reader, err error) bool { return errors.As(err, &bad) },
		"90":                   func(_ *Reader, err error) bool { return errors.As(err, &bad) },
		hexCount(257) + "9000": func(_ *Reader, err error) bool { return errors.As(err, &bad) },
	} {
		r, err := Select(t.Context(), transceiver(func(_ context.Context, command []byte) ([]byte, error) {
			if hex.EncodeToString(command) != "00a4040008a0000006472f000100" {
				t.Errorf("sent % x", command)
			}
			return unhex(reply), nil
		}))
		if !check(r, err) {
			t.Errorf("%.30s: %+v, %v", reply, r, err)
		}
	}
}

func TestDeselect(t *testing.T) {
	withReader(t, Card{}, func(w *wire, r *Reader) {
		if err := r.Deselect(w.t.Context()); err != nil {
			w.t.Error(err)
		}
		if reply, err := r.CBOR(w.t.Context(), []byte{4}, nil); string(reply) != "\x00\x04" || err != nil {
			w.t.Errorf("reply % x, %v", reply, err)
		}
		if got := w.sent(); got != "801201*1 00a404*1 801080*1" {
			w.t.Errorf("sent %s", got)
		}
	})
	withReader(t, Card{NoCBOR: true}, func(w *wire, r *Reader) {
		if err := r.Deselect(w.t.Context()); err != SWInstructionNotSupported {
			w.t.Error(err)
		}
	})
}

func TestReaderTellsUpdates(t *testing.T) {
	withReader(t, Card{}, func(w *wire, r *Reader) {
		var told []ctap.KeepaliveStatus
		reply, err := r.CBOR(w.t.Context(), []byte{1}, func(s ctap.KeepaliveStatus) {
			if told = append(told, s); len(told) == 3 {
				go func() { w.touch <- struct{}{} }()
			}
		})
		if string(reply) != "\x00ok" || err != nil || fmt.Sprint(told) != "[2 2 2]" {
			w.t.Errorf("reply %q, %v, updates %v", reply, err, told)
		}
	})
}

// A card that answers at once is not asked all the time.
func TestReaderPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		polls := 0
		r := scripted(t, func([]byte) string { polls++; return "01 9100" })
		ctx, stop := context.WithTimeout(t.Context(), 10*time.Second-time.Millisecond)
		defer stop()
		if _, err := r.CBOR(ctx, []byte{4}, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		// the request, polls at 0, 0.1 ... 9.9 s, the cancelling one, and polls until the second after is over
		if polls < 102 || polls > 113 {
			t.Errorf("%d commands", polls)
		}
	})
}

// scripted is a reader of a card that has been selected and answers as reply says.
func scripted(t *testing.T, reply func(command []byte) string) *Reader {
	r, err := Select(t.Context(), transceiver(func(_ context.Context, command []byte) ([]byte, error) {
		if command[1] == insSelect {
			return unhex(u2fV2), nil
		}
		return unhex(reply(command)), nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}
