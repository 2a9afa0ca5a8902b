package fido

import (
	"cmp"
	"context"

	"fob/fido/ctap"
)

// batches cuts a list of credential IDs into such as the key takes in one request, and drops the IDs that it can't have
// made, because they are too long for it. more is the size of other parameters that may be long, in bytes. An ID by
// itself is left to the key, however long it is.
func batches(info *ctap.GetInfoResponse, ids [][]byte, more int) [][][]byte {
	const (
		defaultMsgSize = 1024 // bytes, of a key that does not say (CTAP 2.2 §6.4, maxMsgSize)
		others         = 320  // bytes for hashes, tokens, options, keys of maps and the user ID
		perDescriptor  = 22   // bytes of CBOR around an ID
	)
	base := others + uint(more)
	limit, count := cmp.Or(info.MaxMsgSize, defaultMsgSize), info.MaxCredentialCountInList
	var all [][][]byte
	size := base
	for _, id := range ids {
		if info.MaxCredentialIDLength > 0 && uint(len(id)) > info.MaxCredentialIDLength {
			continue
		}
		size += uint(len(id)) + perDescriptor
		if n := len(all); n == 0 || size > limit || count > 0 && uint(len(all[n-1])) == count {
			all = append(all, nil)
			size = base + uint(len(id)) + perDescriptor
		}
		all[len(all)-1] = append(all[len(all)-1], id)
	}
	return all
}

// probe asks the key, without a touch, which of the credentials it has: one of them, or nil. With a PIN it finds those
// that are told to a verified person alone; so it does with uv, which asks for a fingerprint.
func (c *ceremony) probe(ctx context.Context, rpID string, lists [][][]byte, uv bool, pin PIN) ([]byte, error) {
	for _, list := range lists {
		found, err := c.assertSilently(ctx, &GetAssertionRequest{
			RPID: rpID, ClientDataHash: make([]byte, 32), AllowList: list, Silent: true, UV: uv, PIN: pin})
		switch {
		case isStatus(err, ctap.ErrNoCredentials, ctap.ErrInvalidCredential):
			continue
		case err != nil:
			return nil, err
		case len(found) == 0:
			return nil, ErrBadAnswer
		}
		return found[0].Credential.ID, nil
	}
	return nil, nil
}

// assertSilently waits for nobody, but for a finger where r.UV.
func (c *ceremony) assertSilently(ctx context.Context, r *GetAssertionRequest) ([]GetAssertionResponse, error) {
	ask := func(ctx context.Context) ([]GetAssertionResponse, error) { return c.key.GetAssertion(ctx, r) }
	if r.UV {
		return ask(ctx)
	}
	return answer(ctx, ask)
}
