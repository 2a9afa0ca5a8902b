package apps

import (
	"io"
	"strings"
	"testing"

	"fob/hotp/seedfile"
	"fob/hotp/seedfile/seedfiletest"
)

// fuzz fuzzes the reader of a format with what its tests read.
func fuzz(f *testing.F, format *seedfile.Format) {
	for _, test := range foreign {
		if test.format.Name == format.Name && len(test.file) < 8<<10 {
			file, _ := cutPlaces(test.file)
			f.Add([]byte(file))
		}
	}
	if format.Writes != 0 {
		sample, err := seedfiletest.WriteAll(format, samples(format), seedfile.WriteOptions{Lock: seedfile.Plain})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sample)
	}
	seedfiletest.Fuzz(f, format)
}

// unique is a format whose reader passes over tokens with the names of another one: none of them alone is what the
// writer refuses.
func unique(f *seedfile.Format) *seedfile.Format {
	u := *f
	u.NewReader = func(in io.Reader, o seedfile.ReadOptions) (seedfile.Reader, error) {
		r, err := f.NewReader(in, o)
		return &uniqueReader{r, make(map[string]bool)}, err
	}
	return &u
}

type uniqueReader struct {
	seedfile.Reader
	known map[string]bool
}

func (r *uniqueReader) Read() (*seedfile.Token, error) {
	for {
		t, err := r.Reader.Read()
		if err != nil {
			return nil, err
		}
		if id := t.Issuer + ":" + t.Account; !r.known[id] && !r.known[strings.TrimPrefix(id, ":")] {
			r.known[id], r.known[strings.TrimPrefix(id, ":")] = true, true
			return t, nil
		}
	}
}

func FuzzTwoFAS(f *testing.F)              { fuzz(f, TwoFAS) }
func FuzzAegis(f *testing.F)               { fuzz(f, Aegis) }
func FuzzAndOTP(f *testing.F)              { fuzz(f, AndOTP) }
func FuzzBitwarden(f *testing.F)           { fuzz(f, Bitwarden) }
func FuzzBitwardenCSV(f *testing.F)        { fuzz(f, BitwardenCSV) }
func FuzzEnte(f *testing.F)                { fuzz(f, Ente) }
func FuzzFreeOTPPlus(f *testing.F)         { fuzz(f, unique(FreeOTPPlus)) }
func FuzzOTPAuth(f *testing.F)             { fuzz(f, OTPAuth) }
func FuzzMigration(f *testing.F)           { fuzz(f, Migration) }
func FuzzProtonAuthenticator(f *testing.F) { fuzz(f, ProtonAuthenticator) }
func FuzzProtonPass(f *testing.F)          { fuzz(f, ProtonPass) }
func FuzzStratum(f *testing.F)             { fuzz(f, Stratum) }
