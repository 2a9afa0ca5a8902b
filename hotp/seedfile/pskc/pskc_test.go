package pskc

import (
	"testing"

	"fob/hotp"
	"fob/hotp/seedfile"
	"fob/hotp/seedfile/seedfiletest"
)

var (
	key16      = hotp.Seed("0123456789abcdef")
	key24      = hotp.Seed("0123456789abcdef01234567")
	key32      = hotp.Seed("0123456789abcdef0123456789abcdef")
	passphrase = hotp.Seed("correct horse battery staple")
)

type settings = map[string]string

// ways are ways to write a file.
var ways = map[string]seedfile.WriteOptions{
	"plain":  {Lock: seedfile.Plain},
	"aes128": {Lock: seedfile.Key, Secret: key16},
	"aes192": {Lock: seedfile.Key, Secret: key24, Settings: settings{"cipher": "aes192", "hmac": "sha256"}},
	"aes256": {Lock: seedfile.Key, Secret: key32, Settings: settings{"cipher": "aes256", "hmac": "sha512"}},
	"passphrase": {Lock: seedfile.Passphrase, Secret: passphrase,
		Settings: settings{"iterations": "1000", "key-name": "of <tests>"}},
	"passphrase, SHA-256": {Lock: seedfile.Passphrase, Secret: passphrase,
		Settings: settings{"iterations": "1000", "prf": "sha256", "cipher": "aes256"}},
}

// trip is the way through a file and back of tokens whose ID is not what stands for it where they have none.
func trip(o seedfile.WriteOptions) seedfiletest.Trip {
	return seedfiletest.Trip{Write: o, Adapt: func(t *seedfile.Token) {
		id := t.ID
		if t.ID = ""; id != idOf(t) {
			t.ID = id
		}
	}}
}

func TestRoundTrip(t *testing.T) {
	for name, o := range ways {
		t.Run(name, func(t *testing.T) { trip(o).RoundTrip(t, Format) })
	}
}

func TestRefuses(t *testing.T) {
	seedfiletest.Refuses(t, Format, ways["plain"], ways["aes128"])
}

func TestDialects(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			f := d.format()
			for _, lock := range []string{"plain", "aes128", "passphrase"} {
				o := ways[lock]
				o.Settings = settings{"dialect": d.name}
				if lock == "passphrase" {
					o.Settings["iterations"] = "1000"
				}
				trip(o).RoundTrip(t, f)
				if lock == "plain" {
					seedfiletest.Refuses(t, f, o)
				}
			}
		})
	}
}
