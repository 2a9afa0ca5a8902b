package platform

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"

	"fob/fido"
	"fob/fido/ctap"
)

// Management is what the owner of a key was shown, and may do with it now. libfido2 finds credentials by RP ID, though
// a key may cut that short and only its hash is sure, asks for a token at each turn, which would mean a finger for each
// relying party, and takes a large-blob array that is damaged for an empty one.
type Management struct {
	key      *Key
	session  *session
	blobKeys map[string][]byte // by credential ID
}

// Manage verifies the person and lists the credentials. The caller calls End on what it gets.
func (k *Key) Manage(ctx context.Context, r *fido.CredentialsRequest) (*Management, *fido.Credentials, error) {
	if r.UV == (r.PIN != nil) {
		return nil, nil, ctap.ErrInvalidParameter
	}
	permissions := ctap.PermissionCredentialManagement
	if r.Write {
		permissions |= ctap.PermissionLargeBlobWrite
	}
	s, err := k.begin(ctx, verification{r.UV, r.PIN, permissions, ""}, nil)
	if err != nil {
		return nil, nil, err
	}
	m := &Management{key: k, session: s, blobKeys: make(map[string][]byte)}
	list, err := m.credentials(ctx)
	if err == nil && r.LargeBlobs {
		err = m.addLargeBlobs(ctx, list)
	}
	if err != nil {
		m.End()
		return nil, nil, err
	}
	return m, list, nil
}

// End wipes the token and the keys of large blobs.
func (m *Management) End() {
	m.session.end()
	for _, key := range m.blobKeys {
		clear(key)
	}
}

// UpdateUser changes the names of the account of a credential (§6.8.6).
func (m *Management) UpdateUser(ctx context.Context, id []byte, user ctap.PublicKeyCredentialUserEntity) error {
	return m.change(ctx, ctap.SubcommandUpdateUserInformation, ctap.CredentialManagementParams{
		CredentialID: &descriptors([][]byte{id})[0], User: &user})
}

// DeleteCredential deletes a credential (§6.8.5).
func (m *Management) DeleteCredential(ctx context.Context, id []byte) error {
	return m.change(ctx, ctap.SubcommandDeleteCredential, ctap.CredentialManagementParams{
		CredentialID: &descriptors([][]byte{id})[0]})
}

func (m *Management) change(
	ctx context.Context, s ctap.CredentialManagementSubcommand, params ctap.CredentialManagementParams,
) error {
	_, err := m.ask(ctx, s, &params)
	return err
}

// ask sends a subcommand (§6.8), to the command of the preview where the key has no other. params are nil for none.
func (m *Management) ask(
	ctx context.Context, s ctap.CredentialManagementSubcommand, params *ctap.CredentialManagementParams,
) (*ctap.CredentialManagementResponse, error) {
	r := &ctap.CredentialManagementRequest{Subcommand: s}
	if params != nil {
		encoded, err := ctap.Marshal(params)
		if err != nil {
			return nil, err
		}
		r.SubcommandParams = encoded
	}
	switch s {
	case ctap.SubcommandEnumerateRPsGetNextRP, ctap.SubcommandEnumerateCredentialsGetNextCredential:
	default:
		if param, protocol := m.session.authenticate(r.AuthMessage()); param != nil {
			r.PINUVAuthParam, r.PINUVAuthProtocol = *param, protocol
		}
	}
	request := r.Encode()
	if !m.key.Info.Options[ctap.OptionCredMgmt] {
		request[0] = byte(ctap.CommandCredentialManagementPreview)
	}
	return ask(ctx, m.key, request, func(answer []byte) (*ctap.CredentialManagementResponse, error) {
		defer clear(answer) // with a largeBlobKey in it
		tidy, err := canonical(answer)
		if err != nil {
			return nil, err
		}
		return ctap.ParseCredentialManagementResponse(tidy)
	})
}

