package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"fob/ipc"
)

// A seed is not shown as it is typed; a token goes for who says yes; the codes stay in one line.
func TestOTPAtTheTerminal(t *testing.T) {
	const seed = "gezd gnbv gy3t qojq gezd gnbv gy3t qojq"
	s := newScreen(t, "")
	s.run("fob otp add vpn")
	s.sees(`seed or otpauth:// URI, which is not shown: $`)
	s.types(seed + "\n")
	s.sees(`\r\nadded vpn: TOTP, SHA1, 6 digits, 30 s, a seed of 20 bytes\r\n`)
	s.exits(0)
	s.run("fob otp add other")
	s.sees(`which is not shown: $`)
	s.types(ctrlD)
	s.exits(8)
	s.hides(seed)

	s.run("fob otp code vpn")
	s.sees(`\d{6}\r\nholds for \d+ seconds?; the next one comes at \d\d:\d\d:[03]0\r\n`)
	s.exits(0)
	s.run("fob otp code vpn --watch")
	s.sees(`\r\d{6}  [ 1-3]\d s \x1b\[K\r\d{6}  [ 1-3]\d s `)
	s.types(ctrlC)
	s.sees(`\r\n`)
	s.exits(0)

	s.run("fob otp remove vpn")
	s.sees(`the token vpn \(TOTP, SHA1, 6 digits, 30 s\) and its seed will be removed, for good; type yes to go on: $`)
	s.types("no\n")
	s.sees(`fob: not confirmed, and nothing is done\r\n`)
	s.exits(8)
	s.run("fob otp remove vpn")
	s.sees(`type yes to go on: $`)
	s.types("yes\n")
	s.sees(`vpn is removed\r\n`)
	s.exits(0)
	s.run("fob otp remove vpn")
	s.sees(`fob: there is no token "vpn"\r\n`)
	s.exits(6)
}

// The policy that is built in asks about a seed that is to be shown, and not about a code.
func TestExportAsks(t *testing.T) {
	s := newScreen(t, "")
	if err := os.Remove(filepath.Join(s.dir, ".config", "fob", "policy.toml")); err != nil {
		t.Fatal(err)
	}
	w := s.world
	if err := w.stop(s.fobd); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ready("fobd", w.command(s.dir, "fobd", "--no-discovery", "--on-demand")); err != nil {
		t.Fatal(err)
	}
	s.run("fob otp add --issuer ACME")
	s.sees(`which is not shown: $`)
	s.types("GEZDGNBVGY3TQOJQ\n")
	s.sees(`warning: the seed has 80 bits`)
	s.exits(0)
	s.run("fob otp code ACME")
	s.sees(`\d{6}\r\n`)
	s.exits(0)
	s.run("fob otp export ACME")
	s.sees(`fob \([^)]+\) wants to be given the seed of one-time passwords: ACME\r\nallow it\? \[y/N\]: $`)
	s.types("n\n")
	s.sees(`fob: the person who was asked refused to have a seed handed out \(provision\)\r\n`)
	s.exits(8)
	s.hides("GEZDGNBVGY3TQOJQ")
	s.run("fob otp export ACME")
	s.sees(`allow it\? \[y/N\]: $`)
	s.types("y\n")
	s.sees(`otpauth://totp/ACME:\?secret=GEZDGNBVGY3TQOJQ&issuer=ACME&`)
	s.exits(0)
}

// The seconds count down in one line, and a new code begins them anew; the line ends with the codes.
func TestShowCodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		codes := make(chan ipc.OTPCode)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			showCodes(&out, codes)
		}()
		now := func(code string, holds time.Duration) ipc.OTPCode {
			return ipc.OTPCode{Code: code, End: int(time.Now().Add(holds).Unix())}
		}
		time.Sleep(1500 * time.Millisecond) // nothing is shown before there is a code
		codes <- now("111111", 2500*time.Millisecond)
		time.Sleep(2 * time.Second)
		codes <- now("222222", 30500*time.Millisecond)
		time.Sleep(time.Second)
		close(codes)
		<-ended
		const end = " s \x1b[K"
		want := "\r111111   3" + end + "\r111111   2" + end + "\r111111   1" + end +
			"\r222222  31" + end + "\r222222  30" + end + "\n"
		if got := out.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
