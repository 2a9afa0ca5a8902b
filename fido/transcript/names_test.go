package transcript

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"fob/fido/ctap"
)

// TestNames wants a name for each member of a message that package ctap knows.
func TestNames(t *testing.T) {
	for _, test := range []struct {
		command           ctap.Command
		request, response any
	}{
		{ctap.CommandMakeCredential, ctap.MakeCredentialRequest{}, ctap.MakeCredentialResponse{}},
		{ctap.CommandGetAssertion, ctap.GetAssertionRequest{}, ctap.GetAssertionResponse{}},
		{ctap.CommandGetNextAssertion, nil, ctap.GetAssertionResponse{}},
		{ctap.CommandGetInfo, nil, ctap.GetInfoResponse{}},
		{ctap.CommandClientPIN, ctap.ClientPINRequest{}, ctap.ClientPINResponse{}},
		{ctap.CommandBioEnrollment, ctap.BioEnrollmentRequest{}, ctap.BioEnrollmentResponse{}},
		{ctap.CommandBioEnrollmentPreview, ctap.BioEnrollmentRequest{}, ctap.BioEnrollmentResponse{}},
		{ctap.CommandCredentialManagement, ctap.CredentialManagementRequest{}, ctap.CredentialManagementResponse{}},
		{ctap.CommandCredentialManagementPreview, ctap.CredentialManagementRequest{}, ctap.CredentialManagementResponse{}},
		{ctap.CommandLargeBlobs, ctap.LargeBlobsRequest{}, ctap.LargeBlobsResponse{}},
		{ctap.CommandConfig, ctap.ConfigRequest{}, nil},
		{ctap.CommandReset, nil, nil},
		{ctap.CommandSelection, nil, nil},
	} {
		m := messages[test.command]
		if m == nil {
			t.Errorf("no names for command %#x", test.command)
			continue
		}
		wantNames(t, m.name+" request", test.request, m.parameters)
		wantNames(t, m.name+" response", test.response, m.response)
	}
}

func wantNames(t *testing.T, message string, of any, names map[int]string) {
	t.Helper()
	if of == nil {
		return
	}
	for f := range reflect.TypeOf(of).Fields() {
		number, _, ok := strings.Cut(f.Tag.Get("cbor"), ",keyasint")
		n, err := strconv.Atoi(number)
		if !ok || err != nil {
			t.Errorf("%s: %s has no number", message, f.Name)
		}
		if names[n] == "" {
			t.Errorf("%s: no name for %d, %s", message, n, f.Name)
		}
	}
}
