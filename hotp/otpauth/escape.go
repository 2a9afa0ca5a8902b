package otpauth

const badEscape = "has a % without two hexadecimal digits"

// appendUnescaped appends text with each %XX decoded (RFC 3986 §2.1), and each + as a space, where plus says so.
func appendUnescaped(out, text []byte, plus bool) ([]byte, bool) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '+' && plus:
			c = ' '
		case c == '%':
			if len(text)-i < 3 || nibble(text[i+1]) > 15 || nibble(text[i+2]) > 15 {
				return out, false
			}
			c = nibble(text[i+1])<<4 | nibble(text[i+2])
			i += 2
		}
		out = append(out, c)
	}
	return out, true
}

// nibble gives the value of a hexadecimal digit; 255 for anything else.
func nibble(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// appendEscaped appends text with all bytes escaped that are not unreserved (RFC 3986 §2.3), nor @, which means nothing
// in a path or query. Some readers take + for a space, and others don't, so that a space is %20.
func appendEscaped[T string | []byte](out []byte, text T) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(text) {
		c := text[i]
		if unreserved(c) || c == '@' {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return out
}

func unreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '~'
}
