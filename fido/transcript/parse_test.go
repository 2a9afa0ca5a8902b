package transcript_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"fob/fido/transcript"
)

func TestParse(t *testing.T) {
	got := parse(t, "# fob transcript 1\r\n# a comment\n\n* key  u2f\n> packet 00000001\n  > msg 000000FF 0A0b \n< -\n")
	want := &transcript.Transcript{Key: "u2f", Events: []transcript.Event{
		transcript.Packet{ToKey: true},
		transcript.Request{Channel: 0xff, U2F: true, Payload: []byte{10, 11}},
		transcript.Response{},
	}}
	if p := got.Events[0].(transcript.Packet); p.Report[3] != 1 || !p.ToKey {
		t.Errorf("packet %v", p)
	}
	got.Events[0] = want.Events[0]
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestParseErrors names the line and what is wrong with it.
func TestParseErrors(t *testing.T) {
	const head = "# fob transcript 1\n"
	for _, test := range []struct {
		text string
		line int
		want error
	}{
		{"", 1, transcript.ErrNotTranscript},
		{"\n" + head, 1, transcript.ErrNotTranscript},
		{"# another file\n", 1, transcript.ErrNotTranscript},
		{"# fob transcript 2\n", 1, transcript.ErrVersion},
		{head + "hello world\n", 2, transcript.ErrSyntax},
		{head + ">\n", 2, transcript.ErrSyntax},
		{head + "\n#\n> cbor 1 04\n", 4, transcript.ErrSyntax},
		{head + "> cbor 00000001\n", 2, transcript.ErrSyntax},
		{head + "> cbor 00000001 0\n", 2, transcript.ErrSyntax},
		{head + "> cbor 00000001 zz\n", 2, transcript.ErrSyntax},
		{head + "> ble 00000001 04\n", 2, transcript.ErrSyntax},
		{head + "> cbor 00000001 04 05\n", 2, transcript.ErrSyntax},
		{head + "> cbor 00000001 04\n* keepalive 0102\n", 3, transcript.ErrSyntax},
		{head + "> cbor 00000001 04\n* waiting\n", 3, transcript.ErrSyntax},
		{head + "* power-cycle now\n", 2, transcript.ErrSyntax},
		{head + "> packet " + strings.Repeat("00", 65) + "\n", 2, transcript.ErrTooLarge},
		{head + "< 00\n", 2, transcript.ErrOrder},
		{head + "* cancel\n", 2, transcript.ErrOrder},
		{head + "* up-needed\n", 2, transcript.ErrOrder},
		{head + "> cbor 00000001 04\n> cbor 00000001 04\n", 3, transcript.ErrOrder},
		{head + "> cbor 00000001 04\n* power-cycle\n", 3, transcript.ErrOrder},
		{head + "> cbor 00000001 04\n< 00\n< 00\n", 4, transcript.ErrOrder},
		{head + "* key \n", 2, transcript.ErrSyntax},
		{head + "* key a b\n", 2, transcript.ErrSyntax},
		{head + "* key ключ\n", 2, transcript.ErrSyntax},
		{head + "* key a\n* key b\n", 3, transcript.ErrOrder},
		{head + "* power-cycle\n* key a\n", 3, transcript.ErrOrder},
		{head + "< " + strings.Repeat("00", transcript.MaxPayload+1) + "\n", 2, transcript.ErrTooLarge},
		{head + "# " + strings.Repeat("x", 1<<20) + "\n", 2, transcript.ErrTooLarge},
		{head + strings.Repeat("* power-cycle\n", transcript.MaxEvents+1), transcript.MaxEvents + 2,
			transcript.ErrTooLarge},
	} {
		name := test.text[:min(len(test.text), 60)]
		_, err := transcript.Parse(strings.NewReader(test.text))
		var at *transcript.ParseError
		if !errors.Is(err, test.want) || !errors.As(err, &at) || at.Line != test.line {
			t.Errorf("%q: %v, want line %d: %v", name, err, test.line, test.want)
		}
	}
	if _, err := transcript.Parse(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a reader that fails: %v", err)
	}
}

// endless is a transcript of comments that does not end.
type endless struct{ begun bool }

func (e *endless) Read(b []byte) (int, error) {
	if !e.begun {
		e.begun = true
		return copy(b, "# fob transcript 1\n"), nil
	}
	for i := range b {
		b[i] = '#'
	}
	b[len(b)-1] = '\n'
	return len(b), nil
}

func TestParseEndless(t *testing.T) {
	if _, err := transcript.Parse(&endless{}); !errors.Is(err, transcript.ErrTooLarge) {
		t.Error(err)
	}
}

// TestEncodeErrors refuses what Parse would refuse.
func TestEncodeErrors(t *testing.T) {
	ask, unknown := transcript.Request(request(4)), transcript.Request{Transport: 2}
	long := make(transcript.Response, transcript.MaxPayload+1)
	for name, test := range map[string]struct {
		transcript transcript.Transcript
		want       error
	}{
		"key":       {transcript.Transcript{Key: "a\n> packet 00"}, transcript.ErrSyntax},
		"order":     {transcript.Transcript{Events: []transcript.Event{ask, ask}}, transcript.ErrOrder},
		"payload":   {transcript.Transcript{Events: []transcript.Event{ask, long}}, transcript.ErrTooLarge},
		"transport": {transcript.Transcript{Events: []transcript.Event{unknown}}, transcript.ErrSyntax},
	} {
		if err := test.transcript.Encode(io.Discard); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParse re-encodes what it could parse: the events are the same, the text is a fixed point. Whatever was said,
// words are found for it, and a key that answers as was recorded answers no differently.
func FuzzParse(f *testing.F) {
	const head = "# fob transcript 1\n"
	f.Add(head)
	f.Add(head + "* key fido2.1\n> packet ffffffff860008\n< packet 00000001bb000102\n" +
		"> cbor 00000001 06a10201\n* up-needed\n* cancel\n< 2d\n")
	f.Add(head + "> msg 00000001 00010000000040" + strings.Repeat("aa", 64) + "0000\n" +
		"< 05" + strings.Repeat("04", 66) + "9000\n* power-cycle\n")
	f.Add(head + "> nfc-cbor 00000000 01a102a1626964616178\n< 00a302582500" + strings.Repeat("11", 36) + "03a0\n" +
		"> nfc-msg 00000000 -\n< -\n")
	f.Add(head + "> cbor 00000001 0ca10118ff\n< 00a101518076be8b528d0075f7aae98d6fa57a6d3c\n" +
		"> cbor 00000001 04\n< 00a20181fb7ff8000000000000a1f6f7c2420102\n")
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := transcript.Parse(strings.NewReader(text))
		if err != nil {
			var at *transcript.ParseError
			if !errors.As(err, &at) {
				t.Fatalf("error %v", err)
			}
			return
		}
		encoded := encode(t, parsed)
		again := parse(t, encoded)
		if fmt.Sprint(again) != fmt.Sprint(parsed) {
			t.Fatalf("%v became %v", parsed, again)
		}
		if twice := encode(t, again); twice != encoded {
			t.Fatalf("%q became %q", encoded, twice)
		}
		for _, s := range []transcript.Strictness{transcript.Loose, transcript.Strict} {
			player := transcript.NewPlayer(parsed, s)
			differences, err := transcript.Replay(t.Context(), parsed, player, s)
			if err != nil && !errors.Is(err, transcript.ErrNoRequests) || len(differences) > 0 || player.Err() != nil {
				t.Fatalf("%v, %v, %v in\n%s", differences, err, player.Err(), encoded)
			}
		}
	})
}

func encode(t *testing.T, parsed *transcript.Transcript) string {
	t.Helper()
	var b bytes.Buffer
	if err := parsed.Encode(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// FuzzReplay compares an answer with another one, whatever they are.
func FuzzReplay(f *testing.F) {
	f.Add([]byte{4}, []byte{0, 0xa1, 1, 0x80}, []byte{0, 0xa2, 1, 0x81, 0x60, 2, 0xf5})
	f.Add([]byte{4}, []byte{0, 0xa1, 0xf9, 0x7e, 0, 1}, []byte{0, 0xa1, 0xf9, 0x7e, 0, 1})
	f.Add([]byte{2}, []byte{0, 0xa1, 2, 0x40}, []byte{0, 0xa1, 2, 0x41, 0})
	f.Fuzz(func(t *testing.T, payload, recorded, answer []byte) {
		if len(payload) > transcript.MaxPayload || len(recorded) > transcript.MaxPayload {
			return
		}
		ask := transcript.Request{Payload: payload}
		it := &transcript.Transcript{Events: []transcript.Event{ask, transcript.Response(recorded)}}
		loose, err := transcript.Replay(t.Context(), it, answers(answer...), transcript.Loose)
		if err != nil {
			t.Fatal(err)
		}
		strict, err := transcript.Replay(t.Context(), it, answers(answer...), transcript.Strict)
		if err != nil || (len(strict) == 0) != bytes.Equal(recorded, answer) {
			t.Fatalf("strict: %v, %v", strict, err)
		}
		if len(loose) > 0 && len(strict) == 0 {
			t.Fatalf("%v between equal bytes", loose)
		}
		same, err := transcript.Replay(t.Context(), it, answers(recorded...), transcript.Loose)
		if err != nil || len(same) > 0 {
			t.Fatalf("%v, %v", same, err)
		}
		if len(answer) > 0 && len(recorded) > 0 && answer[0] != recorded[0] && len(loose) != 1 {
			t.Fatalf("another status: %v", loose)
		}
	})
}
