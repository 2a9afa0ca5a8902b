package transcript_test

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/cryptotest"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/softkey"
	"fob/fido/transcript"
)

// record makes the transcripts anew, after a change of the key that was meant.
var record = flag.Bool("record", false, "record testdata/transcripts anew")

const how = "record the sessions anew: go test ./fido/transcript -run TestSessions -record"

const sessionsFolder = "../../testdata/transcripts"

// sessionSeed is that of the emulated key's random numbers. Under it the key answers the recorded requests, which
// hold what the clients drew at random, by the recorded bytes: their tokens, credentials and secrets are good again.
const sessionSeed = 1

// recordedWith is the version of Go whose cryptography draws those numbers in that order.
const recordedWith = "go1.26"

// sessions are what programs that others wrote do with an emulated key, $KEY, in a folder of their own.
var sessions = []struct {
	name, profile, pin string
	script             string
}{
	{name: "fido2-token-info", script: `fido2-token -I "$KEY"`},
	{name: "fido2-token-info-fido2.0", profile: "fido2.0", script: `fido2-token -I "$KEY"`},
	{name: "fido2-cred-assert", script: `
		printf '%s\n' "$HASH" example.com alice YWxpY2U= >register
		for alg in es256 eddsa; do
			fido2-cred -M -i register -o made "$KEY" $alg
			fido2-cred -V -i made -o believed $alg
			{ printf '%s\n' "$HASH" example.com; head -n 1 believed; } >sign-in
			tail -n +2 believed >public
			fido2-assert -G -i sign-in -o signed "$KEY"
			fido2-assert -V -p -i signed public $alg
		done
		fails fido2-assert -G -r -i sign-in "$KEY"`},
	{name: "fido2-cred-assert-pin", pin: "1234", script: `
		printf '%s\n' "$HASH" example.com alice YWxpY2U= >register
		printf '1234\n' | fido2-cred -M -r -v -h -c 2 -i register -o made "$KEY"
		fido2-cred -V -v -h -c 2 -i made -o believed
		{ printf '%s\n' "$HASH" example.com; head -n 1 believed; } >sign-in
		tail -n +2 believed >public
		printf '1234\n' | fido2-assert -G -v -i sign-in -o signed "$KEY"
		fido2-assert -V -v -i signed public
		{ cat sign-in; printf '%s\n' "$HASH"; } >unlock
		printf '1234\n' | fido2-assert -G -v -h -i unlock "$KEY"`},
	{name: "fido2-cred-wrong-pin", pin: "1234", script: `
		printf '%s\n' "$HASH" example.com alice YWxpY2U= >register
		for try in 1 2 3; do
			printf '9999\n' | fails fido2-cred -M -v -i register "$KEY"
		done
		printf '1234\n' | fails fido2-cred -M -v -i register "$KEY"`},
	{name: "fido2-token-pin-and-blobs", script: `
		printf '1234\n1234\n' | fido2-token -S "$KEY"
		printf '1234\n4711\n4711\n' | fido2-token -C "$KEY"
		echo "$HASH" >key
		printf 'a text that compresses well %s\n' 1 2 3 4 5 6 >blob
		printf '4711\n' | fido2-token -S -b -k key blob "$KEY"
		fido2-token -G -b -k key read "$KEY"
		cmp blob read
		printf '4711\n' | fido2-token -S -l 6 "$KEY"`},
	{name: "fido2-cred-assert-u2f", profile: "u2f", script: `
		printf '%s\n' "$HASH" example.com alice YWxpY2U= >register
		fido2-cred -M -u -i register -o made "$KEY"
		fido2-cred -V -i made -o believed
		{ printf '%s\n' "$HASH" example.com; head -n 1 believed; } >sign-in
		fido2-assert -G -u -p -i sign-in "$KEY"`},
	{name: "python-fido2-credential-management", pin: "1234", script: `/usr/bin/python3 - "$KEY" <<END
import sys
from fido2.ctap2 import ClientPin, CredentialManagement, Ctap2
from fido2.hid import CtapHidDevice, open_connection
from fido2.hid.base import HidDescriptor

descriptor = HidDescriptor(sys.argv[1], 0, 0, 64, 64)
ctap = Ctap2(CtapHidDevice(descriptor, open_connection(descriptor)))
pin = ClientPin(ctap)
permissions = ClientPin.PERMISSION.MAKE_CREDENTIAL | ClientPin.PERMISSION.GET_ASSERTION
made = {}
for rp in "example.com", "example.org":
    for name in "alice", "bob":
        token = pin.get_pin_token("1234", permissions, rp)
        result = ctap.make_credential(
            bytes(32), {"id": rp}, {"id": name.encode(), "name": name}, [{"type": "public-key", "alg": -7}],
            options={"rk": True}, pin_uv_param=pin.protocol.authenticate(token, bytes(32)),
            pin_uv_protocol=pin.protocol.VERSION)
        made[rp, name] = result.auth_data.credential_data.credential_id
token = pin.get_pin_token("1234", ClientPin.PERMISSION.CREDENTIAL_MGMT)
management = CredentialManagement(ctap, pin.protocol, token)
assert management.get_metadata()[CredentialManagement.RESULT.EXISTING_CRED_COUNT] == 4
rps = management.enumerate_rps()
assert len(rps) == 2
for rp in rps:
    assert len(management.enumerate_creds(rp[CredentialManagement.RESULT.RP_ID_HASH])) == 2
management.delete_cred({"type": "public-key", "id": made["example.org", "bob"]})
assert management.get_metadata()[CredentialManagement.RESULT.EXISTING_CRED_COUNT] == 3
END`},
}

