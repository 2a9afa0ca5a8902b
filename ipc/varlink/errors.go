package varlink

import "encoding/json"

// Named is an error that crosses the wire under its own name, such as "org.example.NotReady".
// The error value itself is marshalled as the parameters and must become a JSON object.
type Named interface {
	error
	VarlinkError() string
}

// Error is a named error as it was received, or one to be sent without a Go type of its own.
type Error struct {
	Name       string
	Parameters json.RawMessage // a JSON object, or nil for none
}

func (e *Error) Error() string        { return e.Name }
func (e *Error) VarlinkError() string { return e.Name }

// MarshalJSON gives the parameters alone, as [Named] asks.
func (e *Error) MarshalJSON() ([]byte, error) {
	if len(e.Parameters) == 0 {
		return []byte("{}"), nil
	}
	return e.Parameters, nil
}

// Is reports whether target has the same name, so that errors.Is(err, varlink.PermissionDenied{}) holds at the client.
// Parameters are not compared.
func (e *Error) Is(target error) bool {
	named, ok := target.(Named)
	return ok && named.VarlinkError() == e.Name
}

// As fills a target whose type is [Named] and has the same name, so that errors.As gives the parameters their Go type.
func (e *Error) As(target any) bool {
	named, ok := target.(Named)
	return ok && named.VarlinkError() == e.Name && bind(e.Parameters, target) == nil
}

// The errors of org.varlink.service (https://varlink.org/Service).
type (
	// InterfaceNotFound says that the service has no such interface.
	InterfaceNotFound struct {
		Interface string `json:"interface"`
	}
	// MethodNotFound says that the interface has no such method; Method is the full name that was called.
	MethodNotFound struct {
		Method string `json:"method"`
	}
	// MethodNotImplemented says that the interface defines the method and this service does not have it.
	MethodNotImplemented struct {
		Method string `json:"method"`
	}
	// InvalidParameter names the parameter, or the field of the call itself, that can't be accepted.
	InvalidParameter struct {
		Parameter string `json:"parameter"`
	}
	// PermissionDenied says that this peer is not served, or not now.
	PermissionDenied struct{}
	// ExpectedMore says that the method must be called with "more".
	ExpectedMore struct{}
)

func (InterfaceNotFound) VarlinkError() string    { return serviceName + ".InterfaceNotFound" }
func (MethodNotFound) VarlinkError() string       { return serviceName + ".MethodNotFound" }
func (MethodNotImplemented) VarlinkError() string { return serviceName + ".MethodNotImplemented" }
func (InvalidParameter) VarlinkError() string     { return serviceName + ".InvalidParameter" }
func (PermissionDenied) VarlinkError() string     { return serviceName + ".PermissionDenied" }
func (ExpectedMore) VarlinkError() string         { return serviceName + ".ExpectedMore" }

func (e InterfaceNotFound) Error() string    { return "interface not found: " + e.Interface }
func (e MethodNotFound) Error() string       { return "method not found: " + e.Method }
func (e MethodNotImplemented) Error() string { return "method not implemented: " + e.Method }
func (e InvalidParameter) Error() string     { return "invalid parameter: " + e.Parameter }
func (PermissionDenied) Error() string       { return "permission denied" }
func (ExpectedMore) Error() string           { return `the method must be called with "more"` }
