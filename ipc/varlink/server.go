package varlink

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Handler answers one call. The reply is marshalled and must become a JSON object; nil becomes {}, and a json.RawMessage is
// zeroed when it was sent. An error that is
// [Named], or wraps one, is sent under its name. The context ends when the caller hangs up or the server stops.
type Handler func(ctx context.Context, c *Call) (reply any, err error)

// Server is a Varlink service. Set its fields and register its interfaces, then call Serve.
//
// A server holds at most MaxConnections × (MaxPipelined + 2) × MaxMessage bytes of messages, or one reply of MaxReply
// bytes in place of one of them. An idle connection costs two goroutines and some 10 KiB; it may stay idle for ever.
//
// A client that calls too often is not dropped but read from more slowly: a program that does much in a loop is no
// enemy, and one that is finds its own socket full. MaxPerProcess keeps a program that leaks connections from the share
// of others; it does not stop one that forks, which MaxPerUser and MaxConnections do.
type Server struct {
	Vendor, Product, Version, URL string // for org.varlink.service.GetInfo

	// Authorize is asked about each peer before anything is read from it; an error refuses the peer, which learns only
	// that its permission was denied. Nil admits whoever may connect to the socket.
	Authorize func(Peer) error
	// Internal maps an error that is not Named to one that is. Without it the caller learns only that there was one:
	// "InternalError", in the interface that was called.
	Internal func(error) error

	MaxMessage     int           // bytes of one message in either direction; default 1 MiB
	MaxReply       int           // bytes of one reply; default MaxMessage
	MaxConnections int           // further ones are refused; default 256
	MaxPerUser     int           // connections of one user; default MaxConnections
	MaxPerProcess  int           // of one process, where all outside our PID namespace are one; default MaxConnections
	CallsPerSecond int           // of one connection in the long run, and as many at once; default 200
	MaxPipelined   int           // calls of one connection that wait behind the running one; default 16
	FrameTimeout   time.Duration // from the first byte of a call to its last; default 10 s
	WriteTimeout   time.Duration // for the caller to take one reply; default 10 s

	// TooMany is what a peer beyond the limits of connections is told; nil means PermissionDenied.
	TooMany Named
	// Refused is called, if it is not nil, for each peer that is refused, with what that is told.
	Refused func(why Named)

	Log *slog.Logger // nil discards; never sees parameters

	guests     guests
	once       sync.Once
	interfaces map[string]*registered
	names      []string // in the order of registration
}

type registered struct {
	description string
	methods     map[string]Handler
}

// Register adds the interface that description defines, in the Varlink definition language. The keys of methods are
// the names without the interface and must be those of the description; a nil handler answers MethodNotImplemented.
// Register everything before Serve.
func (s *Server) Register(description string, methods map[string]Handler) error {
	s.once.Do(s.registerService)
	return s.register(description, methods)
}

func (s *Server) register(description string, methods map[string]Handler) error {
	idl, err := ParseInterface(description)
	if err != nil {
		return err
	}
	if s.interfaces[idl.Name] != nil {
		return fmt.Errorf("varlink: interface %s is registered already", idl.Name)
	}
	described := make(map[string]bool)
	for _, m := range idl.Methods {
		described[m.Name] = true
		if _, ok := methods[m.Name]; !ok {
			return fmt.Errorf("varlink: method %s.%s has no handler", idl.Name, m.Name)
		}
	}
	for name := range methods {
		if !described[name] {
			return fmt.Errorf("varlink: method %s.%s is not in the description", idl.Name, name)
		}
	}
	s.interfaces[idl.Name] = &registered{description, methods}
	s.names = append(s.names, idl.Name)
	return nil
}

// Serve answers the connections of l until ctx ends, and returns when the last of their goroutines is gone; a handler
// that ignores its context delays that. It closes l. The error is nil when ctx ended, else that of Accept.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	s.once.Do(s.registerService)
	ctx, cancel := context.WithCancel(ctx)
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	defer l.Close()
	context.AfterFunc(ctx, func() { l.Close() }) // at the latest when we return
	slots := make(chan struct{}, s.maxConnections())
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				nc.Close()
			}
			return nil
		case outOfFiles(err):
			s.log().Error("can't accept connections", "error", err)
			pause(ctx)
			continue
		case err != nil:
			return err
		}
		select {
		case slots <- struct{}{}:
			conns.Go(func() {
				defer func() { <-slots }()
				s.admit(ctx, nc)
			})
		default:
			s.log().Warn("connection refused: too many")
			s.refuse(nc, s.tooMany())
		}
	}
}

// admit serves the peer if it may be served.
func (s *Server) admit(ctx context.Context, nc net.Conn) {
	peer, err := peerOf(nc)
	if err == nil {
		defer peer.Process.Close() // nil takes it
	}
	if err == nil && s.Authorize != nil {
		err = s.Authorize(peer)
	}
	if err != nil {
		s.log().Warn("connection refused", "pid", peer.PID, "uid", peer.UID, "error", err)
		s.refuse(nc, PermissionDenied{})
		return
	}
	if !s.guests.enter(peer, s.maxPerUser(), s.maxPerProcess()) {
		s.log().Warn("connection refused: too many of one process or user", "pid", peer.PID, "uid", peer.UID)
		s.refuse(nc, s.tooMany())
		return
	}
	defer s.guests.leave(peer)
	s.serve(ctx, nc, peer)
}

// refuse leaves an error for the first call of nc. The buffer of a new socket takes it without waiting.
func (s *Server) refuse(nc net.Conn, why Named) {
	if s.Refused != nil {
		s.Refused(why)
	}
	c := conn{server: s, nc: nc}
	_ = c.write(errorReply(why))
	nc.Close()
}

func (s *Server) tooMany() Named {
	if s.TooMany == nil {
		return PermissionDenied{}
	}
	return s.TooMany
}

func (s *Server) maxConnections() int { return cmp.Or(s.MaxConnections, DefaultMaxConnections) }
func (s *Server) maxPerUser() int     { return cmp.Or(s.MaxPerUser, s.maxConnections()) }
func (s *Server) maxPerProcess() int  { return cmp.Or(s.MaxPerProcess, s.maxConnections()) }

// handler finds who answers the call.
func (s *Server) handler(c *Call) (Handler, error) {
	dot := strings.LastIndexByte(c.Method, '.')
	if dot <= 0 {
		return nil, InvalidParameter{"method"}
	}
	iface, ok := s.interfaces[c.Method[:dot]]
	if !ok {
		return nil, InterfaceNotFound{c.Method[:dot]}
	}
	h, ok := iface.methods[c.Method[dot+1:]]
	switch {
	case !ok:
		return nil, MethodNotFound{c.Method}
	case h == nil:
		return nil, MethodNotImplemented{c.Method}
	case c.upgrade: // we have no protocol to change to
		return nil, InvalidParameter{"upgrade"}
	}
	return h, nil
}

// named gives the error under which err crosses the wire.
func (s *Server) named(err error, method string) Named {
	var named Named
	if errors.As(err, &named) {
		return named
	}
	if s.Internal != nil && errors.As(s.Internal(err), &named) {
		return named
	}
	return &Error{Name: method[:strings.LastIndexByte(method, '.')] + ".InternalError"}
}

func (s *Server) log() *slog.Logger {
	return cmp.Or(s.Log, discard)
}

var discard = slog.New(slog.DiscardHandler)

func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.ENOBUFS)
}

// pause gives others time to close files.
func pause(ctx context.Context) {
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
	}
}
