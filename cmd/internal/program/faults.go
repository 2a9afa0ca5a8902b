package program

import (
	"fmt"

	"github.com/spf13/pflag"

	"fob/fido/fault"
)

// Faults holds the flags that make an emulated key fail.
type Faults struct {
	texts []string
	seed  uint64
	rate  float64
}

// flags defines the flags, their names with a prefix.
func (f *Faults) flags(flags *pflag.FlagSet, prefix string) {
	flags.StringArrayVar(&f.texts, prefix+"fault", nil, "have the emulated key fail: `FAULT` is such as "+
		"'unplug out packet 2 of makeCredential' (see 'fob emulate faults'); may be repeated")
	flags.Float64Var(&f.rate, prefix+"fault-rate", 0,
		"`PROBABILITY` of a random fault at each packet and command, from 0 to 1")
	flags.Uint64Var(&f.seed, prefix+"fault-seed", 1,
		"`NUMBER` that decides what is left to chance; the same one has the same faults again")
}

// injector makes the faults of a key; nil for none.
func (f *Faults) injector() (*fault.Injector, error) {
	if !(f.rate >= 0 && f.rate <= 1) {
		return nil, Usage(fmt.Errorf("fault rate %v is not from 0 to 1", f.rate))
	}
	var faults []fault.Fault
	for _, text := range f.texts {
		one, err := fault.Parse(text)
		if err != nil {
			return nil, Usage(err)
		}
		faults = append(faults, one)
	}
	if f.rate > 0 {
		faults = append(faults, fault.Random(100*f.rate)...)
	}
	if len(faults) == 0 {
		return nil, nil
	}
	return fault.New(f.seed, faults...), nil
}
