package consent

import (
	"context"
	"errors"
	"html"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
)

// Desktop asks by notifications: org.freedesktop.Notifications on the session bus (Desktop Notifications Specification
// 1.2). The zero value is ready.
type Desktop struct {
	Log *slog.Logger // nil for none
}

const (
	notifications = "org.freedesktop.Notifications"
	notifyPath    = dbus.ObjectPath("/org/freedesktop/Notifications")
	callTime      = 5 * time.Second // with the time that the server takes to start
	closeTime     = time.Second
	appName       = "fob"

	allowAction = "allow"
	denyAction  = "deny"
)

// urgency levels of a notification (specification, Urgency Levels). A critical one stays until it is answered.
const (
	normal   byte = 1
	critical byte = 2
)

// Ask is an Asker.
func (d *Desktop) Ask(ctx context.Context, q *Question) (yes bool, err error) {
	n := &notification{summary: q.Summary(), body: q.Body(), urgency: critical,
		actions: []string{allowAction, "Allow", denyAction, "Deny"}}
	action, err := d.show(ctx, n)
	return action == allowAction, err
}

// Show shows something until ctx ends or the person dismisses it.
func (d *Desktop) Show(ctx context.Context, summary, body string) {
	_, err := d.show(ctx, &notification{summary: summary, body: body, urgency: normal, actions: []string{}})
	if err != nil && d.Log != nil {
		d.Log.Debug("notification", "error", err)
	}
}

// notification is what the desktop shows.
type notification struct {
	summary, body string
	urgency       byte
	actions       []string // names and labels in turns
}

// show shows a notification until it is answered, and gives the name of the action.
func (d *Desktop) show(ctx context.Context, n *notification) (action string, err error) {
	s, err := connect(ctx)
	if err == nil {
		defer s.conn.Close()
		err = s.ready(ctx, len(n.actions) > 0)
	}
	var id uint32
	if err == nil {
		id, err = s.notify(ctx, n)
	}
	if err != nil {
		if d.Log != nil && ctx.Err() == nil {
			d.Log.Debug("the desktop shows no notifications", "error", err)
		}
		return "", errors.Join(ErrUnable, err)
	}
	return s.answer(ctx, id, n.actions)
}

// server is a notification server, over a connection of our own.
type server struct {
	conn   *dbus.Conn
	in     *inbox
	owner  string // its connection, by its unique name
	markup bool   // it reads the body as markup
}

var errNoBus = errors.New("there is no session bus")

// address is that of the session bus. We start none, as the library would do.
func address() (string, error) {
	if a := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); a != "" && a != "autolaunch:" {
		return a, nil
	}
	path := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "bus")
	if _, err := os.Stat(path); err != nil || !filepath.IsAbs(path) {
		return "", errNoBus
	}
	return "unix:path=" + dbus.EscapeBusAddressValue(path), nil
}

// connect connects to the session bus. The connection outlives ctx, for the notification has to be closed then.
func connect(ctx context.Context) (*server, error) {
	at, err := address()
	if err != nil {
		return nil, err
	}
	connecting, end := context.WithCancel(context.WithoutCancel(ctx))
	timely, stop := context.WithTimeout(ctx, callTime)
	defer stop()
	release := context.AfterFunc(timely, end)
	in := newInbox()
	conn, err := dbus.Connect(at, dbus.WithContext(connecting), dbus.WithSignalHandler(in))
	if !release() && err == nil {
		conn.Close()
		err = timely.Err()
	}
	if err != nil {
		end()
		return nil, err
	}
	context.AfterFunc(conn.Context(), end)
	return &server{conn: conn, in: in}, nil
}

var errNoActions = errors.New("the notification server has no actions")

// ready finds the server, which the bus starts if it has to, and what it can do.
func (s *server) ready(ctx context.Context, actions bool) error {
	ctx, stop := context.WithTimeout(ctx, callTime)
	defer stop()
	err := s.conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(theBus), dbus.WithMatchInterface(theBus),
		dbus.WithMatchMember(ownerChanged), dbus.WithMatchArg(0, notifications))
	if err != nil {
		return err
	}
	var can []string
	server := s.conn.Object(notifications, notifyPath)
	if err := server.CallWithContext(ctx, notifications+".GetCapabilities", 0).Store(&can); err != nil {
		return err
	}
	if actions && !slices.Contains(can, "actions") {
		return errNoActions
	}
	s.markup = slices.Contains(can, "body-markup")
	if err := s.conn.BusObject().CallWithContext(ctx, theBus+".GetNameOwner", 0, notifications).Store(&s.owner); err != nil {
		return err
	}
	s.in.owner.Store(&s.owner)
	return s.conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(s.owner), dbus.WithMatchInterface(notifications))
}

// notify shows a notification. It goes to the one connection whose signals are listened to. The reply is waited for
// though ctx ends: only its number lets us close what is shown.
func (s *server) notify(ctx context.Context, n *notification) (id uint32, err error) {
	expires := int32(0) // never
	if end, ends := ctx.Deadline(); ends {
		expires = int32((time.Until(end) + closeTime).Milliseconds()) // later than we close it
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), callTime)
	defer stop()
	body := n.body
	if s.markup {
		body = html.EscapeString(body)
	}
	hints := map[string]dbus.Variant{"urgency": dbus.MakeVariant(n.urgency)}
	err = s.conn.Object(s.owner, notifyPath).CallWithContext(ctx, notifications+".Notify", 0,
		appName, uint32(0), "", n.summary, body, n.actions, hints, expires).Store(&id)
	return id, err
}

// answer waits until a notification is answered, and closes it when ctx ends.
func (s *server) answer(ctx context.Context, id uint32, actions []string) (string, error) {
	for {
		select {
		case signal := <-s.in.signals:
			action, over := s.heed(signal, id)
			if over && action == "" {
				return "", ErrDismissed
			}
			if i := slices.Index(actions, action); over && i >= 0 && i%2 == 0 {
				s.close(id)
				return action, nil
			}
		case <-s.conn.Context().Done():
			return "", ErrDismissed
		case <-ctx.Done():
			s.close(id)
			return "", context.Cause(ctx)
		}
	}
}

// heed tells whether a signal is about a notification of ours, and which action was chosen; none when it was closed.
func (s *server) heed(signal *dbus.Signal, id uint32) (action string, over bool) {
	var which, reason uint32
	switch strings.TrimPrefix(signal.Name, notifications+".") {
	case "ActionInvoked":
		err := dbus.Store(signal.Body, &which, &action)
		return action, err == nil && which == id && action != ""
	case "NotificationClosed":
		return "", dbus.Store(signal.Body, &which, &reason) == nil && which == id
	}
	var name, before, now string
	return "", signal.Name == theBus+"."+ownerChanged && dbus.Store(signal.Body, &name, &before, &now) == nil &&
		name == notifications && now != s.owner
}

func (s *server) close(id uint32) {
	ctx, stop := context.WithTimeout(context.Background(), closeTime)
	defer stop()
	_ = s.conn.Object(s.owner, notifyPath).CallWithContext(ctx, notifications+".CloseNotification", 0, id).Err
}
