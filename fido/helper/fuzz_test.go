package helper

import (
	"bytes"
	"net"
	"reflect"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

func FuzzRequest(f *testing.F) {
	yes := true
	plain := makeRequest("a.example", nil)
	extended := makeRequest("a.example", nil)
	extended.Extensions = ctap.MakeCredentialExtensionInputs{CredProtect: ctap.UserVerificationRequired,
		CredBlob: []byte("blob"), HMACSecret: &yes, MinPINLength: &yes, LargeBlobKey: &yes}
	extended.Salts, extended.EnterpriseAttestation = make(fido.Secret, 32), ctap.VendorFacilitated
	register := mustBody(encodeMakeCredential(plain))
	for _, r := range []request{
		{ID: 1, Op: opDevices},
		{ID: 2, Op: opOpen, Body: []byte("/dev/hidraw0")},
		{ID: 3, Op: opMakeCredential, Body: register, PIN: fido.PIN("1234")},
		{ID: 4, Op: opGetAssertion, Body: mustBody(encodeGetAssertion(&fido.GetAssertionRequest{
			RPID: "a.example", ClientDataHash: make([]byte, 32), AllowList: [][]byte{{1}}, UV: true,
		}))},
		{ID: 5, Op: opChangePIN, PIN: fido.PIN("1234"), New: fido.PIN("567890")},
		{ID: 6, Op: opConfigure, PIN: fido.PIN("1234"), Body: mustBody(encodeConfig(&fido.ConfigRequest{
			Subcommand: ctap.SubcommandSetMinPINLength, RPIDs: []string{"a.example"}}))},
		{ID: 5, Op: opMakeCredential, Body: mustBody(encodeMakeCredential(extended))},
		{ID: 6, Op: opGetAssertion, Body: mustBody(encodeGetAssertion(&fido.GetAssertionRequest{
			RPID: "a.example", ClientDataHash: make([]byte, 32), AllowList: [][]byte{{1}}, CredBlob: true,
			Salts: make(fido.Secret, 64), WriteLargeBlob: []byte{},
		}))},
		{ID: 7, Op: opGetAssertion, Body: mustBody(encodeGetAssertion(&fido.GetAssertionRequest{
			RPID: "a.example", ClientDataHash: make([]byte, 32), ReadLargeBlob: true,
		}))},
	} {
		f.Add(mustBody(r.frame())[frameHead:])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > maxRequest {
			return
		}
		first, err := parseRequest(append([]byte(nil), b...))
		if err != nil {
			return
		}
		frame, err := first.frame()
		if err != nil {
			t.Fatal(err)
		}
		second, err := parseRequest(bytes.Clone(frame[frameHead:]))
		if err != nil || !bytes.Equal(frame, mustBody(second.frame())) {
			t.Fatalf("%+v, then %+v, %v", first, second, err)
		}
		sameMake(t, first.Body, first.PIN)
		sameGet(t, first.Body, first.PIN)
		sameConfig(t, first.Body, first.PIN)
	})
}

func sameMake(t *testing.T, body []byte, pin fido.PIN) {
	first, err := parseMakeCredential(body, pin)
	if err != nil {
		return
	}
	second, err := parseMakeCredential(mustBody(encodeMakeCredential(first)), pin)
	if err != nil || !reflect.DeepEqual(first, second) {
		t.Fatalf("%+v, then %+v, %v", first, second, err)
	}
}

func sameConfig(t *testing.T, body []byte, pin fido.PIN) {
	first, err := parseConfig(body, pin)
	if err != nil {
		return
	}
	second, err := parseConfig(mustBody(encodeConfig(first)), pin)
	if err != nil || !reflect.DeepEqual(first, second) {
		t.Fatalf("%+v, then %+v, %v", first, second, err)
	}
}

func sameGet(t *testing.T, body []byte, pin fido.PIN) {
	first, err := parseGetAssertion(body, pin)
	if err != nil {
		return
	}
	second, err := parseGetAssertion(mustBody(encodeGetAssertion(first)), pin)
	if err != nil || !reflect.DeepEqual(first, second) {
		t.Fatalf("%+v, then %+v, %v", first, second, err)
	}
}

