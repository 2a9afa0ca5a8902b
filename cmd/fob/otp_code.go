package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"fob/ipc"
)

func (a *app) otpCode() *cobra.Command {
	p := a.otpPerson()
	watch := false
	c := &cobra.Command{
		Use:   "code NAME",
		Short: "Show the code of a token",
		Long: `code prints the code of a token, and nothing else, to standard output. At a terminal it tells besides,
on standard error, how long the code holds. The counter of a HOTP token moves on with each code.

With --watch it shows each further code as its time comes, until interrupted: at a terminal in one
line, with the seconds that are left, and otherwise a line for each code.`,
		Args: exactly("name the token; 'fob otp list' lists them"),
		RunE: func(c *cobra.Command, args []string) error {
			if watch {
				return a.watchCodes(c.Context(), args[0], p)
			}
			code, err := a.client.OTPCode(c.Context(), args[0], p)
			if err != nil {
				return err
			}
			return a.printCode(code)
		},
	}
	p.pinFlag(c.Flags())
	p.keyFlag(c.Flags())
	c.Flags().BoolVar(&watch, "watch", false, "go on with the next codes of a TOTP token, until interrupted")
	return c
}

func (a *app) printCode(c ipc.OTPCode) error {
	if a.json {
		return a.printJSON(c)
	}
	_, err := fmt.Fprintln(a.stdout, c.Code)
	if c.End != 0 && isTerminal(a.stdout) {
		fmt.Fprintf(a.stderr, "holds for %s; the next one comes at %s\n", plural(c.Left, "second", "seconds"),
			time.Unix(int64(c.End), 0).Format(time.TimeOnly))
	}
	return err
}

func (a *app) watchCodes(ctx context.Context, name string, p *otpPerson) error {
	var err error
	if a.json || !isTerminal(a.stdout) {
		err = a.client.WatchOTP(ctx, name, p, a.printCode)
	} else {
		err = a.countDown(ctx, name, p)
	}
	if ctx.Err() != nil { // interrupted, which is how it ends
		return nil
	}
	return err
}

// countDown shows the codes in one line.
func (a *app) countDown(ctx context.Context, name string, p *otpPerson) error {
	codes, ended := make(chan ipc.OTPCode), make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	go func() { // ends with ctx, or before
		defer close(codes)
		ended <- a.client.WatchOTP(ctx, name, p, func(c ipc.OTPCode) error {
			select {
			case codes <- c:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	showCodes(a.stdout, codes)
	stop()
	return <-ended
}

// showCodes shows each code, and the seconds that it holds, in the same line of a terminal, until codes is closed.
func showCodes(out io.Writer, codes <-chan ipc.OTPCode) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var now ipc.OTPCode
	for shown := false; ; shown = true {
		select {
		case c, more := <-codes:
			if !more && shown {
				fmt.Fprintln(out)
			}
			if !more {
				return
			}
			now = c
		case <-second.C:
		}
		if now.Code != "" {
			fmt.Fprintf(out, "\r%s  %2d s \x1b[K", now.Code, left(now))
		}
	}
}

// left is how many seconds a code holds still.
func left(c ipc.OTPCode) int {
	return max(0, int((time.Until(time.Unix(int64(c.End), 0))+time.Second-1)/time.Second))
}
