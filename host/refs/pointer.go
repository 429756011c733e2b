package refs

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/sdk"
)

// Select gives the member of a JSON value that an RFC 6901 pointer names: a string as its text, a number, true or false as
// written, an object or a list as compact JSON. An empty pointer gives value itself.
//
// Errors never quote the value: InvalidArgument for a malformed pointer, for a value that is not JSON, and where an object
// on the way has the member twice, because parsers disagree which counts; NotFound for a missing member or element;
// FailedPrecondition for null and the empty string, which are no secret.
func Select(value []byte, pointer string) ([]byte, error) {
	if pointer == "" {
		return value, nil
	}
	fail := func(c sdk.Code, reason string) error { return sdk.Errorf(c, "select %q: %s", clip(pointer), reason) }
	if err := checkPointer(pointer); err != nil {
		return nil, fail(sdk.InvalidArgument, err.Error())
	}
	if !utf8.Valid(value) || !json.Valid(value) {
		return nil, fail(sdk.InvalidArgument, "the value is not JSON")
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		next, code := step(value, unescape.Replace(token))
		switch code {
		case sdk.OK:
			value = next
		case sdk.NotFound:
			return nil, fail(code, "the value has no such member")
		default:
			return nil, fail(code, "the value has this member twice")
		}
	}
	out, err := plain(value)
	switch {
	case err != nil:
		return nil, fail(sdk.InvalidArgument, err.Error())
	case len(out) == 0:
		return nil, fail(sdk.FailedPrecondition, "the member is null or an empty text")
	}
	return out, nil
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// checkPointer refuses what RFC 6901 does, and what [sdk.CheckPrefix] does.
func checkPointer(p string) error {
	if p == "" || p[0] != '/' {
		return errors.New("a JSON pointer begins with \"/\"")
	}
	for i := range len(p) {
		if p[i] == '~' && (i+1 == len(p) || p[i+1] != '0' && p[i+1] != '1') {
			return errors.New("\"~\" in a JSON pointer must be ~0 (for ~) or ~1 (for /)")
		}
	}
	if sdk.CheckPrefix(p) != nil {
		return errors.New("the JSON pointer is over 1024 bytes, not UTF-8, or has a control character")
	}
	return nil
}

// step gives one member of valid JSON as written. The code is OK, NotFound, or InvalidArgument for a doubled member.
func step(value []byte, token string) (json.RawMessage, sdk.Code) {
	dec := json.NewDecoder(bytes.NewReader(value))
	open, err := dec.Token()
	if err != nil || open != json.Delim('{') && open != json.Delim('[') {
		return nil, sdk.NotFound
	}
	var found json.RawMessage
	for i := 0; dec.More(); i++ {
		here := strconv.Itoa(i)
		if open == json.Delim('{') {
			t, _ := dec.Token()
			here, _ = t.(string)
		}
		var m json.RawMessage
		if dec.Decode(&m) != nil {
			return nil, sdk.NotFound
		}
		switch {
		case here == token && found != nil:
			return nil, sdk.InvalidArgument
		case here == token:
			found = m
		}
	}
	if found == nil {
		return nil, sdk.NotFound
	}
	return found, sdk.OK
}

// plain gives valid JSON as the text of a secret; nothing for null and the empty string.
func plain(value json.RawMessage) ([]byte, error) {
	switch value[0] {
	case 'n':
		return nil, nil
	case '"':
		if loneSurrogate(value) {
			return nil, errors.New("the member has half a surrogate pair, which is no character")
		}
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return nil, errors.New("the member is not a JSON text")
		}
		return []byte(s), nil
	}
	var b bytes.Buffer
	if err := json.Compact(&b, value); err != nil {
		return nil, errors.New("the member is not JSON")
	}
	return b.Bytes(), nil
}

// loneSurrogate reports whether a JSON string has an escape such as \ud800 without its other half. The decoder would
// put U+FFFD in its place and so change the secret in silence.
func loneSurrogate(s []byte) bool {
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		i++
		if s[i] != 'u' {
			continue
		}
		switch c := codeUnit(s[i+1:]); {
		case c >= 0xDC00 && c <= 0xDFFF:
			return true
		case c >= 0xD800 && c <= 0xDBFF:
			next := s[min(i+5, len(s)):]
			if !bytes.HasPrefix(next, []byte(`\u`)) {
				return true
			}
			if low := codeUnit(next[2:]); low < 0xDC00 || low > 0xDFFF {
				return true
			}
			i += 6
		}
		i += 4
	}
	return false
}

// codeUnit reads four hexadecimal digits; 0 if there are none.
func codeUnit(s []byte) uint64 {
	c, _ := strconv.ParseUint(string(s[:min(4, len(s))]), 16, 16)
	return c
}
