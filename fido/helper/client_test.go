package helper

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"fob/fido"
	"fob/fido/ctap"
)

func TestCeremonies(t *testing.T) {
	k, l := openKey(t, "good")
	ctx := t.Context()
	info, err := k.GetInfo(ctx)
	if err != nil || info.MaxMsgSize != 1200 || !info.Options[ctap.OptionRK] || info.AAGUID != (ctap.AAGUID{1, 2, 3}) {
		t.Fatal(info, err)
	}
	if n, err := k.PINRetries(ctx); n.Left != 8 || err != nil {
		t.Fatal(n, err)
	}
	cred, err := k.MakeCredential(ctx, makeRequest("a.example", fido.PIN("1234")))
	if err != nil || cred.Format != ctap.FormatNone || string(cred.AuthData) != string(fakeCredential().AuthData) {
		t.Fatal(cred, err)
	}
	r := &fido.GetAssertionRequest{RPID: "a.example", ClientDataHash: make([]byte, 32)}
	list, err := k.GetAssertion(ctx, r)
	if err != nil || len(list) != 2 || list[1].User.Name != "ada" || string(list[1].Signature) != "signature" {
		t.Fatal(list, err)
	}
	r.AllowList = [][]byte{{1}} // the second was not asked for
	if _, err := k.GetAssertion(ctx, r); !errors.Is(err, fido.ErrBadAnswer) {
		t.Fatal(err)
	}
	k.Close()
	if _, err := k.GetInfo(ctx); !errors.Is(err, os.ErrClosed) {
		t.Fatal(err)
	}
	l.want(t, "close")
}

