package ctap

import "bytes"

// ConfigSubcommand is a subcommand of authenticatorConfig (§6.11).
type ConfigSubcommand uint

const (
	SubcommandEnableEnterpriseAttestation ConfigSubcommand = 0x01
	SubcommandToggleAlwaysUV              ConfigSubcommand = 0x02
	SubcommandSetMinPINLength             ConfigSubcommand = 0x03
)

// ConfigRequest holds the parameters of authenticatorConfig (§6.11). SubcommandParams stays encoded, because the
// pinUvAuthParam covers its bytes.
type ConfigRequest struct {
	Subcommand        ConfigSubcommand `cbor:"1,keyasint,omitzero"`
	SubcommandParams  RawMessage       `cbor:"2,keyasint,omitzero"`
	PINUVAuthProtocol PINProtocol      `cbor:"3,keyasint,omitzero"`
	PINUVAuthParam    Bytes            `cbor:"4,keyasint,omitzero"`
}

// SetMinPINLengthParams are the subCommandParams of setMinPINLength (§6.11.4). NewMinPINLength counts code points.
type SetMinPINLengthParams struct {
	NewMinPINLength   *uint    `cbor:"1,keyasint,omitzero"`
	MinPINLengthRPIDs []string `cbor:"2,keyasint,omitzero"`
	ForceChangePIN    *bool    `cbor:"3,keyasint,omitzero"`
}

// ParseConfigRequest decodes the parameters of authenticatorConfig.
func ParseConfigRequest(b []byte) (*ConfigRequest, error) { return parse[ConfigRequest](b) }

// MinPINLength decodes the subCommandParams of setMinPINLength; ErrMissingParameter when there are none.
func (r *ConfigRequest) MinPINLength() (*SetMinPINLengthParams, error) {
	return parseParams[SetMinPINLengthParams](r.SubcommandParams)
}

// AuthMessage is what the pinUvAuthParam covers: 32 bytes of 0xff, the command, the subcommand and its parameters
// (§6.11).
func (r *ConfigRequest) AuthMessage() []byte {
	m := append(bytes.Repeat([]byte{0xff}, 32), byte(CommandConfig), byte(r.Subcommand))
	return append(m, r.SubcommandParams...)
}

// Encode gives the request as it travels: the command byte and the parameters.
func (r *ConfigRequest) Encode() []byte { return encode(CommandConfig, r) }
