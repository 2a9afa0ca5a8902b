package workbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"fob/fido/ctap"
	"fob/fido/emulator"
	"fob/fido/softkey"
	"fob/ipc"
	"fob/ipc/varlink"
)

func (w *Workbench) touch(ctx context.Context, c *varlink.Call) (any, error) {
	return w.answer(ctx, c, nil)
}

func (w *Workbench) deny(ctx context.Context, c *varlink.Call) (any, error) {
	return w.answer(ctx, c, emulator.ErrDenied)
}

func (w *Workbench) answer(ctx context.Context, c *varlink.Call, answer error) (any, error) {
	var in ipc.TouchRequest
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	k, err := w.alive(in.Key)
	if err != nil {
		return nil, err
	}
	return k.answer(ctx, answer, in.Wait)
}

func (w *Workbench) present(ctx context.Context, c *varlink.Call) (any, error) {
	var in ipc.PresentRequest
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	k, err := w.alive(in.Key)
	switch {
	case err != nil:
		return nil, err
	case k.MaxFingerprints == 0:
		return nil, ipc.NotSupported{Key: k.ID, What: "fingerprint sensor"}
	}
	var answer error
	switch in.Sample {
	case "good":
	case "other":
		answer = emulator.ErrNoMatch
	default:
		status, err := ctap.ParseSampleStatus(in.Sample)
		if err != nil {
			return nil, ipc.ParameterInvalid{Parameter: "sample", Problem: err.Error()}
		}
		answer = emulator.BadSample(status)
	}
	return k.answer(ctx, answer, in.Wait)
}

// answer answers what the key waits for. With wait it waits until the key does.
func (k *Key) answer(ctx context.Context, answer error, wait bool) (any, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(k.gone, cancel)()
	for {
		if ctx.Err() != nil {
			return nil, ipc.Ended{} // or the caller hung up, and hears nothing
		}
		q, err := k.person.Answer(answer)
		switch {
		case err == nil:
			return ipc.QuestionReply{Question: *shown(q)}, nil
		case !errors.Is(err, emulator.ErrNotAsked):
			return nil, ipc.WrongSample{Key: k.ID, Problem: err.Error()}
		case !wait:
			return nil, ipc.NotWaiting{Key: k.ID}
		}
		k.person.Await(ctx)
	}
}

func (w *Workbench) setPolicy(_ context.Context, c *varlink.Call) (any, error) {
	var in ipc.PolicyRequest
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	k, err := w.alive(in.Key)
	if err != nil {
		return nil, err
	}
	policy, err := emulator.ParsePolicy(in.Policy, k.ask)
	if err != nil {
		return nil, ipc.ParameterInvalid{Parameter: "policy", Problem: err.Error()}
	}
	k.person.SetPolicy(policy)
	return nil, nil
}

func (w *Workbench) remove(_ context.Context, c *varlink.Call) (any, error) {
	k, err := w.which(c, w.alive)
	if err != nil {
		return nil, err
	}
	k.plugging.Lock()
	defer k.plugging.Unlock()
	return nil, k.takeOut()
}

func (k *Key) takeOut() error {
	if err := k.Remove(); err != nil {
		return plugError(k, err)
	}
	return nil
}

func (w *Workbench) insert(ctx context.Context, c *varlink.Call) (any, error) {
	k, err := w.which(c, w.alive)
	if err != nil {
		return nil, err
	}
	k.plugging.Lock()
	defer k.plugging.Unlock()
	return k.putIn(ctx)
}

func (k *Key) putIn(ctx context.Context) (any, error) {
	ctx, stop := context.WithTimeout(ctx, plugTime)
	defer stop()
	if err := k.Insert(ctx); err != nil {
		return nil, plugError(k, err)
	}
	return ipc.PathReply{Path: k.Path()}, nil
}

func (w *Workbench) replug(ctx context.Context, c *varlink.Call) (any, error) {
	k, err := w.which(c, w.alive)
	if err != nil {
		return nil, err
	}
	k.plugging.Lock()
	defer k.plugging.Unlock()
	err = k.takeOut()
	if err != nil && !errors.As(err, new(ipc.KeyRemoved)) {
		return nil, err
	}
	return k.putIn(ctx)
}

