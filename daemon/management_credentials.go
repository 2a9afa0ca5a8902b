package daemon

import (
	"context"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"fob/fido"
	"fob/fido/ctap"
	"fob/ipc"
	"fob/ipc/varlink"
)

func listCredentials(ctx context.Context, key fido.Candidate, p fido.Prompter, _ *ipc.WhichDevice) (any, error) {
	found, err := fido.ListCredentials(ctx, key, p)
	if err != nil {
		return nil, err
	}
	list := &ipc.CredentialList{
		Existing: int(found.Existing), Remaining: int(found.Remaining), Credentials: make([]ipc.Credential, len(found.List))}
	for i := range found.List {
		list.Credentials[i] = credential(&found.List[i])
	}
	return ipc.CredentialsListed{List: list}, nil
}

func renameCredential(
	ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.RenameCredentialRequest,
) (any, error) {
	if err := checkNames(in); err != nil {
		return nil, err
	}
	c, err := fido.RenameCredential(ctx, key, p, in.Credential, in.Name, in.DisplayName)
	if err != nil {
		return nil, err
	}
	renamed := credential(c)
	return ipc.CredentialRenamed{Credential: &renamed}, nil
}

// maxAccountName is how much of a name every key keeps, in bytes of UTF-8 (WebAuthn §6.4.1).
const maxAccountName = 64

func checkNames(in *ipc.RenameCredentialRequest) error {
	if in.Name == nil && in.DisplayName == nil {
		return varlink.InvalidParameter{Parameter: "name"}
	}
	for parameter, name := range map[string]*string{"name": in.Name, "displayName": in.DisplayName} {
		if name != nil && (len(*name) > maxAccountName || !utf8.ValidString(*name) || strings.ContainsFunc(*name, unprintable)) {
			return varlink.InvalidParameter{Parameter: parameter}
		}
	}
	return nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }

func deleteCredential(
	ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.DeleteCredentialRequest,
) (any, error) {
	c, err := fido.DeleteCredential(ctx, key, p, in.Credential, in.Confirm)
	if err != nil {
		return nil, err
	}
	deleted := credential(c)
	return ipc.CredentialDeleted{Credential: &deleted, LargeBlobDeleted: c.LargeBlob != nil}, nil
}

// Confirm implements fido.Confirmer.
func (c *ceremony) Confirm(ctx context.Context, dev fido.DeviceInfo, found *fido.StoredCredential) error {
	entryOf(ctx).about(found.RP.ID, []fido.DeviceInfo{dev})
	account := ipc.Account{
		ID: base64.RawURLEncoding.EncodeToString(found.User.ID), Name: found.User.Name, DisplayName: found.User.DisplayName}
	_, err := c.ask(ctx, &prompt{kind: ipc.EventConfirm, choices: 1}, dev,
		ipc.Event{Kind: ipc.EventConfirm, RPID: found.RP.ID, Accounts: []ipc.Account{account}})
	return err
}

func listLargeBlobs(ctx context.Context, key fido.Candidate, p fido.Prompter, _ *ipc.WhichDevice) (any, error) {
	found, err := fido.ListLargeBlobs(ctx, key, p)
	if err != nil {
		return nil, err
	}
	all := found.LargeBlobs
	list := &ipc.LargeBlobList{
		Capacity: int(all.Capacity), Used: int(all.Used), Orphans: int(all.Orphans), Blobs: []ipc.LargeBlob{}}
	for i := range found.List {
		if c := &found.List[i]; c.LargeBlob != nil {
			list.Blobs = append(list.Blobs, ipc.LargeBlob{
				Credential: credential(c), Size: int(c.LargeBlob.Size), Stored: int(c.LargeBlob.Stored)})
		}
	}
	return ipc.LargeBlobsListed{List: list}, nil
}

func getLargeBlob(ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.WhichCredential) (any, error) {
	blob, err := fido.GetLargeBlob(ctx, key, p, in.Credential)
	if err != nil {
		return nil, err
	}
	return ipc.LargeBlobGot{Blob: base64.RawURLEncoding.EncodeToString(blob)}, nil
}

func setLargeBlob(ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.SetLargeBlobRequest) (any, error) {
	blob, err := base64.RawURLEncoding.DecodeString(in.Blob)
	if err != nil || len(blob) == 0 || len(blob) > fido.MaxLargeBlob {
		return nil, varlink.InvalidParameter{Parameter: "blob"}
	}
	return nil, fido.SetLargeBlob(ctx, key, p, in.Credential, blob)
}

func deleteLargeBlob(ctx context.Context, key fido.Candidate, p fido.Prompter, in *ipc.WhichCredential) (any, error) {
	return nil, fido.DeleteLargeBlob(ctx, key, p, in.Credential)
}

func credential(c *fido.StoredCredential) ipc.Credential {
	return ipc.Credential{
		ID:                c.Name(),
		RPID:              c.RP.ID,
		RPIDHash:          base64.RawURLEncoding.EncodeToString(c.RPIDHash[:]),
		RPIDCut:           c.RPIDCut,
		RPName:            c.RP.Name,
		UserID:            base64.RawURLEncoding.EncodeToString(c.User.ID),
		Name:              c.User.Name,
		DisplayName:       c.User.DisplayName,
		Algorithm:         int(c.Algorithm),
		CredProtect:       protection[c.CredProtect],
		ThirdPartyPayment: c.ThirdPartyPayment,
		LargeBlobKey:      c.HasLargeBlobKey,
	}
}

var protection = map[ctap.CredProtect]ipc.CredentialProtection{
	ctap.UserVerificationOptional:                     ipc.UserVerificationOptional,
	ctap.UserVerificationOptionalWithCredentialIDList: ipc.UserVerificationOptionalWithCredentialIDList,
	ctap.UserVerificationRequired:                     ipc.UserVerificationRequired,
}
