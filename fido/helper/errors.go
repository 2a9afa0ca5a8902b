package helper

import (
	"context"
	"errors"

	"fob/fido"
	"fob/fido/ctap"
)

// maxErrorText is how much of an error's text crosses, in bytes.
const maxErrorText = 256

// Kinds of errors that have no error of the fido package.
const (
	kindStatus   = "status"   // a ctap.StatusCode, in the reply's Status
	kindInternal = "internal" // anything else
)

// kindWaiting is an event, and no reply yet: the key waits for the person.
const kindWaiting = "waiting"

// kinds names the errors that cross the connection as themselves.
var kinds = map[string]error{
	"no-device":   fido.ErrNoDevice,
	"device-gone": fido.ErrDeviceGone,
	"not-fido2":   fido.ErrNotFIDO2,
	"bad-answer":  fido.ErrBadAnswer,
	"device-busy": fido.ErrDeviceBusy,
	"denied":      fido.ErrDenied,
	"cancelled":   context.Canceled,
	"deadline":    context.DeadlineExceeded,

	"large-blob-missing":  fido.ErrLargeBlobMissing,
	"large-blobs-corrupt": fido.ErrLargeBlobsCorrupt,
}

// remoteError is an error of the helper: its own text, and the error that it is.
type remoteError struct {
	text string
	err  error
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.err }

// failure makes the reply that tells of err.
func failure(id uint32, err error) *reply {
	r := &reply{ID: id, Kind: kindInternal, Text: clean(err.Error(), maxErrorText)}
	for kind, known := range kinds {
		if errors.Is(err, known) {
			r.Kind = kind
			return r
		}
	}
	if status := ctap.StatusOK; errors.As(err, &status) && status != ctap.StatusOK {
		r.Kind, r.Status = kindStatus, status
	}
	return r
}

// err gives the error that the reply tells of, nil for success, ErrFrame for one that makes no sense.
func (r *reply) err() error {
	var err error
	switch r.Kind {
	case "":
		if r.Status != ctap.StatusOK || r.Text != "" {
			return ErrFrame
		}
		return nil
	case kindStatus:
		if r.Status == ctap.StatusOK {
			return ErrFrame
		}
		err = r.Status
	case kindInternal:
		err = ctap.ErrOther
	default:
		known, ok := kinds[r.Kind]
		if !ok {
			return ErrFrame
		}
		err = known
	}
	text := clean(r.Text, maxErrorText)
	if text == "" || text == err.Error() {
		return err
	}
	return &remoteError{text, err}
}
