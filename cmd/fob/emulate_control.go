package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fob/cmd/internal/program"
	"fob/ipc"
)

// control is one run of 'fob emulate control'.
type control struct {
	*app
	keys ipc.Emulator
}

func (a *app) emulateControl() *cobra.Command {
	x := &control{app: a}
	c := &cobra.Command{
		Use:   "control",
		Short: "Touch emulated keys, take them out and put them in, and more",
		Long: `control plays the person who uses emulated keys, and does with them what no
host can: those of 'fob emulate --control', or with --socket those of any
socket, such as that of 'fobd --emulator'.

KEY is the id of a key, or its path. It may be left out where there is one key.

Exit codes:
    0  done                        4  no such key, it is lost, or can't be inserted
    1  another failure             6  the key does not wait for that, is in or out
    2  wrong usage                    already, or has no such thing
    3  nobody serves the socket  130  interrupted`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRun: func(c *cobra.Command, _ []string) {
			x.keys.Socket = ipc.DefaultEmulatorSocket()
			if c.Flags().Changed("socket") {
				x.keys.Socket = a.client.Socket
			}
		},
	}
	c.AddCommand(x.list(), x.touch(), x.deny(), x.finger(), x.policy(), x.remove(), x.insert(), x.replug(),
		x.nextError(), x.retries(), x.clock(), x.credentials(), x.watch())
	return c
}

// command makes a command with the arguments that usage names, of which KEY, the last, may be left out. run gets them
// all, KEY empty where it is missing.
func (x *control) command(usage, short string, run func(ctx context.Context, args []string) error) *cobra.Command {
	names := strings.Fields(usage)[1:]
	return &cobra.Command{
		Use:   usage,
		Short: short,
		Args: func(_ *cobra.Command, args []string) error {
			switch missing := len(names) - 1 - len(args); {
			case missing > 0:
				return program.Usage(fmt.Errorf("%s is missing", names[len(args)]))
			case missing < -1:
				return program.Usage(fmt.Errorf("unexpected argument %q", args[len(names)]))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) < len(names) {
				args = append(args, "")
			}
			if err := run(c.Context(), args); err != nil {
				return &controlFailed{err, x.keys.Socket}
			}
			return nil
		},
	}
}

// done prints a result: v for programs, the text for people.
func (x *control) done(v any, format string, args ...any) error {
	if x.json {
		return x.printJSON(v)
	}
	_, err := fmt.Fprintf(x.stdout, format+"\n", args...)
	return err
}

// nothing is the JSON of a success that has no more to say.
var nothing = struct{}{}

func (x *control) list() *cobra.Command {
	return x.command("list [KEY]", "List the keys: where, what they wait for, their counters",
		func(ctx context.Context, args []string) error {
			keys, err := x.keys.Keys(ctx, args[0])
			if err != nil {
				return err
			}
			if x.json {
				return x.printJSON(ipc.EmulatedKeysReply{Keys: append([]ipc.EmulatedKey{}, keys...)})
			}
			return x.printKeys(keys)
		})
}

func (x *control) printKeys(keys []ipc.EmulatedKey) error {
	w := tabwriter.NewWriter(x.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tPROFILE\tPATH\tTOUCH\tPIN\tCOUNTER\tCREDENTIALS\tWAITS FOR")
	for _, k := range keys {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\n",
			k.ID, k.Profile, whereabouts(k), k.Policy, pinText(k), k.SignCount, k.Credentials, waitText(k.Waiting))
	}
	return w.Flush()
}

func whereabouts(k ipc.EmulatedKey) string {
	switch {
	case k.Lost:
		return "(lost)"
	case k.Path == "":
		return "(removed)"
	default:
		return k.Path
	}
}

func pinText(k ipc.EmulatedKey) string {
	switch {
	case !k.PINSet:
		return "none"
	case k.PINRetries == 0:
		return "blocked"
	case k.PINAuthBlocked:
		return "blocked until replugged"
	case k.PINRetries == 1:
		return "1 attempt left"
	default:
		return strconv.Itoa(k.PINRetries) + " attempts left"
	}
}

func waitText(q *ipc.Question) string {
	if q == nil {
		return "nothing"
	}
	return questionText(*q)
}

// questionText says what a key waits for.
func questionText(q ipc.Question) string {
	text := "a touch"
	if q.Kind == ipc.QuestionFinger {
		text = "a finger"
	}
	text += " for " + q.Command
	if q.User != "" {
		text += " of " + strconv.Quote(q.User)
	}
	if q.RPID != "" {
		text += " at " + strconv.Quote(q.RPID)
	}
	return text
}

// answerFunc answers what a key waits for.
type answerFunc func(ctx context.Context, key string, wait bool) (ipc.Question, error)

