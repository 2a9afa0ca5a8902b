package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"fob/daemon/tpm"
	"fob/fido"
	"fob/ipc"
	"fob/ipc/varlink"
)

// prompts holds the questions that wait for an answer, by their tokens. The zero value is ready.
type prompts struct {
	mu   sync.Mutex
	open map[string]*prompt
}

// prompt is a question to the person.
type prompt struct {
	uid       uint32 // of the user whose ceremony asks
	kind      ipc.EventKind
	choices   int             // of EventChoose, and EventConfirm: 1
	reserve   bool            // of EventPIN: only the last attempts are left
	minLength int             // of EventNewPIN, in Unicode code points
	secret    bool            // of fob.Store and fob.OTP: it asks for a secret, and not for the PIN of a key
	pin       bool            // with secret: for a new PIN of the TPM
	answer    chan ipc.Answer // has room for the one answer
}

// ask sends a question, by way of send, and waits for the answer. fido.ErrDeclined is a refusal. The caller wipes the
// secrets in the answer.
func (p *prompts) ask(ctx context.Context, q *prompt, send func(token string) error) (ipc.Answer, error) {
	token := rand.Text()
	q.answer = make(chan ipc.Answer, 1)
	p.mu.Lock()
	if p.open == nil {
		p.open = make(map[string]*prompt)
	}
	p.open[token] = q
	p.mu.Unlock()
	defer p.forget(token, q)

	if err := send(token); err != nil {
		return ipc.Answer{}, err
	}
	select {
	case a := <-q.answer:
		if a.Decline {
			return ipc.Answer{}, fido.ErrDeclined
		}
		return a, nil
	case <-ctx.Done():
		return ipc.Answer{}, context.Cause(ctx)
	}
}

// forget ends a question; an answer that came too late to be read is wiped.
func (p *prompts) forget(token string, q *prompt) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, token)
	select {
	case a := <-q.answer:
		a.Wipe()
	default:
	}
}

// put hands an answer of a user to the question that waits for it, once. A question that is not for them is none.
func (p *prompts) put(a ipc.Answer, uid uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	q, ok := p.open[a.Token]
	if !ok || !answersFor(uid, q.uid) {
		return ipc.UnknownToken{}
	}
	if err := q.accepts(a); err != nil {
		return err
	}
	delete(p.open, a.Token)
	q.answer <- a
	return nil
}

// accepts says what is wrong with an answer; the question stays open then.
func (q *prompt) accepts(a ipc.Answer) error {
	given := 0
	for _, yes := range []bool{a.PIN != nil, a.Secret != nil, a.Choice != nil, a.Decline} {
		if yes {
			given++
		}
	}
	problem := ""
	switch {
	case given != 1:
		problem = "give one of pin, secret, choice and decline"
	case a.Decline:
	case q.secret != (a.Secret != nil):
		problem = "a secret answers the prompts of fob.Store and fob.OTP, and no others"
	case q.pin && !tpm.Possible(fido.Secret(a.Secret)):
		problem = tpm.ErrPINUnfit.Error()
	case q.secret:
		problem = fits(a.Secret)
	case q.choices == 0 && a.PIN == nil:
		problem = "the prompt asks for a PIN"
	case q.choices > 0 && a.Choice == nil:
		problem = "the prompt asks for a choice"
	case a.Choice != nil && (*a.Choice < 0 || *a.Choice >= q.choices):
		problem = "there is no such account"
	case a.PIN != nil && q.reserve && !a.Spend:
		problem = "only the last attempts are left: give the PIN with spend, if the person says so"
	case a.PIN != nil && !possible(a.PIN): // which would only cost an attempt
		problem = "a PIN has 4 characters at least, 63 bytes of UTF-8 at most, and no NUL"
	case a.PIN != nil && utf8.RuneCount(a.PIN) < q.minLength:
		problem = fmt.Sprintf("a PIN of this key has %d characters at least", q.minLength)
	}
	if problem != "" {
		return ipc.WrongAnswer{Problem: problem}
	}
	return nil
}

// possible reports whether a PIN can be that of any key (CTAP 2.2 §6.5.1).
func possible(pin ipc.Secret) bool {
	return utf8.Valid(pin) && utf8.RuneCount(pin) >= fido.MinPINLength && len(pin) <= fido.MaxPINLength &&
		bytes.IndexByte(pin, 0) < 0
}

// answer implements fob.Prompt.Answer.
func (d *Daemon) answer(_ context.Context, c *varlink.Call) (any, error) {
	var a ipc.Answer
	if err := c.Bind(&a); err != nil {
		a.Wipe()
		return nil, err
	}
	normalize(&a)
	if err := d.prompts.put(a, c.Peer.UID); err != nil {
		a.Wipe()
		return nil, err
	}
	return nil, nil
}

// normalize brings a PIN into normalization form C (CTAP 2.2 §6.5.1).
func normalize(a *ipc.Answer) {
	if a.PIN == nil || norm.NFC.IsNormal(a.PIN) {
		return
	}
	typed := a.PIN
	a.PIN = norm.NFC.Bytes(typed)
	typed.Wipe()
}
