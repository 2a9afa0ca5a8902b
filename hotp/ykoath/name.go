package ykoath

import (
	"fmt"
	"strconv"
	"strings"

	"fob/hotp"
)

// MaxID is how long the name of an account on a key may be, in bytes.
const MaxID = 64

// Name is what the name of an account on a key says. Keys keep one text, its ID, for issuer, account and period:
// "60/ACME:bob". It comes from the key, and may have any bytes.
type Name struct {
	Issuer, Account string
	Period          int // TOTP: seconds; HOTP: 0
}

// usualPeriod, in seconds, is not part of an ID.
const usualPeriod = 30

// ParseID reads the ID of an account, as Yubico's programs do: issuer and account are what stand before and behind the
// first colon, if neither is empty. A period that can't be one belongs to the name.
func ParseID(id string, t hotp.Type) Name {
	n := Name{Account: id}
	if t == hotp.TOTP {
		n.Period = usualPeriod
		if period, rest, found := cutPeriod(id); found {
			n.Period, n.Account = period, rest
		}
	}
	if issuer, account, found := strings.Cut(n.Account, ":"); found && issuer != "" && account != "" {
		n.Issuer, n.Account = issuer, account
	}
	return n
}

// cutPeriod splits "60/name".
func cutPeriod(id string) (period int, rest string, found bool) {
	digits, rest, found := strings.Cut(id, "/")
	if !found || rest == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, "", false
	}
	period, err := strconv.Atoi(digits)
	return period, rest, err == nil && period >= hotp.MinPeriod && period <= hotp.MaxPeriod
}

// ID gives the ID that says the same, of which ParseID makes the Name again. The error is a *NameError.
func (n Name) ID(t hotp.Type) (string, error) {
	id := n.Account
	if n.Issuer != "" {
		id = n.Issuer + ":" + n.Account
	}
	if _, _, looksLikeOne := cutPeriod(id); t == hotp.TOTP && (n.Period != usualPeriod || looksLikeOne) {
		id = fmt.Sprintf("%d/%s", n.Period, id)
	}
	switch {
	case len(id) > MaxID:
		return "", &NameError{fmt.Sprintf("is %d bytes long, of which a key has room for %d", len(id), MaxID)}
	case n.Account == "":
		return "", &NameError{"is missing"}
	case strings.Contains(n.Issuer, ":"):
		return "", &NameError{"has a colon in its issuer"}
	case ParseID(id, t) != n:
		return "", &NameError{"would be read as another one: " + strconv.Quote(id)}
	}
	return id, nil
}
