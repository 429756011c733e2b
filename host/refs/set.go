package refs

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/sdk"
)

// Set gives a JSON value in which the member that an RFC 6901 pointer names is the text; everything else stays byte for byte
// as it was written. Missing members of objects are added, with the objects on the way; elements of lists must be there.
//
// Errors never quote the value: InvalidArgument for a malformed pointer, a text that is not UTF-8, and where a member is
// there twice; FailedPrecondition for a value that is no JSON object or list and so has no members; NotFound for a list's
// element that is not there.
func Set(value []byte, pointer, text string) ([]byte, error) {
	fail := func(c sdk.Code, reason string) error { return sdk.Errorf(c, "set %q: %s", clip(pointer), reason) }
	if err := checkPointer(pointer); err != nil {
		return nil, fail(sdk.InvalidArgument, err.Error())
	}
	if !utf8.ValidString(text) {
		return nil, fail(sdk.InvalidArgument, "the new value is no text, which a member of JSON must be")
	}
	if !utf8.Valid(value) || !json.Valid(value) {
		return nil, fail(sdk.FailedPrecondition, "the value is not JSON")
	}
	var member bytes.Buffer
	enc := json.NewEncoder(&member)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return nil, fail(sdk.Internal, "the new value cannot be written as JSON")
	}
	out, code := set(value, strings.Split(pointer[1:], "/"), bytes.TrimSpace(member.Bytes()))
	switch code {
	case sdk.OK:
		return out, nil
	case sdk.NotFound:
		return nil, fail(code, "the list has no such element")
	case sdk.FailedPrecondition:
		return nil, fail(code, "what it leads through is no object or list")
	default:
		return nil, fail(code, "the value has this member twice")
	}
}

// set replaces or adds one member of valid JSON. The code is OK, or as Set tells.
func set(value []byte, tokens []string, member []byte) ([]byte, sdk.Code) {
	if len(tokens) == 0 {
		return member, sdk.OK
	}
	name := unescape.Replace(tokens[0])
	p := locate(value, name)
	switch {
	case p.code != sdk.OK && p.code != sdk.NotFound:
		return nil, p.code
	case p.code == sdk.NotFound && p.list:
		return nil, sdk.NotFound
	}
	old := []byte("{}")
	if p.code == sdk.OK {
		old = value[p.start:p.end]
	}
	changed, code := set(old, tokens[1:], member)
	if code != sdk.OK {
		return nil, code
	}
	if p.code == sdk.NotFound {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, sdk.InvalidArgument
		}
		changed = slices.Concat(key, []byte(":"), changed)
		if !p.empty {
			changed = slices.Concat([]byte(","), changed)
		}
	}
	return slices.Concat(value[:p.start], changed, value[p.end:]), sdk.OK
}

// place is where a member is, or where it goes. code is OK, NotFound, InvalidArgument for a doubled one, or
// FailedPrecondition for a value without members.
type place struct {
	start, end  int
	list, empty bool
	code        sdk.Code
}

// locate finds a member of valid JSON.
func locate(value []byte, name string) place {
	dec := json.NewDecoder(bytes.NewReader(value))
	open, err := dec.Token()
	if err != nil || open != json.Delim('{') && open != json.Delim('[') {
		return place{code: sdk.FailedPrecondition}
	}
	p := place{list: open == json.Delim('['), empty: true, code: sdk.NotFound}
	last := int(dec.InputOffset()) // behind the last member
	for i := 0; dec.More(); i++ {
		p.empty = false
		here := strconv.Itoa(i)
		if !p.list {
			t, _ := dec.Token()
			here, _ = t.(string)
		}
		var m json.RawMessage
		if dec.Decode(&m) != nil {
			return place{code: sdk.FailedPrecondition}
		}
		last = int(dec.InputOffset())
		switch {
		case here == name && p.code == sdk.OK:
			return place{code: sdk.InvalidArgument}
		case here == name:
			p.code, p.start, p.end = sdk.OK, last-len(m), last
		}
	}
	if p.code == sdk.NotFound {
		p.start, p.end = last, last
	}
	return p
}
