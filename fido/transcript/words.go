package transcript

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"fob/fido/ctap"
	"fob/fido/ctaphid"
)

const (
	columns     = 118  // of a comment
	maxComment  = 2048 // bytes of one member in a comment
	maxBytesHex = 128  // digits of a byte string that is told in full
)

// narrator says in words what events mean.
type narrator struct {
	request Request // the last one, to which answers belong
}

// comments gives the lines to write below an event, without their marks.
func (n *narrator) comments(e Event) []string {
	switch e := e.(type) {
	case Request:
		n.request = e
		return append([]string{e.Name()}, e.words()...)
	case Response:
		return n.response(e)
	case Packet:
		return []string{packetWords(ctaphid.ParsePacket(e.Report))}
	default: // it says what it means
		return nil
	}
}

func (r Request) words() []string {
	if r.U2F {
		return u2fRequestWords(r.Payload)
	}
	if len(r.Payload) < 2 {
		return nil
	}
	return mapWords(r.Payload[1:], r.message().parameters, func(int, []byte) []string { return nil })
}

func (n *narrator) response(r Response) []string {
	switch {
	case n.request.U2F:
		return n.u2fResponse(r)
	case len(r) == 0:
		return []string{"empty answer"}
	}
	words := []string{ctap.StatusCode(r[0]).Error()}
	if len(r) == 1 {
		return words
	}
	return append(words, mapWords(r[1:], n.request.message().response, n.binary)...)
}

// binary tells what is in a member of an answer that is bytes for CBOR; nil where nothing is known of it.
func (n *narrator) binary(key int, value []byte) []string {
	var b ctap.Bytes
	if ctap.Unmarshal(value, &b) != nil {
		return nil
	}
	switch name := n.request.message().response[key]; name {
	case "authData":
		return n.authData(b)
	case "config":
		return blobWords(b)
	}
	return nil
}

// mapWords names the members of a map, one a line. inside gives further lines in place of a value.
func mapWords(b []byte, names map[int]string, inside func(key int, value []byte) []string) (words []string) {
	all := members(b)
	if all == nil {
		return []string{"  " + shorten(diagnose(b))}
	}
	for _, m := range all {
		label := m.key
		key, err := strconv.Atoi(m.key)
		if err == nil && names[key] != "" {
			label += " " + names[key]
		}
		lines := inside(key, m.value)
		if lines == nil {
			words = append(words, "  "+label+": "+shorten(m.diagnose()))
			continue
		}
		words = append(words, "  "+label+":")
		for _, l := range lines {
			words = append(words, "    "+l)
		}
	}
	if diagnose(b) == diagnose(nil) {
		words = append(words, "  not well-formed CBOR")
	}
	return words
}

var flagNames = []struct {
	flag ctap.Flags
	name string
}{
	{ctap.FlagUP, "UP"}, {ctap.FlagUV, "UV"}, {ctap.FlagBE, "BE"}, {ctap.FlagBS, "BS"}, {ctap.FlagAT, "AT"},
	{ctap.FlagED, "ED"},
}

func flagWords(f ctap.Flags) string {
	words := fmt.Sprintf("%02x", byte(f))
	for _, n := range flagNames {
		if f&n.flag != 0 {
			words += " " + n.name
		}
	}
	return words
}

// authData tells what authenticator data has, WebAuthn §6.1.
func (n *narrator) authData(b []byte) []string {
	d, err := ctap.ParseAuthenticatorData(b)
	if err != nil {
		return []string{"not authenticator data: " + shorten("h'"+hex.EncodeToString(b)+"'")}
	}
	words := []string{
		"rpIdHash: " + n.rpIDHash(d.RPIDHash),
		"flags: " + flagWords(d.Flags),
		fmt.Sprintf("signCount: %d", d.SignCount),
	}
	if a := d.Attested; a != nil {
		words = append(words,
			"aaguid: "+hex.EncodeToString(a.AAGUID[:]),
			fmt.Sprintf("credentialId: %x", a.CredentialID),
			"credentialPublicKey: "+keyWords(a.PublicKey))
	}
	if d.Extensions != nil {
		words = append(words, "extensions: "+shorten(diagnose(d.Extensions)))
	}
	return words
}

// rpIDHash adds the RP ID where the request has named it.
func (n *narrator) rpIDHash(hash [sha256.Size]byte) string {
	words := hex.EncodeToString(hash[:])
	if id, ok := n.request.rpID(); ok && sha256.Sum256([]byte(id)) == hash {
		words += " " + strconv.QuoteToASCII(id)
	}
	return words
}

func (r Request) rpID() (string, bool) {
	if len(r.Payload) == 0 {
		return "", false
	}
	switch command, parameters := ctap.Command(r.Payload[0]), r.Payload[1:]; command {
	case ctap.CommandMakeCredential:
		if m, err := ctap.ParseMakeCredentialRequest(parameters); err == nil && m.RP != nil {
			return m.RP.ID, true
		}
	case ctap.CommandGetAssertion:
		if g, err := ctap.ParseGetAssertionRequest(parameters); err == nil && g.RPID != nil {
			return *g.RPID, true
		}
	}
	return "", false
}

