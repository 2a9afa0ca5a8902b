package ipc

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"fob/ipc/varlink"
)

func parse(t *testing.T, text string) *varlink.Interface {
	t.Helper()
	i, err := varlink.ParseInterface(text)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// members lists the members of a Go struct as the wire has them: name, "?" where it may be left out, and kind.
func members(t reflect.Type) []string {
	var list []string
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			list = append(list, members(f.Type)...)
			continue
		}
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		list = append(list, name+mark(strings.HasPrefix(option, "omit"))+" "+goKind(f.Type))
	}
	slices.Sort(list)
	return list
}

func goKind(t reflect.Type) string {
	switch {
	case t.Kind() == reflect.String, t == reflect.TypeFor[Secret]():
		return "string"
	case t.String() == "json.RawMessage":
		return "object"
	case t.Kind() == reflect.Pointer:
		return goKind(t.Elem())
	case t.Kind() == reflect.Map:
		return "[string]" + goKind(t.Elem())
	case t.Kind() == reflect.Slice:
		return "[]" + goKind(t.Elem())
	case t.Kind() == reflect.Struct:
		return t.Name()
	default:
		return t.Kind().String()
	}
}

// described lists the fields of a Varlink struct in the same way. Options that are not "?" in the file but may be left
// out in Go would be a lie to clients, so "?" must agree.
func described(t *varlink.Type) []string {
	var list []string
	if t == nil {
		return nil
	}
	for _, f := range t.Fields {
		typ, optional := f.Type, false
		if typ.Kind == varlink.KindNullable {
			typ, optional = typ.Elem, true
		}
		list = append(list, f.Name+mark(optional)+" "+fileKind(typ))
	}
	slices.Sort(list)
	return list
}

func fileKind(t *varlink.Type) string {
	switch t.Kind {
	case varlink.KindArray:
		return "[]" + fileKind(t.Elem)
	case varlink.KindDictionary:
		return "[string]" + fileKind(t.Elem)
	case varlink.KindReference:
		return t.Name
	case varlink.KindEnum:
		return "string"
	default:
		return t.String()
	}
}

func mark(optional bool) string {
	if optional {
		return "?"
	}
	return ""
}