// answering makes a command of an answer.
func (x *control) answering(name, short string, answer answerFunc) *cobra.Command {
	wait := false
	c := x.command(name+" [KEY]", short, func(ctx context.Context, args []string) error {
		q, err := answer(ctx, args[0], wait)
		if err != nil {
			return err
		}
		return x.done(ipc.QuestionReply{Question: q}, "answered %s", questionText(q))
	})
	c.Flags().BoolVar(&wait, "wait", false, "if the key waits for nothing, wait until it does")
	return c
}

func (x *control) touch() *cobra.Command {
	return x.answering("touch", "Touch a key that waits for it",
		func(ctx context.Context, key string, wait bool) (ipc.Question, error) {
			return x.keys.Touch(ctx, ipc.TouchRequest{Key: key, Wait: wait})
		})
}

func (x *control) deny() *cobra.Command {
	return x.answering("deny", "Decline what a key waits for",
		func(ctx context.Context, key string, wait bool) (ipc.Question, error) {
			return x.keys.Deny(ctx, ipc.TouchRequest{Key: key, Wait: wait})
		})
}

func (x *control) finger() *cobra.Command {
	sample := ""
	c := x.answering("finger", "Put a finger on the sensor of a key that waits for it",
		func(ctx context.Context, key string, wait bool) (ipc.Question, error) {
			wire := strings.ReplaceAll(strings.ToLower(sample), "-", "_")
			return x.keys.Present(ctx, ipc.PresentRequest{Key: key, Sample: wire, Wait: wait})
		})
	c.Flags().StringVar(&sample, "sample", "good", "`WHICH` finger: good, one that is enrolled, or a good sample of one "+
		"that is being enrolled; other, one that is not; or a bad sample: too-high, too-low, too-left, too-right, "+
		"too-fast, too-slow, poor-quality, too-skewed, too-short, merge-failure, exists, no-user-activity, "+
		"no-user-presence-transition")
	return c
}

func (x *control) policy() *cobra.Command {
	return x.command("policy POLICY [KEY]", "Say who touches a key: auto, deny, never, delay=2s, or ask",
		func(ctx context.Context, args []string) error {
			if err := x.keys.SetPolicy(ctx, ipc.PolicyRequest{Policy: args[0], Key: args[1]}); err != nil {
				return err
			}
			return x.done(nothing, "policy %s", args[0])
		})
}

func (x *control) remove() *cobra.Command {
	return x.command("remove [KEY]", "Take a key out", func(ctx context.Context, args []string) error {
		if err := x.keys.Remove(ctx, args[0]); err != nil {
			return err
		}
		return x.done(nothing, "removed")
	})
}

func (x *control) insert() *cobra.Command {
	return x.plugging("insert [KEY]", "Put a key in again", x.keys.Insert)
}

func (x *control) replug() *cobra.Command {
	return x.plugging("replug [KEY]", "Take a key out and put it in again", x.keys.Replug)
}

func (x *control) plugging(usage, short string,
	plug func(ctx context.Context, key string) (string, error)) *cobra.Command {

	return x.command(usage, short, func(ctx context.Context, args []string) error {
		path, err := plug(ctx, args[0])
		if err != nil {
			return err
		}
		return x.done(ipc.PathReply{Path: path}, "inserted at %s", path)
	})
}

func (x *control) nextError() *cobra.Command {
	command, times := "", 1
	c := x.command("next-error STATUS [KEY]", "Make the next requests to a key fail, such as by PIN_BLOCKED",
		func(ctx context.Context, args []string) error {
			r := ipc.NextErrorRequest{Status: args[0], Key: args[1], Command: command, Times: &times}
			if err := x.keys.SetNextError(ctx, r); err != nil {
				return err
			}
			return x.done(nothing, "set")
		})
	c.Flags().StringVar(&command, "command", "", "for this `COMMAND` alone, such as makeCredential or 0x01 (default any)")
	c.Flags().IntVar(&times, "times", 1, "for `N` requests; 0 for none any more")
	return c
}

func (x *control) retries() *cobra.Command {
	pin, uv, blocked := 0, 0, false
	var c *cobra.Command
	c = x.command("retries [KEY]", "Change the counters of attempts", func(ctx context.Context, args []string) error {
		r := ipc.RetriesRequest{Key: args[0]}
		if c.Flags().Changed("pin") {
			r.PIN = &pin
		}
		if c.Flags().Changed("uv") {
			r.UV = &uv
		}
		if c.Flags().Changed("auth-blocked") {
			r.AuthBlocked = &blocked
		}
		if r == (ipc.RetriesRequest{Key: args[0]}) {
			return program.Usage(errors.New("say what to change: --pin, --uv or --auth-blocked"))
		}
		if err := x.keys.SetRetries(ctx, r); err != nil {
			return err
		}
		return x.done(nothing, "set")
	})
	c.Flags().IntVar(&pin, "pin", 0, "leave `N` wrong PINs, 0 to 8, until the PIN is blocked for good")
	c.Flags().IntVar(&uv, "uv", 0, "leave `N` wrong fingers, 0 to 3, until the key wants its PIN")
	c.Flags().BoolVar(&blocked, "auth-blocked", false, "take no PIN until the key is replugged; =false to take it again")
	return c
}

