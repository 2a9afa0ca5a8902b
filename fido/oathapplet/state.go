package oathapplet

import (
	"crypto/rand"
	"errors"
	"slices"
)

// State is what an applet remembers. It has secrets in the clear.
type State struct {
	ID        []byte    `json:"id"`                  // 8 bytes, the salt of the password; another one after each reset
	AccessKey []byte    `json:"accessKey,omitempty"` // what the password is stretched to; none: there is no password
	Accounts  []Account `json:"accounts,omitempty"`
}

// Account is one of OATH.
type Account struct {
	Name    string `json:"name"`   // 1 to 64 bytes
	Kind    byte   `json:"kind"`   // type (0x10 HOTP, 0x20 TOTP) and algorithm (1 SHA-1, 2 SHA-256, 3 SHA-512)
	Digits  byte   `json:"digits"` // 6 to 8
	Key     []byte `json:"key"`    // of the HMAC
	Touch   bool   `json:"touch,omitempty"`
	Counter uint32 `json:"counter,omitempty"` // HOTP: the next one
	// Increasing and Last: a challenge must not be lower than the last one.
	Increasing bool   `json:"increasing,omitempty"`
	Last       uint64 `json:"last,omitempty"`
}

// Limits.
const (
	Capacity = 64 // accounts
	maxName  = 64
	minKey   = 1
	maxKey   = 128 // the longest block of a hash
	idSize   = 8
)

// NewState is the state of a new key.
func NewState() State {
	s := State{ID: make([]byte, idSize)}
	rand.Read(s.ID)
	return s
}

// ErrState is a state that no applet has written.
var ErrState = errors.New("no state of an OATH application")

// Check looks for values that no applet has written.
func (s *State) Check() error {
	if len(s.ID) != idSize || len(s.AccessKey) > maxKey || len(s.Accounts) > Capacity {
		return ErrState
	}
	for i, a := range s.Accounts {
		if a.check() != statusOK || s.find([]byte(a.Name)) != i {
			return ErrState
		}
	}
	return nil
}

func (a *Account) check() status {
	ok := len(a.Name) >= 1 && len(a.Name) <= maxName && len(a.Key) >= minKey && len(a.Key) <= maxKey &&
		a.Digits >= 6 && a.Digits <= 8 && (a.Kind&0xf0 == typeHOTP || a.Kind&0xf0 == typeTOTP) && hashOf(a.Kind) != nil
	if !ok {
		return statusWrongData
	}
	return statusOK
}

// find gives the index of an account, -1 when there is none.
func (s *State) find(name []byte) int {
	return slices.IndexFunc(s.Accounts, func(a Account) bool { return a.Name == string(name) })
}

// clone gives a copy that can be changed.
func (s *State) clone() State {
	c := *s
	c.Accounts = slices.Clone(s.Accounts)
	return c
}
