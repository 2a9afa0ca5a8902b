package fault

import (
	"errors"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"fob/fido/ctap"
)

// faults are texts and, behind the arrow where it is another one, what String makes of them.
var faults = []string{
	"drop out packet 3",
	"drop in packet 3+",
	"drop out packet 1.5%",
	"DROP out packet 100% -> drop out packet 100%",
	"duplicate in packet 2 of makeCredential -> duplicate in packet 2 of makeCredential 1",
	"delay 20ms out packet 1+ of MakeCredential 2+ -> delay 20ms out packet 1+ of makeCredential 2+",
	"delay 2s on any 50%",
	"delay 1m in apdu 4 -> delay 1m0s in apdu 4",
	"corrupt bit in packet 0.1%",
	"corrupt bit out apdu 7",
	"corrupt cid out packet 1 of keepalive 1",
	"corrupt seq out packet 2 of getInfo 3",
	"corrupt nonce out packet 1 of init 1",
	"corrupt short in packet 1 of ping 1",
	"corrupt long out packet 1",
	"corrupt huge out packet 1",
	"unplug out packet 2 of makeCredential 1",
	"unplug for 1.5s on getAssertion 2",
	"unplug after makeCredential -> unplug after makeCredential 1",
	"unplug in apdu 9",
	"status pin-blocked on clientPIN 2 -> status PIN_BLOCKED on clientPIN 2",
	"status CTAP2_ERR_PIN_BLOCKED after getPINToken 1+ -> status PIN_BLOCKED after getPinToken 1+",
	"status 0xee on any 1",
	"status 50 on any 1 -> status PIN_BLOCKED on any 1",
	"status 0x6a80 on u2fAuthenticate 1",
	"status 0x6F00 in apdu 2+ -> status 0x6f00 in apdu 2+",
	"garbage on getInfo 1",
	"truncate after getInfo 1",
	"oversize on getAssertion 2",
	"keepalives 20 on reset -> keepalives 20 every 1ms status 0x01 on reset 1",
	"keepalives 1000000 every 0s status 0xff on reset 1",
	"hang on selection 1",
	"hang deaf after makeCredential 1",
	"hang silent on getInfo 1+",
	"slow 31s on makeCredential 1",
	"clock 11s -> clock 11s",
	"clock -1h on reset 1 -> clock -1h0m0s on reset 1",
	"pin-retries 0",
	"pin-retries 1 after clientPIN 3",
	"pin-auth-blocked",
	"uv-retries 3",
	"random out packet 1%",
	"random after any 1%",
	"random in apdu 2+",
	" \tdrop\n in  packet\t1 -> drop in packet 1",
}

func TestParse(t *testing.T) {
	for _, text := range faults {
		text, want, other := strings.Cut(text, " -> ")
		if !other {
			want = text
		}
		f, err := Parse(text)
		if err != nil {
			t.Error(err)
			continue
		}
		if f.String() != want {
			t.Errorf("%q became %q, want %q", text, f, want)
		}
		if again, err := Parse(f.String()); err != nil || again != f {
			t.Errorf("%q became %q: %v", f, again, err)
		}
	}
}

