package refs

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/sdk"
)

// maxText bounds a reference's text in bytes: name, version and pointer with every byte percent-encoded. A decrypt://
// reference may be as long as the base64 of the largest value.
const maxText = 3*3*sdk.MaxName + 128

// Parse reads one whole reference. The error is InvalidArgument, quotes the text if it begins like a reference (it may be
// a mistyped secret otherwise), says what is wrong and shows the form.
func Parse(text string) (Ref, error) {
	kind := kindOf(text)
	if kind == 0 {
		return Ref{}, sdk.Errorf(sdk.InvalidArgument, "parse reference: the text does not begin with %s", strings.Join(prefixes[Secret:], ", "))
	}
	r, err := parse(kind, text)
	if err != nil {
		return Ref{}, sdk.Errorf(sdk.InvalidArgument, "parse reference %q: %v; the form is %s", clip(text), err, forms[kind])
	}
	return r, nil
}

func parse(kind Kind, text string) (Ref, error) {
	if !strings.HasPrefix(text, prefixes[kind]) {
		if t := strings.TrimSpace(text); strings.HasPrefix(t, prefixes[kind]) {
			return Ref{}, errors.New("there is space before it")
		}
		return Ref{}, fmt.Errorf("write %q in lower case", prefixes[kind])
	}
	rest := text[len(prefixes[kind]):]
	limit := maxText
	if kind == Decrypt {
		limit = base64.URLEncoding.EncodedLen(sdk.MaxValue) + 128
	}
	switch {
	case len(text) > limit:
		return Ref{}, fmt.Errorf("%d bytes are over the limit of %d", len(text), limit)
	case !utf8.ValidString(rest):
		return Ref{}, errors.New("it is not valid UTF-8")
	}
	switch kind {
	case Secret:
		return parseSecret(rest)
	case Decrypt:
		return parseDecrypt(rest)
	case Environ:
		return parseEnviron(rest)
	}
	return parseOIDC(rest)
}

func parseSecret(rest string) (r Ref, err error) {
	if strings.ContainsFunc(rest, func(c rune) bool { return unicode.IsSpace(c) || unicode.IsControl(c) }) {
		return r, errors.New("it has space or a control character; a space in a name is written %20")
	}
	r.Kind = Secret
	rest, fragment, hasFragment := strings.Cut(rest, "#")
	rest, query, hasQuery := strings.Cut(rest, "?")
	store, name, _ := strings.Cut(rest, "/")
	if r.Store = store; CheckStore(store) != nil {
		return r, CheckStore(store)
	}
	if r.Name, err = decode(name); err != nil {
		return r, err
	}
	if err := sdk.CheckName(r.Name); err != nil {
		return r, err
	}
	if hasQuery {
		if r.Version, err = parseVersion(query); err != nil {
			return r, err
		}
		if IsReserved(store) {
			return r, fmt.Errorf("%q has no versions", store)
		}
	}
	if hasFragment {
		if r.Pointer, err = decode(fragment); err != nil {
			return r, err
		}
		if err := checkPointer(r.Pointer); err != nil {
			return r, err
		}
	}
	return r, nil
}

func parseVersion(query string) (string, error) {
	param, value, _ := strings.Cut(query, "=")
	if param == "" {
		return "", errors.New("nothing follows \"?\"")
	}
	if param != "version" {
		return "", fmt.Errorf("parameter %q is unknown; the only one is version", clip(param))
	}
	if strings.Contains(value, "&") {
		return "", errors.New("only one parameter, version, may follow \"?\"; an \"&\" in a version is written %26")
	}
	v, err := decode(value)
	if err != nil {
		return "", err
	}
	if v == "" {
		return "", errors.New("the version is empty; leave ?version= away for the current one")
	}
	return v, sdk.CheckVersion(v)
}

func parseDecrypt(rest string) (Ref, error) {
	store, text, _ := strings.Cut(rest, "/")
	if err := CheckStore(store); err != nil {
		return Ref{}, err
	}
	if IsReserved(store) {
		return Ref{}, fmt.Errorf("%q cannot decrypt; name a store", store)
	}
	if text == "" {
		return Ref{}, errors.New("the ciphertext is empty")
	}
	// Strict refuses stray bits, so that one ciphertext has one text; the decoder would also skip line breaks.
	raw, err := base64.RawURLEncoding.Strict().DecodeString(strings.TrimRight(text, "="))
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return Ref{}, errors.New("the ciphertext is not base64url (A-Z a-z 0-9 - _)")
	}
	if len(raw) == 0 || len(raw) > sdk.MaxValue {
		return Ref{}, fmt.Errorf("a ciphertext has 1 to %d bytes, not %d", sdk.MaxValue, len(raw))
	}
	return Ref{Kind: Decrypt, Store: store, Ciphertext: string(raw)}, nil
}

// parseEnviron also takes "os.environ/oidc/…", which LiteLLM reads as the OIDC reference.
func parseEnviron(name string) (Ref, error) {
	if strings.HasPrefix(name, prefixes[OIDC]) {
		return parseOIDC(name[len(prefixes[OIDC]):])
	}
	if err := sdk.CheckName(name); err != nil {
		return Ref{}, err
	}
	if strings.TrimSpace(name) != name {
		return Ref{}, errors.New("the name begins or ends with space")
	}
	return Ref{Kind: Environ, Name: name}, nil
}

func parseOIDC(rest string) (Ref, error) {
	provider, audience, ok := strings.Cut(rest, "/")
	switch {
	case !ok:
		return Ref{}, errors.New("there is no second slash")
	case provider == "" || strings.Trim(provider, "abcdefghijklmnopqrstuvwxyz0123456789_") != "":
		return Ref{}, fmt.Errorf("provider %q must be of a-z, 0-9 and \"_\"", clip(provider))
	case strings.TrimSpace(audience) != audience:
		return Ref{}, errors.New("the audience begins or ends with space")
	}
	if err := sdk.CheckPrefix(audience); err != nil {
		return Ref{}, errors.New("the audience is over 1024 bytes or has a control character")
	}
	return Ref{Kind: OIDC, Store: provider, Name: audience}, nil
}

// clip bounds a text that an error quotes, in bytes.
func clip(s string) string {
	const most = 120
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
