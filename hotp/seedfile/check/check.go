// Package check looks for what is wrong with the tokens of a seed file: seeds and serial numbers that are there twice,
// seeds that somebody can guess, and seeds that are shorter than the standards want.
package check

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// Kind is what is wrong with a token.
type Kind string

// The kinds.
const (
	Unreadable      Kind = "unreadable"       // it is not as the format wants it
	WrongMAC        Kind = "wrong-mac"        // it was changed, or is of another key
	DuplicateSeed   Kind = "duplicate-seed"   // another token has the same one
	DuplicateSerial Kind = "duplicate-serial" // another token of the same manufacturer has the same one
	WeakSeed        Kind = "weak-seed"        // it is not random
	ShortSeed       Kind = "short-seed"       // under 128 bits (RFC 4226 §4 R6: MUST)
	SmallSeed       Kind = "small-seed"       // under what is recommended (RFC 4226 §4 R6, RFC 6238 §5.1: SHOULD)
)

// Note tells whether the kind is no fault, but worth to know.
func (k Kind) Note() bool { return k == SmallSeed }

// Finding is what was found of one token. It never has a seed.
type Finding struct {
	Kind  Kind   `json:"kind"`
	Token string `json:"token,omitempty"` // its Name
	Index int    `json:"index"`           // of the token in the file, from 1 on
	Line  int    `json:"line,omitempty"`  // from 1 on, where the format has lines
	Text  string `json:"text"`            // in words
	// Same are the indexes of those that have the same seed or serial number, this one among them.
	Same []int `json:"same,omitempty"`
	// Names are those of Same, where Report.Name was told of them.
	Names []string `json:"names,omitempty"`
}

// MaxFindings is how many findings of a kind a report has. All of them are counted.
const MaxFindings = 100

// Report is what was found in a file.
type Report struct {
	Tokens   int          `json:"tokens"` // that could be read
	Bad      int          `json:"bad"`    // that could not
	Findings []Finding    `json:"findings"`
	Counts   map[Kind]int `json:"counts"` // of tokens
}

// OK tells whether there is nothing wrong; notes are no fault.
func (r *Report) OK() bool {
	for k := range r.Counts {
		if !k.Note() {
			return false
		}
	}
	return true
}

func (r *Report) add(f Finding) {
	r.Counts[f.Kind]++
	if r.Counts[f.Kind] <= MaxFindings {
		r.Findings = append(r.Findings, f)
	}
}

// Checker sees the tokens of a file one after the other. It keeps 24 bytes of each, and no secret: of seeds and serial
// numbers it remembers hashes under a key of its own.
type Checker struct {
	mac            hash.Hash
	sum            [sha256.Size]byte
	seeds, serials table
	previous       hotp.Seed // of the token before
	index          int
	report         Report
}

// New begins a file.
func New() *Checker {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return &Checker{mac: hmac.New(sha256.New, key), report: Report{Counts: make(map[Kind]int), Findings: []Finding{}}}
}

// Bad notes a token that could not be read, by a *seedfile.RowError.
func (c *Checker) Bad(err error) {
	c.index++
	c.report.Bad++
	f := Finding{Kind: Unreadable, Index: c.index, Text: err.Error()}
	var row *seedfile.RowError
	if errors.As(err, &row) {
		f.Line, f.Token, f.Text = row.Line, row.Token, row.Problem.Error()
	}
	if errors.Is(err, seedfile.ErrMAC) {
		f.Kind = WrongMAC
	}
	c.report.add(f)
}

// Token looks at a token. It keeps a copy of the seed until the next one, or until Close.
func (c *Checker) Token(t *seedfile.Token) {
	c.index++
	c.report.Tokens++
	c.seeds.add(c.hash(t.Seed), c.index)
	if t.Serial != "" {
		c.serials.add(c.hash([]byte(t.Manufacturer), []byte(t.Serial)), c.index)
	}
	if why := c.weak(t.Seed); why != "" {
		c.find(t, WeakSeed, "its seed "+why)
	}
	if t.Yubico == nil {
		c.length(t)
	}
}

func (c *Checker) find(t *seedfile.Token, k Kind, text string) {
	c.report.add(Finding{Kind: k, Token: t.Name(), Index: c.index, Line: t.Line, Text: text})
}

func (c *Checker) length(t *seedfile.Token) {
	bits, want := 8*len(t.Seed), 8*t.Algorithm.Size()
	switch {
	case len(t.Seed) < hotp.StrictSeed:
		c.find(t, ShortSeed, fmt.Sprintf("its seed has %d bits, and RFC 4226 wants %d at least", bits, 8*hotp.StrictSeed))
	case bits < want:
		c.find(t, SmallSeed, fmt.Sprintf("its seed has %d bits; %d are recommended for %s", bits, want, t.Algorithm))
	}
}

// weak is the function weak, and compares with the seed before.
func (c *Checker) weak(seed hotp.Seed) string {
	near := near(c.previous, seed)
	c.previous.Wipe()
	c.previous = append(c.previous[:0], seed...)
	if why := weak(seed); why != "" {
		return why
	}
	if near {
		return "is nearly that of the token before"
	}
	return ""
}

// hash gives 64 bits of a text of parts. Of a million, two that differ have the same with a probability of 1 to 37
// millions.
func (c *Checker) hash(parts ...[]byte) uint64 {
	c.mac.Reset()
	for _, p := range parts {
		c.mac.Write(binary.BigEndian.AppendUint32(c.sum[:0], uint32(len(p))))
		c.mac.Write(p)
	}
	return binary.BigEndian.Uint64(c.mac.Sum(c.sum[:0]))
}

// Close ends the file, and gives the report. Findings are in the order of the file, those of what is there twice
// behind the others.
func (c *Checker) Close() *Report {
	c.previous.Wipe()
	c.duplicates(&c.seeds, DuplicateSeed, "seed")
	c.duplicates(&c.serials, DuplicateSerial, "serial number")
	return &c.report
}

func (c *Checker) duplicates(t *table, k Kind, what string) {
	repeated := t.repeated()
	slices.SortFunc(repeated, func(a, b []int) int { return a[0] - b[0] })
	groups := MaxFindings
	for _, same := range repeated {
		shown := same[:min(len(same), MaxFindings)]
		c.report.Counts[k] += len(same)
		if groups--; groups >= 0 {
			c.report.Findings = append(c.report.Findings, Finding{Kind: k, Index: same[0], Same: shown,
				Text: fmt.Sprintf("%d tokens have the same %s", len(same), what)})
		}
	}
}

// Nameless are the tokens of which the report has an index alone. Who reads the file again tells their names to Name.
func (r *Report) Nameless() map[int]bool {
	list := make(map[int]bool)
	for _, f := range r.Findings {
		for _, i := range f.Same {
			list[i] = true
		}
	}
	return list
}

// Name tells the names of tokens of Nameless.
func (r *Report) Name(names map[int]string) {
	for i, f := range r.Findings {
		for _, index := range f.Same {
			r.Findings[i].Names = append(r.Findings[i].Names, names[index])
		}
	}
}
