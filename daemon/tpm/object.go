package tpm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"fob/fido"
)

// What a PIN may be, in bytes: an authValue is no longer than the hash of its object (part 1, "Authorization values").
const (
	MinPIN = 4
	MaxPIN = 32
)

// PCRs is which of the platform configuration registers a secret is bound to: 0 to 23, in order. They are those of the
// bank of SHA-256.
type PCRs []uint

// MaxPCR is the last of them.
const MaxPCR = 23

// Valid tells whether they are in order, and none is there twice.
func (p PCRs) Valid() bool {
	for i, n := range p {
		if n > MaxPCR || i > 0 && p[i-1] >= n {
			return false
		}
	}
	return true
}

func (p PCRs) bitmap() []byte {
	var b [3]byte
	for _, n := range p {
		b[n/8] |= 1 << (n % 8)
	}
	return b[:]
}

func (p PCRs) selection() tpm2.TPMLPCRSelection {
	return tpm2.TPMLPCRSelection{
		PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: p.bitmap()}}}
}

// Lock is what opens an object, beside its TPM.
type Lock struct {
	PIN  fido.Secret // MinPIN to MaxPIN bytes; nil for none. The TPM counts wrong ones. The caller wipes it.
	PCRs PCRs        // must be at the use as they were when it was made; may be empty
}

// Possible tells whether pin can be a PIN. None of its bytes is zero: a TPM cuts those at the end off.
func Possible(pin fido.Secret) bool {
	return len(pin) >= MinPIN && len(pin) <= MaxPIN && bytes.IndexByte(pin, 0) < 0
}

func (l Lock) check() error {
	if l.PIN != nil && !Possible(l.PIN) {
		return ErrPINUnfit
	}
	if !l.PCRs.Valid() {
		return fmt.Errorf("%w: PCRs are 0 to %d, in order", ErrUnfit, MaxPCR)
	}
	return nil
}

// Object is what a TPM keeps outside of itself, encrypted by its storage root key. It is not secret.
type Object struct {
	Parent  []byte // the name of the storage root key
	Public  []byte // TPMT_PUBLIC
	Private []byte // of TPM2B_PRIVATE; the TPM alone can read it
	PCRs    PCRs   // to which it is bound

	public *tpm2.TPMTPublic
}

// NeedsPIN tells whether the object was made with a PIN.
func (o *Object) NeedsPIN() bool { return !o.public.ObjectAttributes.NoDA }

// The encoding of an object: a version, and the parts, each after its length in two bytes.
const (
	objectVersion = 1
	maxPart       = 1024
	// MaxObject is the most that an object has when it is encoded, in bytes.
	MaxObject = 1 + 4*2 + 3*maxPart + 3
)

// Encode gives o as bytes.
func (o *Object) Encode() []byte {
	b := []byte{objectVersion}
	for _, part := range [][]byte{o.Parent, o.Public, o.Private, o.PCRs.bitmap()} {
		b = binary.BigEndian.AppendUint16(b, uint16(len(part)))
		b = append(b, part...)
	}
	return b
}

// ParseObject reverses Encode. The error is ErrInvalid.
func ParseObject(b []byte) (*Object, error) {
	if len(b) == 0 || len(b) > MaxObject || b[0] != objectVersion {
		return nil, ErrInvalid
	}
	parts, err := cut(b[1:], 4)
	if err != nil {
		return nil, err
	}
	o := &Object{Parent: parts[0], Public: parts[1], Private: parts[2]}
	if len(o.Parent) == 0 || len(o.Private) == 0 || len(parts[3]) != 3 {
		return nil, ErrInvalid
	}
	for n := range uint(MaxPCR + 1) {
		if parts[3][n/8]&(1<<(n%8)) != 0 {
			o.PCRs = append(o.PCRs, n)
		}
	}
	if o.public, err = parsePublic(o.Public); err != nil {
		return nil, err
	}
	return o, nil
}

// cut cuts b into n parts, of which each has its length before it.
func cut(b []byte, n int) (parts [][]byte, err error) {
	for range n {
		if len(b) < 2 {
			return nil, ErrInvalid
		}
		size := int(binary.BigEndian.Uint16(b))
		if b = b[2:]; size > len(b) || size > maxPart {
			return nil, ErrInvalid
		}
		parts = append(parts, slices.Clone(b[:size]))
		b = b[size:]
	}
	if len(b) > 0 {
		return nil, ErrInvalid
	}
	return parts, nil
}

