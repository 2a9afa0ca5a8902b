package varlink

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"reflect"
	"testing"
	"time"
)

func TestDecodeCall(t *testing.T) {
	for message, want := range map[string]Call{
		`{"method":"a.B"}`: {Method: "a.B"},
		` {"method":"a.B","parameters":{"x":1},"more":true,"unknown":[1]} `: {
			Method: "a.B", Parameters: json.RawMessage(`{"x":1}`), More: true},
		`{"method":"a.B","oneway":true,"more":false,"parameters":null}`: {Method: "a.B", Oneway: true},
		`{"method":"a.B","More":true,"METHOD":"x.Y"}`:                   {Method: "a.B"},
		`{"method":"a.B","upgrade":true}`:                               {Method: "a.B", upgrade: true},
	} {
		got, err := decodeCall([]byte(message))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%s\ngot  %+v, %v\nwant %+v", message, got, err, want)
		}
	}
}

func TestDecodeMalformedCall(t *testing.T) {
	for message, want := range map[string]string{
		``: "message", `null`: "message", `[]`: "message", `"x"`: "message", `{`: "message",
		`{"method":"a.B"} {}`:                        "message",
		`{"method":"a.B"}x`:                          "message",
		`{}`:                                         "method",
		`{"Method":"a.B"}`:                           "method",
		`{"method":1}`:                               "method",
		`{"method":"a.B","more":1}`:                  "more",
		`{"method":"a.B","oneway":"yes"}`:            "oneway",
		`{"method":"a.B","upgrade":{}}`:              "upgrade",
		`{"method":"a.B","parameters":[]}`:           "parameters",
		`{"method":"a.B","parameters":"x"}`:          "parameters",
		`{"method":"a.B","more":true,"oneway":true}`: "oneway",
	} {
		if _, err := decodeCall([]byte(message)); err != (InvalidParameter{want}) {
			t.Errorf("%s: got %v, want %s", message, err, want)
		}
	}
}

// picky refuses everything.
type picky struct{}

func (*picky) UnmarshalText([]byte) error { return broken{"text"} }

func TestBind(t *testing.T) {
	type parameters struct {
		A int
		B []byte
		C struct{ D bool }
		E *string
		F picky
	}
	for text, want := range map[string]error{
		`{}`:                        nil,
		`{"A":1,"unknown":[]}`:      nil,
		`{"A":"1"}`:                 InvalidParameter{"A"},
		`{"A":1.5}`:                 InvalidParameter{"A"},
		`{"A":1,"B":"not base64!"}`: InvalidParameter{"B"},
		`{"C":{"D":1}}`:             InvalidParameter{"C.D"},
		`{"E":{}}`:                  InvalidParameter{"E"},
		`{"F":"x"}`:                 broken{"text"},
	} {
		c := Call{Parameters: json.RawMessage(text)}
		if err := c.Bind(new(parameters)); err != want {
			t.Errorf("%s: got %v, want %v", text, err, want)
		}
	}
	if err := new(Call).Bind(new(parameters)); err != nil {
		t.Errorf("no parameters: %v", err)
	}
	if err := new(Call).Bind(parameters{}); err == nil {
		t.Error("bound to a value that isn't a pointer")
	}
}

func TestError(t *testing.T) {
	var err error = &Error{Name: "org.varlink.service.InvalidParameter", Parameters: json.RawMessage(`{"parameter":"pin"}`)}
	var invalid InvalidParameter
	if !errors.As(err, &invalid) || invalid.Parameter != "pin" {
		t.Errorf("got %+v", invalid)
	}
	if !errors.Is(err, InvalidParameter{}) || errors.Is(err, PermissionDenied{}) || errors.Is(err, io.EOF) {
		t.Error("Is goes wrong")
	}
	if errors.As(err, new(broken)) || errors.As(&Error{Name: "x.Y"}, new(InvalidParameter)) {
		t.Error("As goes wrong")
	}
	parameters, marshalErr := marshal(err)
	if marshalErr != nil || string(parameters) != `{"parameter":"pin"}` {
		t.Errorf("sent as %s, %v", parameters, marshalErr)
	}
}

func TestMarshal(t *testing.T) {
	for _, v := range []any{1, "x", []int{1}, (*text)(nil), json.RawMessage("[]"), json.RawMessage(`{"a":`), func() {}} {
		if got, err := marshal(v); err == nil {
			t.Errorf("%T became %s", v, got)
		}
	}
	own := json.RawMessage(`{"a":1}`)
	got, err := marshal(own)
	clear(got)
	if err != nil || string(own) != `{"a":1}` {
		t.Errorf("the caller's message became %q, %v", own, err)
	}
}

