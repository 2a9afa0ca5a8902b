package daemon

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"

	"fob/daemon/caller"
	"fob/daemon/consent"
	"fob/daemon/policy"
	"fob/fido"
	"fob/ipc"
)

// admit leaves those keys that the policy, and the person where it wants them to be asked, let a ceremony use; its error
// is that of the last one when there is none. Later, when other keys were plugged in, each of them needs a word of its
// own; the person is not asked while the ceremony may have another key, which it would keep from others meanwhile.
func (d *Daemon) admit(ctx context.Context, c *ceremony, devices []fido.DeviceInfo) ([]fido.DeviceInfo, error) {
	first := c.verdicts == nil
	if first {
		c.verdicts, c.policy = make(map[fido.DeviceID]error), d.Policy.Policy()
	}
	if c.verb == "" {
		return devices, d.present(ctx, c.goesOn())
	}
	fresh := slices.DeleteFunc(slices.Clone(devices), c.judged)
	asked, decisions := d.decide(c, fresh)
	for _, dev := range fresh {
		if rule := decisions[dev.ID].Rule; rule != nil { // of several keys, the last one's
			entryOf(ctx).decide(string(decisions[dev.ID].Action), rule.String())
		}
	}
	if first {
		c.whenLocked.Store(len(fresh) > 0 && !slices.ContainsFunc(fresh, func(dev fido.DeviceInfo) bool {
			return !decisions[dev.ID].WhenLocked && c.verdicts[dev.ID] == nil
		}))
		if err := d.present(ctx, c.goesOn()); err != nil {
			return nil, err
		}
	}
	if first || len(c.usable(devices)) == 0 {
		if err := d.consent(ctx, c, asked, decisions); err != nil {
			return nil, err
		}
	}
	return c.admitted(ctx, devices, fresh)
}

// decide asks the policy about keys, and gives those about which the person is to be asked.
func (d *Daemon) decide(c *ceremony, devices []fido.DeviceInfo) (asked []fido.DeviceInfo, all map[fido.DeviceID]policy.Decision) {
	all = make(map[fido.DeviceID]policy.Decision)
	for _, dev := range devices {
		decision := c.policy.Decide(c.request(dev))
		all[dev.ID] = decision
		switch {
		case decision.Action == policy.Deny:
			c.verdicts[dev.ID] = c.refused(ipc.ByPolicy, decision)
		case decision.Action == policy.Allow || d.remembered(c, dev, decision):
			c.verdicts[dev.ID] = nil
		default:
			asked = append(asked, dev)
		}
	}
	return asked, all
}

func (c *ceremony) judged(dev fido.DeviceInfo) bool {
	_, judged := c.verdicts[dev.ID]
	return judged
}

func (c *ceremony) usable(devices []fido.DeviceInfo) []fido.DeviceInfo {
	return slices.DeleteFunc(slices.Clone(devices), func(dev fido.DeviceInfo) bool {
		return !c.judged(dev) || c.verdicts[dev.ID] != nil
	})
}

// admitted gives the keys that may serve, and says which of the fresh ones may not; its error is the last one's.
func (c *ceremony) admitted(ctx context.Context, devices, fresh []fido.DeviceInfo) ([]fido.DeviceInfo, error) {
	usable := c.usable(devices)
	if len(usable) == 0 && len(devices) > 0 {
		return nil, c.verdicts[devices[len(devices)-1].ID]
	}
	for _, dev := range fresh {
		if err := c.verdicts[dev.ID]; err != nil {
			if err := c.Passed(ctx, dev, err); err != nil {
				return nil, err
			}
		}
	}
	return usable, nil
}

// remembered reports whether the person has said yes to the same before.
func (d *Daemon) remembered(c *ceremony, dev fido.DeviceInfo, decision policy.Decision) bool {
	if decision.Action != policy.AskOnce || !d.consents.Has(c.question(nil, false), dev.ID) {
		return false
	}
	c.agreed = true
	return true
}