func (x *control) clock() *cobra.Command {
	return x.command("clock DURATION [KEY]", "Put the clock of a key forward, such as by 30s or 11m",
		func(ctx context.Context, args []string) error {
			d, err := time.ParseDuration(args[0])
			if err != nil || d < 0 || d%time.Second != 0 {
				return program.Usage(fmt.Errorf("%.40q is no duration such as 30s", args[0]))
			}
			ahead, err := x.keys.AdvanceClock(ctx, ipc.ClockRequest{Seconds: int(d / time.Second), Key: args[1]})
			if err != nil {
				return err
			}
			return x.done(ipc.ClockReply{Ahead: ahead}, "the clock is %v ahead", time.Duration(ahead)*time.Second)
		})
}

func (x *control) credentials() *cobra.Command {
	return x.command("credentials [KEY]", "List the discoverable credentials of a key, oldest first",
		func(ctx context.Context, args []string) error {
			list, err := x.keys.Credentials(ctx, args[0])
			if err != nil {
				return err
			}
			if x.json {
				return x.printJSON(ipc.CredentialsReply{Credentials: append([]ipc.EmulatedCredential{}, list...)})
			}
			w := tabwriter.NewWriter(x.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "RP ID\tUSER\tALG\tPROTECTION\tCREDENTIAL")
			for _, c := range list {
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", shown(c.RPID), shown(c.UserName), c.Alg, c.CredProtect, c.ID)
			}
			return w.Flush()
		})
}

func (x *control) watch() *cobra.Command {
	return x.command("watch [KEY]", "Print what happens, until interrupted or the keys' program ends",
		func(ctx context.Context, args []string) error {
			err := x.keys.Watch(ctx, args[0], x.printEvent)
			if ctx.Err() != nil || errors.As(err, new(ipc.Ended)) {
				return nil
			}
			return err
		})
}

func (x *control) printEvent(e ipc.KeyEvent) error {
	if x.json {
		return x.printJSON(ipc.WatchReply{Event: e})
	}
	text := string(e.Kind)
	switch e.Kind {
	case ipc.KeyWatching:
		_, err := fmt.Fprintln(x.stderr, "watching")
		return err
	case ipc.KeyWaiting:
		text = "waits for " + waitText(e.Question)
	case ipc.KeyAnswered:
		text = waitText(e.Question) + ": " + e.Outcome
	case ipc.KeyCommand:
		text = "answered " + e.Command
		if e.Status != nil && e.StatusName == "" {
			text += fmt.Sprintf(": 0x%04x", *e.Status)
		} else {
			text += ": " + e.StatusName
		}
	case ipc.KeyWasRemoved, ipc.KeyWasInserted:
		text += " at " + e.Path
	case ipc.KeyWasLost:
		text += ": " + e.Problem
	}
	if e.Missed > 0 {
		text += fmt.Sprintf(" (%d events before it were missed)", e.Missed)
	}
	_, err := fmt.Fprintf(x.stdout, "%s  %s  %s\n", e.Time, e.Key, shown(text))
	return err
}

// controlFailed is a failure of control, in its own words where nobody serves the socket.
type controlFailed struct {
	err    error
	socket string
}

func (e *controlFailed) Error() string {
	var not *ipc.NotRunning
	switch {
	case errors.As(e.err, &not):
		return strings.Replace(not.Error(), "fobd", "a program with emulated keys", 1)
	case errors.As(e.err, new(*ipc.Lost)):
		return "the program with the emulated keys went away, or hangs, and has not answered"
	case errors.As(e.err, new(ipc.InterfaceNotFound)):
		return "the fobd at " + e.socket + " has no emulated key"
	case errors.Is(e.err, context.Canceled):
		return "interrupted"
	default:
		return e.err.Error()
	}
}

func (e *controlFailed) Unwrap() error { return e.err }

// Hint says what to do about it.
func (e *controlFailed) Hint() string {
	var named interface{ Hint() string }
	switch {
	case errors.As(e.err, new(*ipc.NotRunning)), errors.As(e.err, new(*ipc.Lost)):
		return "start one with 'fob emulate --control', or name its socket with --socket"
	case errors.As(e.err, new(ipc.InterfaceNotFound)):
		return "start it with 'fobd --emulator'"
	case errors.As(e.err, &named):
		return named.Hint()
	default:
		return ""
	}
}
