package fault

import (
	"slices"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// anyKind is each command.
const anyKind = "any"

// kindU2F is each command of U2F.
const kindU2F = "u2f"

// subcommands of authenticatorClientPIN have kinds of their own. That there are three ways to a token is of no concern
// to who wants the way to it barred.
var subcommands = map[ctap.Subcommand]string{
	ctap.SubcommandGetPINRetries:                            "getPINRetries",
	ctap.SubcommandGetKeyAgreement:                          "getKeyAgreement",
	ctap.SubcommandSetPIN:                                   "setPIN",
	ctap.SubcommandChangePIN:                                "changePIN",
	ctap.SubcommandGetPINToken:                              "getPinToken",
	ctap.SubcommandGetPINUVAuthTokenUsingUVWithPermissions:  "getPinToken",
	ctap.SubcommandGetPINUVAuthTokenUsingPINWithPermissions: "getPinToken",
	ctap.SubcommandGetUVRetries:                             "getUVRetries",
}

var instructions = map[ctap.U2FInstruction]string{
	ctap.U2FRegister:     "u2fRegister",
	ctap.U2FAuthenticate: "u2fAuthenticate",
	ctap.U2FVersion:      "u2fVersion",
}

// The kinds of commands.
var (
	ctap2Kinds = []string{
		ctap.CommandMakeCredential.String(), ctap.CommandGetAssertion.String(), ctap.CommandGetNextAssertion.String(),
		ctap.CommandGetInfo.String(), ctap.CommandClientPIN.String(), ctap.CommandReset.String(),
		ctap.CommandBioEnrollment.String(), ctap.CommandCredentialManagement.String(), ctap.CommandSelection.String(),
		ctap.CommandLargeBlobs.String(), ctap.CommandConfig.String(), ctap.CommandBioEnrollmentPreview.String(),
		ctap.CommandCredentialManagementPreview.String(),
		"getPINRetries", "getKeyAgreement", "setPIN", "changePIN", "getPinToken", "getUVRetries",
	}
	u2fKinds = []string{kindU2F, "u2fRegister", "u2fAuthenticate", "u2fVersion"}
	kinds    = slices.Concat([]string{anyKind}, ctap2Kinds, u2fKinds)
)

// Messages of CTAPHID that are no commands.
var (
	inMessages  = []string{"init", "ping", "wink", "lock", "cancel"}
	outMessages = []string{"init", "ping", "wink", "lock", "keepalive", "error"}

	hidMessages = map[ctaphid.Command]string{
		ctaphid.CommandInit: "init", ctaphid.CommandPing: "ping", ctaphid.CommandWink: "wink", ctaphid.CommandLock: "lock",
		ctaphid.CommandCancel: "cancel", ctaphid.CommandKeepalive: "keepalive", ctaphid.CommandError: "error",
	}
)

// kindsFor are the kinds of commands that an effect is for.
func kindsFor(e effect) []string {
	switch e.(type) {
	case status:
		return slices.Concat([]string{anyKind}, ctap2Kinds)
	case statusWord:
		return slices.Concat([]string{anyKind}, u2fKinds)
	default:
		return kinds
	}
}

// names are what a message is called: the command and, where there is one, the subcommand.
type names [2]string

func (n names) are(kind string) bool {
	switch kind {
	case "", anyKind:
		return true
	default:
		return n[0] == kind || n[1] == kind
	}
}

// String is the more precise name.
func (n names) String() string {
	if n[1] != "" {
		return n[1]
	}
	return n[0]
}

// commandNames names a command, of which the first bytes will do.
func commandNames(payload []byte, u2f bool) names {
	switch {
	case u2f && len(payload) > 1:
		return names{kindU2F, instructions[ctap.U2FInstruction(payload[1])]}
	case u2f:
		return names{kindU2F}
	case len(payload) == 0:
		return names{"nothing"}
	}
	command := ctap.Command(payload[0])
	if command == ctap.CommandClientPIN {
		return names{command.String(), subcommands[subcommand(payload[1:])]}
	}
	return names{command.String()}
}

// subcommand reads the subcommand (0x02) of authenticatorClientPIN, before which only the protocol (0x01) can stand in
// canonical CBOR. It is 0 where it can't be found.
func subcommand(parameters []byte) ctap.Subcommand {
	const smallMap, mapMask = 0xa0, 0xe0
	if len(parameters) < 3 || parameters[0]&mapMask != smallMap {
		return 0
	}
	members := parameters[1:]
	if members[0] == 1 {
		members = members[2:]
	}
	if len(members) < 2 || members[0] != 2 {
		return 0
	}
	return ctap.Subcommand(members[1])
}

// packetNames names the message that a packet begins.
func packetNames(p ctaphid.Packet) names {
	switch p.Command {
	case ctaphid.CommandCBOR, ctaphid.CommandMsg:
		return commandNames(p.Data[:min(len(p.Data), int(p.BCNT))], p.Command == ctaphid.CommandMsg)
	default:
		return names{hidMessages[p.Command]}
	}
}
