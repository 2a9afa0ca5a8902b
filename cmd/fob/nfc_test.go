package main

import (
	"errors"
	"maps"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"fob/fido/pcsc/pcscdtest"
)

// TestNFC runs scripts with cards in the virtual readers of pcscd, which are one set for the machine: one script at a
// time.
func TestNFC(t *testing.T) {
	files, err := filepath.Glob("testdata/nfc/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			restart := pcscdtest.Start(t)
			commands := maps.Clone(scriptCommands)
			commands["run"] = command(script.run) // run NAME PROGRAM [ARG...]: in the background
			// pcscd restarted: anew, unless it is the one of the system
			commands["pcscd"] = command(func(s script, _ []string) error {
				if restart == nil {
					s.Logf("the pcscd of the system stays")
					return nil
				}
				restart()
				return nil
			})
			testscript.Run(t, testscript.Params{Files: []string{file}, Cmds: commands, Setup: setUp})
		})
	}
}

func (s script) run(args []string) error {
	if len(args) < 2 {
		return errors.New("run NAME PROGRAM [ARG...]")
	}
	c := exec.Command(args[1], args[2:]...)
	c.Dir, c.Env = s.MkAbs("."), s.world.env
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	_, err := s.world.background(args[0], c)
	return err
}