func FuzzReply(f *testing.F) {
	devices, _ := (&fakeDriver{}).Devices()
	asked := &fido.GetAssertionRequest{Salts: make(fido.Secret, 32), ReadLargeBlob: true}
	assertions, _ := (&fakeKey{}).GetAssertion(f.Context(), asked)
	evaluated := fakeCredential()
	evaluated.HMACSecret, evaluated.LargeBlob = make(fido.Secret, 32), true
	for _, r := range []reply{
		*failure(1, ctap.ErrPINInvalid), *failure(1, fido.ErrDeviceGone), {ID: 2},
		{ID: 3, Body: mustBody(encodeDevices(devices))},
		{ID: 4, Body: mustCBOR(fakeInfo())},
		{ID: 5, Body: mustCBOR(fido.PINRetries{Left: 8, PowerCycle: true})},
		{ID: 9, Body: mustCBOR(uint(8))},
		{ID: 6, Body: mustBody(encodeCredential(fakeCredential()))},
		{ID: 6, Body: mustBody(encodeCredential(evaluated))},
		{ID: 7, Body: mustBody(encodeAssertions(assertions))},
		{ID: 8, Body: mustCBOR(openBody{Sandbox{Seccomp: true}, mustCBOR(fakeInfo())})},
		{ID: 8, Body: mustCBOR(Sandbox{Landlock: 7, Missing: []string{"no seccomp: because"}})},
	} {
		f.Add(mustCBOR(&r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		first, err := parseReply(b)
		if err != nil {
			return
		}
		if err := first.err(); err != nil && len(err.Error()) > maxErrorText {
			t.Fatalf("an error of %d bytes", len(err.Error()))
		}
		second, err := parseReply(mustCBOR(first))
		if err != nil || normal(first) != normal(second) {
			t.Fatalf("%+v, then %+v, %v", first, second, err)
		}
		same(t, first.Body, parseDevices, func(v []fido.DeviceInfo) []byte { return mustBody(encodeDevices(v)) })
		same(t, first.Body, parseInfo, func(v *ctap.GetInfoResponse) []byte { return mustCBOR(v) })
		same(t, first.Body, parseSandbox, func(v Sandbox) []byte { return mustCBOR(v) })
		same(t, first.Body, reopened, func(v openBody) []byte { return mustCBOR(v) })
		same(t, first.Body, parsePINRetries, func(v fido.PINRetries) []byte { return mustCBOR(v) })
		same(t, first.Body, parseUVRetries, func(v uint) []byte { return mustCBOR(v) })
		credential := func(b []byte) (*fido.MakeCredentialResponse, error) { return parseCredential(b, asked.Salts) }
		same(t, first.Body, credential, func(v *fido.MakeCredentialResponse) []byte { return mustBody(encodeCredential(v)) })
		all := func(b []byte) ([]fido.GetAssertionResponse, error) { return parseAssertions(b, asked) }
		same(t, first.Body, all, func(v []fido.GetAssertionResponse) []byte { return mustBody(encodeAssertions(v)) })
	})
}

// same decodes a body, encodes it and decodes it again.
// reopened parses an openBody and gives it as it was understood.
func reopened(b []byte) (body openBody, err error) {
	o, err := parseOpened(b)
	if o.info != nil {
		body.Info = mustCBOR(o.info)
	}
	body.Sandbox = o.sandbox
	return body, err
}

func same[T any](t *testing.T, body []byte, parse func([]byte) (T, error), encode func(T) []byte) {
	first, err := parse(body)
	if err != nil {
		return
	}
	second, err := parse(encode(first))
	if err != nil || normal(first) != normal(second) {
		t.Fatalf("%+v, then %+v, %v", first, second, err)
	}
}

// normal lets an empty list be the same as none: omitempty makes no difference.
func normal(v any) string { return string(mustCBOR(v)) }

func FuzzServe(f *testing.F) {
	hello := encodedHello()
	open := request{ID: 1, Op: opOpen, Body: []byte("/dev/key")}
	body := mustBody(encodeMakeCredential(makeRequest("wait.example", nil)))
	register := request{ID: 2, Op: opMakeCredential, Body: body}
	stop := request{ID: 2, Op: opCancel}
	f.Add(append(append(append(append([]byte(nil), hello...), wire(open)...), wire(register)...), wire(stop)...))
	f.Add(append(append([]byte(nil), hello...), wire(request{Op: opDevices})...))
	f.Add(hello)
	f.Fuzz(func(t *testing.T, b []byte) {
		ours, file, err := socketPair()
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		done := inBackground(func() { Serve(t.Context(), theirs, &fakeDriver{log: func(string) {}}) })
		ours.SetDeadline(time.Now().Add(patience))
		read := inBackground(func() {
			for buf := [512]byte{}; ; {
				if _, err := ours.Read(buf[:]); err != nil {
					return
				}
			}
		})
		ours.Write(b)
		ours.(*net.UnixConn).CloseWrite()
		<-done
		<-read
		ours.Close()
	})
}

// inBackground runs f and tells when it has returned.
func inBackground(f func()) chan struct{} {
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	return done
}

func wire(r request) []byte {
	f := mustBody(r.frame())
	f[2], f[3] = byte((len(f)-frameHead)>>8), byte(len(f)-frameHead)
	return f
}

func encodedHello() []byte {
	b := mustCBOR(hello{protocolVersion})
	return append([]byte{0, 0, 0, byte(len(b))}, b...)
}

func mustBody(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}
