package platform

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"

	"fob/fido"
	"fob/fido/ctap"
)

// Key is a key that can be talked to, one operation at a time.
type Key struct {
	// Info is what the key says of itself.
	Info *ctap.GetInfoResponse
	// Exchange sends a request, a command byte and its parameters, and gives the parameters of the answer. A status
	// other than success is its error.
	Exchange func(ctx context.Context, request []byte) (parameters []byte, err error)
}

// ask sends a request and decodes the answer.
func ask[T any](ctx context.Context, k *Key, request []byte, parse func([]byte) (*T, error)) (*T, error) {
	parameters, err := k.Exchange(ctx, request)
	if err != nil {
		return nil, err
	}
	v, err := parse(parameters)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fido.ErrBadAnswer, err)
	}
	return v, nil
}

// session is a key agreement, and the pinUvAuthToken of a verified person.
type session struct {
	protocol ctap.PINProtocol
	ours     *ctap.KeyAgreement
	secret   *ctap.SharedSecret
	token    []byte // nil without verification, and where the key verifies by the option uv
}

// verification says by what a person is verified.
type verification struct {
	uv          bool
	pin         fido.PIN
	permissions ctap.Permission
	rpID        string // empty for permissions that are not for one RP
}

// begin agrees on a key, if salts or a token need one, and gets the token. The caller calls end.
func (k *Key) begin(ctx context.Context, v verification, salts fido.Secret) (s *session, err error) {
	byToken := v.pin != nil || v.uv && k.Info.Options[ctap.OptionPINUVAuthToken]
	if !byToken && salts == nil {
		return &session{}, nil
	}
	if s, err = k.agree(ctx); err != nil {
		return nil, err
	}
	if byToken {
		if s.token, err = k.token(ctx, s, v); err != nil {
			s.end()
			return nil, err
		}
	}
	return s, nil
}

// agree performs the key agreement of the first protocol on the key's list that we speak (§6.5.5.4).
func (k *Key) agree(ctx context.Context) (*session, error) {
	s := &session{protocol: ctap.PINProtocolOne} // of keys from before there was a list
	if i := slices.IndexFunc(k.Info.PINUVAuthProtocols, ctap.PINProtocol.Supported); i >= 0 {
		s.protocol = k.Info.PINUVAuthProtocols[i]
	}
	r := &ctap.ClientPINRequest{PINUVAuthProtocol: s.protocol, Subcommand: ctap.SubcommandGetKeyAgreement}
	theirs, err := ask(ctx, k, r.Encode(), ctap.ParseClientPINResponse)
	if err != nil {
		return nil, err
	}
	ours, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	s.ours = &ctap.KeyAgreement{PublicKey: ours.PublicKey()}
	if theirs.KeyAgreement != nil {
		s.secret, err = s.protocol.SharedSecret(ours, theirs.KeyAgreement.PublicKey)
	}
	if err != nil || s.secret == nil {
		return nil, fmt.Errorf("%w: no key agreement", fido.ErrBadAnswer)
	}
	return s, nil
}

// token gets a pinUvAuthToken (§6.5.5.7). A key that knows no permissions gives one for all.
func (k *Key) token(ctx context.Context, s *session, v verification) ([]byte, error) {
	r := &ctap.ClientPINRequest{PINUVAuthProtocol: s.protocol, KeyAgreement: s.ours,
		Subcommand: ctap.SubcommandGetPINUVAuthTokenUsingUVWithPermissions}
	if v.pin != nil {
		if len(v.pin) == 0 || len(v.pin) > fido.MaxPINLength {
			return nil, ctap.ErrPINPolicyViolation
		}
		sum := sha256.Sum256(v.pin)
		defer clear(sum[:])
		encrypted, err := s.secret.Encrypt(sum[:16])
		if err != nil {
			return nil, err
		}
		r.PINHashEnc, r.Subcommand = encrypted, ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions
	}
	if k.Info.Options[ctap.OptionPINUVAuthToken] {
		r.Permissions = &v.permissions
		if v.rpID != "" {
			r.RPID = &v.rpID
		}
	} else {
		r.Subcommand = ctap.SubcommandGetPINToken
	}
	got, err := ask(ctx, k, r.Encode(), ctap.ParseClientPINResponse)
	if err != nil {
		return nil, err
	}
	token, err := s.secret.Decrypt(got.PINUVAuthToken)
	if n := len(token); err != nil || n != 32 && (n != 16 || s.protocol != ctap.PINProtocolOne) { // §6.5.6, §6.5.7
		return nil, fmt.Errorf("%w: no pinUvAuthToken", fido.ErrBadAnswer)
	}
	return token, nil
}

// authenticate gives the pinUvAuthParam of a message and its protocol, or nothing where there is no token.
func (s *session) authenticate(message []byte) (*ctap.Bytes, ctap.PINProtocol) {
	if s.token == nil {
		return nil, 0
	}
	param := ctap.Bytes(s.protocol.Authenticate(s.token, message))
	return &param, s.protocol
}

// options gives the options of a request. uv is the way of keys that give no tokens for a fingerprint.
func (s *session) options(rk, up, uv bool) (o ctap.Options) {
	yes, no := true, false
	if rk {
		o.RK = &yes
	}
	if !up {
		o.UP = &no
	}
	if uv && s.token == nil {
		o.UV = &yes
	}
	return o
}

// encrypt gives the input of hmac-secret (§12.7), nil where there are no salts.
func (s *session) encrypt(salts fido.Secret) (*ctap.HMACSecretInput, error) {
	if salts == nil {
		return nil, nil
	}
	encrypted, err := s.secret.Encrypt(salts)
	if err != nil {
		return nil, err
	}
	in := &ctap.HMACSecretInput{KeyAgreement: s.ours, SaltEnc: encrypted, SaltAuth: s.secret.Authenticate(encrypted)}
	if s.protocol != ctap.PINProtocolOne { // which is meant when there is none
		in.PINUVAuthProtocol = s.protocol
	}
	return in, nil
}

// decrypt gives what hmac-secret made of the salts, nil where it made nothing.
func (s *session) decrypt(output ctap.Bytes, salts fido.Secret) (fido.Secret, error) {
	if output == nil || salts == nil {
		return nil, nil
	}
	secrets, err := s.secret.Decrypt(output)
	if err != nil || len(secrets) != len(salts) {
		return nil, fmt.Errorf("%w: hmac-secret of the wrong length", fido.ErrBadAnswer)
	}
	return secrets, nil
}

// end wipes what was agreed on.
func (s *session) end() {
	clear(s.token)
	if s.secret != nil {
		s.secret.Wipe()
	}
}
