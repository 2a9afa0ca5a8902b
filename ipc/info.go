package ipc

import "context"

// Info is fob.Device.Info, which documents each member.
type Info struct {
	Versions                         []string        `json:"versions"`
	Extensions                       []string        `json:"extensions,omitempty"`
	AAGUID                           string          `json:"aaguid"`
	Options                          map[string]bool `json:"options,omitempty"`
	MaxMsgSize                       int             `json:"maxMsgSize,omitempty"`
	PINUVAuthProtocols               []int           `json:"pinUvAuthProtocols,omitempty"`
	MaxCredentialCountInList         int             `json:"maxCredentialCountInList,omitempty"`
	MaxCredentialIDLength            int             `json:"maxCredentialIdLength,omitempty"`
	Transports                       []string        `json:"transports,omitempty"`
	Algorithms                       []Algorithm     `json:"algorithms,omitempty"`
	MaxSerializedLargeBlobArray      int             `json:"maxSerializedLargeBlobArray,omitempty"`
	ForcePINChange                   bool            `json:"forcePINChange,omitempty"`
	MinPINLength                     int             `json:"minPINLength,omitempty"`
	FirmwareVersion                  int             `json:"firmwareVersion,omitempty"`
	MaxCredBlobLength                int             `json:"maxCredBlobLength,omitempty"`
	MaxRPIDsForSetMinPINLength       int             `json:"maxRPIDsForSetMinPINLength,omitempty"`
	PreferredPlatformUVAttempts      int             `json:"preferredPlatformUvAttempts,omitempty"`
	UVModality                       int             `json:"uvModality,omitempty"`
	Certifications                   map[string]int  `json:"certifications,omitempty"`
	RemainingDiscoverableCredentials *int            `json:"remainingDiscoverableCredentials,omitempty"`
	AttestationFormats               []string        `json:"attestationFormats,omitempty"`
	UVCountSinceLastPINEntry         *int            `json:"uvCountSinceLastPinEntry,omitempty"`
	LongTouchForReset                bool            `json:"longTouchForReset,omitempty"`
	TransportsForReset               []string        `json:"transportsForReset,omitempty"`
	PINComplexityPolicy              *bool           `json:"pinComplexityPolicy,omitempty"`
	PINComplexityPolicyURL           string          `json:"pinComplexityPolicyURL,omitempty"`
	MaxPINLength                     int             `json:"maxPINLength,omitempty"`
	PINRetries                       *int            `json:"pinRetries,omitempty"`
	PowerCycleState                  bool            `json:"powerCycleState,omitempty"`
	UVRetries                        *int            `json:"uvRetries,omitempty"`
}

// Algorithm is fob.Device.Algorithm.
type Algorithm struct {
	Type string `json:"type"`
	Alg  int    `json:"alg"`
}

// GetInfoReply is what fob.Device.GetInfo returns.
type GetInfoReply struct {
	Device Device `json:"device"`
	Info   Info   `json:"info"`
	Model  *Model `json:"model,omitempty"`
}

// Model is fob.Device.Model.
type Model struct {
	Description   string   `json:"description"`
	Certification string   `json:"certification,omitempty"`
	Warnings      []string `json:"warnings,omitempty"`
	Notes         []string `json:"notes,omitempty"`
}

// GetInfo performs fob.Device.GetInfo.
func (c *Client) GetInfo(ctx context.Context, device string) (*GetInfoReply, error) {
	var reply GetInfoReply
	if err := c.look(ctx, MethodGetInfo, device, &reply); err != nil {
		return nil, err
	}
	return &reply, nil
}

// Wink performs fob.Device.Wink.
func (c *Client) Wink(ctx context.Context, device string) error {
	return c.look(ctx, MethodWink, device, nil)
}

func (c *Client) look(ctx context.Context, method, device string, out any) error {
	in := &WhichDevice{Device: device}
	c.setTurn(in)
	return c.call(ctx, method, in, out)
}
