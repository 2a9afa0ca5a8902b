package ipc

import (
	"fmt"
	"strings"
)

// The errors of fob.Emulator; the interface definition says when each occurs.
type (
	Ended      struct{}
	NoKey      struct{}
	UnknownKey struct {
		Key string `json:"key"`
	}
	SeveralKeys struct {
		Keys  []string `json:"keys"`
		Count int      `json:"count"`
	}
	NotWaiting struct {
		Key string `json:"key"`
	}
	WrongSample struct {
		Key     string `json:"key"`
		Problem string `json:"problem"`
	}
	KeyRemoved struct {
		Key string `json:"key"`
	}
	KeyInserted struct {
		Key string `json:"key"`
	}
	KeyLost struct {
		Key     string `json:"key"`
		Problem string `json:"problem"`
	}
	PlugFailed struct {
		Key     string `json:"key"`
		Problem string `json:"problem"`
	}
	NotSupported struct {
		Key  string `json:"key"`
		What string `json:"what"`
	}
	ParameterInvalid struct {
		Parameter string `json:"parameter"`
		Problem   string `json:"problem"`
	}
	KeyFailed struct {
		Key     string `json:"key"`
		Problem string `json:"problem"`
	}
)

func (Ended) VarlinkError() string            { return "fob.Emulator.Ended" }
func (NoKey) VarlinkError() string            { return "fob.Emulator.NoKey" }
func (UnknownKey) VarlinkError() string       { return "fob.Emulator.UnknownKey" }
func (SeveralKeys) VarlinkError() string      { return "fob.Emulator.SeveralKeys" }
func (NotWaiting) VarlinkError() string       { return "fob.Emulator.NotWaiting" }
func (WrongSample) VarlinkError() string      { return "fob.Emulator.WrongSample" }
func (KeyRemoved) VarlinkError() string       { return "fob.Emulator.KeyRemoved" }
func (KeyInserted) VarlinkError() string      { return "fob.Emulator.KeyInserted" }
func (KeyLost) VarlinkError() string          { return "fob.Emulator.KeyLost" }
func (PlugFailed) VarlinkError() string       { return "fob.Emulator.PlugFailed" }
func (NotSupported) VarlinkError() string     { return "fob.Emulator.NotSupported" }
func (ParameterInvalid) VarlinkError() string { return "fob.Emulator.ParameterInvalid" }
func (KeyFailed) VarlinkError() string        { return "fob.Emulator.KeyFailed" }

func (Ended) Error() string        { return "the program that emulates the keys ends" }
func (NoKey) Error() string        { return "there is no emulated key" }
func (e UnknownKey) Error() string { return fmt.Sprintf("there is no emulated key %q", e.Key) }
func (e SeveralKeys) Error() string {
	names := e.Keys[:min(len(e.Keys), 8)]
	text := fmt.Sprintf("there are %d emulated keys: %s", e.Count, strings.Join(names, ", "))
	if e.Count > len(names) {
		text += ", ..."
	}
	return text
}
func (e NotWaiting) Error() string  { return fmt.Sprintf("key %s waits for nothing", e.Key) }
func (e WrongSample) Error() string { return fmt.Sprintf("key %s: %s", e.Key, e.Problem) }
func (e KeyRemoved) Error() string  { return fmt.Sprintf("key %s is removed already", e.Key) }
func (e KeyInserted) Error() string { return fmt.Sprintf("key %s is inserted already", e.Key) }
func (e KeyLost) Error() string     { return fmt.Sprintf("key %s is lost%s", e.Key, because(e.Problem)) }
func (e PlugFailed) Error() string {
	return fmt.Sprintf("key %s can't be inserted: %s", e.Key, e.Problem)
}
func (e NotSupported) Error() string { return fmt.Sprintf("key %s has no %s", e.Key, e.What) }
func (e ParameterInvalid) Error() string {
	return fmt.Sprintf("parameter %s makes no sense: %s", e.Parameter, e.Problem)
}
func (e KeyFailed) Error() string { return fmt.Sprintf("key %s failed: %s", e.Key, e.Problem) }

func (Ended) Hint() string       { return "" }
func (NoKey) Hint() string       { return "start one with 'fob emulate --control', or 'fobd --emulator'" }
func (UnknownKey) Hint() string  { return "'fob emulate control list' shows ids and paths" }
func (SeveralKeys) Hint() string { return "say which one, by its id or its path" }
func (NotWaiting) Hint() string {
	return "first begin what needs the touch, or wait for it with --wait"
}
func (WrongSample) Hint() string      { return "'fob emulate control list' shows what the key waits for" }
func (KeyRemoved) Hint() string       { return "put it in again with 'fob emulate control insert'" }
func (KeyInserted) Hint() string      { return "take it out with 'fob emulate control remove'" }
func (KeyLost) Hint() string          { return "start the program that emulates it again" }
func (PlugFailed) Hint() string       { return "mend that and repeat 'fob emulate control insert'" }
func (NotSupported) Hint() string     { return "emulate a key of another --profile" }
func (ParameterInvalid) Hint() string { return "" }
func (KeyFailed) Hint() string        { return "" }

func because(problem string) string {
	if problem == "" {
		return ""
	}
	return ": " + problem
}

var emulatorErrors = []Error{
	Ended{}, NoKey{}, UnknownKey{}, SeveralKeys{}, NotWaiting{}, WrongSample{}, KeyRemoved{}, KeyInserted{}, KeyLost{},
	PlugFailed{}, NotSupported{}, ParameterInvalid{}, KeyFailed{},
}