// consent asks the person about keys. A no ends the ceremony; where nobody can be asked, each decision says what then.
func (d *Daemon) consent(
	ctx context.Context, c *ceremony, keys []fido.DeviceInfo, decisions map[fido.DeviceID]policy.Decision,
) error {

	if len(keys) == 0 {
		return nil
	}
	done, err := d.questions.Wait(ctx, c.caller)
	if err != nil {
		return err
	}
	defer done()
	keys = slices.DeleteFunc(keys, func(k fido.DeviceInfo) bool { // a question before may have been the same
		yes := d.remembered(c, k, decisions[k.ID])
		if yes {
			c.verdicts[k.ID] = nil
		}
		return yes
	})
	if len(keys) == 0 {
		return nil
	}
	once := func(k fido.DeviceInfo) bool { return decisions[k.ID].Action == policy.AskOnce }
	q := c.question(keys, slices.ContainsFunc(keys, once) && c.caller.Executable != "")
	yes, err := consent.Ask(ctx, q, d.ways(&c.errand)...)
	switch {
	case errors.Is(err, consent.ErrUnable):
		c.unasked = true
		for _, k := range keys {
			c.verdicts[k.ID] = nil
			if decisions[k.ID].Headless != policy.Allow {
				c.verdicts[k.ID] = c.refused(ipc.ByNobody, decisions[k.ID])
			}
		}
		return nil
	case err != nil:
		return err
	case !yes:
		return c.refused(ipc.ByPerson, decisions[keys[0].ID])
	}
	c.agreed = true
	for _, k := range keys {
		c.verdicts[k.ID] = nil
		if once(k) && ctx.Err() == nil { // else the session may be locked by now
			d.consents.Add(q, k.ID)
		}
	}
	return nil
}

// readmit admits the card that is in the reader now in place of one that was admitted. The person has agreed to a card
// there, if they were asked.
func (c *ceremony) readmit(dev fido.DeviceInfo) error {
	if c.policy == nil {
		return nil
	}
	decision := c.policy.Decide(c.request(dev))
	if decision.Action == policy.Allow || decision.Action != policy.Deny && c.agreed {
		return nil
	}
	return c.refused(ipc.ByPolicy, decision)
}

// errand is what a program wants to do: what the policy decides about, and the person where it wants them to be asked.
type errand struct {
	caller caller.Caller
	verb   policy.Verb // empty for what needs nobody's consent
	method string
	rpID   string // empty where there is none
	store  bool   // it is about the sealed store, and no key
	token  string // the name of the token of one-time passwords that it is about; empty for none
	policy *policy.Policy
	id     string // for prompters
	// terminal puts a question before who has called; nil where that takes none.
	terminal func(q *consent.Question, token string) error
}

func (e *errand) request(dev fido.DeviceInfo) *policy.Request {
	return &policy.Request{Verb: e.verb, RPID: e.rpID, Caller: e.caller, Key: dev, Store: e.store, Token: e.token}
}

func (e *errand) question(keys []fido.DeviceInfo, remembered bool) *consent.Question {
	return &consent.Question{
		Caller: e.caller, Verb: e.verb, Method: e.method, RPID: e.rpID, Token: e.token, Keys: keys,
		Remembered: remembered}
}

// refused says who refuses, and by which rule.
func (e *errand) refused(by ipc.By, decision policy.Decision) error {
	r := ipc.Refused{By: by, Verb: string(e.verb), Caller: *wireCaller(e.caller), Policy: e.policy.Path}
	if decision.Rule != nil {
		r.Rule = decision.Rule.String()
	}
	return r
}

// about fills in what all events have.
func (e *errand) about(event ipc.Event, dev fido.DeviceInfo) ipc.Event {
	event.Device, event.Product, event.Reader = cmp.Or(string(dev.ID), e.token), dev.Product, dev.Reader
	event.RPID = cmp.Or(event.RPID, e.rpID)
	event.Caller, event.Verb, event.Method = wireCaller(e.caller), string(e.verb), e.method
	return event
}

func wireCaller(c caller.Caller) *ipc.Caller {
	return &ipc.Caller{
		PID: int(c.PID), Executable: c.Executable, Unit: c.Unit, Terminal: c.Terminal, Name: c.Name}
}

