package transcript

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// Recorder writes a transcript of what happens to a key. Its methods may be called at the same time. It writes each
// event as it happens, in one call of Write, and stops for good at the first error, of the writer or because the
// transcript has become too large: the key works on, and Err and Close tell.
type Recorder struct {
	turn chan struct{} // holds a value while no request is being served

	mu    sync.Mutex // guards the fields below
	key   string
	times bool
	begun time.Time
	enc   encoder
	head  bool // is written
	err   error
	end   func() error // closes what Create has opened; nil after Close
}

// NewRecorder makes a Recorder that writes to w.
func NewRecorder(w io.Writer) *Recorder {
	r := &Recorder{
		turn:  make(chan struct{}, 1),
		begun: time.Now(),
		enc:   encoder{w: w},
		end:   func() error { return nil },
	}
	r.turn <- struct{}{}
	return r
}

// Create makes a Recorder that writes to a new file, which only its owner can read. The error is that of os.OpenFile,
// fs.ErrExist for a path where there is something.
func Create(path string) (*Recorder, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	r := NewRecorder(f)
	r.end = f.Close
	return r, nil
}

// SetKey names the model of the key, one printable word of at most MaxKey bytes. Call it before anything is recorded.
func (r *Recorder) SetKey(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.key = key
}

// SetTimes has a comment tell when each event was, in seconds since the Recorder was made. Without, which is the
// default, transcripts of equal sessions are equal.
func (r *Recorder) SetTimes(on bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = on
}

// Err is why the Recorder has stopped; nil while it writes.
func (r *Recorder) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Close ends the recording and gives the first error that there was, or os.ErrClosed the second time. A key that is
// still wrapped works on.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.end == nil {
		return os.ErrClosed
	}
	r.begin()
	err := r.err
	if e := r.end(); err == nil {
		err = e
	}
	r.end = nil
	return err
}

// begin writes the head of the transcript, once; mu is held.
func (r *Recorder) begin() {
	if !r.head {
		r.head = true
		r.stop(r.enc.begin(r.key))
	}
}

// stop keeps the first error; mu is held.
func (r *Recorder) stop(err error) {
	if r.err == nil && err != nil {
		r.err = fmt.Errorf("recording stopped: %w", err)
	}
}

// record writes an event.
func (r *Recorder) record(e Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.begin()
	if r.err != nil || r.end == nil {
		return
	}
	above := ""
	if r.times {
		above = fmt.Sprintf("%.6f s", time.Since(r.begun).Seconds())
	}
	r.stop(r.enc.write(e, above))
}

// Wrap gives what answers as h does and is recorded. Requests reach h one at a time; one that is cancelled before its
// turn is answered with ErrKeepaliveCancel and leaves no trace.
func (r *Recorder) Wrap(h ctap.Handler) ctap.Handler { return &recorded{r, h} }

// recorded is a key whose requests are recorded.
type recorded struct {
	recorder *Recorder
	key      ctap.Handler
}

// ServeCTAP implements ctap.Handler.
func (k *recorded) ServeCTAP(ctx context.Context, req ctap.Request,
	keepalive func(ctap.KeepaliveStatus)) ctap.Response {

	select {
	case <-k.recorder.turn:
		defer func() { k.recorder.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctap.Response{byte(ctap.ErrKeepaliveCancel)}
	}
	k.recorder.record(Request(req))
	response := k.key.ServeCTAP(ctx, req, func(s ctap.KeepaliveStatus) {
		k.recorder.record(Keepalive(s))
		keepalive(s)
	})
	if ctx.Err() != nil {
		k.recorder.record(Cancel{})
	}
	k.recorder.record(Response(response))
	return response
}

// PowerCycle implements ctap.PowerCycler.
func (k *recorded) PowerCycle() {
	<-k.recorder.turn
	defer func() { k.recorder.turn <- struct{}{} }()
	if p, ok := k.key.(ctap.PowerCycler); ok {
		p.PowerCycle()
	}
	k.recorder.record(PowerCycle{})
}

// Link gives what carries reports as c does, the key's end of a connection, and is recorded: reports from the host
// when the key reads them, reports to the host before they are written, so that questions come before answers.
func (r *Recorder) Link(c ctaphid.Conn) ctaphid.Conn { return &recordedConn{r, c} }

// recordedConn is a connection whose packets are recorded.
type recordedConn struct {
	recorder *Recorder
	conn     ctaphid.Conn
}

// ReadReport implements ctaphid.Conn.
func (c *recordedConn) ReadReport(ctx context.Context) (ctaphid.Report, error) {
	report, err := c.conn.ReadReport(ctx)
	if err == nil {
		c.recorder.record(Packet{ToKey: true, Report: report})
	}
	return report, err
}

// WriteReport implements ctaphid.Conn.
func (c *recordedConn) WriteReport(ctx context.Context, report ctaphid.Report) error {
	c.recorder.record(Packet{Report: report})
	return c.conn.WriteReport(ctx, report)
}