// TestWaitingCrosses: the daemon hears that the key waits before it hears of the result, and only where it waits.
func TestWaitingCrosses(t *testing.T) {
	k, _ := openKey(t, "good")
	for rpID, want := range map[string]int{"touch.example": 1, "other.example": 0} {
		told := 0
		ctx := fido.OnWaiting(t.Context(), func() { told++ })
		if _, err := k.MakeCredential(ctx, makeRequest(rpID, nil)); err != nil || told != want {
			t.Errorf("%s: told %d times, %v", rpID, told, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := k.MakeCredential(fido.OnWaiting(ctx, cancel), makeRequest("touch.example", nil)); err != nil &&
		err != context.Canceled {
		t.Error(err)
	}
	if _, err := k.PINRetries(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestErrorsCross(t *testing.T) {
	k, _ := openKey(t, "good")
	_, err := k.MakeCredential(t.Context(), makeRequest("a.example", fido.PIN("0000")))
	if !errors.Is(err, ctap.ErrPINInvalid) || err.Error() != "fake: "+ctap.ErrPINInvalid.Error() {
		t.Error(err)
	}
	_, err = k.MakeCredential(t.Context(), makeRequest("unplug.example", nil))
	if !errors.Is(err, fido.ErrDeviceGone) || !strings.HasSuffix(err.Error(), "(FIDO_ERR_RX)") {
		t.Error(err)
	}
	_, err = k.MakeCredential(t.Context(), makeRequest("odd.example", nil))
	if !errors.Is(err, ctap.ErrOther) || len(err.Error()) != maxErrorText || strings.ContainsRune(err.Error(), 0x1b) {
		t.Error(err)
	}
	if n, err := k.PINRetries(t.Context()); n.Left != 8 || err != nil {
		t.Error("the helper is of no use after an error:", n, err)
	}
}

func TestRequestsAreChecked(t *testing.T) {
	k, _ := openKey(t, "good")
	for name, c := range map[string]struct {
		change func(*fido.MakeCredentialRequest)
		want   error
	}{
		"hash":      {func(r *fido.MakeCredentialRequest) { r.ClientDataHash = nil }, ctap.ErrInvalidLength},
		"RP ID":     {func(r *fido.MakeCredentialRequest) { r.RP.ID = "" }, ctap.ErrMissingParameter},
		"user":      {func(r *fido.MakeCredentialRequest) { r.User.ID = nil }, ctap.ErrInvalidLength},
		"text":      {func(r *fido.MakeCredentialRequest) { r.User.Name = "\xff" }, ctap.ErrInvalidParameter},
		"exclude":   {func(r *fido.MakeCredentialRequest) { r.ExcludeList[0] = nil }, ctap.ErrInvalidLength},
		"empty PIN": {func(r *fido.MakeCredentialRequest) { r.PIN = fido.PIN{} }, ctap.ErrPINPolicyViolation},
		"long PIN":  {func(r *fido.MakeCredentialRequest) { r.PIN = make(fido.PIN, 64) }, ctap.ErrPINPolicyViolation},
		"large": {func(r *fido.MakeCredentialRequest) {
			for range 100 {
				r.ExcludeList = append(r.ExcludeList, make([]byte, 1000))
			}
		}, ctap.ErrRequestTooLarge},
	} {
		r := makeRequest("a.example", nil)
		c.change(r)
		if _, err := k.MakeCredential(t.Context(), r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := k.GetInfo(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestInfoOfTheOpening: what the key said when it was opened answers the first question alone, and none after anything
// else.
func TestInfoOfTheOpening(t *testing.T) {
	k, _ := openKey(t, "good")
	for _, want := range []uint32{1, 2} { // requests so far, the opening too
		if info, err := k.GetInfo(t.Context()); err != nil || info.AAGUID != fakeInfo().AAGUID || k.id != want {
			t.Fatal(info, err, k.id)
		}
	}
}

func TestInfoIsOldAfterARequest(t *testing.T) {
	k, _ := openKey(t, "good")
	if _, err := k.PINRetries(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := k.GetInfo(t.Context()); err != nil || k.id != 3 {
		t.Fatal(err, k.id)
	}
}

// start begins a registration that waits for a touch.
func startWaiting(t *testing.T, k key, l lines, rpID string) (cancel context.CancelFunc, result chan error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	result = make(chan error, 1)
	go func() {
		_, err := k.MakeCredential(ctx, makeRequest(rpID, nil))
		result <- err
	}()
	l.want(t, "touch")
	return cancel, result
}

func TestCancel(t *testing.T) {
	k, l := openKey(t, "good")
	cancel, result := startWaiting(t, k, l, "wait.example")
	cancel()
	l.want(t, "dark")
	if err := <-result; err != context.Canceled {
		t.Fatal(err)
	}
	if _, err := k.GetInfo(t.Context()); err != nil {
		t.Fatal("the helper is of no use after a cancel:", err)
	}
}

func TestCancelOfAStuckHelper(t *testing.T) {
	for _, behaviour := range []string{"good", "deaf"} {
		t.Run(behaviour, func(t *testing.T) {
			open := openKey
			if behaviour == "deaf" {
				open = rawKey
			}
			k, l := open(t, behaviour)
			cancel, result := startWaiting(t, k, l, "hang.example")
			cancel()
			if err := <-result; err != context.Canceled {
				t.Fatal(err)
			}
			if _, err := k.GetInfo(t.Context()); !errors.Is(err, fido.ErrHelperDied) {
				t.Fatal(err)
			}
		})
	}
}

func TestHelperKilled(t *testing.T) {
	k, l := openKey(t, "good")
	cancel, result := startWaiting(t, k, l, "wait.example")
	defer cancel()
	syscall.Kill(k.process.cmd.Process.Pid, syscall.SIGKILL)
	err := <-result
	if !errors.Is(err, fido.ErrHelperDied) || !strings.Contains(err.Error(), "signal: killed") {
		t.Fatal(err)
	}
	if _, err := k.PINRetries(t.Context()); !errors.Is(err, fido.ErrHelperDied) {
		t.Fatal(err)
	}
}

func TestHelperKilledWhileIdle(t *testing.T) {
	k, _ := openKey(t, "good")
	syscall.Kill(k.process.cmd.Process.Pid, syscall.SIGKILL)
	<-k.process.exited
	if _, err := k.PINRetries(t.Context()); !errors.Is(err, fido.ErrHelperDied) {
		t.Fatal(err)
	}
}

func TestCloseInMidOperation(t *testing.T) {
	for _, rpID := range []string{"wait.example", "hang.example"} {
		k, l := openKey(t, "good")
		cancel, result := startWaiting(t, k, l, rpID)
		defer cancel()
		k.Close()
		if err := <-result; !errors.Is(err, os.ErrClosed) {
			t.Fatal(err)
		}
		if fate := k.process.fate(); (fate == "exit status 0") != (rpID == "wait.example") {
			t.Fatal(fate)
		}
		if err := syscall.Kill(k.process.cmd.Process.Pid, 0); err != syscall.ESRCH {
			t.Fatal("the helper is still there:", err)
		}
	}
}

func TestBadReplies(t *testing.T) {
	for _, behaviour := range []string{
		"garbage", "oversize", "empty", "wrong-id", "odd-kind", "told-more", "told-ever", "no-status", "no-body", "huge",
	} {
		t.Run(behaviour, func(t *testing.T) {
			k, _ := rawKey(t, behaviour)
			for range 2 {
				if _, err := k.PINRetries(t.Context()); !errors.Is(err, fido.ErrBadReply) {
					t.Fatal(err)
				}
			}
			<-k.process.exited
		})
	}
}

func TestTruncatedReply(t *testing.T) {
	k, _ := rawKey(t, "truncated")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.PINRetries(ctx); err != context.Canceled { // never sent
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 500*time.Millisecond) // long enough for the request to be on its way
	defer cancel()
	if _, err := k.PINRetries(ctx); err != context.DeadlineExceeded {
		t.Fatal(err)
	}
	if _, err := k.PINRetries(t.Context()); !errors.Is(err, fido.ErrHelperDied) {
		t.Fatal(err)
	}
}

func TestHelperEndsInMidReply(t *testing.T) {
	for _, behaviour := range []string{"half", "half-head", "silent"} {
		k, _ := rawKey(t, behaviour)
		for range 2 {
			if _, err := k.PINRetries(t.Context()); !errors.Is(err, fido.ErrHelperDied) {
				t.Errorf("%s: %v", behaviour, err)
			}
		}
		<-k.process.exited
	}
}

func TestBadCredential(t *testing.T) {
	k, _ := openKey(t, "good")
	if _, err := k.MakeCredential(t.Context(), makeRequest("bad.example", nil)); !errors.Is(err, fido.ErrBadAnswer) {
		t.Fatal(err)
	}
	if _, err := k.MakeCredential(t.Context(), makeRequest("a.example", nil)); err != nil { // it is not the helper's fault
		t.Fatal(err)
	}
}
