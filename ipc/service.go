package ipc

import (
	"context"
	_ "embed"
	"fmt"
)

// ServiceInterface is the definition of fob.Service, for a server to register.
//
//go:embed fob.Service.varlink
var ServiceInterface string

// Full names of the methods of fob.Service.
const (
	MethodStatus  = "fob.Service.Status"
	MethodMetrics = "fob.Service.Metrics"
	MethodReload  = "fob.Service.Reload"
	MethodPing    = "fob.Service.Ping"
)

// PartState says how a part of fobd is.
type PartState string

// The states of fob.Service.Part.
const (
	PartOK       PartState = "ok"
	PartDegraded PartState = "degraded"
	PartOff      PartState = "off"
	PartBroken   PartState = "broken"
)

// Part is fob.Service.Part.
type Part struct {
	Name  string    `json:"name"`
	State PartState `json:"state"`
	Text  string    `json:"text"`
	Hint  string    `json:"hint,omitempty"`
}

// Started says who started a fobd.
type Started string

// The ways to start a fobd, as fob.Service.Status tells them.
const (
	StartedBySocket  Started = "socket"
	StartedAsService Started = "service"
	StartedByHand    Started = "hand"
)

// Status is what fob.Service.Status returns.
type Status struct {
	Version    string  `json:"version"`
	PID        int     `json:"pid"`
	Uptime     int     `json:"uptime"` // seconds
	Socket     string  `json:"socket"`
	Started    Started `json:"started"`
	Keys       *int    `json:"keys,omitempty"`
	Ceremonies int     `json:"ceremonies"`
	Waiting    int     `json:"waiting"`
	Clients    int     `json:"clients"`
	Parts      []Part  `json:"parts"`
}

// Calls is fob.Service.Calls.
type Calls struct {
	Method string `json:"method"`
	Result string `json:"result"`
	Count  int    `json:"count"`
}

// Latency is fob.Service.Latency; times are in microseconds.
type Latency struct {
	Method  string `json:"method"`
	Count   int    `json:"count"`
	P50     int    `json:"p50"`
	P90     int    `json:"p90"`
	P99     int    `json:"p99"`
	Longest int    `json:"longest"`
	Total   int    `json:"total"`
}

// Metrics is what fob.Service.Metrics returns.
type Metrics struct {
	Calls     []Calls        `json:"calls"`
	Latencies []Latency      `json:"latencies"`
	Counters  map[string]int `json:"counters"`
}

// ReloadReply is what fob.Service.Reload returns.
type ReloadReply struct {
	Reloaded []string `json:"reloaded"`
}

// ReloadFailed is an error of fob.Service; the interface definition says when it occurs.
type ReloadFailed struct {
	What    string `json:"what"`
	Problem string `json:"problem"`
}

// VarlinkError implements varlink.Named.
func (ReloadFailed) VarlinkError() string { return "fob.Service.ReloadFailed" }

func (e ReloadFailed) Error() string { return fmt.Sprintf("%s can't be read: %s", e.What, e.Problem) }

// Hint implements Error.
func (ReloadFailed) Hint() string { return "it stays as it was; repair it, and reload again" }

// TooManyConnections is an error of fob.Service; the interface definition says when it occurs.
type TooManyConnections struct{}

// VarlinkError implements varlink.Named.
func (TooManyConnections) VarlinkError() string { return "fob.Service.TooManyConnections" }

func (TooManyConnections) Error() string {
	return "fobd has too many connections already, of this program, of your user, or in all"
}

// Hint implements Error.
func (TooManyConnections) Hint() string {
	return "repeat when some programs have hung up; 'fob status' says how many clients there are"
}

// Status asks fobd how it goes.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	err = c.call(ctx, MethodStatus, nil, &s)
	return s, err
}

// Metrics asks fobd what it has done.
func (c *Client) Metrics(ctx context.Context) (m Metrics, err error) {
	err = c.call(ctx, MethodMetrics, nil, &m)
	return m, err
}

// Reload has fobd read its files again, and says which ones it has read. Its error may be a ReloadFailed.
func (c *Client) Reload(ctx context.Context) (reloaded []string, err error) {
	var reply ReloadReply
	err = c.call(ctx, MethodReload, nil, &reply)
	return reply.Reloaded, err
}

// Ping returns nil when fobd answers.
func (c *Client) Ping(ctx context.Context) error { return c.call(ctx, MethodPing, nil, nil) }
