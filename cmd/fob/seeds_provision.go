package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/daemon/oathkey"
	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/ipc"
)

var errNoSwap = errors.New("another security key is to be plugged in, and there is no terminal to ask at; " +
	"--one writes one seed at a time")

// provisioning is one run of 'fob seeds provision'.
type provisioning struct {
	importing
	request    ipc.OTPProvisionRequest
	clone, one bool
	person     *otpPerson
	done       int
}

func (a *app) seedsProvision() *cobra.Command {
	p := &provisioning{importing: importing{app: a, from: a.newSeedSource()}, person: a.otpPerson()}
	c := &cobra.Command{
		Use:   "provision FILE --to key",
		Short: "Write the seeds of a file to security keys, one to each",
		Long: `provision writes the seeds of FILE, - for standard input, to the OATH application of security keys such
as YubiKeys, one seed to each key, and asks for the next key in between. A seed counts as written when
the key has proved that it has it, by a whole HMAC. fobd does it, and keeps a journal in its store of
which key has which seed: what was interrupted goes on when the command is repeated, and no seed is
written to two keys unless --clone is given, which the audit log tells.

With --one it writes the next seed to the key that is plugged in, asks nothing, and ends.`,
		Example: "  fob seeds provision tokens.pskc --to key",
		Args:    exactly("name the FILE of seeds, or - for standard input"),
		RunE: func(c *cobra.Command, args []string) error {
			defer p.person.wipe()
			if err := checkGiven(c.Flags()); err != nil {
				return err
			}
			if kind, _, _ := strings.Cut(p.request.Keeper, ":"); kind != oathkey.InKey {
				return program.Usage(fmt.Errorf("--to %s is no key", p.request.Keeper))
			}
			return seedsError(c.Context(), p.provision(c.Context(), args[0]))
		},
	}
	f := c.Flags()
	f.StringVar(&p.request.Keeper, "to", "", "`key`, or key:NAME for the one at the reader NAME")
	f.BoolVar(&p.request.Touch, "touch", false, "each code needs a touch of the key")
	f.BoolVar(&p.request.Remember, "remember", false, "keep passwords of keys in the store of fobd")
	f.BoolVar(&p.clone, "clone", false, "write a seed that another key has already")
	f.BoolVar(&p.one, "one", false, "write one seed, and end")
	p.person.keyFlag(f)
	p.from.flags(c)
	c.MarkFlagRequired("to")
	return c
}

func (p *provisioning) provision(ctx context.Context, path string) error {
	defer p.from.close()
	defer p.wipe()
	err := p.from.each(ctx, p.app, path, p.keep, func(err error) {
		p.bad++
		p.app.printBad(p.from.name(), err)
	})
	switch {
	case err != nil:
		return p.from.at(err)
	case len(p.tokens) > maxTokens:
		return errTooMany
	}
	read := len(p.tokens) + p.bad
	for _, t := range p.tokens {
		if err := p.write(ctx, t); err != nil {
			return err
		}
		if p.one && p.done > 0 {
			break
		}
	}
	fmt.Fprintf(p.app.stderr, "%s written\n", plural(p.done, "seed was", "seeds were"))
	if p.bad > 0 {
		return notImported{p.bad, read}
	}
	return nil
}

// write writes a seed to the next key. A token that can't be on a key, or is on one already, is told and left out.
func (p *provisioning) write(ctx context.Context, t *seedfile.Token) error {
	for {
		key, err := p.ask(ctx, t)
		var had ipc.OTPProvisioned
		var failed ipc.OTPKeyFailed
		switch {
		case err == nil:
			p.done++
			p.request.Except = append(p.request.Except, key)
			_, err = fmt.Fprintf(p.app.stdout, "%s is on the security key %s\n", shown(t.Name()), shown(key))
			return err
		case errors.As(err, &had) && had.Done:
			p.request.Except = append(p.request.Except, had.Key)
			fmt.Fprintf(p.app.stderr, "%s is on the security key %s already\n", shown(t.Name()), shown(had.Key))
			return nil
		case errors.As(err, &had), errors.As(err, &failed) && swaps[failed.Kind]:
			if err := p.swap(ctx, t, err); err != nil {
				return err
			}
		case ofToken(err):
			p.bad++
			p.app.printBad(p.from.name(), &seedfile.RowError{Line: t.Line, Token: t.Name(), Problem: err})
			return nil
		default:
			return err
		}
	}
}

// swaps are the problems that another key may solve, or the same one plugged in again.
var swaps = map[ipc.OTPKeyProblem]bool{
	ipc.OTPKeyAbsent: true, ipc.OTPKeyOther: true, ipc.OTPKeySeveral: true, ipc.OTPKeyLost: true, ipc.OTPKeyBusy: true,
	ipc.OTPKeyExists: true, ipc.OTPKeyFull: true, ipc.OTPKeyNoTouch: true, ipc.OTPKeyUnsupported: true,
}

func (p *provisioning) ask(ctx context.Context, t *seedfile.Token) (string, error) {
	if t.Yubico != nil {
		return "", errYubico
	}
	p.person.seed = t.Seed.AppendBase32(make([]byte, 0, 2*hotp.MaxSeed))
	defer p.person.seed.Wipe()
	r := p.request
	r.Issuer, r.Account, r.Digits, r.Period = t.Issuer, t.Account, t.Digits, t.Period
	r.Type, r.Algorithm = ipc.OTPType(t.Type.String()), ipc.OTPAlgorithm(t.Algorithm.String())
	r.Counter = int(min(t.Counter, math.MaxInt64))
	if t.Account == "" {
		r.Name = t.Name()
	}
	return p.app.client.ProvisionOTP(ctx, r, p.clone, p.person)
}

// swap asks for another key because of what went wrong with the one before.
func (p *provisioning) swap(ctx context.Context, t *seedfile.Token, why error) error {
	if p.one {
		return why
	}
	terminal, err := openTerminal()
	if err != nil {
		return errors.Join(why, errNoSwap)
	}
	defer terminal.Close()
	fmt.Fprintf(terminal, "%v\nplug in the security key for %s, alone, and press Enter: ", why, shown(t.Name()))
	_, err = terminal.line(ctx)
	return err
}
