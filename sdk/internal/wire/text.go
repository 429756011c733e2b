package wire

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line makes text safe to log and to show: one line of valid UTF-8 without control characters, of at most limit bytes,
// cut between runes.
func Line(s string, limit int) string {
	const mark = "…"
	long := len(s) > 4*limit // what is so far behind the end is not worth reading
	if long {
		s = s[:4*limit]
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	if strings.ContainsFunc(s, unsafeRune) {
		s = strings.Join(strings.FieldsFunc(s, unsafeRune), " ")
	}
	if len(s) <= limit && !long {
		return s
	}
	end := min(limit-len(mark), len(s))
	for end > 0 && end < len(s) && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}

// unsafeRune finds what ends a line or moves a terminal's cursor, in Unicode's sense too.
func unsafeRune(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

func lines(in []string, most int) []string {
	if len(in) == 0 {
		return nil
	}
	out := make([]string, 0, min(len(in), most))
	for _, s := range in[:min(len(in), most)] {
		out = append(out, Line(s, MaxText))
	}
	return out
}

// valid keeps text as it is, but for bytes that no message can carry.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func validAll(in []string) []string {
	if len(in) == 0 {
		return nil
	}
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = valid(s)
	}
	return out
}

func validMap(in map[string]string) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for k, v := range in {
		out[valid(k)] = valid(v)
	}
	return out
}
