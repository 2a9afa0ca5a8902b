package pskc

import (
	"crypto/aes"
	"crypto/rand"
	"encoding/base64"
	"strconv"
	"time"

	"fob/hotp"
	"fob/hotp/seedfile"
)

// encode writes a batch into its out, which gets room for all before: when it grows later, seeds stay behind.
func (b *writeBatch) encode() {
	if cap(b.out) < b.bound {
		b.out = make([]byte, 0, b.bound)
	}
	if b.seal != nil {
		rand.Read(b.ivs[:len(b.tokens)*aes.BlockSize])
	}
	for i := range b.tokens {
		b.keyPackage(&b.tokens[i], b.ivs[i*aes.BlockSize:][:aes.BlockSize])
	}
}

// keyPackage appends a token, on a line of its own.
func (b *writeBatch) keyPackage(t *seedfile.Token, iv []byte) {
	out := append(b.out, "<KeyPackage>"...)
	out = appendDevice(out, t)
	out = append(out, `<Key Id="`...)
	out = appendEscaped(out, idOf(t))
	out = append(out, `" Algorithm="`+pskcSpace+`:`...)
	out = append(out, t.Type.String()...)
	out = append(out, `">`...)
	out = appendElement(out, "Issuer", t.Issuer)
	out = append(out, "<AlgorithmParameters><Suite>"...)
	out = append(out, t.Algorithm.String()...)
	out = append(out, `</Suite><ResponseFormat Length="`...)
	out = strconv.AppendInt(out, int64(t.Digits), 10)
	out = append(out, `" Encoding="DECIMAL"/></AlgorithmParameters>`...)
	if b.friend {
		out = appendElement(out, "FriendlyName", t.Account)
	}
	out = append(out, "<Data>"...)
	out = b.secret(out, t.Seed, iv)
	out = appendFactors(out, t)
	out = append(out, "</Data>"...)
	if !b.friend {
		out = appendElement(out, "UserId", dnOf(t.Account))
	}
	b.out = append(out, "</Key></KeyPackage>\n"...)
}

// appendDevice appends DeviceInfo, where the token has anything of it.
func appendDevice(out []byte, t *seedfile.Token) []byte {
	const start = "<DeviceInfo>"
	from := len(out)
	out = append(out, start...)
	out = appendElement(out, "Manufacturer", t.Manufacturer)
	out = appendElement(out, "SerialNo", t.Serial)
	out = appendElement(out, "Model", t.Model)
	out = appendDate(out, "StartDate", t.Start)
	out = appendDate(out, "ExpiryDate", t.Expiry)
	out = appendElement(out, "UserId", dnOf(t.User))
	if len(out) == from+len(start) {
		return out[:from]
	}
	return append(out, "</DeviceInfo>"...)
}

// appendDate appends a date of UTC (RFC 6030 §4.3.1).
func appendDate(out []byte, name string, t time.Time) []byte {
	if t.IsZero() {
		return out
	}
	out = append(append(append(out, '<'), name...), '>')
	out = t.UTC().AppendFormat(out, time.RFC3339Nano)
	return append(append(append(out, "</"...), name...), '>')
}

// secret appends the seed.
func (b *writeBatch) secret(out []byte, seed hotp.Seed, iv []byte) []byte {
	out = append(out, "<Secret>"...)
	if b.seal == nil {
		out = append(out, "<PlainValue>"...)
		out = base64.StdEncoding.AppendEncode(out, seed)
		return append(out, "</PlainValue></Secret>"...)
	}
	b.sealed = b.seal.appendEncrypted(b.sealed[:0], iv, seed)
	b.mac = b.seal.appendMAC(b.mac[:0], b.sealed)
	out = append(out, "<EncryptedValue>"...)
	out = appendEncryptedData(out, b.method, b.sealed)
	out = append(out, "</EncryptedValue><ValueMAC>"...)
	out = base64.StdEncoding.AppendEncode(out, b.mac)
	return append(out, "</ValueMAC></Secret>"...)
}

// appendEncryptedData appends what is in EncryptedValue and MACKey (XML Encryption §3.1: EncryptedType).
func appendEncryptedData(out []byte, method string, sealed []byte) []byte {
	out = append(out, `<xenc:EncryptionMethod Algorithm="`+xencSpace...)
	out = append(out, method...)
	out = append(out, `"/><xenc:CipherData><xenc:CipherValue>`...)
	out = base64.StdEncoding.AppendEncode(out, sealed)
	return append(out, "</xenc:CipherValue></xenc:CipherData>"...)
}

// appendFactors appends what moves the moving factor, never encrypted: some consumers do not take that.
func appendFactors(out []byte, t *seedfile.Token) []byte {
	if t.Type == hotp.HOTP {
		return appendInteger(out, "Counter", int64(t.Counter))
	}
	out = appendInteger(out, "TimeInterval", int64(t.Period))
	if t.Drift != 0 {
		out = appendInteger(out, "TimeDrift", t.Drift)
	}
	return out
}

func appendInteger(out []byte, name string, n int64) []byte {
	out = append(append(append(out, '<'), name...), "><PlainValue>"...)
	out = strconv.AppendInt(out, n, 10)
	return append(append(append(out, "</PlainValue></"...), name...), '>')
}

// appendElement appends an element with a text, where there is one.
func appendElement(out []byte, name, text string) []byte {
	if text == "" {
		return out
	}
	out = append(append(append(out, '<'), name...), '>')
	out = appendEscaped(out, text)
	return append(append(append(out, "</"...), name...), '>')
}

// appendEscaped appends a text in which nothing is taken for markup, neither in an attribute.
func appendEscaped(out []byte, text string) []byte {
	from := 0
	for i := range len(text) {
		escape := ""
		switch text[i] {
		case '<':
			escape = "&lt;"
		case '>':
			escape = "&gt;"
		case '&':
			escape = "&amp;"
		case '"':
			escape = "&quot;"
		default:
			continue
		}
		out = append(append(out, text[from:i]...), escape...)
		from = i + 1
	}
	return append(out, text[from:]...)
}