// parsePublic reads a TPMT_PUBLIC of the kinds that we use.
func parsePublic(b []byte) (*tpm2.TPMTPublic, error) {
	p, err := tpm2.Unmarshal[tpm2.TPMTPublic](b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if p.Type != tpm2.TPMAlgKeyedHash && p.Type != tpm2.TPMAlgECC || p.NameAlg != tpm2.TPMAlgSHA256 {
		return nil, ErrInvalid
	}
	if !bytes.Equal(marshalPublic(p), b) {
		return nil, ErrInvalid
	}
	return p, nil
}

func marshalPublic(p *tpm2.TPMTPublic) []byte { return tpm2.Marshal(*p) }

// create has the TPM make an object of data that is given.
func (t *TPM) create(ctx context.Context, data fido.Secret, template tpm2.TPMTPublic, lock Lock) (
	o *Object, err error) {
	if err := lock.check(); err != nil {
		return nil, err
	}
	err = t.withSRK(ctx, nil, func(c *conn, k *srk) error {
		a := &template.ObjectAttributes
		a.NoDA, a.UserWithAuth = lock.PIN == nil, len(lock.PCRs) == 0
		if len(lock.PCRs) > 0 {
			if template.AuthPolicy.Buffer, err = k.policyDigest(c, lock); err != nil {
				return err
			}
		}
		o, err = k.create(c, data, template, lock)
		return err
	})
	return o, err
}

func (k *srk) create(c *conn, data fido.Secret, template tpm2.TPMTPublic, lock Lock) (*Object, error) {
	s, err := k.begin(c, tpm2.TPMSEHMAC)
	if err != nil {
		return nil, err
	}
	defer s.end(c)
	s.in = sensitiveCreate(lock.PIN, data)
	r, err := tpm2.Create{
		ParentHandle: tpm2.AuthHandle{Handle: k.handle, Name: tpm2.TPM2BName{Buffer: k.name}, Auth: s},
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{ // zeros, for s to replace
			UserAuth: tpm2.TPM2BAuth{Buffer: make([]byte, len(lock.PIN))},
			Data:     tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: make([]byte, len(data))}),
		}},
		InPublic: tpm2.New2B(template),
	}.Execute(c)
	if err != nil {
		return nil, err
	}
	return k.object(r.OutPublic.Bytes(), r.OutPrivate.Buffer, lock.PCRs)
}

// object takes what the TPM has made of a template.
func (k *srk) object(public, private []byte, pcrs PCRs) (*Object, error) {
	p, err := parsePublic(public)
	if err != nil {
		return nil, err
	}
	return &Object{Parent: k.name, Public: public, Private: private, PCRs: pcrs, public: p}, nil
}

// sensitiveCreate encodes a TPMS_SENSITIVE_CREATE (part 2). The caller wipes it.
func sensitiveCreate(pin, data fido.Secret) fido.Secret {
	b := make(fido.Secret, 0, 4+len(pin)+len(data))
	b = append(binary.BigEndian.AppendUint16(b, uint16(len(pin))), pin...)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
}

// using uses an object in a session that opens it.
type using func(*conn, tpm2.AuthHandle, *session) error

// use loads an object and runs do with it, in a session that opens it.
func (t *TPM) use(ctx context.Context, o *Object, pin fido.Secret, do using) error {
	if o.NeedsPIN() && pin == nil {
		return ErrPINNeeded
	}
	if !o.NeedsPIN() {
		pin = nil
	} else if !Possible(pin) { // which would only cost an attempt
		return ErrPINUnfit
	}
	return t.withSRK(ctx, o.Parent, func(c *conn, k *srk) error {
		h, err := k.load(c, o)
		if err != nil {
			return err
		}
		defer c.flush(h.Handle)
		s, err := k.authorize(c, Lock{pin, o.PCRs})
		if err != nil {
			return err
		}
		defer s.end(c)
		h.Auth = s
		if err := do(c, h, s); err != nil {
			return c.pinError(err)
		}
		return nil
	})
}

// load loads an object below its parent.
func (k *srk) load(c *conn, o *Object) (h tpm2.AuthHandle, err error) {
	s, err := k.begin(c, tpm2.TPMSEHMAC)
	if err != nil {
		return h, err
	}
	defer s.end(c)
	r, err := tpm2.Load{
		ParentHandle: tpm2.AuthHandle{Handle: k.handle, Name: tpm2.TPM2BName{Buffer: k.name}, Auth: s},
		InPrivate:    tpm2.TPM2BPrivate{Buffer: o.Private},
		InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](o.Public),
	}.Execute(c)
	if fault := (tpm2.TPMFmt1Error{}); errors.As(err, &fault) {
		return h, &Error{Kind: ErrInvalid, Err: err}
	}
	if err != nil {
		return h, err
	}
	name, err := tpm2.ObjectName(o.public)
	if err != nil || !bytes.Equal(name.Buffer, r.Name.Buffer) {
		c.flush(r.ObjectHandle)
		return h, errors.Join(errSession, err)
	}
	return tpm2.AuthHandle{Handle: r.ObjectHandle, Name: *name}, nil
}

// authorize begins a session that opens what the lock locks.
func (k *srk) authorize(c *conn, lock Lock) (*session, error) {
	kind := tpm2.TPMSEHMAC
	if len(lock.PCRs) > 0 {
		kind = tpm2.TPMSEPolicy
	}
	s, err := k.begin(c, kind)
	if err != nil {
		return nil, err
	}
	s.auth = lock.PIN
	if len(lock.PCRs) > 0 {
		err = s.policy(c, lock)
	}
	if err != nil {
		s.end(c)
		return nil, err
	}
	return s, nil
}

// policy asserts that the PCRs are as they are, and that the PIN is known (part 3, "TPM2_PolicyPCR",
// "TPM2_PolicyAuthValue").
func (s *session) policy(c *conn, lock Lock) error {
	_, err := tpm2.PolicyPCR{PolicySession: s.handle, Pcrs: lock.PCRs.selection()}.Execute(c)
	if err == nil && lock.PIN != nil {
		_, err = tpm2.PolicyAuthValue{PolicySession: s.handle}.Execute(c)
	}
	return err
}

// policyDigest is the policy that the lock makes now.
func (k *srk) policyDigest(c *conn, lock Lock) ([]byte, error) {
	s, err := k.begin(c, tpm2.TPMSETrial)
	if err != nil {
		return nil, err
	}
	defer s.end(c)
	if err := s.policy(c, lock); err != nil {
		return nil, err
	}
	r, err := tpm2.PolicyGetDigest{PolicySession: s.handle}.Execute(c)
	if err != nil {
		return nil, err
	}
	return r.PolicyDigest.Buffer, nil
}
