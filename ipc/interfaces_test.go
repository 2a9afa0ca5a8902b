package ipc

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
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

// enums are the values of Go string types, sorted, by the types' names.
type enums map[string][]string

// note adds the values that the file has for the fields of a struct whose Go types have names of their own.
func (e enums) note(goType reflect.Type, file *varlink.Type) {
	for i := range goType.NumField() {
		f := goType.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		n := slices.IndexFunc(file.Fields, func(f varlink.Field) bool { return f.Name == name })
		if n < 0 || f.Type.Kind() != reflect.String || f.Type == reflect.TypeFor[string]() ||
			inner(file.Fields[n].Type).Kind != varlink.KindEnum {
			continue
		}
		values := e[f.Type.Name()]
		for _, v := range inner(file.Fields[n].Type).Fields {
			values = append(values, v.Name)
		}
		slices.Sort(values)
		e[f.Type.Name()] = slices.Compact(values)
	}
}

// constants finds the constants of those types in the source of this package.
func constants(t *testing.T, types enums) enums {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := make(enums)
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if c, ok := n.(*ast.ValueSpec); ok && len(c.Values) == 1 {
				of, _ := c.Type.(*ast.Ident)
				value, _ := c.Values[0].(*ast.BasicLit)
				if of != nil && value != nil && types[of.Name] != nil {
					found[of.Name] = append(found[of.Name], strings.Trim(value.Value, `"`))
				}
			}
			return true
		})
	}
	for _, values := range found {
		slices.Sort(values)
	}
	return found
}

func mark(optional bool) string {
	if optional {
		return "?"
	}
	return ""
}

