package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fob/cmd/internal/program"
	"fob/daemon/account"
	"fob/fido"
	"fob/hotp"
	"fob/hotp/otpauth"
	"fob/hotp/seedfile"
	"fob/ipc"
)

var errNoCode = errors.New("a code is needed, and there is no terminal to ask for it; give it with --code-fd")

// mfaPerson is the one at the terminal, who touches a key or types a code. A PIN that is asked for ends the question for
// a code: both would read what is typed.
type mfaPerson struct {
	person
	codeFD   int // -1 for none
	lines    *bufio.Reader
	stopCode func() // nil where nobody is asked for a code meanwhile
	lost     bool   // a code is still awaited from codeFD that nobody needs any more
}

func (p *mfaPerson) flags(f *pflag.FlagSet) {
	p.person.flags(f)
	f.IntVar(&p.codeFD, "code-fd", -1, "read codes from file descriptor `N`, one a line, instead of asking for them")
}

// PIN implements ipc.Prompter.
func (p *mfaPerson) PIN(ctx context.Context, e ipc.Event) (ipc.Secret, error) {
	if p.stopCode != nil && p.pinFD < 0 {
		p.stopCode()
	}
	return p.person.PIN(ctx, e)
}

// maxCode is how long a line with a code may be, in bytes.
const maxCode = 64

// code asks for a code.
func (p *mfaPerson) code(ctx context.Context, question string) (string, error) {
	if p.codeFD >= 0 {
		if p.lost {
			return "", errNoCode
		}
		if p.lines == nil {
			p.lines = bufio.NewReaderSize(io.LimitReader(os.NewFile(uintptr(p.codeFD), "codes"), 16*maxCode), maxCode)
		}
		line, err := p.lines.ReadSlice('\n')
		if len(line) == 0 && err != nil {
			return "", errNoCode
		}
		return strings.TrimSpace(string(line)), nil
	}
	t, err := openTerminal()
	if err != nil {
		return "", errNoCode
	}
	defer t.Close()
	fmt.Fprint(t, question)
	line, err := t.line(ctx)
	return strings.TrimSpace(line), err
}

// codes asks for codes that follow each other.
func (p *mfaPerson) codes(ctx context.Context, n int) (codes []string, err error) {
	question := "code: "
	for range n {
		code, err := p.code(ctx, question)
		if err != nil {
			return nil, err
		}
		codes, question = append(codes, code), "the next code: "
	}
	return codes, nil
}

