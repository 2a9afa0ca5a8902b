// Package consent asks the person whether a program may do what it wants to do with a key, where the policy says so.
package consent

import (
	"context"
	"errors"
	"strings"
	"sync"
	"unicode"

	"fob/daemon/caller"
	"fob/daemon/policy"
	"fob/fido"
	"fob/ipc"
)

// Question is what the person is asked.
type Question struct {
	Caller     caller.Caller
	Verb       policy.Verb
	Method     string // such as fob.Device.DeleteCredential, which tells more than the verb
	RPID       string // empty where there is none
	Token      string // the name of a token of one-time passwords; empty where there is none
	Keys       []fido.DeviceInfo
	Remembered bool // a yes holds for the session
}

// Errors of an Asker.
var (
	// ErrUnable: nobody can be asked in this way.
	ErrUnable = errors.New("nobody can be asked")
	// ErrDismissed: the question was there, and went away without an answer.
	ErrDismissed = errors.New("the question was dismissed")
)

// Asker asks in one way, until ctx ends.
type Asker func(ctx context.Context, q *Question) (yes bool, err error)

type answer struct {
	yes bool
	err error
}

// Ask asks in all ways at once, and takes the first answer; the other questions go away before it returns. A question
// that was dismissed everywhere is a no. ErrUnable says that nobody could be asked at all.
func Ask(ctx context.Context, q *Question, ways ...Asker) (yes bool, err error) {
	asking, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	answers := make(chan answer, len(ways))
	for _, way := range ways {
		all.Go(func() {
			yes, err := way(asking, q)
			answers <- answer{yes, err}
		})
	}
	err = ErrUnable
	for range ways {
		a := <-answers // each comes at the latest when ctx ends
		if a.err == nil {
			return a.yes, nil
		}
		if !errors.Is(a.err, ErrUnable) {
			err = nil
		}
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return false, err
}

// Summary is the question in a few words.
func (q *Question) Summary() string {
	what := q.what()
	return strings.ToUpper(what[:1]) + what[1:] + "?"
}

// Body says who asks, for what, and with which key.
func (q *Question) Body() string {
	s := q.Caller.String() + " wants to " + q.what()
	if len(q.Keys) > 0 {
		s += ", with " + Names(q.Keys)
	}
	if q.Remembered {
		s += ". A yes holds for it until the session is locked"
	}
	return s + "."
}

// what is the operation in words.
func (q *Question) what() string {
	if words, ok := inWords[q.Method]; ok {
		return of(words, q.Token)
	}
	method := q.Method[strings.LastIndexByte(q.Method, '.')+1:]
	switch q.Verb {
	case policy.Register:
		return join("register a key at", q.RPID)
	case policy.SignIn:
		return join("sign in to", q.RPID)
	case policy.Code:
		return "show a one-time password"
	case policy.Reset:
		return "erase a key and all its credentials"
	case policy.Provision:
		return "be given the seed of one-time passwords"
	case policy.Account:
		return "change the tokens of one-time passwords"
	case policy.Manage:
		if method != "" {
			return "manage a key (" + method + ")"
		}
	}
	return "manage a key"
}

// inWords are methods of fob.Store and fob.OTP.
var inWords = map[string]string{
	ipc.MethodExport:     "make a backup of all secrets in the sealed store",
	ipc.MethodImport:     "replace all secrets in the sealed store by a backup",
	ipc.MethodSeal:       "change what opens the sealed store",
	ipc.MethodStoreReset: "begin anew with an empty sealed store",
	ipc.MethodOTPAdd:     "add a token of one-time passwords",
	ipc.MethodOTPCode:    "show a one-time password",
	ipc.MethodOTPRename:  "rename a token of one-time passwords",
	ipc.MethodOTPRemove:  "remove a token of one-time passwords, for good",
	ipc.MethodOTPExport:  "be given the seed of one-time passwords",

	ipc.MethodOTPProvision: "write a seed of one-time passwords to a security key",
	ipc.MethodOTPClone:     "write a seed of one-time passwords to a second security key",
}

func of(words, token string) string {
	if token == "" {
		return words
	}
	return words + ": " + token
}

func join(words, rpID string) string {
	if rpID == "" {
		rpID = "a website"
	}
	return words + " " + rpID
}

// maxName is how much of a key's name is shown, in Unicode code points.
const maxName = 64

// Names are those of keys, for people. A key chooses its own; what could do more than to be read is left out.
func Names(keys []fido.DeviceInfo) string {
	list := make([]string, len(keys))
	for i, k := range keys {
		name := []rune(strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, k.Product))
		if len(name) > maxName {
			name = append(name[:maxName], '…')
		}
		list[i] = strings.TrimSpace(string(name) + " " + string(k.ID))
	}
	return strings.Join(list, " or ")
}
