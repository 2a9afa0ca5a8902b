package daemon

import (
	"context"
	"errors"
	"slices"

	"fob/daemon/caller"
	"fob/daemon/consent"
	"fob/daemon/policy"
	"fob/fido"
	"fob/ipc"
)

// admit leaves those keys that the policy, and the person where it wants them to be asked, let a ceremony use; its error
// is that of the last one when there is none. No other key may be used later: what was agreed to holds for these.
func (d *Daemon) admit(ctx context.Context, c *ceremony, devices []fido.DeviceInfo) ([]fido.DeviceInfo, error) {
	if c.verb == "" || d.Policy == nil {
		c.whenLocked = true
		return devices, nil
	}
	c.policy, c.whenLocked = d.Policy.Policy(), true
	var asked []fido.DeviceInfo
	refused := make(map[fido.DeviceID]error)
	decisions := make(map[fido.DeviceID]policy.Decision)
	for _, dev := range devices {
		decision := c.policy.Decide(c.request(dev))
		decisions[dev.ID] = decision
		switch {
		case decision.Action == policy.Deny:
			refused[dev.ID] = c.refused(ipc.ByPolicy, decision)
		case decision.Action != policy.Allow && !d.remembered(c, dev, decision):
			asked = append(asked, dev)
		}
	}
	if err := d.consent(ctx, c, asked, decisions, refused); err != nil {
		return nil, err
	}
	return c.admitted(ctx, devices, decisions, refused)
}

// admitted leaves out the keys that are refused, and says which.
func (c *ceremony) admitted(ctx context.Context, devices []fido.DeviceInfo, decisions map[fido.DeviceID]policy.Decision,
	refused map[fido.DeviceID]error) (admitted []fido.DeviceInfo, err error) {

	for _, dev := range devices {
		if refused[dev.ID] == nil {
			admitted = append(admitted, dev)
			c.whenLocked = c.whenLocked && decisions[dev.ID].WhenLocked
		}
	}
	if len(admitted) == 0 {
		return nil, refused[devices[len(devices)-1].ID]
	}
	for _, dev := range devices {
		if refused[dev.ID] != nil {
			if err := c.Passed(ctx, dev, refused[dev.ID]); err != nil {
				return nil, err
			}
		}
	}
	return admitted, nil
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
func (d *Daemon) consent(ctx context.Context, c *ceremony, keys []fido.DeviceInfo,
	decisions map[fido.DeviceID]policy.Decision, refused map[fido.DeviceID]error) error {

	if len(keys) == 0 {
		return nil
	}
	done, err := d.questions.Wait(ctx, c.caller)
	if err != nil {
		return err
	}
	defer done()
	keys = slices.DeleteFunc(keys, func(k fido.DeviceInfo) bool { // a question before may have been the same
		return d.remembered(c, k, decisions[k.ID])
	})
	if len(keys) == 0 {
		return nil
	}
	once := func(k fido.DeviceInfo) bool { return decisions[k.ID].Action == policy.AskOnce }
	q := c.question(keys, slices.ContainsFunc(keys, once) && c.caller.Executable != "")
	yes, err := consent.Ask(ctx, q, d.ways(c)...)
	switch {
	case errors.Is(err, consent.ErrUnable):
		for _, k := range keys {
			if decisions[k.ID].Headless != policy.Allow {
				refused[k.ID] = c.refused(ipc.ByNobody, decisions[k.ID])
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

func (c *ceremony) request(dev fido.DeviceInfo) *policy.Request {
	return &policy.Request{Verb: c.verb, RPID: c.rpID, Caller: c.caller, Key: dev}
}

func (c *ceremony) question(keys []fido.DeviceInfo, remembered bool) *consent.Question {
	return &consent.Question{
		Caller: c.caller, Verb: c.verb, Method: c.call.Method, RPID: c.rpID, Keys: keys, Remembered: remembered}
}

// refused says who refuses, and by which rule.
func (c *ceremony) refused(by ipc.By, decision policy.Decision) error {
	e := ipc.Refused{By: by, Verb: string(c.verb), Caller: *wireCaller(c.caller), Policy: c.policy.Path}
	if decision.Rule != nil {
		e.Rule = decision.Rule.String()
	}
	return e
}

func wireCaller(c caller.Caller) *ipc.Caller {
	return &ipc.Caller{
		PID: int(c.PID), Executable: c.Executable, Unit: c.Unit, Terminal: c.Terminal, Name: c.Name}
}

// ways are how the person can be asked about a ceremony, as the policy has it.
func (d *Daemon) ways(c *ceremony) (ways []consent.Asker) {
	for _, way := range c.policy.AskBy {
		switch {
		case way == policy.Prompter:
			ways = append(ways, func(ctx context.Context, q *consent.Question) (bool, error) {
				return d.askPrompters(ctx, c, q)
			})
		case way == policy.Desktop && d.Desktop != nil:
			ways = append(ways, d.Desktop.Ask)
		case way == policy.Terminal && c.caller.Terminal != "" && c.call.More:
			ways = append(ways, func(ctx context.Context, q *consent.Question) (bool, error) {
				return d.agrees(ctx, func(token string) error { return c.tell(consentEvent(q, token), asOne(q.Keys)) })
			})
		}
	}
	return ways
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
func (d *Daemon) agrees(ctx context.Context, send func(token string) error) (bool, error) {
	_, err := d.prompts.ask(ctx, &prompt{kind: ipc.EventConsent, choices: 1}, send)
	if errors.Is(err, fido.ErrDeclined) {
		return false, nil
	}
	return err == nil, err
}

// askPrompters is a consent.Asker. Prompters that all go away have dismissed the question.
func (d *Daemon) askPrompters(ctx context.Context, c *ceremony, q *consent.Question) (bool, error) {
	there := d.prompters.there()
	if there == nil {
		return false, consent.ErrUnable
	}
	ctx, gone := context.WithCancelCause(ctx)
	defer gone(nil)
	defer context.AfterFunc(there, func() { gone(consent.ErrDismissed) })()
	defer d.prompters.tell(ipc.PromptReply{Ceremony: c.id, Over: true})
	return d.agrees(ctx, func(token string) error {
		e := c.about(consentEvent(q, token), asOne(q.Keys))
		d.prompters.tell(ipc.PromptReply{Ceremony: c.id, Event: &e})
		return nil
	})
}

// notify has the desktop show that a key waits for a touch, for a program whose person may not see that, until ctx ends.
func (d *Daemon) notify(ctx context.Context, c *ceremony, dev fido.DeviceInfo) {
	if d.Desktop == nil || c.policy == nil || c.caller.Terminal != "" || !slices.Contains(c.policy.Notify, policy.Touch) {
		return
	}
	q := c.question([]fido.DeviceInfo{dev}, false)
	d.ending.Go(func() { d.Desktop.Show(ctx, "Touch your security key", q.Body()) })
}