// proveAccount signs somebody in by whichever device is first: keys light up, and a code may be given meanwhile.
func (a *app) proveAccount(ctx context.Context, in ipc.BeginSignInRequest, p *mfaPerson) (ipc.AccountSignIn, error) {
	c, err := a.client.BeginSignIn(ctx, in)
	if err != nil {
		return ipc.AccountSignIn{}, err
	}
	type result struct {
		in    ipc.AccountSignIn
		err   error
		coded bool
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	codeCtx, stopCode := context.WithCancel(ctx)
	defer stopCode()
	running, results := 0, make(chan result, 2)
	race := func(coded bool, run func() (ipc.AccountSignIn, error)) {
		running++
		go func() {
			in, err := run()
			results <- result{in, err, coded}
		}()
	}
	asks := c.Codes && (p.codeFD >= 0 || hasTerminal())
	if asks {
		p.stopCode = stopCode
	}
	if c.Options != nil {
		race(false, func() (ipc.AccountSignIn, error) { return a.byKey(ctx, c, p) })
	}
	if asks || c.Options == nil {
		race(true, func() (ipc.AccountSignIn, error) { return a.byCode(codeCtx, c, p) })
	}
	var failed error
	for ; running > 0; running-- {
		r := <-results
		if r.err == nil {
			stop() // the other one: its key goes dark
			if p.lost = !r.coded && running > 1 && p.codeFD >= 0; p.lost {
				return r.in, nil // nothing ends a read of a file descriptor but the end of the program
			}
			for ; running > 1; running-- {
				<-results
			}
			return r.in, nil
		}
		if failed == nil || !errors.Is(r.err, context.Canceled) && !errors.Is(r.err, errNoCode) {
			failed = r.err
		}
	}
	return ipc.AccountSignIn{}, failed
}

func (a *app) byKey(ctx context.Context, c ipc.AccountChallenge, p *mfaPerson) (ipc.AccountSignIn, error) {
	response, err := a.client.SignIn(ctx, ipc.CeremonyRequest{Options: c.Options, Origin: c.Origin}, p)
	if err != nil {
		return ipc.AccountSignIn{}, err
	}
	return a.client.FinishSignIn(ctx, ipc.FinishSignInRequest{ID: c.ID, Response: response})
}

// byCode asks for codes until one is right, or nobody gives another one.
func (a *app) byCode(ctx context.Context, c ipc.AccountChallenge, p *mfaPerson) (ipc.AccountSignIn, error) {
	var last error
	for {
		code, err := p.code(ctx, "code, or touch a key: ")
		if errors.Is(err, errNoCode) && last != nil {
			err = last
		}
		if err != nil {
			return ipc.AccountSignIn{}, err
		}
		in, err := a.client.FinishSignIn(ctx, ipc.FinishSignInRequest{ID: c.ID, Code: code})
		if !errors.As(err, new(ipc.AccountCodeRefused)) {
			return in, err
		}
		last = err
		if p.codeFD < 0 {
			fmt.Fprintf(a.stderr, "%s\n", shown(err.Error()))
		}
	}
}

func (a *app) mfaSignIn() *cobra.Command {
	m, in, session, life := &mfaPerson{person: a.person(), codeFD: -1}, ipc.BeginSignInRequest{}, time.Duration(0),
		account.DefaultJWT
	c := &cobra.Command{
		Use:   "sign-in USER@REALM",
		Short: "Prove that somebody is here, by any one of their MFA devices",
		Long: `sign-in lights up the security keys of somebody that are plugged in, and takes a code of one of
their TOTP devices meanwhile, if they have one; the first that answers wins. It prints a JWT, which
a program verifies by 'fob mfa keys REALM', without fobd. Programs to which the exit status is
enough throw the JWT away.`,
		Example: "  fob mfa sign-in alice@home --nonce \"$nonce\" --audience deploy",
		Args:    accountAnd(0, "name the user as USER@REALM"),
		RunE: func(c *cobra.Command, args []string) error {
			in.Principal, in.Realm, _ = parseAccount(args[0])
			in.Session, in.Seconds = int(session/time.Second), int(life/time.Second)
			out, err := a.proveAccount(c.Context(), in, m)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(ipc.FinishSignInReply{SignIn: out})
			}
			fmt.Fprintf(a.stderr, "%s@%s is here, by %s (%s)\n", shown(out.Principal), shown(out.Realm), shown(out.Device),
				shown(out.Kind))
			_, err = fmt.Fprintln(a.stdout, out.JWT)
			return err
		},
	}
	f := c.Flags()
	m.flags(f)
	f.StringVar(&in.Nonce, "nonce", "", "a `TEXT` for the JWT, which is new each time")
	f.StringVar(&in.Audience, "audience", "", "`WHO` is to believe the JWT")
	f.DurationVar(&life, "lifetime", life, "`DURATION` for which the JWT is good, 1s to 1h")
	f.DurationVar(&session, "session", 0, "with --json, a session that later calls may quote, of this `DURATION`, 15m to 36h")
	return c
}

