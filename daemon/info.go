package daemon

import (
	"context"
	"strings"
	"time"
	"unicode"

	"fob/fido"
	"fob/fido/ctap"
	"fob/fido/metadata"
	"fob/ipc"
	"fob/ipc/varlink"
)

// lookTime is how long a look at a key may take, with what others do to it before.
const lookTime = 10 * time.Second

// getInfo implements fob.Device.GetInfo.
func (d *Daemon) getInfo(ctx context.Context, c *varlink.Call) (any, error) {
	var reply ipc.GetInfoReply
	err := d.look(ctx, c, func(ctx context.Context, key fido.Candidate) error {
		info, err := fido.GetInfo(ctx, key.Key)
		if err == nil {
			reply = ipc.GetInfoReply{Device: device(key.Info), Info: describeInfo(info), Model: d.model(info.AAGUID)}
		}
		return err
	})
	return reply, err
}

// model tells what is known about a model of keys; nil for nothing.
func (d *Daemon) model(id ctap.AAGUID) *ipc.Model {
	if d.Models == nil {
		return nil
	}
	m, ok := d.Models.Lookup(id)
	if !ok {
		return nil
	}
	v := m.Verdict(time.Now())
	return &ipc.Model{Description: m.Description, Certification: v.Certification, Warnings: v.Warnings, Notes: v.Notes}
}

// wink implements fob.Device.Wink.
func (d *Daemon) wink(ctx context.Context, c *varlink.Call) (any, error) {
	return nil, d.look(ctx, c, func(ctx context.Context, key fido.Candidate) error { return fido.Wink(ctx, key.Key) })
}

// look does something with the key that a call names which needs nobody.
func (d *Daemon) look(ctx context.Context, c *varlink.Call, do func(context.Context, fido.Candidate) error) error {
	var in ipc.WhichDevice
	if err := c.Bind(&in); err != nil {
		return err
	}
	return d.onKeys(ctx, &ceremony{daemon: d, call: c, one: true, noWait: in.DoesNotWait()}, in.Device, lookTime,
		func(ctx context.Context, keys fido.Keys, _ fido.Prompter) error { return do(ctx, keys.Now[0]) })
}

func describeInfo(i *fido.Info) ipc.Info {
	info := ipc.Info{
		Versions:                    i.Versions,
		Extensions:                  i.Extensions,
		AAGUID:                      metadata.AAGUID(i.AAGUID).String(),
		Options:                     i.Options,
		MaxMsgSize:                  int(i.MaxMsgSize),
		MaxCredentialCountInList:    int(i.MaxCredentialCountInList),
		MaxCredentialIDLength:       int(i.MaxCredentialIDLength),
		Transports:                  i.Transports,
		MaxSerializedLargeBlobArray: int(i.MaxLargeBlobArray),
		ForcePINChange:              i.ForcePINChange,
		MinPINLength:                int(i.MinPINLength),
		FirmwareVersion:             int(i.FirmwareVersion),
		MaxCredBlobLength:           int(i.MaxCredBlobLength),
		MaxRPIDsForSetMinPINLength:  int(i.MaxMinPINLengthRPIDs),
		PreferredPlatformUVAttempts: int(i.PreferredUVAttempts),
		UVModality:                  int(i.UVModality),

		RemainingDiscoverableCredentials: count(i.RemainingDiscoverable),
		AttestationFormats:               i.AttestationFormats,
		UVCountSinceLastPINEntry:         count(i.UVCountSinceLastPINEntry),
		LongTouchForReset:                i.LongTouchForReset,
		TransportsForReset:               i.TransportsForReset,
		PINComplexityPolicy:              i.PINComplexityPolicy,
		PINComplexityPolicyURL:           link(i.PINComplexityPolicyURL),
		MaxPINLength:                     int(i.MaxPINLength),
		UVRetries:                        count(i.UVRetries),
	}
	for _, p := range i.PINUVAuthProtocols {
		info.PINUVAuthProtocols = append(info.PINUVAuthProtocols, int(p))
	}
	for _, a := range i.Algorithms {
		info.Algorithms = append(info.Algorithms, ipc.Algorithm{Type: a.Type, Alg: int(a.Alg)})
	}
	for name, level := range i.Certifications {
		if info.Certifications == nil {
			info.Certifications = make(map[string]int)
		}
		info.Certifications[name] = int(level)
	}
	if r := i.PINRetries; r != nil {
		info.PINRetries, info.PowerCycleState = count(&r.Left), r.PowerCycle
	}
	return info
}

func count(n *uint) *int {
	if n == nil {
		return nil
	}
	v := int(*n)
	return &v
}

// maxURL is how long an address is that a key may name, in bytes.
const maxURL = 512

// link gives an address that a key names, if it is fit to be shown.
func link(b []byte) string {
	s := string(b)
	if len(s) > maxURL || !strings.HasPrefix(s, "https://") ||
		strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII || !unicode.IsPrint(r) }) {
		return ""
	}
	return s
}
