package access

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"

	"fob/fido"
	"fob/fido/pcsc"
)

func nobodyLooks(context.Context, string) error { return errors.New("nobody should look at a card") }

// TestReadersWithoutPCSCD: not installed, not running, and one that hangs up, as polkit has it do.
func TestReadersWithoutPCSCD(t *testing.T) {
	t.Setenv("PCSCLITE_CSOCK_NAME", "/run/p")
	p := play(t)
	finds(t, p.sees.Readers(t.Context(), nobodyLooks), NoPCSCD, "sudo apt install pcscd")
	p.do(p.File("/usr/sbin/pcscd", ""))
	finds(t, p.sees.Readers(t.Context(), nobodyLooks), PCSCDStopped, "sudo systemctl enable --now pcscd.socket")

	p.do(p.Folder("/run"))
	socket := filepath.Join(p.Root, "run/p")
	l, err := net.Listen("unix", socket)
	p.do(err)
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	p.do(p.File("/run/systemd/seats/seat0", "IS_SEAT0=1\n"))
	list := p.sees.Readers(t.Context(), nobodyLooks)
	finds(t, list, PCSCDRefuses, "polkit", "nobody is logged in", "log in at the screen")
	if list[0].Level != Note {
		t.Errorf("%+v", list)
	}
	p.do(os.Chmod(socket, 0))
	if os.Getuid() != 0 { // whom nothing stops
		finds(t, p.sees.Readers(t.Context(), nobodyLooks), PCSCDRefuses)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	finds(t, p.sees.Readers(ctx, nobodyLooks), PCSCDFails, "context canceled")
}

func TestCardInReader(t *testing.T) {
	p := play(t)
	for _, test := range []struct {
		err   error
		code  Code
		level Level
		words []string
	}{
		{nil, CardReady, OK, []string{"the key at ACS answers"}},
		{ErrNoFIDO, NotFIDO, Note, []string{"no FIDO key"}},
		{pcsc.ErrSecurityViolation, PCSCDRefuses, Note, []string{"polkit"}},
		{pcsc.ErrComm, CardFails, Wrong, []string{"communication error", "hold it there again"}},
		{fido.ErrDeviceBusy, CardHeld, Note, []string{"another program has the card at ACS"}},
	} {
		f := p.sees.card("A\x1bCS", test.err)
		finds(t, []Finding{f}, test.code, test.words...)
		if f.Level != test.level {
			t.Errorf("%+v", f)
		}
	}
	p.process(300, "scdaemon")
	f := p.sees.card("ACS", fido.ErrDeviceBusy)
	finds(t, []Finding{f}, CardHeld, "perhaps GnuPG's scdaemon", "gpgconf --kill scdaemon", "pcsc-shared")
	if len(f.Processes) != 1 || f.Processes[0].PID != 300 {
		t.Errorf("%+v", f)
	}
}