func (a *app) mfaEnroll() *cobra.Command {
	p, r, m := a.otpPerson(), right{ticketFD: -1}, &mfaPerson{person: a.person(), codeFD: -1}
	in := ipc.BeginEnrolRequest{}
	c := &cobra.Command{
		Use:   "enroll USER@REALM NAME",
		Short: "Add an MFA device",
		Long: `enroll adds an MFA device, and gives it a NAME that no other device of the realm has. Who has a
device already signs in by it first.

A security key or passkey is registered. Of an authenticator app (virtual-totp), the otpauth:// URI
is printed, this once; then two codes of it are asked for, one after the other.`,
		Example: "  fob mfa enroll alice@home yubikey\n  fob mfa enroll alice@home phone --kind virtual-totp",
		Args:    accountAnd(1, "name the user as USER@REALM, and give the device a name"),
		RunE: func(c *cobra.Command, args []string) error {
			in.Principal, in.Realm, _ = parseAccount(args[0])
			in.Name = args[1]
			if _, err := account.ParseKind(in.Kind); err != nil {
				return program.Usage(err)
			}
			return a.runEnroll(c.Context(), in, r, p, m)
		},
	}
	f := c.Flags()
	r.flags(f)
	m.flags(f)
	f.StringVar(&in.Kind, "kind", string(account.SecurityKey),
		"security-key, passkey, virtual-totp, kept-totp or hardware-totp")
	f.StringVar(&in.Serial, "serial", "", "hardware-totp: the serial `NUMBER` of the token")
	f.StringVar(&in.Holder, "holder", "", "kept-totp: the `TOKEN` of 'fob otp' that will give the codes")
	f.IntVar(&r.ticketFD, "ticket-fd", -1, "read a ticket from file descriptor `N`, up to a line feed")
	return c
}

func (a *app) runEnroll(ctx context.Context, in ipc.BeginEnrolRequest, r right, p *otpPerson, m *mfaPerson) (err error) {
	if r.ticketFD >= 0 {
		text, err := program.ReadSeed(ctx, r.ticketFD)
		if err != nil {
			return err
		}
		in.Ticket = strings.TrimSpace(string(text))
	}
	if in.AccountBy, err = a.byDevice(ctx, in.Principal, in.Realm, r, m); err != nil {
		return err
	}
	e, seed, err := a.client.BeginEnrol(ctx, in, p)
	defer seed.Wipe()
	if err != nil {
		return err
	}
	finish := ipc.FinishEnrolRequest{ID: e.ID}
	if e.Options != nil {
		finish.Response, err = a.client.Register(ctx, ipc.CeremonyRequest{Options: e.Options, Origin: e.Origin}, m)
	} else {
		err = a.askTwo(ctx, in, seed, &finish, m)
	}
	if err != nil {
		return err
	}
	device, err := a.client.FinishEnrol(ctx, finish)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(ipc.FinishEnrolReply{Device: device})
	}
	fmt.Fprintf(a.stderr, "%s is a device of %s@%s now: %s\n", shown(device.Name), shown(in.Principal), shown(in.Realm),
		kindInWords(device))
	return nil
}

// askTwo shows the seed of an authenticator app, and asks for two codes.
func (a *app) askTwo(ctx context.Context, in ipc.BeginEnrolRequest, seed ipc.Secret, finish *ipc.FinishEnrolRequest,
	m *mfaPerson) error {

	if seed != nil {
		if err := a.showSeed(in, seed); err != nil {
			return err
		}
	}
	codes, err := m.codes(ctx, 2)
	if err == nil {
		finish.Code, finish.Code2 = codes[0], codes[1]
	}
	return err
}

// showSeed prints the otpauth URI of a seed.
func (a *app) showSeed(in ipc.BeginEnrolRequest, seed ipc.Secret) error {
	parsed, err := hotp.ParseSeed(seed)
	defer parsed.Wipe()
	if err != nil {
		return err
	}
	t := &seedfile.Token{Parameters: hotp.DefaultTOTP, Seed: parsed, Issuer: in.Realm, Account: in.Principal}
	uri, err := otpauth.Append(make([]byte, 0, otpauth.Size(t)+1), t)
	defer fido.Secret(uri).Wipe()
	if err != nil {
		return err
	}
	_, err = a.stdout.Write(append(uri, '\n'))
	return err
}
