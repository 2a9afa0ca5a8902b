package account

import (
	"fmt"
	"strings"
)

// Root is the principal that each realm has.
const Root = "root"

// How long names may be, in characters (IAM API: CreateUser, CreateVirtualMFADevice, GetSessionToken).
const (
	maxRealmName     = 64
	maxPrincipalName = 64
	maxDeviceName    = 226
	maxSerial        = 256
)

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

// checkName holds names to AWS's rule for those of users and MFA devices, [\w+=,.@-]+. Names that differ in the case of
// letters alone are the same.
func checkName(what, name string, limit int) error {
	return checkText(what, name, limit, letters+"+=,.@-")
}

// checkSerial holds serial numbers to AWS's rule, [\w+=/:,.@-]*.
func checkSerial(serial string) error {
	return checkText("serial", serial, maxSerial, letters+"+=/:,.@-")
}

func checkText(what, text string, limit int, allowed string) error {
	switch {
	case text == "":
		return &NameError{what, "is missing"}
	case len(text) > limit:
		return &NameError{what, fmt.Sprintf("has more than %d characters", limit)}
	case strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(allowed, r) }):
		return &NameError{what, "has other characters than letters, digits and " + strings.TrimPrefix(allowed, letters) + "_"}
	}
	return nil
}

// fold makes names equal that are the same.
func fold(name string) string { return strings.ToLower(name) }

// place is the name of a record: names cannot have what is between them.
func place(names ...string) string { return fold(strings.Join(names, "\x00")) }
