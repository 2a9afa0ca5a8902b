package ipc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"testing"

	"fob/ipc/varlink"
)

// serve runs a server whose ceremonies are done by ceremony and whose prompts by answer; it gives a client.
func serve(t *testing.T, ceremony, answer varlink.Handler) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fob.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &varlink.Server{}
	for text, methods := range map[string]map[string]varlink.Handler{
		DeviceInterface:   {"List": func(context.Context, *varlink.Call) (any, error) { return ListReply{[]Device{{ID: "k"}}}, nil }, "Watch": watched},
		CeremonyInterface: {"Register": ceremony, "SignIn": ceremony},
		PromptInterface:   {"Answer": answer},
	} {
		for _, m := range parse(t, text).Methods { // those that manage keys are like ceremonies
			if methods[m.Name] == nil {
				methods[m.Name] = ceremony
			}
		}
		if err := s.Register(text, methods); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return &Client{Socket: path}
}

// person answers prompts and notes events.
type person struct {
	seen   []EventKind
	pin    func(ctx context.Context) (Secret, error)
	choice int
}

func (p *person) Waiting(e Event)                                     { p.seen = append(p.seen, e.Kind) }
func (p *person) Plug(e Event)                                        { p.seen = append(p.seen, e.Kind) }
func (p *person) Touch(e Event)                                       { p.seen = append(p.seen, e.Kind) }
func (p *person) Tap(e Event)                                         { p.seen = append(p.seen, e.Kind) }
func (p *person) Passed(e Event)                                      { p.seen = append(p.seen, e.Kind) }
func (p *person) Chosen(e Event)                                      { p.seen = append(p.seen, e.Kind) }
func (p *person) Sample(e Event)                                      { p.seen = append(p.seen, e.Kind) }
func (p *person) Replug(e Event)                                      { p.seen = append(p.seen, e.Kind) }
func (p *person) PIN(ctx context.Context, _ Event) (Secret, error)    { return p.pin(ctx) }
func (p *person) NewPIN(ctx context.Context, _ Event) (Secret, error) { return p.pin(ctx) }
func (p *person) Choose(context.Context, Event) (int, error)          { return p.choice, nil }

// asking makes a ceremony that asks with e and waits for the answer.
func asking(e Event, answers <-chan Answer) varlink.Handler {
	return func(ctx context.Context, c *varlink.Call) (any, error) {
		for _, e := range []Event{{Kind: EventWaiting, Position: 1}, e} {
			if err := c.Continue(CeremonyReply{Event: &e}); err != nil {
				return nil, err
			}
		}
		select {
		case a := <-answers:
			if a.Decline {
				return nil, PINInvalid{7}
			}
			if a.Choice != nil && *a.Choice != 1 || a.PIN != nil && string(a.PIN) != "12\"34" {
				return nil, Failed{Problem: "wrong answer"}
			}
			if err := c.Continue(CeremonyReply{Event: &Event{Kind: EventTouch}}); err != nil {
				return nil, err
			}
			return CeremonyReply{Response: json.RawMessage(`{"id":"x"}`)}, nil
		case <-ctx.Done():
			return nil, Cancelled{}
		}
	}
}

// watched tells of two keys, something newer, and the end.
func watched(_ context.Context, c *varlink.Call) (any, error) {
	for _, r := range []DeviceWatchReply{
		{Devices: []Device{{ID: "k"}}}, {Event: &DeviceEvent{Kind: DeviceAdded, Device: Device{ID: "l"}}}, {},
		{Event: &DeviceEvent{Kind: DeviceOpened, Device: Device{ID: "l"}, Programs: []Program{{PID: 1, Name: "init"}}}},
	} {
		if err := c.Continue(r); err != nil {
			return nil, err
		}
	}
	return nil, WatchEnded{Problem: "enough"}
}

func take(answers chan<- Answer) varlink.Handler {
	return func(_ context.Context, c *varlink.Call) (any, error) {
		var a Answer
		if err := c.Bind(&a); err != nil {
			return nil, err
		}
		if a.Token != "t" {
			return nil, UnknownToken{}
		}
		answers <- a
		return nil, nil
	}
}

func TestCeremony(t *testing.T) {
	wrongPIN := errors.New("the terminal is gone")
	for _, test := range []struct {
		name  string
		event Event
		pin   func(context.Context) (Secret, error)
		want  error
	}{
		{"pin", Event{Kind: EventPIN, Token: "t"}, func(context.Context) (Secret, error) { return Secret(`12"34`), nil }, nil},
		{"choose", Event{Kind: EventChoose, Token: "t"}, nil, nil},
		{"confirm, and a person who can't be asked", Event{Kind: EventConfirm, Token: "t"}, nil, PINInvalid{7}},
		{"decline", Event{Kind: EventPIN, Token: "t"}, func(context.Context) (Secret, error) { return nil, ErrDeclined }, PINInvalid{7}},
		{"prompter fails", Event{Kind: EventPIN, Token: "t"}, func(context.Context) (Secret, error) { return nil, wrongPIN }, wrongPIN},
	} {
		t.Run(test.name, func(t *testing.T) {
			answers := make(chan Answer, 1)
			c := serve(t, asking(test.event, answers), take(answers))
			p := &person{pin: test.pin, choice: 1}
			response, err := c.Register(t.Context(), CeremonyRequest{Options: json.RawMessage("{}"), Origin: "https://example.com"}, p)
			if !errors.Is(err, test.want) || (err == nil && string(response) != `{"id":"x"}`) {
				t.Errorf("%s, %v; want %v", response, err, test.want)
			}
			if len(p.seen) == 0 || p.seen[0] != EventWaiting {
				t.Errorf("seen %v", p.seen)
			}
		})
	}
}

