package libfido2

import (
	"context"

	"fob/fido"
	"fob/fido/ctap"
)

// Credentials implements fido.Authenticator. The kernel's NFC devices can't: ctap.ErrInvalidCommand.
func (d *Device) Credentials(ctx context.Context, r *fido.CredentialsRequest) (*fido.Credentials, error) {
	d.endManagement()
	key, err := d.platform(ctx)
	if err != nil {
		return nil, err
	}
	m, list, err := key.Manage(ctx, r)
	if err != nil {
		return nil, err
	}
	d.management = m
	return list, nil
}

func (d *Device) endManagement() {
	if d.management != nil {
		d.management.End()
		d.management = nil
	}
}

// UpdateUser implements fido.Authenticator.
func (d *Device) UpdateUser(ctx context.Context, id []byte, user ctap.PublicKeyCredentialUserEntity) error {
	if d.management == nil {
		return ctap.ErrPUATRequired
	}
	return d.management.UpdateUser(ctx, id, user)
}

// DeleteCredential implements fido.Authenticator.
func (d *Device) DeleteCredential(ctx context.Context, id []byte) error {
	if d.management == nil {
		return ctap.ErrPUATRequired
	}
	return d.management.DeleteCredential(ctx, id)
}

// LargeBlob implements fido.Authenticator.
func (d *Device) LargeBlob(ctx context.Context, id []byte) ([]byte, error) {
	if d.management == nil {
		return nil, ctap.ErrPUATRequired
	}
	return d.management.LargeBlob(ctx, id)
}

// SetLargeBlob implements fido.Authenticator.
func (d *Device) SetLargeBlob(ctx context.Context, id, blob []byte) error {
	if d.management == nil {
		return ctap.ErrPUATRequired
	}
	return d.management.SetLargeBlob(ctx, id, blob)
}