func keyWords(coseKey []byte) string {
	words := shorten(diagnose(coseKey))
	if _, alg, err := ctap.ParseCOSEKey(coseKey); err == nil {
		return alg.String() + " " + words
	}
	return words
}

// blobWords tells what a large-blob array has, when the answer holds all of it.
func blobWords(b []byte) []string {
	if ctap.CheckLargeBlobArray(b) != nil {
		return nil
	}
	array, hash := b[:len(b)-ctap.LargeBlobHashLength], b[len(b)-ctap.LargeBlobHashLength:]
	return []string{"large-blob array: " + shorten(diagnose(array)), fmt.Sprintf("its hash: %x", hash)}
}

func u2fRequestWords(apdu []byte) []string {
	r, err := ctap.ParseU2FRequest(apdu)
	if err != nil {
		return []string{"  " + err.Error()}
	}
	var p *ctap.U2FKeyParameters
	switch r.Instruction {
	case ctap.U2FRegister:
		p, err = r.RegisterParameters()
	case ctap.U2FAuthenticate:
		p, err = r.AuthenticateParameters()
	default:
		return nil
	}
	if err != nil {
		return []string{"  " + err.Error()}
	}
	words := []string{fmt.Sprintf("  challenge: %x", p.Challenge), fmt.Sprintf("  application: %x", p.Application)}
	if p.KeyHandle != nil {
		words = append(words, fmt.Sprintf("  keyHandle: %x", p.KeyHandle))
	}
	return words
}

// u2fResponse tells what an R-APDU has (FIDO U2F Raw Message Formats §4.3, §5.4).
func (n *narrator) u2fResponse(apdu []byte) []string {
	if len(apdu) < 2 {
		return []string{"no status word"}
	}
	data, status := apdu[:len(apdu)-2], ctap.U2FStatus(binary.BigEndian.Uint16(apdu[len(apdu)-2:]))
	if status != ctap.U2FNoError {
		return []string{status.Error()}
	}
	words := []string{"success (SW 9000)"}
	r, err := ctap.ParseU2FRequest(n.request.Payload)
	if err != nil {
		return words
	}
	const registered = 2 + 64 // reserved byte, public key, length of the key handle
	switch {
	case r.Instruction == ctap.U2FVersion:
		words = append(words, "  version: "+strconv.QuoteToASCII(string(data)))
	case r.Instruction == ctap.U2FAuthenticate && len(data) > 5:
		words = append(words, fmt.Sprintf("  user presence: %02x", data[0]),
			fmt.Sprintf("  counter: %d", binary.BigEndian.Uint32(data[1:])), fmt.Sprintf("  signature: %x", data[5:]))
	case r.Instruction == ctap.U2FRegister && len(data) > registered && len(data) > registered+1+int(data[registered]):
		words = append(words, fmt.Sprintf("  public key: %x", data[1:registered]),
			fmt.Sprintf("  keyHandle: %x", data[registered+1:registered+1+int(data[registered])]))
	}
	return words
}

func packetName(c ctaphid.Command) string {
	if name := packetNames[c]; name != "" {
		return name
	}
	return fmt.Sprintf("CTAPHID command 0x%02x", byte(c))
}

func packetWords(p ctaphid.Packet) string {
	if !p.Initial {
		return fmt.Sprintf("continuation %d", p.Seq)
	}
	name := packetName(p.Command)
	switch {
	case p.Command == ctaphid.CommandError && p.BCNT == 1:
		return name + ": " + ctaphid.Error(p.Data[0]).Error()
	case p.Command == ctaphid.CommandKeepalive && p.BCNT == 1:
		return name + ": " + strings.TrimPrefix(Keepalive(p.Data[0]).line(), "* ")
	}
	return fmt.Sprintf("%s, %d bytes", name, p.BCNT)
}

var longBytes = regexp.MustCompile(fmt.Sprintf(`h'[0-9a-f]{%d,}'`, maxBytesHex+1))

// shorten leaves out the middle of long byte strings, and the end of what is long without them.
func shorten(s string) string {
	s = longBytes.ReplaceAllStringFunc(s, func(h string) string {
		return fmt.Sprintf("%s... (%d bytes)'", h[:len("h'")+maxBytesHex/4], (len(h)-len("h''"))/2)
	})
	if len(s) > maxComment {
		s = s[:maxComment] + "..."
	}
	return s
}

// comment makes the lines of a comment, none of them longer than columns.
func comment(words []string) string {
	var b strings.Builder
	for _, line := range words {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))] + "  "
		for len(line) > columns {
			cut := columns
			if comma := strings.LastIndex(line[:columns], ", ") + 1; comma > columns/2 {
				cut = comma
			}
			fmt.Fprintf(&b, "# %s\n", line[:cut])
			line = indent + strings.TrimLeft(line[cut:], " ")
		}
		fmt.Fprintf(&b, "# %s\n", line)
	}
	return b.String()
}
