package transcript

import (
	"fmt"
	"strconv"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

// message names the parts of a CTAP2 command as CTAP 2.2 §6 does.
type message struct {
	name        string
	subCommand  int // the parameter that holds the subcommand; 0 for a command without
	subCommands map[int]string
	parameters  map[int]string
	response    map[int]string
}

var messages = map[ctap.Command]*message{
	ctap.CommandMakeCredential: {
		name: "authenticatorMakeCredential",
		parameters: map[int]string{1: "clientDataHash", 2: "rp", 3: "user", 4: "pubKeyCredParams", 5: "excludeList",
			6: "extensions", 7: "options", 8: "pinUvAuthParam", 9: "pinUvAuthProtocol", 10: "enterpriseAttestation",
			11: "attestationFormatsPreference"},
		response: map[int]string{1: "fmt", memberAuthData: "authData", 3: "attStmt", 4: "epAtt", 5: "largeBlobKey",
			6: "unsignedExtensionOutputs"},
	},
	ctap.CommandGetAssertion: {
		name: "authenticatorGetAssertion",
		parameters: map[int]string{1: "rpId", 2: "clientDataHash", 3: "allowList", 4: "extensions", 5: "options",
			6: "pinUvAuthParam", 7: "pinUvAuthProtocol"},
		response: assertionMembers,
	},
	ctap.CommandGetNextAssertion: {name: "authenticatorGetNextAssertion", response: assertionMembers},
	ctap.CommandGetInfo: {
		name: "authenticatorGetInfo",
		response: map[int]string{1: "versions", 2: "extensions", 3: "aaguid", 4: "options", 5: "maxMsgSize",
			6: "pinUvAuthProtocols", 7: "maxCredentialCountInList", 8: "maxCredentialIdLength", 9: "transports",
			10: "algorithms", 11: "maxSerializedLargeBlobArray", 12: "forcePINChange", 13: "minPINLength",
			14: "firmwareVersion", 15: "maxCredBlobLength", 16: "maxRPIDsForSetMinPINLength",
			17: "preferredPlatformUvAttempts", 18: "uvModality", 19: "certifications",
			20: "remainingDiscoverableCredentials", 21: "vendorPrototypeConfigCommands", 22: "attestationFormats",
			23: "uvCountSinceLastPinEntry", 24: "longTouchForReset", 25: "encIdentifier", 26: "transportsForReset",
			27: "pinComplexityPolicy", 28: "pinComplexityPolicyURL", 29: "maxPINLength", 30: "encCredStoreState",
			31: "authenticatorConfigCommands"},
	},
	ctap.CommandClientPIN: {
		name:       "authenticatorClientPIN",
		subCommand: 2,
		subCommands: map[int]string{1: "getPINRetries", 2: "getKeyAgreement", 3: "setPIN", 4: "changePIN",
			5: "getPinToken", 6: "getPinUvAuthTokenUsingUvWithPermissions", 7: "getUVRetries",
			9: "getPinUvAuthTokenUsingPinWithPermissions"},
		parameters: map[int]string{1: "pinUvAuthProtocol", 2: "subCommand", 3: "keyAgreement", 4: "pinUvAuthParam",
			5: "newPinEnc", 6: "pinHashEnc", 9: "permissions", 10: "rpId"},
		response: map[int]string{1: "keyAgreement", 2: "pinUvAuthToken", 3: "pinRetries", 4: "powerCycleState",
			5: "uvRetries"},
	},
	ctap.CommandReset:                       {name: "authenticatorReset"},
	ctap.CommandBioEnrollment:               bioEnrollment("authenticatorBioEnrollment"),
	ctap.CommandBioEnrollmentPreview:        bioEnrollment("authenticatorBioEnrollment (preview)"),
	ctap.CommandCredentialManagement:        credentialManagement("authenticatorCredentialManagement"),
	ctap.CommandCredentialManagementPreview: credentialManagement("authenticatorCredentialManagement (preview)"),
	ctap.CommandSelection:                   {name: "authenticatorSelection"},
	ctap.CommandLargeBlobs: {
		name: "authenticatorLargeBlobs",
		parameters: map[int]string{1: "get", 2: "set", 3: "offset", 4: "length", 5: "pinUvAuthParam",
			6: "pinUvAuthProtocol"},
		response: map[int]string{1: "config"},
	},
	ctap.CommandConfig: {
		name:       "authenticatorConfig",
		subCommand: 1,
		subCommands: map[int]string{1: "enableEnterpriseAttestation", 2: "toggleAlwaysUv", 3: "setMinPINLength",
			255: "vendorPrototype"},
		parameters: map[int]string{1: "subCommand", 2: "subCommandParams", 3: "pinUvAuthProtocol", 4: "pinUvAuthParam"},
	},
}

// memberAuthData is where authenticatorMakeCredential, -GetAssertion and -GetNextAssertion answer with authenticator
// data.
const memberAuthData = 2

var assertionMembers = map[int]string{1: "credential", memberAuthData: "authData", 3: "signature", 4: "user",
	5: "numberOfCredentials", 6: "userSelected", 7: "largeBlobKey", 8: "unsignedExtensionOutputs"}

func bioEnrollment(name string) *message {
	return &message{
		name:       name,
		subCommand: 2,
		subCommands: map[int]string{1: "enrollBegin", 2: "enrollCaptureNextSample", 3: "cancelCurrentEnrollment",
			4: "enumerateEnrollments", 5: "setFriendlyName", 6: "removeEnrollment", 7: "getFingerprintSensorInfo"},
		parameters: map[int]string{1: "modality", 2: "subCommand", 3: "subCommandParams", 4: "pinUvAuthProtocol",
			5: "pinUvAuthParam", 6: "getModality"},
		response: map[int]string{1: "modality", 2: "fingerprintKind", 3: "maxCaptureSamplesRequiredForEnroll",
			4: "templateId", 5: "lastEnrollSampleStatus", 6: "remainingSamples", 7: "templateInfos",
			8: "maxTemplateFriendlyName"},
	}
}

func credentialManagement(name string) *message {
	return &message{
		name:       name,
		subCommand: 1,
		subCommands: map[int]string{1: "getCredsMetadata", 2: "enumerateRPsBegin", 3: "enumerateRPsGetNextRP",
			4: "enumerateCredentialsBegin", 5: "enumerateCredentialsGetNextCredential", 6: "deleteCredential",
			7: "updateUserInformation"},
		parameters: map[int]string{1: "subCommand", 2: "subCommandParams", 3: "pinUvAuthProtocol", 4: "pinUvAuthParam"},
		response: map[int]string{1: "existingResidentCredentialsCount",
			2: "maxPossibleRemainingResidentCredentialsCount", 3: "rp", 4: "rpIDHash", 5: "totalRPs", 6: "user",
			7: "credentialID", 8: "publicKey", 9: "totalCredentials",
			10: "credProtect", 11: "largeBlobKey", 12: "thirdPartyPayment"},
	}
}

// message gives the names of a CTAP2 request, empty ones where the command is unknown.
func (r Request) message() *message {
	if !r.U2F && len(r.Payload) > 0 {
		if m := messages[ctap.Command(r.Payload[0])]; m != nil {
			return m
		}
	}
	return &message{}
}

// Name says what is asked for in the standard's words: the command and, where it has one, the subcommand, or for
// CTAP1/U2F the instruction and its control byte. Requests of one Name differ in their parameters alone.
func (r Request) Name() string {
	m := r.message()
	switch {
	case r.U2F:
		return u2fName(r.Payload)
	case len(r.Payload) == 0:
		return "empty request"
	case m.name == "":
		return fmt.Sprintf("command 0x%02x", r.Payload[0])
	case ctap.Command(r.Payload[0]) == ctap.CommandLargeBlobs:
		return m.name + r.blobOperation()
	case m.subCommand == 0:
		return m.name
	}
	return m.name + " " + r.subCommandName(m)
}

func (r Request) subCommandName(m *message) string {
	for _, p := range members(r.Payload[1:]) {
		if p.key != strconv.Itoa(m.subCommand) {
			continue
		}
		number := p.diagnose()
		if n, err := strconv.Atoi(number); err == nil && m.subCommands[n] != "" {
			return m.subCommands[n]
		}
		return "subCommand " + number
	}
	return "without subCommand"
}

// blobOperation tells reading large blobs from writing them: that command has no subcommands (§6.10).
func (r Request) blobOperation() string {
	for _, p := range members(r.Payload[1:]) {
		switch p.key {
		case "1":
			return " get"
		case "2":
			return " set"
		}
	}
	return ""
}

var instructions = map[ctap.U2FInstruction]string{
	ctap.U2FRegister:     "U2F_REGISTER",
	ctap.U2FAuthenticate: "U2F_AUTHENTICATE",
	ctap.U2FVersion:      "U2F_VERSION",
}

var controls = map[ctap.U2FControl]string{
	ctap.U2FCheckOnly:                   "check-only",
	ctap.U2FEnforceUserPresenceAndSign:  "enforce-user-presence-and-sign",
	ctap.U2FDontEnforceUserPresenceSign: "dont-enforce-user-presence-and-sign",
}

func u2fName(apdu []byte) string {
	r, err := ctap.ParseU2FRequest(apdu)
	if err != nil {
		return "APDU"
	}
	name := instructions[r.Instruction]
	switch {
	case name == "":
		return fmt.Sprintf("U2F instruction 0x%02x", byte(r.Instruction))
	case r.Instruction != ctap.U2FAuthenticate:
		return name
	case controls[r.Control] == "":
		return fmt.Sprintf("%s control 0x%02x", name, byte(r.Control))
	}
	return name + " " + controls[r.Control]
}

var packetNames = map[ctaphid.Command]string{
	ctaphid.CommandPing:      "CTAPHID_PING",
	ctaphid.CommandMsg:       "CTAPHID_MSG",
	ctaphid.CommandLock:      "CTAPHID_LOCK",
	ctaphid.CommandInit:      "CTAPHID_INIT",
	ctaphid.CommandWink:      "CTAPHID_WINK",
	ctaphid.CommandCBOR:      "CTAPHID_CBOR",
	ctaphid.CommandCancel:    "CTAPHID_CANCEL",
	ctaphid.CommandKeepalive: "CTAPHID_KEEPALIVE",
	ctaphid.CommandError:     "CTAPHID_ERROR",
}
