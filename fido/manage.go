package fido

import (
	"context"
	"fmt"

	"fob/fido/ctap"
)

// Unsupported is something that a key can't do, in words.
type Unsupported string

func (u Unsupported) Error() string { return "the key can't do what is asked for: " + string(u) }

// Action is a change of a key, or a look into it, that the key allows to a verified person. uv asks for the key's
// built-in user verification, pin is nil for none.
type Action func(ctx context.Context, uv bool, pin PIN) error

// manage performs an action for which the key wants a pinUvAuthToken with a permission (CTAP 2.2 §6.5.5.7).
func (c *ceremony) manage(ctx context.Context, needs ctap.Permission, do Action) error {
	m, err := managementMethod(c.info, needs)
	if err != nil {
		return err
	}
	return c.verified(ctx, m, do)
}

// managementMethod decides how the person is verified for what needs a permission. A finger is not enough for every
// permission (§6.4, uvBioEnroll and uvAcfg), and a key that nothing protects gives some without (§6.10, §6.11).
// A PIN is never set or changed on the way: managing a key does the one thing that was asked for.
func managementMethod(info *ctap.GetInfoResponse, needs ctap.Permission) (method, error) {
	finger, free := info.Options[ctap.OptionUV] && info.Options[ctap.OptionPINUVAuthToken], false
	switch needs {
	case ctap.PermissionBioEnrollment:
		finger = finger && info.Options[ctap.OptionUVBioEnroll]
	case ctap.PermissionAuthenticatorConfiguration:
		finger, free = finger && info.Options[ctap.OptionUVAcfg], !info.Options[ctap.OptionUV]
	case ctap.PermissionLargeBlobWrite:
		free = !info.Options[ctap.OptionUV]
	}
	switch {
	case finger:
		return builtIn, nil
	case info.Options[ctap.OptionClientPIN] && info.ForcePINChange:
		return noVerification, ErrPINChangeRequired
	case info.Options[ctap.OptionClientPIN]:
		return byPIN, nil
	case free:
		return noVerification, nil
	default:
		return noVerification, ErrNoUserVerification
	}
}

// Configure changes how a key works, by authenticatorConfig (CTAP 2.2 §6.11); without r.PIN, which the person is asked
// for. A key that can't is Unsupported.
func Configure(ctx context.Context, key Candidate, p Prompter, r ConfigRequest) error {
	c, err := begin(ctx, key.Key, key.Info, p, false)
	if err != nil {
		return err
	}
	return c.configure(ctx, r)
}

// SetAlwaysUV makes a key want user verification in every ceremony, or no longer (CTAP 2.2 §6.11.2).
func SetAlwaysUV(ctx context.Context, key Candidate, p Prompter, on bool) error {
	c, err := begin(ctx, key.Key, key.Info, p, false)
	if err != nil {
		return err
	}
	if now, has := c.info.Options[ctap.OptionAlwaysUV]; has && now == on {
		return nil
	}
	return c.configure(ctx, ConfigRequest{Subcommand: ctap.SubcommandToggleAlwaysUV})
}

// EnableEnterpriseAttestation lets a key attest for an enterprise, until it is reset (CTAP 2.2 §6.11.1).
func EnableEnterpriseAttestation(ctx context.Context, key Candidate, p Prompter) error {
	c, err := begin(ctx, key.Key, key.Info, p, false)
	if err != nil {
		return err
	}
	if c.info.Options[ctap.OptionEP] {
		return nil
	}
	return c.configure(ctx, ConfigRequest{Subcommand: ctap.SubcommandEnableEnterpriseAttestation})
}

func (c *ceremony) configure(ctx context.Context, r ConfigRequest) error {
	if err := configurable(c.info, &r); err != nil {
		return err
	}
	return c.manage(ctx, ctap.PermissionAuthenticatorConfiguration, func(ctx context.Context, _ bool, pin PIN) error {
		r.PIN = pin
		return c.key.Configure(ctx, &r)
	})
}

// configurable finds out what the key would refuse, before the person is asked for anything.
func configurable(info *ctap.GetInfoResponse, r *ConfigRequest) error {
	option := map[ctap.ConfigSubcommand]string{
		ctap.SubcommandEnableEnterpriseAttestation: ctap.OptionEP,
		ctap.SubcommandToggleAlwaysUV:              ctap.OptionAlwaysUV,
		ctap.SubcommandSetMinPINLength:             ctap.OptionSetMinPINLen,
	}[r.Subcommand]
	_, has := info.Options[option]
	switch {
	case !has || !info.Options[ctap.OptionAuthnrCfg]:
		return Unsupported(fmt.Sprintf("to be configured in this way (%s)", option))
	case r.MinPINLength > 0 && r.MinPINLength < info.MinPINLength:
		return &MinPINLengthError{info.MinPINLength}
	case uint(len(r.RPIDs)) > info.MaxMinPINLengthRPIDs:
		return Unsupported(fmt.Sprintf("to tell more than %d relying parties the length of its PIN", info.MaxMinPINLengthRPIDs))
	case r.ForceChange && !info.Options[ctap.OptionClientPIN]:
		return ctap.ErrPINNotSet
	}
	return nil
}

// MinPINLengthError is a minimum that the key refuses because it only ever grows. It unwraps to
// ctap.ErrPINPolicyViolation.
type MinPINLengthError struct {
	Now uint // in Unicode code points
}

func (e *MinPINLengthError) Error() string {
	return fmt.Sprintf("the shortest PIN of this key has %d characters, and can't become shorter", e.Now)
}

// Unwrap gives the status code that the key would have answered with.
func (e *MinPINLengthError) Unwrap() error { return ctap.ErrPINPolicyViolation }
