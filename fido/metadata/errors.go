package metadata

import (
	"errors"
	"fmt"
	"io/fs"

	"fob/fido/durable"
)

// Problems that a Refused unwraps to.
var (
	ErrTooLarge    = fmt.Errorf("is larger than %d MiB", MaxBlobSize>>20)
	ErrNoToken     = errors.New("is no MDS3 BLOB, a signed JSON Web Token")
	ErrHeader      = errors.New("has a header that is not for us")
	ErrAlgorithm   = errors.New("is not signed with an algorithm and a key that we trust")
	ErrCertificate = errors.New("has certificates that can't be read")
	ErrExpired     = errors.New("is signed with a certificate that is not valid today")
	ErrChain       = errors.New("is signed with a certificate that no root of ours vouches for")
	ErrName        = errors.New("is signed by somebody else")
	ErrSignature   = errors.New("is not what was signed")
	ErrPayload     = errors.New("is signed, but its content makes no sense")
	ErrOlder       = errors.New("is older than what is here")
	ErrOther       = errors.New("is of another metadata service than what is here")
)

// Refused says why a BLOB was not imported. It unwraps to one of the problems above, and to what is behind it.
type Refused struct {
	Problem error
	Cause   error // may be nil
}

func (e *Refused) Error() string {
	if e.Cause == nil {
		return "the BLOB " + e.Problem.Error()
	}
	return fmt.Sprintf("the BLOB %v: %v", e.Problem, e.Cause)
}

// Unwrap gives the problem and its cause.
func (e *Refused) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Problem}
	}
	return []error{e.Problem, e.Cause}
}

// Hint says what the person can do.
func (e *Refused) Hint() string {
	switch e.Problem {
	case ErrExpired:
		return "download it anew, and check the clock of this machine"
	case ErrChain, ErrName:
		return "for a metadata service of your own, name its root with --root, and its certificate's name with --name"
	case ErrOlder:
		return "download the latest; --replace imports this one all the same"
	case ErrOther:
		return "--replace puts it in the place of the other one"
	case ErrAlgorithm, ErrSignature, ErrPayload:
		return "download it anew; whoever sent this one may have changed it"
	default:
		return "download it from " + URL
	}
}

func refused(problem, cause error) error { return &Refused{problem, cause} }

// Problems that an IndexError unwraps to, besides those of the file system.
var (
	ErrIndexVersion = fmt.Errorf("is of a version that this program does not know; it knows %d", IndexVersion)
	ErrIndexForm    = errors.New("is not written as fob writes it")
	ErrIndexSize    = fmt.Errorf("is larger than %d MiB", MaxIndexSize>>20)
)

// IndexError says why an index can't be read or written. It unwraps to fs.ErrNotExist when nothing was imported yet.
type IndexError struct {
	Path    string // empty when it is of no file
	Problem error
}

func (e *IndexError) Error() string {
	switch {
	case errors.Is(e.Problem, fs.ErrNotExist):
		return "no FIDO metadata was imported yet"
	case e.Path == "":
		return "FIDO metadata " + e.Problem.Error()
	}
	return fmt.Sprintf("FIDO metadata %s: %v", e.Path, e.Problem)
}

// Unwrap gives the problem.
func (e *IndexError) Unwrap() error { return e.Problem }

// Hint says what the person can do.
func (e *IndexError) Hint() string {
	switch {
	case errors.Is(e.Problem, fs.ErrNotExist):
		return "download " + URL + " and import the file with 'fob key models import FILE'"
	case errors.Is(e.Problem, durable.ErrLocked):
		return "another import is running; repeat this one when it has ended"
	case errors.Is(e.Problem, durable.ErrNotRegular), errors.Is(e.Problem, fs.ErrPermission):
		return "make place for a file of yours there"
	case errors.Is(e.Problem, ErrIndexVersion), errors.Is(e.Problem, ErrIndexForm), errors.Is(e.Problem, ErrIndexSize):
		return "download " + URL + " and import the file with 'fob key models import --replace FILE'"
	}
	return ""
}
