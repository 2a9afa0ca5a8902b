package tpm

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// persistentSRK is where a storage root key lies that somebody has made already (TCG TPM v2.0 Provisioning Guidance,
// "Storage Primary Key (SRK)").
const persistentSRK tpm2.TPMHandle = 0x81000001

// srk is a storage root key in the TPM: ECC on P-256, below the storage hierarchy.
type srk struct {
	handle    tpm2.TPMHandle
	public    *tpm2.TPMTPublic
	name      []byte
	transient bool
}

// withSRK runs do with the storage root key: the one of that name, or any where there is none.
func (t *TPM) withSRK(ctx context.Context, name []byte, do func(*conn, *srk) error) error {
	return t.with(ctx, func(c *conn) error {
		k, err := c.findSRK(name)
		if err != nil {
			return err
		}
		if k.transient {
			defer c.flush(k.handle)
		}
		return do(c, k)
	})
}

// findSRK takes the persistent key, where it is one, and else makes the one that the template always gives. The TPM's
// word is not taken for the name.
func (c *conn) findSRK(name []byte) (*srk, error) {
	r, err := tpm2.ReadPublic{ObjectHandle: persistentSRK}.Execute(c)
	if err == nil {
		k, err := newSRK(persistentSRK, r.OutPublic)
		if err == nil && (name == nil || bytes.Equal(k.name, name)) {
			return k, nil
		}
	} else if !errors.Is(err, tpm2.TPMRCHandle) {
		return nil, err
	}
	k, err := c.makeSRK()
	if err == nil && name != nil && !bytes.Equal(k.name, name) {
		c.flush(k.handle)
		return nil, &Error{Kind: ErrCleared}
	}
	return k, err
}

func (c *conn) makeSRK() (*srk, error) {
	r, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate),
	}.Execute(c)
	for _, closed := range []tpm2.TPMRC{tpm2.TPMRCAuthFail, tpm2.TPMRCBadAuth, tpm2.TPMRCHierarchy} {
		if errors.Is(err, closed) {
			return nil, &Error{Kind: ErrOwner, Err: err}
		}
	}
	if err != nil {
		return nil, err
	}
	k, err := newSRK(r.ObjectHandle, r.OutPublic)
	if err != nil {
		c.flush(r.ObjectHandle)
		return nil, err
	}
	k.transient = true
	return k, nil
}

func newSRK(h tpm2.TPMHandle, public tpm2.TPM2BPublic) (*srk, error) {
	p, err := public.Contents()
	if err != nil {
		return nil, err
	}
	name, err := checkSRK(p)
	if err != nil {
		return nil, err
	}
	return &srk{handle: h, public: p, name: name}, nil
}

// checkSRK tells whether a key is what the standard template gives, so that what is below it can't leave its TPM, and
// gives its name.
func checkSRK(p *tpm2.TPMTPublic) (name []byte, err error) {
	like := tpm2.ECCSRKTemplate
	like.Unique = p.Unique
	if p.Type != like.Type || !bytes.Equal(tpm2.Marshal(like), marshalPublic(p)) {
		return nil, fmt.Errorf("%w: not a storage root key of P-256", ErrUnfit)
	}
	point, err := p.Unique.ECC()
	if err != nil {
		return nil, err
	}
	parameters, err := p.Parameters.ECCDetail()
	if err != nil {
		return nil, err
	}
	if _, err := tpm2.ECDHPub(parameters, point); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnfit, err)
	}
	n, err := tpm2.ObjectName(p)
	if err != nil {
		return nil, err
	}
	return n.Buffer, nil
}

// SRK is the public part of a storage root key: to it, others wrap what its TPM alone shall open.
type SRK struct {
	public *tpm2.TPMTPublic
}

// SRK gives that of the TPM.
func (t *TPM) SRK(ctx context.Context) (*SRK, error) {
	var k *SRK
	err := t.withSRK(ctx, nil, func(_ *conn, found *srk) error {
		k = &SRK{found.public}
		return nil
	})
	return k, err
}

// srkType is that of a PEM block with a TPM2B_PUBLIC (part 2, "TPM2B_PUBLIC"), which is what tpm2_readpublic writes.
const srkType = "TPM2B_PUBLIC"

// Encode gives the key as PEM.
func (k *SRK) Encode() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: srkType, Bytes: tpm2.Marshal(tpm2.New2B(*k.public))})
}

// maxSRK is more than any has, as PEM, in bytes.
const maxSRK = 4096

// ParseSRK reads what Encode gives, or a TPM2B_PUBLIC as tpm2_readpublic writes it. The error is ErrInvalid or
// ErrUnfit.
func ParseSRK(b []byte) (*SRK, error) {
	if len(b) > maxSRK {
		return nil, ErrInvalid
	}
	if block, _ := pem.Decode(b); block != nil {
		if block.Type != srkType {
			return nil, fmt.Errorf("%w: a PEM block of another type than %s", ErrInvalid, srkType)
		}
		b = block.Bytes
	}
	if len(b) < 2 || int(b[0])<<8|int(b[1]) != len(b)-2 {
		return nil, ErrInvalid
	}
	p, err := parsePublic(b[2:])
	if err != nil {
		return nil, err
	}
	if _, err := checkSRK(p); err != nil {
		return nil, err
	}
	return &SRK{p}, nil
}