// TestCeremonyEndsPrompt: a prompt that still waits for the person ends with its ceremony.
func TestCeremonyEndsPrompt(t *testing.T) {
	asked := make(chan struct{})
	c := serve(t, func(ctx context.Context, c *varlink.Call) (any, error) {
		if err := c.Continue(CeremonyReply{Event: &Event{Kind: EventPIN, Token: "t"}}); err != nil {
			return nil, err
		}
		<-asked
		return nil, TimedOut{}
	}, nil)
	p := &person{pin: func(ctx context.Context) (Secret, error) {
		close(asked)
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	_, err := c.SignIn(t.Context(), CeremonyRequest{Options: json.RawMessage("{}")}, p)
	if !errors.Is(err, TimedOut{}) {
		t.Error(err)
	}
}

func TestCancelHangsUp(t *testing.T) {
	hungUp := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	c := serve(t, func(ctx context.Context, c *varlink.Call) (any, error) {
		cancel()
		<-ctx.Done()
		close(hungUp)
		return nil, Cancelled{}
	}, nil)
	_, err := c.SignIn(ctx, CeremonyRequest{Options: json.RawMessage("{}")}, &person{})
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	<-hungUp
}

func TestErrorsKeepTheirType(t *testing.T) {
	for _, want := range known {
		c := serve(t, func(context.Context, *varlink.Call) (any, error) { return nil, want }, nil)
		_, err := c.SignIn(t.Context(), CeremonyRequest{Options: json.RawMessage("{}")}, &person{})
		var got Error
		if !errors.As(err, &got) || got.VarlinkError() != want.VarlinkError() || got.Error() != want.Error() {
			t.Errorf("%T became %T: %v", want, err, err)
		}
	}
}

// TestServiceErrorsKeepTheirType: nobody has to know the package below.
func TestServiceErrorsKeepTheirType(t *testing.T) {
	for _, want := range []varlink.Named{InterfaceNotFound{Interface: "a.b"},
		MethodNotFound{Method: "a.b.C"}, MethodNotImplemented{Method: "a.b.C"}, InvalidParameter{Parameter: "device"},
		PermissionDenied{}, ExpectedMore{}} {
		c := serve(t, func(context.Context, *varlink.Call) (any, error) { return nil, want }, nil)
		if _, err := c.SignIn(t.Context(), CeremonyRequest{Options: json.RawMessage("{}")}, &person{}); err != want {
			t.Errorf("%T became %T: %v", want, err, err)
		}
	}
}

// TestNewerFobd: members, kinds of events and replies that this client does not know are nothing to it.
func TestNewerFobd(t *testing.T) {
	c := serve(t, func(_ context.Context, c *varlink.Call) (any, error) {
		for _, reply := range []string{
			`{"newer":{"a":[1]}}`,
			`{"event":{"kind":"newer","device":"k","product":"p","newer":true},"newer":1}`,
			`{"event":{"kind":"touch","device":"k","product":"p","newer":{"kind":"pin"}}}`,
		} {
			if err := c.Continue(json.RawMessage(reply)); err != nil {
				return nil, err
			}
		}
		return json.RawMessage(`{"newer":{},"response":{"id":"x","newer":1}}`), nil
	}, nil)
	p := new(person)
	response, err := c.SignIn(t.Context(), CeremonyRequest{Options: json.RawMessage("{}")}, p)
	if err != nil || string(response) != `{"id":"x","newer":1}` || !slices.Equal(p.seen, []EventKind{EventTouch}) {
		t.Errorf("%s, %v, saw %q", response, err, p.seen)
	}
	c = serve(t, func(context.Context, *varlink.Call) (any, error) {
		return nil, &varlink.Error{Name: "fob.Ceremony.PINInvalid", Parameters: json.RawMessage(`{"retries":3,"newer":1}`)}
	}, nil)
	if _, err := c.SignIn(t.Context(), CeremonyRequest{Options: json.RawMessage("{}")}, p); err != (PINInvalid{3}) {
		t.Errorf("%T: %v", err, err)
	}
}

func TestNotRunning(t *testing.T) {
	c := &Client{Socket: filepath.Join(t.TempDir(), "none")}
	_, err := c.Devices(t.Context())
	var e *NotRunning
	if !errors.As(err, &e) || e.Hint() == "" {
		t.Errorf("%v", err)
	}
	if devices, err := serve(t, nil, nil).Devices(t.Context()); err != nil || len(devices) != 1 {
		t.Errorf("%v, %v", devices, err)
	}
}

func TestWatchDevices(t *testing.T) {
	c := serve(t, nil, nil)
	var saw []string
	now := func(list []Device) error {
		for _, d := range list {
			saw = append(saw, "now "+d.ID)
		}
		return nil
	}
	happened := func(e DeviceEvent) error {
		saw = append(saw, fmt.Sprint(e.Kind, " ", e.Device.ID, " ", e.Programs))
		return nil
	}
	err := c.WatchDevices(t.Context(), now, happened)
	if !errors.Is(err, WatchEnded{Problem: "enough"}) {
		t.Error(err)
	}
	if want := []string{"now k", "added l []", "opened l [{1 init}]"}; !slices.Equal(saw, want) {
		t.Errorf("%q, expected %q", saw, want)
	}
	stop := errors.New("stop")
	if err := c.WatchDevices(t.Context(), func([]Device) error { return stop }, happened); err != stop {
		t.Error(err)
	}
}
