package refs

import (
	"errors"
	"strings"
)

// What stays as it is in the canonical text, besides letters, digits and "-._~": RFC 3986's pchar and "/" for names and
// pointers; versions also encode what separates parameters.
const (
	nameChars    = "/:@!$&'()*+,;="
	versionChars = "/:@!$'()*,;="
)

const hexDigits = "0123456789ABCDEF"

func encode(s, keep string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0, strings.IndexByte(keep, c) >= 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// decode undoes percent-encoding. "+" is a plus.
func decode(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errPercent
		}
		hi, lo := strings.IndexByte(hexDigits, upper(s[i+1])), strings.IndexByte(hexDigits, upper(s[i+2]))
		if hi < 0 || lo < 0 {
			return "", errPercent
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	return b.String(), nil
}

var errPercent = errors.New("\"%\" must be followed by two hexadecimal digits; a percent sign itself is written %25")

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
