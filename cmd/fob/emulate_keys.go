package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/daemon"
	"fob/daemon/workbench"
	"fob/ipc"
)

// maxKeys is how many keys one process may run: as many as there are pseudo-terminals, where nobody has changed that.
const maxKeys = 4096

// fleet is what the flags of 'fob emulate' ask for.
type fleet struct {
	common  keyFlags
	specs   []string // the values of --key
	control string   // path of the control socket; empty for none
	log     *slog.Logger

	keys []keyFlags // one for each key
}

// keyFlags describe a key, or several of a kind.
type keyFlags struct {
	program.Emulator
	place place
	id    string
	count int
	oath  bool
}

func (k *keyFlags) flags(f *pflag.FlagSet) {
	k.Emulator.Flags(f, "")
	k.place.flags(f)
	f.StringVar(&k.id, "id", "", "call the key `NAME` instead of what fobd will call it")
	f.IntVar(&k.count, "count", 1, "run `N` such keys")
	f.BoolVar(&k.oath, "oath", false, "with --vpcd: have an OATH application beside FIDO, as YubiKeys do")
}

// usualControl stands for the path of the socket that 'fob emulate control' uses by itself.
const usualControl = "default"

func (f *fleet) flags(set *pflag.FlagSet) {
	f.common.flags(set)
	set.StringArrayVar(&f.specs, "key", nil, "run a key, or several, with these `OPTIONS`; may be repeated")
	set.StringVar(&f.control, "control", "", "let 'fob emulate control' control the keys at the socket `PATH`; "+
		"without =PATH at fob/emulator.sock in $XDG_RUNTIME_DIR")
	set.Lookup("control").NoOptDefVal = usualControl
}

// checkGiven refuses flags that were given and say nothing, as --state "$UNSET" does: a key that is not kept, or not
// encrypted, would come as a surprise.
func checkGiven(set *pflag.FlagSet) (err error) {
	set.Visit(func(flag *pflag.Flag) {
		value := flag.Value.String()
		switch {
		case value == "" && flag.Value.Type() == "string":
			err = program.Usage(fmt.Errorf("--%s needs a value", flag.Name))
		case strings.HasSuffix(flag.Name, "-fd") && strings.HasPrefix(value, "-"):
			err = program.Usage(fmt.Errorf("--%s %s is no file descriptor", flag.Name, value))
		}
	})
	return err
}

// parse makes keys of the flags in set.
func (f *fleet) parse(set *pflag.FlagSet) (err error) {
	if err := checkGiven(set); err != nil {
		return err
	}
	switch f.control {
	case "":
	case usualControl:
		f.control = ipc.DefaultEmulatorSocket()
	default:
		if f.control, err = filepath.Abs(f.control); err != nil {
			return err
		}
	}
	kinds := []keyFlags{f.common}
	if len(f.specs) > 0 {
		kinds = nil
	}
	for _, spec := range f.specs {
		k, err := parseKey(spec, set)
		if err != nil {
			return program.Usage(fmt.Errorf("--key %q: %w", spec, err))
		}
		kinds = append(kinds, *k)
	}
	for _, k := range kinds {
		if k.count < 1 || k.count > maxKeys-len(f.keys) {
			return program.Usage(fmt.Errorf("there can be 1 to %d keys", maxKeys))
		}
		for range k.count {
			f.keys = append(f.keys, k.numbered(len(f.keys)+1))
		}
	}
	return f.check()
}

// exclusive are options of which a key's own takes the place of those for all keys.
var exclusive = [][]string{{"pty", "uhid", "vpcd", "unix", "udp"}, {"pin", "pin-fd"}}

// parseKey reads the value of --key. The flags that were given beside it are for what it does not say.
func parseKey(spec string, beside *pflag.FlagSet) (*keyFlags, error) {
	k := new(keyFlags)
	own := pflag.NewFlagSet("key", pflag.ContinueOnError)
	k.flags(own)
	for _, option := range splitOptions(spec) {
		name, value, given := strings.Cut(option, "=")
		flag := own.Lookup(name)
		switch {
		case flag == nil:
			return nil, fmt.Errorf("%q is none of %s", name, strings.Join(flagNames(own), ", "))
		case !given && flag.NoOptDefVal == "":
			return nil, fmt.Errorf("%s needs a value, %s=VALUE", name, name)
		case !given:
			value = flag.NoOptDefVal
		}
		if err := own.Set(name, value); err != nil {
			return nil, err
		}
	}
	said := func(name string) bool { return own.Changed(name) }
	var err error
	beside.Visit(func(flag *pflag.Flag) {
		to := own.Lookup(flag.Name)
		if to == nil || said(flag.Name) || slices.ContainsFunc(exclusive, func(group []string) bool {
			return slices.Contains(group, flag.Name) && slices.ContainsFunc(group, said)
		}) {
			return
		}
		err = errors.Join(err, copyFlag(to, flag))
	})
	return k, err
}

