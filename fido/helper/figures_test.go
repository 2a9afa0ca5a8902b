package helper

import (
	"errors"
	"syscall"
	"testing"

	"fob/fido"
)

// TestFigures: helpers that we end have not crashed, one that somebody kills has.
func TestFigures(t *testing.T) {
	s, l := newSource(t, "good")
	if f := s.Figures(); f != (Figures{}) {
		t.Errorf("%+v", f)
	}
	infos, err := s.Devices(t.Context())
	if err != nil || len(infos) != 1 {
		t.Fatal(infos, err)
	}
	for crashed, kill := range []bool{false, true} {
		a, err := s.Open(t.Context(), infos[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		l.want(t, "open /dev/zero")
		p := a.(key).client.process
		if kill {
			p.cmd.Process.Signal(syscall.SIGKILL)
			<-p.exited
		}
		a.Close()
		if !kill {
			l.want(t, "close")
		}
		f := s.Figures()
		if f.Started != 2+crashed || f.Crashed != crashed || f.Problem != nil || f.Sandbox == nil || f.Ready != 0 {
			t.Errorf("%+v", f)
		}
	}
}

func TestFiguresOfBrokenHelper(t *testing.T) {
	broken, _ := newSource(t, "exit")
	if _, err := broken.Devices(t.Context()); err == nil {
		t.Fatal("a helper that ends at once has found keys")
	}
	if f := broken.Figures(); !errors.Is(f.Problem, fido.ErrHelperStart) || f.Started != 0 {
		t.Errorf("%+v", f)
	}
}

func TestFiguresOfReadyHelpers(t *testing.T) {
	if k := keepKeys(t, "good", "one"); k.ready("one", true) != nil && k.Figures().Ready != 1 {
		t.Errorf("%+v", k.Figures())
	}
}
