// Package seedfile is what all files of token seeds have in common: the token that they tell of, how a format says
// what of it it can hold, and the conversion from one into another, which loses nothing unsaid. The formats are in
// the packages below; package formats lists them.
package seedfile

import (
	"io"
	"time"

	"fob/hotp"
)

// Token is what a seed file tells of one token. Text is UTF-8 and has no control characters.
type Token struct {
	hotp.Parameters
	Seed hotp.Seed

	Serial       string    // of the device
	ID           string    // of the key, where a format tells it from the serial number
	Account      string    // whose code it is, such as alice@example.com, as phone apps show it
	Issuer       string    // for what it is, such as ACME
	User         string    // to whom the device belongs, such as a user principal name
	Manufacturer string    // in the words of the file
	Model        string    // in the words of the file
	Start        time.Time // from when on it is to be used; zero for no limit
	Expiry       time.Time // until when it is to be used; zero for no limit
	Counter      uint64    // HOTP: the next moving factor; TOTP: 0
	Drift        int64     // TOTP: how many time steps its clock is ahead; HOTP: 0

	// Yubico is what a token of Yubico's own kind of one-time password has beside an AES key, which is the Seed; nil
	// for OATH. Such a token has no Parameters.
	Yubico *Yubico

	Line int // where the file had it, from 1 on; 0 where it has no lines
}

// Yubico is what makes Yubico's own one-time passwords, of 44 modhex digits, beside an AES key of 16 bytes.
type Yubico struct {
	PublicID   string    // modhex, 0 to 32 digits
	PrivateID  hotp.Seed // 6 bytes
	AccessCode hotp.Seed // 6 bytes, or none: what writing to the slot needs
}

// Kind is the kind of one-time password that a token gives.
type Kind uint8

// The kinds.
const (
	HOTP Kind = 1 << iota
	TOTP
	YubicoOTP
)

// Kind tells the token's kind; 0 where it has no type.
func (t *Token) Kind() Kind {
	switch {
	case t.Yubico != nil:
		return YubicoOTP
	case t.Type == hotp.HOTP:
		return HOTP
	case t.Type == hotp.TOTP:
		return TOTP
	}
	return 0
}

// Name is what a message calls the token: its serial number, or whose it is.
func (t *Token) Name() string {
	for _, name := range []string{t.Serial, t.Account, t.ID, t.User} {
		if name != "" {
			return name
		}
	}
	return "without a name"
}

// Wipe overwrites the secrets of the token.
func (t *Token) Wipe() {
	t.Seed.Wipe()
	if t.Yubico != nil {
		t.Yubico.PrivateID.Wipe()
		t.Yubico.AccessCode.Wipe()
	}
}

// Reader gives the tokens of a file one after the other. Its memory does not grow with the file, but where the format
// is one encrypted whole, which is bounded then.
type Reader interface {
	// Read gives the next token, of whose secrets the caller is the owner, and io.EOF after the last one. After a
	// *RowError it may be called again and goes on behind the bad token. After any other error it may not.
	Read() (*Token, error)
	// Close ends what Read has begun, and wipes what it has read ahead. It does not close the file.
	Close() error
}

// Writer makes a file of tokens. It buffers: nothing is complete before Close.
type Writer interface {
	// Write appends a token, which it does not keep. A token that the format can't hold is an error (*LossError,
	// *MissingError) and leaves nothing behind.
	Write(*Token) error
	// Close ends the file, and does not close what it was written to. Abort, in place of it, only frees what the
	// writer has.
	Close() error
	Abort()
}

// Lock is what encrypts a file of a format.
type Lock uint8

// The locks.
const (
	Plain      Lock = 1 << iota // nothing does
	Key                         // a key that both sides have, of as many bytes as the format says
	Passphrase                  // a passphrase, stretched as the format says
)

// ReadOptions are what reading may need.
type ReadOptions struct {
	// Unlock gives the key or passphrase of a file that is encrypted: lock says which of them, hint what the file
	// calls it. The reader wipes it. It is called once more after a wrong passphrase, as long as it gives no error.
	// Nil: an encrypted file is a *LockedError.
	Unlock func(lock Lock, hint string) (hotp.Seed, error)
	// Assume is what a file that does not tell is to mean; zero fields stand for what the format's Capacity assumes.
	Assume hotp.Parameters
	// Settings are what else the format can be told, by name: see Format.Settings.
	Settings map[string]string
}

// WriteOptions are what writing may need.
type WriteOptions struct {
	// Lock says what shall encrypt the file, and Secret is the key or passphrase, which stays the caller's.
	Lock   Lock
	Secret hotp.Seed
	// Drop are fields of tokens that may get lost, where the format has no room for them.
	Drop Field
	// Settings are what else the format can be told, by name: see Format.Settings.
	Settings map[string]string
}

// Setting is something that a format can be told beside its secrets, such as the consumer whose dialect to write.
type Setting struct {
	Name   string
	Usage  string   // in words for people
	Values []string // those that may be; none: any
	Must   bool     // writing needs it
}

// Format is a kind of seed file.
type Format struct {
	Name      string // "entra-csv": lower case, digits and dashes
	Title     string // for people: "Microsoft Entra ID, CSV"
	Extension string // of its files, with the dot
	Source    string // what describes it: a document, or the program whose files were looked at
	Carries   Capacity
	Reads     Lock // what may encrypt a file that is read; 0: it can't be read
	Writes    Lock // what may encrypt a file that is written; 0: it can't be written
	Settings  []Setting

	// Detect tells how sure the format is that a file that begins with head, 4 KiB at most, is one of its own: 0 not
	// at all, 100 beyond doubt.
	Detect func(head []byte) int
	// NewReader and NewWriter begin a file; nil where Reads and Writes are 0. A wrong setting is a *SettingError.
	NewReader func(in io.Reader, o ReadOptions) (Reader, error)
	NewWriter func(out io.Writer, o WriteOptions) (Writer, error)
}

// HeadSize is how much of a file Detect looks at, in bytes.
const HeadSize = 4096
