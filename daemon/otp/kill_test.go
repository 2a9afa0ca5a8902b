package otp

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"fob/daemon/seal"
	"fob/daemon/store"
	"fob/hotp"
)

// TestMain plays the program that gives codes, for a test that kills it.
func TestMain(m *testing.M) {
	if dir := os.Getenv("FOB_OTP_GIVER"); dir != "" {
		os.Exit(giver(dir))
	}
	os.Exit(m.Run())
}

// giver gives codes and tells the counter of each.
func giver(dir string) int {
	all := &Tokens{Store: store.Open(store.Options{
		Dir: dir, Sealers: []seal.Sealer{seal.KeyFile{Path: filepath.Join(dir, store.KeyName)}}, Program: "giver"})}
	for {
		c, err := all.Code(context.Background(), "a", time.Time{})
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(c.Token.Counter)
	}
}

// TestKilled kills the giver again and again, wherever it is. No counter comes twice.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	all := &Tokens{Store: openStore(t, dir)}
	add(t, all, named("a", hotp.DefaultHOTP))
	all.Store.Close()
	next := uint64(0) // none below may come any more
	for range 20 {
		c := exec.CommandContext(t.Context(), os.Args[0])
		c.Env = append(os.Environ(), "FOB_OTP_GIVER="+dir, "GORACE=atexit_sleep_ms=0")
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := rand.IntN(30); lines.Scan(); n-- {
			counter, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil || counter < next {
				t.Fatalf("%q, which was given before: below %d", lines.Text(), next)
			}
			next = counter + 1
			if n == 0 { // it goes on meanwhile, and what it has said is read below
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = c.Wait()
	}
	all = &Tokens{Store: openStore(t, dir)}
	if c := code(t, all, "a", time.Time{}); c.Token.Counter < next {
		t.Errorf("%d comes again, after %d", c.Token.Counter, next)
	}
}