func plugError(k *Key, err error) error {
	switch {
	case errors.Is(err, softkey.ErrRemoved):
		return ipc.KeyRemoved{Key: k.ID}
	case errors.Is(err, softkey.ErrInserted):
		return ipc.KeyInserted{Key: k.ID}
	case errors.Is(err, os.ErrClosed):
		return lostKey(k)
	default:
		return ipc.PlugFailed{Key: k.ID, Problem: err.Error()}
	}
}

func (w *Workbench) setNextError(_ context.Context, c *varlink.Call) (any, error) {
	var in ipc.NextErrorRequest
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	k, err := w.alive(in.Key)
	if err != nil {
		return nil, err
	}
	if !k.CTAP2() {
		return nil, ipc.NotSupported{Key: k.ID, What: "CTAP2"}
	}
	f, err := failure(&in)
	if err != nil {
		return nil, err
	}
	k.FailNext(f)
	return nil, nil
}

func failure(in *ipc.NextErrorRequest) (f emulator.Failure, err error) {
	f.Times = 1
	if f.Status, err = ctap.ParseStatusCode(in.Status); err != nil {
		return f, ipc.ParameterInvalid{Parameter: "status", Problem: err.Error()}
	}
	if f.Status == ctap.StatusOK {
		return f, ipc.ParameterInvalid{Parameter: "status", Problem: "success is no error"}
	}
	if in.Command != "" {
		if f.Command, err = ctap.ParseCommand(in.Command); err != nil {
			return f, ipc.ParameterInvalid{Parameter: "command", Problem: err.Error()}
		}
	}
	times, err := upTo("times", in.Times, maxTimes)
	if times != nil {
		f.Times = *times
	}
	return f, err
}

func (w *Workbench) setRetries(ctx context.Context, c *varlink.Call) (any, error) {
	var in ipc.RetriesRequest
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	k, err := w.alive(in.Key)
	if err != nil {
		return nil, err
	}
	r := emulator.Retries{AuthBlocked: in.AuthBlocked}
	if r.PIN, err = upTo("pin", in.PIN, maxPINRetries); err != nil {
		return nil, err
	}
	if r.UV, err = upTo("uv", in.UV, maxUVRetries); err != nil {
		return nil, err
	}
	err = k.SetRetries(ctx, r)
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, ctap.ErrInvalidCommand) && !k.PIN && in.UV == nil:
		return nil, ipc.NotSupported{Key: k.ID, What: "PIN"}
	case errors.Is(err, ctap.ErrInvalidCommand):
		return nil, ipc.NotSupported{Key: k.ID, What: "fingerprint sensor"}
	case ctx.Err() != nil:
		return nil, ipc.Ended{}
	default:
		return nil, ipc.KeyFailed{Key: k.ID, Problem: err.Error()}
	}
}

// upTo is the value of a parameter from 0 to most; nil where it is missing.
func upTo(name string, n *int, most int) (*uint, error) {
	if n == nil {
		return nil, nil
	}
	if *n < 0 || *n > most {
		return nil, ipc.ParameterInvalid{Parameter: name, Problem: fmt.Sprintf("it is from 0 to %d", most)}
	}
	u := uint(*n)
	return &u, nil
}

func (w *Workbench) advanceClock(_ context.Context, c *varlink.Call) (any, error) {
	var in ipc.ClockRequest
	if err := c.Bind(&in); err != nil {
		return nil, err
	}
	k, err := w.alive(in.Key)
	if err != nil {
		return nil, err
	}
	const most = int(emulator.MaxAhead / time.Second)
	if in.Seconds < 0 || in.Seconds > most {
		return nil, ipc.ParameterInvalid{Parameter: "seconds", Problem: emulator.ErrClock.Error()}
	}
	ahead, err := k.clock.Advance(time.Duration(in.Seconds) * time.Second)
	if err != nil {
		return nil, ipc.ParameterInvalid{Parameter: "seconds", Problem: err.Error()}
	}
	return ipc.ClockReply{Ahead: int(ahead / time.Second)}, nil
}
