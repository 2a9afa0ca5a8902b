package tpm_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"fob/daemon/tpm"
	"fob/daemon/tpm/tpmtest"
	"fob/fido"
	"fob/hotp"
)

// bus stands between us and a TPM, hears all, and may change it.
type bus struct {
	mu     sync.Mutex
	heard  []byte
	change func(command, answer []byte) []byte // nil to leave answers as they are
}

// alter has change change the answers from now on.
func (b *bus) alter(change func(command, answer []byte) []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.change = change
}

func (b *bus) has(word []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Contains(b.heard, word)
}

// tap gives the TPM behind a bus.
func tap(t *testing.T, machine *tpmtest.TPM) (*tpm.TPM, *bus) {
	t.Helper()
	path := filepath.Join(filepath.Dir(machine.Socket), "bus")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	b := new(bus)
	var serving sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.serve(c, machine.Socket)
		}
	})
	return &tpm.TPM{Path: path}, b
}

func (b *bus) serve(c net.Conn, socket string) {
	defer c.Close()
	to, err := net.Dial("unix", socket)
	if err != nil {
		return
	}
	defer to.Close()
	for {
		command, err := message(c)
		if err != nil {
			return
		}
		if _, err := to.Write(command); err != nil {
			return
		}
		answer, err := message(to)
		if err != nil {
			return
		}
		b.mu.Lock()
		b.heard = append(append(b.heard, command...), answer...)
		if b.change != nil {
			answer = b.change(command, answer)
		}
		b.mu.Unlock()
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

func message(from io.Reader) ([]byte, error) {
	header := make([]byte, 10)
	if _, err := io.ReadFull(from, header); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(header[2:]))
	_, err := io.ReadFull(from, b[copy(b, header):])
	return b, err
}

// No secret, no seed, no PIN and no HMAC crosses the bus in the clear.
func TestBus(t *testing.T) {
	by, b := tap(t, tpmtest.Start(t))
	pin, seed, text := fido.Secret("sesame-4711"), hotp.Seed("12345678901234567890"), []byte("87654321")
	for _, lock := range []tpm.Lock{{}, {PIN: pin}, {PIN: pin, PCRs: tpm.PCRs{7}}} {
		expectOpen(t, by, seal(t, by, lock), pin)
		o, err := by.NewHMAC(t.Context(), hotp.SHA1, seed, lock)
		if err != nil {
			t.Fatal(err)
		}
		mac, err := by.HMAC(t.Context(), o, pin, text)
		if err != nil || !bytes.Equal(mac, tpm.SoftwareHMAC(hotp.SHA1, seed, text)) {
			t.Fatal(err)
		}
		for what, word := range map[string][]byte{"secret": secret, "PIN": pin, "seed": seed, "HMAC": mac, "message": text} {
			if b.has(word) {
				t.Errorf("the %s is on the bus", what)
			}
		}
	}
}

// Who changes what the TPM says, or puts a storage root key of his own in the place of the TPM's, is found out.
func TestBusChanges(t *testing.T) {
	machine, attacker := tpmtest.Start(t), tpmtest.Start(t)
	by, b := tap(t, machine)
	o := seal(t, by, tpm.Lock{})
	for _, size := range []byte{0, 9, 0xff} {
		b.alter(func(_, _ []byte) []byte { return []byte{0x80, 1, size, 0, 0, size, 0, 0, 0, 0} })
		if _, err := by.Unseal(t.Context(), o, nil); !errors.Is(err, tpm.ErrFailed) {
			t.Errorf("an answer of size %d: %v", size, err)
		}
	}
	for n := range 4 { // persistent key, primary key, session, object
		at := 0
		b.alter(func(_, answer []byte) []byte {
			if at++; at-1 == n {
				answer = bytes.Clone(answer)
				answer[len(answer)-1] ^= 1
			}
			return answer
		})
		if got, err := by.Unseal(t.Context(), o, nil); err == nil && n > 0 {
			t.Errorf("answer %d changed: %v", n, got)
		}
	}
	b.alter(func(command, answer []byte) []byte {
		if tpm2.TPMCC(binary.BigEndian.Uint32(command[6:])) != tpm2.TPMCCCreatePrimary {
			return answer
		}
		c, err := net.Dial("unix", attacker.Socket)
		if err != nil {
			return answer
		}
		defer c.Close()
		if _, err := c.Write(command); err != nil {
			return answer
		}
		other, err := message(c)
		if err != nil {
			return answer
		}
		return other
	})
	if _, err := by.Unseal(t.Context(), o, nil); !errors.Is(err, tpm.ErrCleared) {
		t.Errorf("another storage root key: %v", err)
	}
}

// A TPM that can't begin a command yet is asked again; one that never can is busy.
func TestBusy(t *testing.T) {
	by, b := tap(t, tpmtest.Start(t))
	o := seal(t, by, tpm.Lock{})
	retry := binary.BigEndian.AppendUint32([]byte{0x80, 1, 0, 0, 0, 10}, uint32(tpm2.TPMRCRetry))
	left := 3
	b.alter(func(_, answer []byte) []byte {
		if left == 0 {
			return answer
		}
		left--
		return retry
	})
	expectOpen(t, by, o, nil)
	b.alter(func(_, _ []byte) []byte { return retry })
	if _, err := by.Unseal(t.Context(), o, nil); !errors.Is(err, tpm.ErrBusy) {
		t.Error(err)
	}
}