// permit has the person agree to what is about no key, where the decision wants that.
func (d *Daemon) permit(ctx context.Context, e *errand, decision policy.Decision) error {
	switch decision.Action {
	case policy.Allow:
		return nil
	case policy.Deny:
		return e.refused(ipc.ByPolicy, decision)
	}
	done, err := d.questions.Wait(ctx, e.caller)
	if err != nil {
		return err
	}
	defer done()
	once := decision.Action == policy.AskOnce && e.caller.Executable != ""
	q := e.question(nil, once)
	if once && d.consents.Has(q, "") {
		return nil
	}
	yes, err := consent.Ask(ctx, q, d.ways(e)...)
	switch {
	case errors.Is(err, consent.ErrUnable) && decision.Headless == policy.Allow:
		return nil
	case errors.Is(err, consent.ErrUnable):
		return e.refused(ipc.ByNobody, decision)
	case err != nil:
		return err
	case !yes:
		return e.refused(ipc.ByPerson, decision)
	}
	if once && ctx.Err() == nil { // else the session may be locked by now
		d.consents.Add(q, "")
	}
	return nil
}

// ways are how the person can be asked about an errand, as the policy has it.
func (d *Daemon) ways(e *errand) (ways []consent.Asker) {
	for _, way := range e.policy.AskBy {
		switch {
		case way == policy.Prompter:
			ways = append(ways, func(ctx context.Context, q *consent.Question) (bool, error) {
				return d.askPrompters(ctx, e, q)
			})
		case way == policy.Desktop && d.hasDesktop(e.caller):
			ways = append(ways, d.Desktop.Ask)
		case way == policy.Terminal && e.caller.Terminal != "" && e.terminal != nil:
			ways = append(ways, func(ctx context.Context, q *consent.Question) (bool, error) {
				return d.agrees(ctx, e, func(token string) error { return e.terminal(q, token) })
			})
		}
	}
	return ways
}

// hasDesktop reports whether the desktop is that of who has called: ours is for our own user.
func (d *Daemon) hasDesktop(c caller.Caller) bool {
	return d.Desktop != nil && answersFor(uint32(os.Getuid()), c.UID)
}

func consentEvent(q *consent.Question, token string) ipc.Event {
	return ipc.Event{Kind: ipc.EventConsent, Token: token, Remembered: q.Remembered}
}

// asOne names several keys as if they were one, without an ID.
func asOne(keys []fido.DeviceInfo) fido.DeviceInfo {
	if len(keys) == 1 {
		return keys[0]
	}
	return fido.DeviceInfo{Product: consent.Names(keys)}
}

// agrees sends a question, by way of send, and waits for yes or no.
func (d *Daemon) agrees(ctx context.Context, e *errand, send func(token string) error) (bool, error) {
	_, err := d.prompts.ask(ctx, &prompt{uid: e.caller.UID, kind: ipc.EventConsent, choices: 1}, send)
	if errors.Is(err, fido.ErrDeclined) {
		return false, nil
	}
	return err == nil, err
}

// askPrompters is a consent.Asker. Prompters that all go away have dismissed the question.
func (d *Daemon) askPrompters(ctx context.Context, e *errand, q *consent.Question) (bool, error) {
	ctx, done, err := d.prompters.ask(ctx, e.caller.UID)
	if err != nil {
		return false, err
	}
	defer done()
	defer d.prompters.tell(e.caller.UID, ipc.PromptReply{Ceremony: e.id, Over: true})
	return d.agrees(ctx, e, func(token string) error {
		event := e.about(consentEvent(q, token), asOne(q.Keys))
		d.prompters.tell(e.caller.UID, ipc.PromptReply{Ceremony: e.id, Event: &event})
		return nil
	})
}

// notify has the desktop show that a key waits for a touch, for a program whose person may not see that, until ctx ends.
func (d *Daemon) notify(ctx context.Context, c *ceremony, dev fido.DeviceInfo) {
	if !d.hasDesktop(c.caller) || c.policy == nil || c.caller.Terminal != "" ||
		!slices.Contains(c.policy.Notify, policy.Touch) {
		return
	}
	q := c.question([]fido.DeviceInfo{dev}, false)
	d.ending.Go(func() { d.Desktop.Show(ctx, "Touch your security key", q.Body()) })
}