// TestParseErrors: each mistake is named, with what would be right.
func TestParseErrors(t *testing.T) {
	const counts = "3 (the third), 3+ (and all later ones), 2% (each with this probability)"
	for text, want := range map[string]string{
		"": "at its end, one of these is missing: clock, corrupt, delay, drop, duplicate, garbage, hang, keepalives, " +
			"oversize, pin-auth-blocked, pin-retries, random, slow, status, truncate, unplug, uv-retries",
		"drp out packet 3":           `"drp" is none of clock, corrupt, delay, drop,`,
		"drop":                       "at its end, one of these is missing: in packet, out packet",
		"drop in":                    `"in" is none of in packet, out packet`,
		"drop on getInfo":            `"on" is none of in packet, out packet`,
		"drop in apdu 3":             `"in apdu" is none of in packet, out packet`,
		"drop in packet":             "at its end, one of these is missing: " + counts,
		"drop in packet third":       `"third" is none of ` + counts,
		"drop in packet 0":           `"0" is none of ` + counts,
		"drop in packet -1":          `"-1" is none of ` + counts,
		"drop in packet 1000001":     `"1000001" is none of ` + counts,
		"drop in packet 101%":        `"101%" is none of ` + counts,
		"drop in packet -1%":         `"-1%" is none of ` + counts,
		"drop in packet NaN%":        `"NaN%" is none of ` + counts,
		"drop in packet 3 from x":    `"from" is none of the end`,
		"drop in packet 3 of":        "missing: init, ping, wink, lock, cancel, any, makeCredential",
		"drop in packet 3 of error":  `"error" is none of init, ping, wink, lock, cancel, any, makeCredential`,
		"drop out packet 3 of hello": `"hello" is none of init, ping, wink, lock, keepalive, error, any, makeCredential`,
		"drop in packet 3 of any x":  `"x" is none of ` + counts,
		"delay in packet 3":          `"in" is none of the durations from 0s to 1h0m0s, such as 500ms or 2s`,
		"delay 61m in packet 3":      `"61m" is none of the durations`,
		"delay -1s in packet 3":      `"-1s" is none of the durations`,
		"corrupt byte in packet 3":   `"byte" is none of bit, cid, seq, nonce, short, long, huge`,
		"corrupt seq in apdu 3":      `"in apdu" is none of in packet, out packet`,
		"unplug":                     "missing: in packet, out packet, in apdu, out apdu, on, after",
		"unplug for ever on any":     `"ever" is none of the durations`,
		"status broken on any":       `"broken" is none of SUCCESS, INVALID_COMMAND, INVALID_PARAMETER,`,
		"status 0x100 on any":        `"0x100" is none of SUCCESS,`,
		"status PIN_BLOCKED on u2f":  `"u2f" is none of any, makeCredential,`,
		"status 0x6985 on getInfo":   `"getInfo" is none of any, u2f, u2fRegister, u2fAuthenticate, u2fVersion`,
		"status 0x31 in apdu 1":      `"in apdu" is none of on, after`,
		"keepalives on any":          `"on" is none of the numbers from 1 to 1000000`,
		"keepalives 1 status x":      `"x" is none of the numbers from 0x00 to 0xff`,
		"pin-retries 9":              `"9" is none of the numbers from 0 to 8`,
		"uv-retries 4":               `"4" is none of the numbers from 0 to 3`,
		"clock 87601h":               `"87601h" is none of the durations from -87600h0m0s to 87600h0m0s`,
		"clock 1s in packet 2":       `"in packet" is none of on, after`,
		"random":                     "missing: in packet, out packet, in apdu, out apdu, on, after",
		"garbage on nothing":         `"nothing" is none of any, makeCredential, getAssertion,`,
		strings.Repeat("drop ", 50):  "is none of the faults of at most 200 bytes",
	} {
		f, err := Parse(text)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), want) || len(err.Error()) > 1200 {
			t.Errorf("%q: %v, %v; want %q", text, f, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range faults {
		text, _, _ := strings.Cut(text, " -> ")
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := Parse(text)
		if err != nil {
			if syntax := new(*SyntaxError); !errors.As(err, syntax) || len(err.Error()) > 1200 {
				t.Fatalf("%T of %d bytes", err, len(err.Error()))
			}
			return
		}
		if again, err := Parse(first.String()); err != nil || again != first {
			t.Fatalf("%q is %q, and that is %q, %v", text, first, again, err)
		}
	})
}

// FuzzSubcommand compares what is found in the first bytes of a command with what the whole of it says: nothing else is
// found, and something in the form that platforms send.
func FuzzSubcommand(f *testing.F) {
	f.Add((&ctap.ClientPINRequest{Subcommand: ctap.SubcommandGetPINRetries}).Encode()[1:])
	f.Add((&ctap.ClientPINRequest{PINUVAuthProtocol: 2, Subcommand: ctap.SubcommandGetKeyAgreement}).Encode()[1:])
	f.Add([]byte{0xa2, 0, 0x30, 2, 2}) // a member that nobody knows comes first
	f.Fuzz(func(t *testing.T, parameters []byte) {
		name := commandNames(append([]byte{byte(ctap.CommandClientPIN)}, parameters...), false)
		if !slices.Contains(kinds, name.String()) {
			t.Errorf("%x is %q", parameters, name)
		}
		request, err := ctap.ParseClientPINRequest(parameters)
		if err != nil || request.Subcommand >= 0x18 || request.PINUVAuthProtocol >= 0x18 { // no longer one byte
			return
		}
		if found := subcommand(parameters); found != request.Subcommand && found != 0 {
			t.Errorf("%x: found %d, it is %d", parameters, found, request.Subcommand)
		}
		if found := subcommand(request.Encode()[1:]); found != request.Subcommand {
			t.Errorf("%x: found %d, it is %d", request.Encode(), found, request.Subcommand)
		}
	})
}

// TestGrammar: the text that programs show is that of the package, and leaves out no word.
func TestGrammar(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	unindent := regexp.MustCompile(`(?m)^\t`)
	if doc := unindent.ReplaceAllString(file.Doc.Text(), ""); !strings.Contains(doc, Grammar) {
		t.Error("the comment of the package says something else than Grammar")
	}
	said := regexp.MustCompile(`[A-Za-z0-9-]+`).FindAllString(Grammar, -1)
	for name := range effects {
		if !slices.Contains(said, name) {
			t.Errorf("Grammar has no effect %s", name)
		}
	}
	for _, kind := range slices.Concat(kinds, inMessages, outMessages) {
		if !slices.Contains(said, kind) {
			t.Errorf("Grammar has no kind %s", kind)
		}
	}
}

// TestDocumentedFaults: what the documents say is a fault, is one.
func TestDocumentedFaults(t *testing.T) {
	for _, path := range []string{"../../README.md", "../../docs/emulator.md"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`--fault '([^']+)'`).FindAllStringSubmatch(string(text), -1)
		if len(found) == 0 {
			t.Errorf("%s has no fault", path)
		}
		for _, f := range found {
			if _, err := Parse(f[1]); err != nil {
				t.Error(err)
			}
		}
	}
}