// TestTypesMatchTheInterfaces holds the Go types to the .varlink files.
func TestTypesMatchTheInterfaces(t *testing.T) {
	values := make(enums)
	same := func(what string, goType reflect.Type, file *varlink.Type) {
		t.Helper()
		if got, want := members(goType), described(file); !slices.Equal(got, want) {
			t.Errorf("%s:\n  Go has   %q\n  file has %q", what, got, want)
		}
		values.note(goType, file)
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
		"StoreEvent": reflect.TypeFor[StoreEvent](),
		"Model":      reflect.TypeFor[Model](),
		"OTPToken":   reflect.TypeFor[OTPToken](), "OTPCode": reflect.TypeFor[OTPCode](),
		"OTPEvent":     reflect.TypeFor[OTPEvent](),
		"AccountRealm": reflect.TypeFor[AccountRealm](), "AccountPrincipal": reflect.TypeFor[AccountPrincipal](),
		"AccountDevice": reflect.TypeFor[AccountDevice](), "AccountToken": reflect.TypeFor[AccountToken](),
		"AccountEnrolment": reflect.TypeFor[AccountEnrolment](), "AccountChallenge": reflect.TypeFor[AccountChallenge](),
		"AccountSignIn": reflect.TypeFor[AccountSignIn](), "JWK": reflect.TypeFor[JWK](),
		"AuditRecord":   reflect.TypeFor[AuditRecord](),
		"AuditKey":      reflect.TypeFor[AuditKey](),
		"AuditPolicy":   reflect.TypeFor[AuditPolicy](),
		"AuditCaller":   reflect.TypeFor[AuditCaller](),
		"AuditDecision": reflect.TypeFor[AuditDecision](),
		"AuditFilter":   reflect.TypeFor[AuditFilter](),
		"AuditFinding":  reflect.TypeFor[AuditFinding](),
		"KnownRecord":   reflect.TypeFor[KnownRecord](),
		"Part":          reflect.TypeFor[Part](), "Calls": reflect.TypeFor[Calls](), "Latency": reflect.TypeFor[Latency](),
		"Holder": reflect.TypeFor[Holder](), "Caller": reflect.TypeFor[Caller](),
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

		MethodStoreStatus: {reflect.TypeFor[struct{}](), reflect.TypeFor[StoreStatus]()},
		MethodUnlock:      {reflect.TypeFor[struct{}](), reflect.TypeFor[StoreEventReply]()},
		MethodSeal:        {reflect.TypeFor[SealRequest](), reflect.TypeFor[SealReply]()},
		MethodExport:      {reflect.TypeFor[ExportRequest](), reflect.TypeFor[ExportReply]()},
		MethodImport:      {reflect.TypeFor[ImportRequest](), reflect.TypeFor[ImportReply]()},
		MethodUpload:      {reflect.TypeFor[UploadRequest](), reflect.TypeFor[struct{}]()},
		MethodStoreReset:  {reflect.TypeFor[struct{}](), reflect.TypeFor[StoreResetReply]()},
		MethodStatus:      {reflect.TypeFor[struct{}](), reflect.TypeFor[Status]()},
		MethodMetrics:     {reflect.TypeFor[struct{}](), reflect.TypeFor[Metrics]()},
		MethodReload:      {reflect.TypeFor[struct{}](), reflect.TypeFor[ReloadReply]()},
		MethodPing:        {reflect.TypeFor[struct{}](), reflect.TypeFor[struct{}]()},

		MethodOTPList:      {reflect.TypeFor[struct{}](), reflect.TypeFor[OTPListReply]()},
		MethodOTPAdd:       {reflect.TypeFor[OTPAddRequest](), reflect.TypeFor[OTPAddReply]()},
		MethodOTPCode:      {reflect.TypeFor[OTPCodeRequest](), reflect.TypeFor[OTPCodeReply]()},
		MethodOTPRename:    {reflect.TypeFor[OTPRenameRequest](), reflect.TypeFor[OTPEventReply]()},
		MethodOTPRemove:    {reflect.TypeFor[OTPRequest](), reflect.TypeFor[OTPEventReply]()},
		MethodOTPProvision: {reflect.TypeFor[OTPProvisionRequest](), reflect.TypeFor[OTPProvisionReply]()},
		MethodOTPClone:     {reflect.TypeFor[OTPProvisionRequest](), reflect.TypeFor[OTPProvisionReply]()},
		MethodOTPExport:    {reflect.TypeFor[OTPRequest](), reflect.TypeFor[OTPExportReply]()},

		MethodRealms:          {reflect.TypeFor[struct{}](), reflect.TypeFor[RealmsReply]()},
		MethodCreateRealm:     {reflect.TypeFor[CreateRealmRequest](), reflect.TypeFor[OTPEventReply]()},
		MethodRemoveRealm:     {reflect.TypeFor[RemoveRealmRequest](), reflect.TypeFor[OTPEventReply]()},
		MethodPrincipals:      {reflect.TypeFor[WhichRealm](), reflect.TypeFor[PrincipalsReply]()},
		MethodAddPrincipal:    {reflect.TypeFor[PrincipalRequest](), reflect.TypeFor[OTPEventReply]()},
		MethodRemovePrincipal: {reflect.TypeFor[PrincipalRequest](), reflect.TypeFor[OTPEventReply]()},
		MethodTokens:          {reflect.TypeFor[struct{}](), reflect.TypeFor[TokensReply]()},
		MethodImportToken:     {reflect.TypeFor[ImportTokenRequest](), reflect.TypeFor[OTPEventReply]()},
		MethodRemoveToken:     {reflect.TypeFor[RemoveTokenRequest](), reflect.TypeFor[OTPEventReply]()},
		MethodBeginEnrol:      {reflect.TypeFor[BeginEnrolRequest](), reflect.TypeFor[BeginEnrolReply]()},
		MethodFinishEnrol:     {reflect.TypeFor[FinishEnrolRequest](), reflect.TypeFor[FinishEnrolReply]()},
		MethodDetach:          {reflect.TypeFor[AccountDeviceRequest](), reflect.TypeFor[OTPEventReply]()},
		MethodResync:          {reflect.TypeFor[ResyncRequest](), reflect.TypeFor[struct{}]()},
		MethodUnlockToken:     {reflect.TypeFor[AccountDeviceRequest](), reflect.TypeFor[OTPEventReply]()},
		MethodIssueTicket:     {reflect.TypeFor[IssueTicketRequest](), reflect.TypeFor[IssueTicketReply]()},
		MethodBeginSignIn:     {reflect.TypeFor[BeginSignInRequest](), reflect.TypeFor[BeginSignInReply]()},
		MethodFinishSignIn:    {reflect.TypeFor[FinishSignInRequest](), reflect.TypeFor[FinishSignInReply]()},
		MethodCheckSession:    {reflect.TypeFor[SessionRequest](), reflect.TypeFor[SessionReply]()},
		MethodEndSession:      {reflect.TypeFor[SessionRequest](), reflect.TypeFor[struct{}]()},
		MethodKeys:            {reflect.TypeFor[WhichRealm](), reflect.TypeFor[JWKS]()},

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

		MethodTPMStatus: {reflect.TypeFor[struct{}](), reflect.TypeFor[TPMStatus]()},
		MethodSRK:       {reflect.TypeFor[struct{}](), reflect.TypeFor[SRKReply]()},

		MethodAuditQuery:  {reflect.TypeFor[AuditQuery](), reflect.TypeFor[AuditQueryReply]()},
		MethodAuditFollow: {reflect.TypeFor[AuditFollow](), reflect.TypeFor[AuditFollowReply]()},
		MethodAuditVerify: {reflect.TypeFor[AuditVerify](), reflect.TypeFor[AuditVerifyReply]()},
	}
	wire := map[string]reflect.Type{}
	for _, e := range known {
		wire[e.VarlinkError()] = reflect.TypeOf(e)
	}
	used := make(map[string]bool)
	for _, i := range interfaces(t) {
		for _, d := range i.Types {
			if types[d.Name] == nil {
				t.Errorf("type %s.%s has no Go type", i.Name, d.Name)
				continue
			}
			used[d.Name] = true
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
		}
	}
	maps.DeleteFunc(types, func(name string, _ reflect.Type) bool { return used[name] })
	if len(methods)+len(wire)+len(types) != 0 {
		t.Errorf("not in the files: %v %v %v", methods, wire, types)
	}
	if got := constants(t, values); !maps.EqualFunc(got, values, slices.Equal) {
		t.Errorf("values of enums:\n  Go has   %q\n  files have %q", got, values)
	}
}
