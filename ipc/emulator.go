package ipc

import _ "embed"

// EmulatorInterface is the definition of fob.Emulator, for a server to register.
//
//go:embed fob.Emulator.varlink
var EmulatorInterface string

// Full names of the methods of fob.Emulator.
const (
	MethodEmulatedKeys = "fob.Emulator.List"
	MethodTouch        = "fob.Emulator.Touch"
	MethodDeny         = "fob.Emulator.Deny"
	MethodPresent      = "fob.Emulator.Present"
	MethodSetPolicy    = "fob.Emulator.SetPolicy"
	MethodRemove       = "fob.Emulator.Remove"
	MethodInsert       = "fob.Emulator.Insert"
	MethodReplug       = "fob.Emulator.Replug"
	MethodSetNextError = "fob.Emulator.SetNextError"
	MethodSetRetries   = "fob.Emulator.SetRetries"
	MethodAdvanceClock = "fob.Emulator.AdvanceClock"
	MethodCredentials  = "fob.Emulator.Credentials"
	MethodWatch        = "fob.Emulator.Watch"
)

// EmulatedKey is fob.Emulator.EmulatedKey.
type EmulatedKey struct {
	ID             string      `json:"id"`
	Endpoint       string      `json:"endpoint"`
	Path           string      `json:"path,omitempty"`
	Device         string      `json:"device,omitempty"`
	Profile        string      `json:"profile"`
	Lost           bool        `json:"lost"`
	Policy         string      `json:"policy"`
	Waiting        *Question   `json:"waiting,omitempty"`
	PINSet         bool        `json:"pinSet"`
	PINRetries     int         `json:"pinRetries"`
	PINAuthBlocked bool        `json:"pinAuthBlocked"`
	UVRetries      int         `json:"uvRetries"`
	Fingerprints   int         `json:"fingerprints"`
	SignCount      int         `json:"signCount"`
	Credentials    int         `json:"credentials"`
	ClockAhead     int         `json:"clockAhead"`
	NextErrors     []NextError `json:"nextErrors"`
}

// QuestionKind is the kind of a Question.
type QuestionKind string

// The kinds of fob.Emulator.Question.
const (
	QuestionTouch  QuestionKind = "touch"
	QuestionFinger QuestionKind = "finger"
)

// Question is fob.Emulator.Question.
type Question struct {
	Kind    QuestionKind `json:"kind"`
	Command string       `json:"command"`
	RPID    string       `json:"rpId,omitempty"`
	User    string       `json:"user,omitempty"`
	Since   string       `json:"since"`
}

// NextError is fob.Emulator.NextError.
type NextError struct {
	Command string `json:"command,omitempty"`
	Status  string `json:"status"`
	Times   int    `json:"times"`
}

// EmulatedCredential is fob.Emulator.EmulatedCredential.
type EmulatedCredential struct {
	ID                string `json:"id"`
	RPID              string `json:"rpId"`
	RPName            string `json:"rpName,omitempty"`
	UserID            string `json:"userId"`
	UserName          string `json:"userName,omitempty"`
	UserDisplayName   string `json:"userDisplayName,omitempty"`
	Alg               int    `json:"alg"`
	CredProtect       int    `json:"credProtect"`
	HMACSecret        bool   `json:"hmacSecret"`
	CredBlob          bool   `json:"credBlob"`
	LargeBlobKey      bool   `json:"largeBlobKey"`
	ThirdPartyPayment bool   `json:"thirdPartyPayment"`
	SignCount         int    `json:"signCount,omitempty"`
}

// KeyEventKind says what happened to a key.
type KeyEventKind string

// The kinds of fob.Emulator.KeyEvent.
const (
	KeyWatching    KeyEventKind = "watching"
	KeyWaiting     KeyEventKind = "waiting"
	KeyAnswered    KeyEventKind = "answered"
	KeyCommand     KeyEventKind = "command"
	KeyWink        KeyEventKind = "wink"
	KeyWasRemoved  KeyEventKind = "removed"
	KeyWasInserted KeyEventKind = "inserted"
	KeyWasLost     KeyEventKind = "lost"
)

// KeyEvent is fob.Emulator.KeyEvent.
type KeyEvent struct {
	Kind       KeyEventKind `json:"kind"`
	Key        string       `json:"key,omitempty"`
	Time       string       `json:"time"`
	Question   *Question    `json:"question,omitempty"`
	Outcome    string       `json:"outcome,omitempty"`
	Command    string       `json:"command,omitempty"`
	Status     *int         `json:"status,omitempty"`
	StatusName string       `json:"statusName,omitempty"`
	Path       string       `json:"path,omitempty"`
	Problem    string       `json:"problem,omitempty"`
	Missed     int          `json:"missed,omitempty"`
}

// WhichKey holds the parameters of the methods of fob.Emulator that take a key alone.
type WhichKey struct {
	Key string `json:"key,omitempty"`
}

// TouchRequest holds the parameters of fob.Emulator.Touch and Deny.
type TouchRequest struct {
	Key  string `json:"key,omitempty"`
	Wait bool   `json:"wait,omitempty"`
}

// PresentRequest holds the parameters of fob.Emulator.Present.
type PresentRequest struct {
	Key    string `json:"key,omitempty"`
	Sample string `json:"sample"`
	Wait   bool   `json:"wait,omitempty"`
}

// PolicyRequest holds the parameters of fob.Emulator.SetPolicy.
type PolicyRequest struct {
	Key    string `json:"key,omitempty"`
	Policy string `json:"policy"`
}

// NextErrorRequest holds the parameters of fob.Emulator.SetNextError.
type NextErrorRequest struct {
	Key     string `json:"key,omitempty"`
	Status  string `json:"status"`
	Command string `json:"command,omitempty"`
	Times   *int   `json:"times,omitempty"`
}

// RetriesRequest holds the parameters of fob.Emulator.SetRetries.
type RetriesRequest struct {
	Key         string `json:"key,omitempty"`
	PIN         *int   `json:"pin,omitempty"`
	UV          *int   `json:"uv,omitempty"`
	AuthBlocked *bool  `json:"authBlocked,omitempty"`
}

// ClockRequest holds the parameters of fob.Emulator.AdvanceClock.
type ClockRequest struct {
	Key     string `json:"key,omitempty"`
	Seconds int    `json:"seconds"`
}

// The replies of fob.Emulator.
type (
	EmulatedKeysReply struct {
		Keys []EmulatedKey `json:"keys"`
	}
	QuestionReply struct {
		Question Question `json:"question"`
	}
	PathReply struct {
		Path string `json:"path"`
	}
	ClockReply struct {
		Ahead int `json:"ahead"`
	}
	CredentialsReply struct {
		Credentials []EmulatedCredential `json:"credentials"`
	}
	WatchReply struct {
		Event KeyEvent `json:"event"`
	}
)