// credentials lists what there is, first the RPs (§6.8.3), then the credentials of each (§6.8.4).
func (m *Management) credentials(ctx context.Context) (*fido.Credentials, error) {
	counts, err := m.ask(ctx, ctap.SubcommandGetCredsMetadata, nil)
	if err != nil {
		return nil, err
	}
	list := &fido.Credentials{
		Existing:  count(counts.ExistingResidentCredentialsCount),
		Remaining: count(counts.MaxPossibleRemainingResidentCredentialsCount),
	}
	rps, err := m.relyingParties(ctx)
	if err != nil {
		return nil, err
	}
	for i := range rps {
		if err := m.credentialsOf(ctx, &rps[i], list); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// count keeps a number that a key chose in the range that all who read it can hold.
func count(n *uint) uint {
	if n == nil {
		return 0
	}
	return min(*n, math.MaxInt32)
}

// relyingParties gives an answer for each RP. One that comes twice counts once.
func (m *Management) relyingParties(ctx context.Context) (rps []ctap.CredentialManagementResponse, err error) {
	known := make(map[string]bool)
	err = m.enumerate(ctx, ctap.SubcommandEnumerateRPsBegin, nil, ctap.SubcommandEnumerateRPsGetNextRP,
		func(r *ctap.CredentialManagementResponse) (total uint, err error) {
			if r.RP == nil && r.RPIDHash == nil && r.TotalRPs == 0 { // some keys say so that they have none
				return 0, nil
			}
			if len(r.RPIDHash) != sha256.Size || r.RP == nil {
				return 0, fmt.Errorf("%w: a relying party without hash or name", fido.ErrBadAnswer)
			}
			if !known[string(r.RPIDHash)] {
				known[string(r.RPIDHash)] = true
				rps = append(rps, *r)
			}
			return r.TotalRPs, nil
		})
	return rps, err
}

func (m *Management) credentialsOf(
	ctx context.Context, rp *ctap.CredentialManagementResponse, list *fido.Credentials,
) error {
	params := &ctap.CredentialManagementParams{RPIDHash: rp.RPIDHash}
	return m.enumerate(ctx,
		ctap.SubcommandEnumerateCredentialsBegin, params, ctap.SubcommandEnumerateCredentialsGetNextCredential,
		func(r *ctap.CredentialManagementResponse) (total uint, err error) {
			defer clear(r.LargeBlobKey)
			c, err := storedCredential(rp, r)
			if err != nil {
				return 0, err
			}
			if _, known := m.blobKeys[string(c.ID)]; known {
				return r.TotalCredentials, nil
			}
			if len(list.List) >= fido.MaxCredentials {
				return 0, errTooMany
			}
			m.blobKeys[string(c.ID)] = bytes.Clone(r.LargeBlobKey)
			list.List = append(list.List, *c)
			return r.TotalCredentials, nil
		})
}

var errTooMany = fmt.Errorf("%w: it says that it has more than %d credentials", fido.ErrBadAnswer, fido.MaxCredentials)

// enumerate takes an answer to begin, and to next for each of the others that the first one speaks of.
func (m *Management) enumerate(ctx context.Context, begin ctap.CredentialManagementSubcommand,
	params *ctap.CredentialManagementParams, next ctap.CredentialManagementSubcommand,
	take func(*ctap.CredentialManagementResponse) (total uint, err error)) error {

	first, err := m.ask(ctx, begin, params)
	if errors.Is(err, ctap.ErrNoCredentials) {
		return nil
	}
	if err != nil {
		return err
	}
	total, err := take(first)
	if err == nil && total > fido.MaxCredentials {
		err = errTooMany
	}
	for i := uint(1); i < total && err == nil; i++ {
		var r *ctap.CredentialManagementResponse
		if r, err = m.ask(ctx, next, nil); err == nil {
			_, err = take(r)
		}
	}
	return err
}

func storedCredential(rp, r *ctap.CredentialManagementResponse) (*fido.StoredCredential, error) {
	if r.CredentialID == nil || len(r.CredentialID.ID) == 0 || len(r.CredentialID.ID) > ctap.MaxCredentialIDLength {
		return nil, fmt.Errorf("%w: a credential without an ID", fido.ErrBadAnswer)
	}
	if n := len(r.LargeBlobKey); n != 0 && n != ctap.LargeBlobKeyLength {
		return nil, fmt.Errorf("%w: a largeBlobKey of %d bytes", fido.ErrBadAnswer, n)
	}
	c := &fido.StoredCredential{
		ID:                r.CredentialID.ID,
		RP:                *rp.RP,
		RPIDHash:          [sha256.Size]byte(rp.RPIDHash),
		CredProtect:       r.CredProtect,
		ThirdPartyPayment: ctap.True(r.ThirdPartyPayment),
		HasLargeBlobKey:   r.LargeBlobKey != nil,
	}
	c.RPIDCut = sha256.Sum256([]byte(c.RP.ID)) != c.RPIDHash
	if r.User != nil {
		c.User = *r.User
	}
	var public struct {
		Alg ctap.Algorithm `cbor:"3,keyasint"`
	}
	if ctap.Unmarshal(r.PublicKey, &public) == nil { // a key may have algorithms that we don't know
		c.Algorithm = public.Alg
	}
	return c, nil
}