func copyFlag(to, from *pflag.Flag) error {
	if list, ok := from.Value.(pflag.SliceValue); ok {
		return to.Value.(pflag.SliceValue).Replace(list.GetSlice())
	}
	return to.Value.Set(from.Value.String())
}

func flagNames(f *pflag.FlagSet) (names []string) {
	f.VisitAll(func(flag *pflag.Flag) { names = append(names, flag.Name) })
	return names
}

// splitOptions splits at single commas; two of them are one inside an option.
func splitOptions(spec string) []string {
	options := []string{""}
	for i := 0; i < len(spec); i++ {
		last := &options[len(options)-1]
		switch {
		case spec[i] != ',':
			*last += spec[i : i+1]
		case i+1 < len(spec) && spec[i+1] == ',':
			*last += ","
			i++
		default:
			options = append(options, "")
		}
	}
	return options
}

// numbered is the description of the key with number n.
func (k keyFlags) numbered(n int) keyFlags {
	for _, s := range []*string{&k.id, &k.State, &k.place.unix} {
		*s = strings.ReplaceAll(*s, "{n}", strconv.Itoa(n))
	}
	return k
}

var idForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)

// check looks for what two keys can't have both.
func (f *fleet) check() error {
	taken := make(map[string]bool)
	for _, k := range f.keys {
		if k.id != "" && !idForm.MatchString(k.id) {
			return program.Usage(fmt.Errorf("id %q is not 1 to 32 letters, digits, dots, dashes and underscores", k.id))
		}
		for _, v := range []struct{ name, value string }{{"id", k.id}, {"state", k.State}, {"unix", k.place.unix}} {
			if v.value == "" {
				continue
			}
			if what := v.name + "=" + v.value; taken[what] {
				return program.Usage(fmt.Errorf("two keys can't have %s; {n} in it stands for the number of the key", what))
			} else {
				taken[what] = true
			}
		}
	}
	return nil
}

// options says what key to plug in, one of count.
func (k *keyFlags) options(ctx context.Context, b *program.Bench, count int) (workbench.Options, error) {
	endpoint, place, err := k.place.choose()
	if err != nil {
		return workbench.Options{}, err
	}
	if k.oath && endpoint != "vpcd" {
		return workbench.Options{}, program.Usage(errors.New("--oath goes with --vpcd: OATH is for smart card readers"))
	}
	id, name := k.id, ""
	if count > 1 && k.Touch == "ask" { // the person must know which one
		if id == "" {
			id = workbench.NewID()
		}
		name = id
	}
	o, err := k.Emulator.Options(ctx, b, name)
	o.ID, o.Endpoint, o.Place, o.OATH = id, endpoint, place, k.oath
	return o, err
}

// serveControl begins to serve the control socket, where there is to be one. served is closed when that ends; stop ends
// it and gives its error.
func (f *fleet) serveControl(ctx context.Context, w *workbench.Workbench) (
	stop func() error, served <-chan struct{}, err error) {

	if f.control == "" {
		return func() error { return nil }, nil, nil
	}
	var l net.Listener
	if l, err = daemon.Listen(f.control); err != nil {
		return nil, nil, &controlError{err}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	var result error
	go func() {
		defer close(done)
		result = w.Serve(ctx, l)
	}()
	return func() error {
		cancel()
		<-done
		return result
	}, done, nil
}

// controlError is a control socket that could not be made.
type controlError struct{ error }

func (e *controlError) Unwrap() error { return e.error }

// Hint says what to do about it.
func (e *controlError) Hint() string {
	if errors.Is(e.error, daemon.ErrAlreadyRunning) {
		return "control the keys there, or give these another socket with --control=PATH"
	}
	return "name a socket in a folder that is yours alone, with mode 0700, with --control=PATH"
}