// TestTypesMatchTheInterfaces holds the Go types to the .varlink files.
func TestTypesMatchTheInterfaces(t *testing.T) {
	device, ceremony, prompt := parse(t, DeviceInterface), parse(t, CeremonyInterface), parse(t, PromptInterface)
	emulator := parse(t, EmulatorInterface)
	same := func(what string, goType reflect.Type, file *varlink.Type) {
		t.Helper()
		if got, want := members(goType), described(file); !slices.Equal(got, want) {
			t.Errorf("%s:\n  Go has   %q\n  file has %q", what, got, want)
		}
	}
	types := map[string]reflect.Type{
		"Device": reflect.TypeFor[Device](), "DeviceEvent": reflect.TypeFor[DeviceEvent](),
		"Program": reflect.TypeFor[Program](), "Event": reflect.TypeFor[Event](), "Account": reflect.TypeFor[Account](),
		"Credential": reflect.TypeFor[Credential](), "CredentialList": reflect.TypeFor[CredentialList](),
		"LargeBlob": reflect.TypeFor[LargeBlob](), "LargeBlobList": reflect.TypeFor[LargeBlobList](),
		"EmulatedKey": reflect.TypeFor[EmulatedKey](), "Question": reflect.TypeFor[Question](),
		"NextError": reflect.TypeFor[NextError](), "KeyEvent": reflect.TypeFor[KeyEvent](),
		"Sensor": reflect.TypeFor[Sensor](), "Fingerprint": reflect.TypeFor[Fingerprint](),
		"EmulatedCredential": reflect.TypeFor[EmulatedCredential](),
		"Info":               reflect.TypeFor[Info](), "Algorithm": reflect.TypeFor[Algorithm](),
		"Model": reflect.TypeFor[Model](), "Holder": reflect.TypeFor[Holder](), "Caller": reflect.TypeFor[Caller](),
	}
	methods := map[string][2]reflect.Type{
		MethodList:                        {reflect.TypeFor[struct{}](), reflect.TypeFor[ListReply]()},
		MethodDeviceWatch:                 {reflect.TypeFor[struct{}](), reflect.TypeFor[DeviceWatchReply]()},
		MethodGetInfo:                     {reflect.TypeFor[WhichDevice](), reflect.TypeFor[GetInfoReply]()},
		MethodWink:                        {reflect.TypeFor[WhichDevice](), reflect.TypeFor[struct{}]()},
		MethodSetPIN:                      {reflect.TypeFor[WhichDevice](), reflect.TypeFor[EventReply]()},
		MethodChangePIN:                   {reflect.TypeFor[WhichDevice](), reflect.TypeFor[EventReply]()},
		MethodForcePINChange:              {reflect.TypeFor[WhichDevice](), reflect.TypeFor[EventReply]()},
		MethodSetMinPINLength:             {reflect.TypeFor[MinPINLengthRequest](), reflect.TypeFor[EventReply]()},
		MethodSetMinPINLengthRPIDs:        {reflect.TypeFor[MinPINLengthRPIDsRequest](), reflect.TypeFor[EventReply]()},
		MethodSetAlwaysUV:                 {reflect.TypeFor[AlwaysUVRequest](), reflect.TypeFor[EventReply]()},
		MethodEnableEnterpriseAttestation: {reflect.TypeFor[WhichDevice](), reflect.TypeFor[EventReply]()},
		MethodListCredentials:             {reflect.TypeFor[WhichDevice](), reflect.TypeFor[CredentialsListed]()},
		MethodRenameCredential:            {reflect.TypeFor[RenameCredentialRequest](), reflect.TypeFor[CredentialRenamed]()},
		MethodDeleteCredential:            {reflect.TypeFor[DeleteCredentialRequest](), reflect.TypeFor[CredentialDeleted]()},
		MethodListLargeBlobs:              {reflect.TypeFor[WhichDevice](), reflect.TypeFor[LargeBlobsListed]()},
		MethodGetLargeBlob:                {reflect.TypeFor[WhichCredential](), reflect.TypeFor[LargeBlobGot]()},
		MethodSetLargeBlob:                {reflect.TypeFor[SetLargeBlobRequest](), reflect.TypeFor[EventReply]()},
		MethodDeleteLargeBlob:             {reflect.TypeFor[WhichCredential](), reflect.TypeFor[EventReply]()},
		MethodListFingerprints:            {reflect.TypeFor[WhichDevice](), reflect.TypeFor[FingerprintsReply]()},
		MethodAddFingerprint:              {reflect.TypeFor[AddFingerprintRequest](), reflect.TypeFor[FingerprintReply]()},
		MethodRenameFingerprint:           {reflect.TypeFor[RenameFingerprintRequest](), reflect.TypeFor[FingerprintReply]()},
		MethodRemoveFingerprint:           {reflect.TypeFor[RemoveFingerprintRequest](), reflect.TypeFor[FingerprintReply]()},
		MethodReset:                       {reflect.TypeFor[ResetRequest](), reflect.TypeFor[EventReply]()},
		MethodRegister:                    {reflect.TypeFor[CeremonyRequest](), reflect.TypeFor[CeremonyReply]()},
		MethodSignIn:                      {reflect.TypeFor[CeremonyRequest](), reflect.TypeFor[CeremonyReply]()},
		MethodAnswer:                      {reflect.TypeFor[Answer](), reflect.TypeFor[struct{}]()},
		MethodRegisterPrompter:            {reflect.TypeFor[struct{}](), reflect.TypeFor[PromptReply]()},

		MethodEmulatedKeys: {reflect.TypeFor[WhichKey](), reflect.TypeFor[EmulatedKeysReply]()},
		MethodTouch:        {reflect.TypeFor[TouchRequest](), reflect.TypeFor[QuestionReply]()},
		MethodDeny:         {reflect.TypeFor[TouchRequest](), reflect.TypeFor[QuestionReply]()},
		MethodPresent:      {reflect.TypeFor[PresentRequest](), reflect.TypeFor[QuestionReply]()},
		MethodSetPolicy:    {reflect.TypeFor[PolicyRequest](), reflect.TypeFor[struct{}]()},
		MethodRemove:       {reflect.TypeFor[WhichKey](), reflect.TypeFor[struct{}]()},
		MethodInsert:       {reflect.TypeFor[WhichKey](), reflect.TypeFor[PathReply]()},
		MethodReplug:       {reflect.TypeFor[WhichKey](), reflect.TypeFor[PathReply]()},
		MethodSetNextError: {reflect.TypeFor[NextErrorRequest](), reflect.TypeFor[struct{}]()},
		MethodSetRetries:   {reflect.TypeFor[RetriesRequest](), reflect.TypeFor[struct{}]()},
		MethodAdvanceClock: {reflect.TypeFor[ClockRequest](), reflect.TypeFor[ClockReply]()},
		MethodCredentials:  {reflect.TypeFor[WhichKey](), reflect.TypeFor[CredentialsReply]()},
		MethodWatch:        {reflect.TypeFor[WhichKey](), reflect.TypeFor[WatchReply]()},
	}
	wire := map[string]reflect.Type{}
	for _, e := range known {
		wire[e.VarlinkError()] = reflect.TypeOf(e)
	}
	for _, i := range []*varlink.Interface{device, ceremony, prompt, emulator} {
		for _, d := range i.Types {
			same(i.Name+" type "+d.Name, types[d.Name], d.Type)
		}
		for _, m := range i.Methods {
			pair, ok := methods[i.Name+"."+m.Name]
			if !ok {
				t.Errorf("%s.%s has no Go types", i.Name, m.Name)
				continue
			}
			same(m.Name+" in", pair[0], m.In)
			same(m.Name+" out", pair[1], m.Out)
			delete(methods, i.Name+"."+m.Name)
		}
		for _, d := range i.Errors {
			name := i.Name + "." + d.Name
			if wire[name] == nil {
				t.Errorf("error %s has no Go type", name)
				continue
			}
			same("error "+name, wire[name], d.Type)
			delete(wire, name)
			if d.Doc == "" {
				t.Errorf("error %s is not explained", name)
			}
		}
	}
	if len(methods)+len(wire) != 0 {
		t.Errorf("not in the files: %v %v", methods, wire)
	}
}
