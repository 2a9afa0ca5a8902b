package otpauth

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// MaxMigration is how long a migration URI may be, in bytes. A QR code holds 2,953.
const MaxMigration = 64 << 10

// How much of a batch goes into one URI, so that a camera can still read it as a QR code. A token that is larger goes
// alone.
const (
	migrationTokens = 10   // as many as Google Authenticator shows at once
	migrationBytes  = 1024 // of the tokens' messages; Base64 makes a third more of them
)

// MigrationCarries is what a migration URI can hold: it has no period.
var MigrationCarries = seedfile.Capacity{
	Kinds:      seedfile.HOTP | seedfile.TOTP,
	Algorithms: []hotp.Algorithm{hotp.SHA1, hotp.SHA256, hotp.SHA512},
	Digits:     []int{6, 8},
	Periods:    []int{30},
	Fields:     seedfile.FieldAccount | seedfile.FieldIssuer | seedfile.FieldCounter,
}

var migrationFormat = seedfile.Format{Name: "a migration URI", Carries: MigrationCarries}

const migrationPrefix = "otpauth-migration://offline?data="

// Migration is what one migration URI holds: one batch of several that belong together.
type Migration struct {
	Tokens []*seedfile.Token
	Bad    []*seedfile.RowError // tokens that can't be read
	ID     int32                // the same in all batches
	Index  int                  // of this batch, from 0 on
	Size   int                  // how many batches there are; 0 where the URI does not tell
}

// Wipe overwrites the seeds.
func (m *Migration) Wipe() {
	for _, t := range m.Tokens {
		t.Wipe()
	}
}

// IsMigration tells whether a URI is a migration URI, as far as its scheme says.
func IsMigration(uri []byte) bool {
	scheme, _, found := bytes.Cut(uri, []byte("://"))
	return found && bytes.EqualFold(scheme, []byte("otpauth-migration"))
}

// ParseMigration reads a migration URI. What a token leaves open is SHA1, 6 digits, and TOTP of 30 seconds, for which
// the format has no word. Its error is an *Error.
func ParseMigration(uri []byte) (*Migration, error) {
	if len(uri) > MaxMigration {
		return nil, &Error{Problem: fmt.Errorf("is longer than %d bytes", MaxMigration)}
	}
	data, err := migrationData(uri)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	m := new(Migration)
	if err := m.parse(data); err != nil {
		m.Wipe()
		return nil, &Error{Part: "data", Problem: err}
	}
	return m, nil
}

// migrationData gives the message of a migration URI.
func migrationData(uri []byte) ([]byte, error) {
	scheme, rest, _ := part{"scheme", uri, 0}.cut("://")
	if !IsMigration(uri) {
		return nil, scheme.wrong("is not otpauth-migration")
	}
	host, query, _ := rest.cut("?")
	host.name = "type"
	if !bytes.EqualFold(bytes.TrimSuffix(host.text, []byte("/")), []byte("offline")) {
		return nil, host.wrong("is not offline")
	}
	name, value, _ := query.cut("=")
	if string(name.text) != "data" {
		return nil, query.wrong("is not data alone")
	}
	value.name = "data"
	text := make([]byte, 0, len(value.text))
	defer func() { clear(text[:cap(text)]) }()
	text, ok := appendUnescaped(text, value.text, false)
	if !ok {
		return nil, value.wrong(badEscape)
	}
	for i, c := range text {
		if c == ' ' { // a + that a scanner took for a space
			text[i] = '+'
		}
	}
	text = bytes.TrimRight(text, "=")
	data := make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	n, err := base64.RawStdEncoding.Decode(data, text)
	if err != nil {
		clear(data)
		return nil, value.wrong("is no Base64")
	}
	return data[:n], nil
}

// parse reads a MigrationPayload: otp_parameters=1 (repeated), version=2, batch_size=3, batch_index=4, batch_id=5.
func (m *Migration) parse(data []byte) error {
	var size, index int64
	for f, err := range fields(data) {
		switch {
		case err != nil:
			return err
		case f.number <= 5 && (f.bytes != nil) != (f.number == 1):
			return errMessage
		case f.number == 1:
			m.parseToken(f.bytes)
		case f.number == 2 && f.value > 2: // 1 and 2 are in use
			return fmt.Errorf("version %d is not known", f.value)
		case f.number == 3:
			size = int64(f.value)
		case f.number == 4:
			index = int64(f.value)
		case f.number == 5:
			m.ID = int32(f.value)
		}
	}
	if size < 0 || size > math.MaxInt32 || index < 0 || index >= max(size, 1) {
		return fmt.Errorf("there can't be batch %d of %d", index, size)
	}
	m.Size, m.Index = int(size), int(index)
	return nil
}

// parseToken reads one OtpParameters.
func (m *Migration) parseToken(message []byte) {
	t := &seedfile.Token{Parameters: hotp.DefaultTOTP}
	err := parseToken(t, message)
	if err == nil {
		err = migrationFormat.Check(t, 0)
	}
	if err != nil {
		t.Wipe()
		m.Bad = append(m.Bad, &seedfile.RowError{Token: knownName(t), Problem: err})
		return
	}
	m.Tokens = append(m.Tokens, t)
}

func knownName(t *seedfile.Token) string {
	if t.Account == "" {
		return t.Issuer
	}
	return t.Account
}