// TestFrameReaderWipes looks at the bytes that a reader leaves in its memory.
func TestFrameReaderWipes(t *testing.T) {
	secret := bytes.Repeat([]byte("secret"), firstBuffer/4)
	stream := bytes.Join([][]byte{[]byte("a"), secret, []byte("b"), secret, nil}, []byte{0})
	r := frameReader{conn: &script{in: bytes.NewReader(stream)}, max: 1 << 20}
	var bufs [][]byte
	for {
		message, err := r.next()
		if len(bufs) == 0 || &bufs[len(bufs)-1][0] != &r.buf[0] {
			bufs = append(bufs, r.buf)
		}
		if err != nil {
			break
		}
		if len(message) > 1 && !bytes.Equal(message, secret) {
			t.Fatalf("got %.40q", message)
		}
	}
	if len(bufs) < 2 {
		t.Fatal("the buffer never grew")
	}
	for n, buf := range bufs {
		if i := bytes.IndexFunc(buf, func(c rune) bool { return c != 0 }); i >= 0 {
			t.Errorf("buffer %d of %d holds %.20q at %d", n, len(bufs), buf[i:], i)
		}
	}
}

func TestFrameReaderSizes(t *testing.T) {
	for _, max := range []int{1, 10, firstBuffer - 1, firstBuffer, firstBuffer + 1, 5 * firstBuffer} {
		fits := bytes.Repeat([]byte("x"), max)
		stream := append(append(append([]byte("y\x00"), fits...), 0), append(fits, 'x', 0)...)
		r := frameReader{conn: &script{in: bytes.NewReader(stream)}, max: max}
		for _, want := range []int{1, max} {
			if message, err := r.next(); err != nil || len(message) != want {
				t.Errorf("max %d: got %d bytes, %v", max, len(message), err)
			}
		}
		if _, err := r.next(); err != ErrMessageTooLarge {
			t.Errorf("max %d: got %v for a byte more", max, err)
		}
	}
}

// script is a connection whose other side sends in, then hangs up, and reads everything.
type script struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (s *script) Read(b []byte) (int, error)     { return s.in.Read(b) }
func (s *script) Write(b []byte) (int, error)    { return s.out.Write(b) }
func (*script) Close() error                     { return nil }
func (*script) CloseRead() error                 { return nil }
func (*script) LocalAddr() net.Addr              { return nil }
func (*script) RemoteAddr() net.Addr             { return nil }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

func FuzzMessages(f *testing.F) {
	for _, s := range []string{
		"{\"method\":\"a.B\"}\x00{\"method\":\"a.\\u0000\",\"parameters\":{\"a\":[1]},\"more\":true}\x00",
		"{\"parameters\":{},\"continues\":true}\x00{\"error\":\"a.\\ud800\",\"parameters\":{}}\x00",
		"\x00\x00{\"method\":\"<>\",\"oneway\":true,\"upgrade\":true}\x00x",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		r := frameReader{conn: &script{in: bytes.NewReader(stream)}, max: 1 << 10}
		for {
			message, err := r.next()
			if err != nil {
				return
			}
			if call, err := decodeCall(message); err == nil {
				encoded := call.encode()
				testAgain(t, call, encoded, decodeCall)
				testNotGrown(t, encoded, call.Method, call.Parameters)
			}
			if reply, err := decodeReply(message); err == nil {
				encoded := reply.encode()
				testAgain(t, reply, encoded, decodeReply)
				testNotGrown(t, encoded, reply.err, reply.Parameters)
			}
		}
	})
}

// testNotGrown checks that encoding left no copy behind.
func testNotGrown(t *testing.T, encoded []byte, name string, parameters []byte) {
	if cap(encoded) != cap(newMessage(name, parameters)) {
		t.Fatalf("outgrew its buffer: %q", encoded)
	}
}

// testAgain checks that a message means the same after it was encoded.
func testAgain[M any](t *testing.T, m M, encoded []byte, decode func([]byte) (M, error)) {
	last := len(encoded) - 1
	if bytes.IndexByte(encoded, 0) != last {
		t.Fatalf("NUL at the wrong place: %q", encoded)
	}
	again, err := decode(encoded[:last])
	if err != nil || !reflect.DeepEqual(m, again) {
		t.Fatalf("%s\ngot  %+v, %v\nwant %+v", encoded, again, err, m)
	}
}
