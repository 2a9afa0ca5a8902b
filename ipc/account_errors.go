package ipc

// AccountReason is why something is not allowed, or a code not taken.
type (
	AccountReason     string
	AccountCodeReason string
)

// The reasons of fob.Account.NotAllowed and CodeRefused.
const (
	AccountNeedsDevice        AccountReason     = "device"
	AccountNeedsAdministrator AccountReason     = "administrator"
	AccountLastDevice         AccountReason     = "last"
	AccountSessionOver        AccountReason     = "session"
	AccountTicketOver         AccountReason     = "ticket"
	AccountStale              AccountReason     = "stale"
	AccountCodeWrong          AccountCodeReason = "wrong"
	AccountCodeUsed           AccountCodeReason = "used"
	AccountCodeMalformed      AccountCodeReason = "malformed"
	AccountCodeThrottled      AccountCodeReason = "throttled"
	AccountCodeLocked         AccountCodeReason = "locked"
)

// The errors of fob.Account; the interface definition says when each occurs.
type (
	AccountNotFound struct {
		What    string `json:"what"`
		Problem string `json:"problem"`
	}
	AccountExists struct {
		Problem string `json:"problem"`
	}
	AccountTooMany struct {
		Problem string `json:"problem"`
	}
	AccountAssigned struct {
		Problem string `json:"problem"`
	}
	AccountParameterWrong struct {
		Problem string `json:"problem"`
	}
	AccountUnsupported struct {
		Problem string `json:"problem"`
	}
	AccountNotAllowed struct {
		Reason  AccountReason `json:"reason"`
		Problem string        `json:"problem"`
	}
	AccountCodeRefused struct {
		Reason  AccountCodeReason `json:"reason"`
		Problem string            `json:"problem"`
	}
	AccountNotVerified struct {
		Problem string `json:"problem"`
	}
	AccountCloned    struct{}
	AccountNotBegun  struct{}
	AccountNonceUsed struct{}
	AccountNoDevices struct{}
	AccountBusy      struct{}
)

func (AccountNotFound) VarlinkError() string       { return "fob.Account.NotFound" }
func (AccountExists) VarlinkError() string         { return "fob.Account.Exists" }
func (AccountTooMany) VarlinkError() string        { return "fob.Account.TooMany" }
func (AccountAssigned) VarlinkError() string       { return "fob.Account.Assigned" }
func (AccountParameterWrong) VarlinkError() string { return "fob.Account.ParameterWrong" }
func (AccountUnsupported) VarlinkError() string    { return "fob.Account.Unsupported" }
func (AccountNotAllowed) VarlinkError() string     { return "fob.Account.NotAllowed" }
func (AccountCodeRefused) VarlinkError() string    { return "fob.Account.CodeRefused" }
func (AccountNotVerified) VarlinkError() string    { return "fob.Account.NotVerified" }
func (AccountCloned) VarlinkError() string         { return "fob.Account.Cloned" }
func (AccountNotBegun) VarlinkError() string       { return "fob.Account.NotBegun" }
func (AccountNonceUsed) VarlinkError() string      { return "fob.Account.NonceUsed" }
func (AccountNoDevices) VarlinkError() string      { return "fob.Account.NoDevices" }
func (AccountBusy) VarlinkError() string           { return "fob.Account.Busy" }

func (e AccountNotFound) Error() string       { return e.Problem }
func (e AccountExists) Error() string         { return e.Problem }
func (e AccountTooMany) Error() string        { return e.Problem }
func (e AccountAssigned) Error() string       { return e.Problem }
func (e AccountParameterWrong) Error() string { return e.Problem }
func (e AccountUnsupported) Error() string    { return e.Problem }
func (e AccountNotAllowed) Error() string     { return e.Problem }
func (e AccountCodeRefused) Error() string    { return e.Problem }
func (e AccountNotVerified) Error() string    { return e.Problem }
func (AccountCloned) Error() string {
	return "the security key's signature counter went back: there may be a copy; detach it"
}
func (AccountNotBegun) Error() string {
	return "nothing of this ID has begun, or it is over: begin again"
}
func (AccountNonceUsed) Error() string {
	return "the nonce was used before: make a new one for each sign-in"
}
func (AccountNoDevices) Error() string {
	return "the principal has no MFA device that could sign in: enrol one first"
}
func (AccountBusy) Error() string {
	return "too much has begun that is not finished: try again in some minutes"
}

func (AccountNotFound) Hint() string       { return "" }
func (AccountExists) Hint() string         { return "" }
func (AccountTooMany) Hint() string        { return "" }
func (AccountAssigned) Hint() string       { return "" }
func (AccountParameterWrong) Hint() string { return "" }
func (AccountUnsupported) Hint() string    { return "" }
func (AccountNotAllowed) Hint() string     { return "" }
func (AccountCodeRefused) Hint() string    { return "" }
func (AccountNotVerified) Hint() string    { return "" }
func (AccountCloned) Hint() string         { return "" }
func (AccountNotBegun) Hint() string       { return "" }
func (AccountNonceUsed) Hint() string      { return "" }
func (AccountNoDevices) Hint() string      { return "'fob mfa enroll' enrolls one" }
func (AccountBusy) Hint() string           { return "" }

// accountErrors holds a value of each type.
var accountErrors = []Error{
	AccountNotFound{}, AccountExists{}, AccountTooMany{}, AccountAssigned{}, AccountParameterWrong{}, AccountUnsupported{},
	AccountNotAllowed{}, AccountCodeRefused{}, AccountNotVerified{}, AccountCloned{}, AccountNotBegun{},
	AccountNonceUsed{}, AccountNoDevices{}, AccountBusy{},
}