// parseToken reads secret=1, name=2, issuer=3, algorithm=4, digits=5, type=6 and counter=7.
func parseToken(t *seedfile.Token, message []byte) error {
	var name, issuer string
	var counter uint64
	for f, err := range fields(message) {
		if err == nil && f.number <= 7 && (f.bytes != nil) != (f.number <= 3) {
			err = errMessage
		}
		if err != nil {
			return err
		}
		switch f.number {
		case 1:
			t.Seed.Wipe()
			t.Seed = append(make(hotp.Seed, 0, len(f.bytes)), f.bytes...)
		case 2:
			name = string(f.bytes)
			t.Account = trim(name) // for messages
		case 3:
			issuer = string(f.bytes)
			t.Issuer = trim(issuer)
		case 4:
			t.Algorithm, err = choose(f.value, "algorithm", hotp.SHA1, hotp.SHA1, hotp.SHA256, hotp.SHA512)
		case 5:
			t.Digits, err = choose(f.value, "number of digits", 6, 6, 8)
		case 6:
			t.Type, err = choose(f.value, "type", hotp.TOTP, hotp.HOTP, hotp.TOTP)
		case 7:
			counter = f.value
		}
		if err != nil {
			return err
		}
	}
	if t.Type == hotp.HOTP {
		t.Period, t.Counter = 0, counter
	}
	if int64(t.Counter) < 0 {
		return errors.New("its counter is negative")
	}
	return migrationNames(t, name, issuer)
}

// choose gives what an enumeration's value stands for.
func choose[T any](value uint64, what string, all ...T) (one T, err error) {
	if value >= uint64(len(all)) {
		return one, fmt.Errorf("its %s is not one of OATH's: %d", what, value)
	}
	return all[value], nil
}

// migrationNames takes the account from a name that may have the issuer too.
func migrationNames(t *seedfile.Token, name, issuer string) error {
	if rest, found := strings.CutPrefix(name, issuer+":"); found && issuer != "" {
		name = rest
	}
	prefix, account, err := SplitLabel(name)
	switch {
	case err != nil:
		return fmt.Errorf("its name %w", err)
	case strings.Contains(issuer, ":"):
		return errors.New("its issuer has a colon")
	case prefix != "" && t.Issuer != "" && prefix != t.Issuer:
		return errors.New("its issuer differs from the one before the account")
	case prefix != "":
		t.Issuer = prefix
	}
	t.Account = account
	return nil
}

// AppendMigrations gives the migration URIs of tokens: as many as it takes to keep each of them small enough for a
// camera. Errors are those of Append. All URIs hold secrets; dst has none, if there is an error.
func AppendMigrations(dst [][]byte, tokens []*seedfile.Token) ([][]byte, error) {
	var batches Batches
	defer batches.Wipe()
	for _, t := range tokens {
		if err := batches.Add(t); err != nil {
			return dst, err
		}
	}
	return batches.AppendURIs(dst), nil
}

// Batches collects tokens for migration URIs, each of which has to tell how many there are.
type Batches struct {
	batches [][]byte // messages of tokens
	tokens  int      // in the last of them
}

// Add adds a token. Errors are those of Append.
func (b *Batches) Add(t *seedfile.Token) error {
	if err := migrationFormat.Check(t, seedfile.Droppable); err != nil {
		return err
	}
	if err := CheckNames(migrationFormat.Name, t); err != nil {
		return err
	}
	if t.Counter > math.MaxInt64 {
		return &seedfile.ValueError{Format: migrationFormat.Name, Token: t.Name(), Field: seedfile.FieldCounter,
			Problem: "has more than 63 bits"}
	}
	message := appendToken(make([]byte, 0, Size(t)), t)
	defer clear(message)
	last := len(b.batches) - 1
	if last < 0 || b.tokens == migrationTokens || len(b.batches[last])+len(message)+8 > migrationBytes {
		b.batches = append(b.batches, make([]byte, 0, max(migrationBytes, len(message)+8)))
		last, b.tokens = last+1, 0
	}
	b.batches[last] = appendBytes(b.batches[last], 1, message)
	b.tokens++
	return nil
}

// AppendURIs appends the URIs. Their batch ID comes from what they hold, so that the same tokens give the same URIs.
func (b *Batches) AppendURIs(dst [][]byte) [][]byte {
	hash := sha256.New()
	for _, batch := range b.batches {
		hash.Write(batch)
	}
	id := binary.BigEndian.Uint32(hash.Sum(nil)) >> 1
	for i, batch := range b.batches {
		dst = append(dst, migrationURI(batch, uint64(id), i, len(b.batches)))
	}
	return dst
}

// Wipe overwrites what was added.
func (b *Batches) Wipe() {
	for _, batch := range b.batches {
		clear(batch[:cap(batch)])
	}
}

func migrationURI(batch []byte, id uint64, index, size int) []byte {
	message := append(make([]byte, 0, len(batch)+64), batch...)
	message = appendNumber(message, 2, 1)
	message = appendNumber(message, 3, uint64(size))
	message = appendNumber(message, 4, uint64(index))
	message = appendNumber(message, 5, id)
	defer clear(message)
	text := make([]byte, base64.StdEncoding.EncodedLen(len(message)))
	defer clear(text)
	base64.StdEncoding.Encode(text, message)
	return appendEscaped(append(make([]byte, 0, len(migrationPrefix)+3*len(text)), migrationPrefix...), text)
}

// appendToken appends an OtpParameters. out must have room.
func appendToken(out []byte, t *seedfile.Token) []byte {
	out = appendBytes(out, 1, t.Seed)
	out = appendBytes(out, 2, []byte(t.Account))
	out = appendBytes(out, 3, []byte(t.Issuer))
	out = appendNumber(out, 4, uint64(t.Algorithm)) // the numbers are the same
	out = appendNumber(out, 5, uint64(1+slices.Index(MigrationCarries.Digits, t.Digits)))
	out = appendNumber(out, 6, uint64(t.Type))
	if t.Type == hotp.HOTP {
		out = appendNumber(out, 7, t.Counter)
	}
	return out
}