// TestSessions replays recorded sessions of other people's programs at a new key. The answers are byte for byte
// those that the programs liked when they were recorded.
func TestSessions(t *testing.T) {
	for _, s := range sessions {
		t.Run(s.name, func(t *testing.T) {
			path := filepath.Join(sessionsFolder, s.name+".txt")
			if *record {
				recordSession(t, path, s.profile, s.pin, s.script)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			recorded := parse(t, string(text))
			if encode(t, recorded) != string(text) {
				t.Errorf("%s is told in other words now; %s", path, how)
			}
			strictness := transcript.Loose
			switch {
			case strings.HasPrefix(runtime.Version(), recordedWith):
				cryptotest.SetGlobalRandom(t, sessionSeed)
				strictness = transcript.Strict
			case !strings.HasPrefix(s.name, "fido2-token-info"):
				t.Skipf("%s may draw random numbers in another order than %s", runtime.Version(), recordedWith)
			}
			profile, err := emulator.LookupProfile(recorded.Key)
			if err != nil {
				t.Fatal(err)
			}
			key := newKey(t, emulator.Options{Profile: profile})
			if s.pin != "" {
				if err := key.SetPIN(fido.PIN(s.pin)); err != nil {
					t.Fatal(err)
				}
			}
			differences, err := transcript.Replay(t.Context(), recorded, key, strictness)
			if err != nil {
				t.Fatal(err)
			}
			if len(differences) > 0 {
				t.Errorf("%d differences, the first one: %v\nif the key was meant to change, %s",
					len(differences), differences[0], how)
			}
		})
	}
}

// recordSession runs a script at a key. It must succeed: then its programs have believed the answers.
func recordSession(t *testing.T, path, profileName, pin, script string) {
	t.Helper()
	var text bytes.Buffer
	r := transcript.NewRecorder(&text)
	o := softkey.Options{Wrap: func(h ctap.Handler) ctap.Handler {
		r.SetKey(h.(*emulator.Authenticator).Name)
		return r.Wrap(h)
	}}
	if profileName != "" {
		var err error
		if o.Profile, err = emulator.LookupProfile(profileName); err != nil {
			t.Fatal(err)
		}
	}
	if pin != "" {
		o.PIN = fido.PIN(pin)
	}
	cryptotest.SetGlobalRandom(t, sessionSeed)
	key, err := softkey.Plug(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	runScript(t, script, "KEY="+key.Path(), "HASH=YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXowMTIzNDU=")
	if err := key.Close(); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// prelude has what the scripts call.
const prelude = `
fails() {
	if "$@"; then exit 1; fi
}
`

// runScript runs a script without a terminal, so that its programs ask for PINs on their standard input.
func runScript(t *testing.T, script string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-ec", prelude+script)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), append(env, "LC_ALL=C")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
}
