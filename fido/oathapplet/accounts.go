package oathapplet

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"
	"slices"
)

// Types and algorithms.
const (
	typeHOTP      = 0x10
	typeTOTP      = 0x20
	sha1Algorithm = 0x01
)

// Properties.
const (
	propertyIncreasing = 0x01
	propertyTouch      = 0x02
)

func hashOf(kind byte) func() hash.Hash {
	switch kind & 0x0f {
	case sha1Algorithm:
		return sha1.New
	case 0x02:
		return sha256.New
	case 0x03:
		return sha512.New
	}
	return nil
}

// put adds an account, or overwrites it.
func (a *Applet) put(data []byte) status {
	account, sw := parsePut(data)
	if sw != statusOK {
		return sw
	}
	at := a.state.find([]byte(account.Name))
	if at < 0 && len(a.state.Accounts) >= Capacity {
		return statusFull
	}
	return a.update(func(s *State) {
		if at < 0 {
			s.Accounts = append(s.Accounts, account)
			return
		}
		s.Accounts[at] = account
	})
}

func parsePut(data []byte) (Account, status) {
	name, rest, ok := cut(data, tagName)
	if !ok {
		return Account{}, statusWrongData
	}
	key, rest, ok := cut(rest, tagKey)
	if !ok || len(key) < 2 {
		return Account{}, statusWrongData
	}
	a := Account{Name: string(name), Kind: key[0], Digits: key[1], Key: key[2:]}
	if len(rest) >= 2 && rest[0] == tagProperty { // which has no length
		a.Increasing, a.Touch = rest[1]&propertyIncreasing != 0, rest[1]&propertyTouch != 0
		rest = rest[2:]
	}
	if len(rest) > 0 {
		counter, more, ok := cut(rest, tagCounter)
		if !ok || len(counter) != 4 || len(more) > 0 || a.Kind&0xf0 != typeHOTP {
			return Account{}, statusWrongData
		}
		a.Counter = binary.BigEndian.Uint32(counter)
	}
	return a, a.check()
}

func (a *Applet) delete(data []byte) status {
	objects, ok := parse(data, tagName)
	if !ok {
		return statusWrongData
	}
	at := a.state.find(objects[0])
	if at < 0 {
		return statusNoObject
	}
	return a.update(func(s *State) { s.Accounts = slices.Delete(s.Accounts, at, at+1) })
}

func (a *Applet) rename(data []byte) status {
	objects, ok := parse(data, tagName, tagName)
	if !ok || len(objects[1]) == 0 || len(objects[1]) > maxName || a.state.find(objects[1]) >= 0 {
		return statusWrongData
	}
	at := a.state.find(objects[0])
	if at < 0 {
		return statusNoObject
	}
	return a.update(func(s *State) { s.Accounts[at].Name = string(objects[1]) })
}

func (a *Applet) list() (b []byte) {
	for _, account := range a.state.Accounts {
		b = appendTLV(b, tagList, append([]byte{account.Kind}, account.Name...))
	}
	return b
}

// truncates is the P2 that asks for a truncated response.
const truncates = 0x01

func (a *Applet) calculate(ctx context.Context, p2 byte, data []byte) ([]byte, status) {
	objects, ok := parse(data, tagName, tagChallenge)
	if !ok || p2 > truncates {
		return nil, statusWrongData
	}
	at := a.state.find(objects[0])
	if at < 0 {
		return nil, statusNoObject
	}
	account := &a.state.Accounts[at]
	if account.Touch && !a.touched(ctx, account.Name) {
		return nil, statusAuth
	}
	challenge := objects[1]
	if account.Kind&0xf0 == typeHOTP {
		challenge = binary.BigEndian.AppendUint64(nil, uint64(account.Counter))
	} else if len(challenge) == 0 {
		return nil, statusWrongData
	}
	sum := account.sum(challenge)
	if sw := a.advance(at, challenge); sw != statusOK {
		return nil, sw
	}
	return account.appendResponse(nil, p2, sum), statusOK
}

// touched asks for a touch.
func (a *Applet) touched(ctx context.Context, name string) bool {
	if a.Touch == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, touchTime)
	defer cancel()
	return a.Touch(ctx, name) == nil
}

// advance moves the counter of HOTP on, and notes the challenge of an account that wants ever higher ones.
func (a *Applet) advance(at int, challenge []byte) status {
	account := a.state.Accounts[at]
	switch {
	case account.Kind&0xf0 == typeHOTP:
		return a.update(func(s *State) { s.Accounts[at].Counter++ })
	case account.Increasing:
		now := binary.BigEndian.Uint64(append(make([]byte, 8), challenge...)[len(challenge):])
		if now < account.Last {
			return statusAuth
		}
		return a.update(func(s *State) { s.Accounts[at].Last = now })
	}
	return statusOK
}

func (a *Account) sum(challenge []byte) []byte {
	h := hmac.New(hashOf(a.Kind), a.Key)
	h.Write(challenge)
	return h.Sum(nil)
}

func (a *Account) appendResponse(b []byte, p2 byte, sum []byte) []byte {
	if p2 != truncates {
		return appendTLV(b, tagResponse, append([]byte{a.Digits}, sum...))
	}
	at := int(sum[len(sum)-1] & 0x0f)
	bits := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return appendTLV(b, tagTruncated, binary.BigEndian.AppendUint32([]byte{a.Digits}, bits))
}

// calculateAll answers for all accounts at once, but for those that would need a touch or move their counter.
func (a *Applet) calculateAll(p2 byte, data []byte) (b []byte, sw status) {
	objects, ok := parse(data, tagChallenge)
	if !ok || len(objects[0]) == 0 || p2 > truncates {
		return nil, statusWrongData
	}
	for i := range a.state.Accounts {
		account := &a.state.Accounts[i]
		b = appendTLV(b, tagName, []byte(account.Name))
		switch {
		case account.Kind&0xf0 == typeHOTP:
			b = appendTLV(b, tagHOTP, []byte{account.Digits})
		case account.Touch, account.Increasing:
			b = appendTLV(b, tagTouch, []byte{account.Digits})
		default:
			b = account.appendResponse(b, p2, account.sum(objects[0]))
		}
	}
	return b, statusOK
}
