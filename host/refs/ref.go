package refs

import (
	"encoding/base64"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// Kind tells the forms of a reference apart.
type Kind uint8

// The kinds. The zero Kind is no reference.
const (
	Secret  Kind = iota + 1 // secret://STORE/NAME
	Decrypt                 // decrypt://STORE/BASE64URL
	Environ                 // os.environ/NAME
	OIDC                    // oidc/PROVIDER/AUDIENCE
)

var prefixes = [...]string{Secret: "secret://", Decrypt: "decrypt://", Environ: "os.environ/", OIDC: "oidc/"}

var forms = [...]string{
	Secret:  "secret://STORE/NAME[?version=V][#/json/pointer]",
	Decrypt: "decrypt://STORE/BASE64URL",
	Environ: "os.environ/NAME",
	OIDC:    "oidc/PROVIDER/AUDIENCE",
}

// Ref is a parsed reference. It holds decoded text; [Ref.String] encodes it again. Two references are equal when they name
// the same thing, however they were written. Which fields are set depends on the kind:
//
//	Secret   Store, Name, Version (empty: current), Pointer (empty: the whole value)
//	Decrypt  Store, Ciphertext
//	Environ  Name
//	OIDC     Store is the provider, Name the audience or argument, which may be empty
type Ref struct {
	Kind       Kind
	Store      string
	Name       string
	Version    string
	Pointer    string // RFC 6901, beginning with "/"
	Ciphertext string // raw bytes
}

// String gives the canonical text: Parse(r.String()) == r for every r that Parse answered. It holds no secret value.
func (r Ref) String() string {
	switch r.Kind {
	case Secret:
		s := prefixes[Secret] + r.Store + "/" + encode(r.Name, nameChars)
		if r.Version != "" {
			s += "?version=" + encode(r.Version, versionChars)
		}
		if r.Pointer != "" {
			s += "#" + encode(r.Pointer, nameChars)
		}
		return s
	case Decrypt:
		return prefixes[Decrypt] + r.Store + "/" + base64.RawURLEncoding.EncodeToString([]byte(r.Ciphertext))
	case Environ:
		return prefixes[Environ] + r.Name
	case OIDC:
		return prefixes[OIDC] + r.Store + "/" + r.Name
	}
	return ""
}

// IsSource reports whether store is one of the host's own sources, which need no provider: env, file or cred.
func IsSource(store string) bool { return store == "env" || store == "file" || store == "cred" }

// IsReserved reports whether no store may have this name, because references give it a meaning of their own.
func IsReserved(store string) bool { return IsSource(store) || store == "oidc" }

// Is reports whether text begins like a reference, in whatever case and after whatever space. It answers true for a
// misspelt prefix such as "Secret://" too, so that [Parse] refuses it: the alternative would be to use the text of a
// mistyped reference as a password.
func Is(text string) bool { return kindOf(text) != 0 }

func kindOf(text string) Kind {
	text = strings.TrimSpace(text)
	for k, p := range prefixes {
		if p != "" && len(text) >= len(p) && strings.EqualFold(text[:len(p)], p) {
			return Kind(k)
		}
	}
	return 0
}

// CheckStore refuses a store name that is not 1 to 63 of a-z, 0-9, ".", "_" and "-", beginning with a letter or digit.
// The error is InvalidArgument.
func CheckStore(store string) error {
	if store == "" {
		return sdk.Errorf(sdk.InvalidArgument, "store name is empty")
	}
	ok := len(store) <= maxStore && strings.IndexByte("._-", store[0]) < 0
	for i := 0; ok && i < len(store); i++ {
		c := store[i]
		ok = 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("._-", c) >= 0
	}
	if !ok {
		return sdk.Errorf(sdk.InvalidArgument,
			"store name %q must be 1 to %d of a-z, 0-9, \".\", \"_\" and \"-\", beginning with a letter or digit", clip(store), maxStore)
	}
	return nil
}

// maxStore bounds a store name, in bytes: a DNS label's limit, so that it fits into metric labels and file names.
const maxStore = 63
