package main

import (
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// nameTag is the tag that keeps the name under which a secret was written, in a store whose names are not the vault's.
const nameTag = "keyway-name"

// The forms of names and versions in a vault; it compares names without regard to case.
// https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates#object-identifiers
var (
	vaultName    = regexp.MustCompile(`^[0-9a-zA-Z-]{1,127}$`)
	vaultVersion = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)
)

// naming is how names become the vault's: "exact", "dashes" or "escaped".
type naming string

// dashed are the characters that become a dash, and escapes those with a short escape.
var (
	dashed    = strings.NewReplacer("_", "-", "/", "-", ".", "-")
	escapes   = map[byte]string{'-': "--", '_': "-u", '/': "-s", '.': "-d"}
	unescapes = map[byte]byte{'-': '-', 'u': '_', 's': '/', 'd': '.'}
)

// encode gives the vault's name for one of ours. One that the vault cannot hold is InvalidArgument.
func (n naming) encode(op, name string) (string, error) {
	id := name
	switch n {
	case "dashes":
		id = dashed.Replace(name)
	case "escaped":
		id = escape(name)
	}
	if vaultName.MatchString(id) {
		return id, nil
	}
	if n == "escaped" {
		return "", sdk.Errorf(sdk.InvalidArgument, "%s %q: its escaped form has %d characters, a vault takes 127", op, name, len(id))
	}
	return "", sdk.Errorf(sdk.InvalidArgument, "%s %q: a vault takes 1 to 127 letters, digits and dashes; the setting names (%s) can map others", op, name, n)
}

// decode gives our name for one of the vault's; false: no name of ours becomes it.
func (n naming) decode(id string, tags map[string]*string) (string, bool) {
	if n == "exact" {
		return id, true
	}
	if t := tags[nameTag]; t != nil {
		back, err := n.encode("list", *t)
		return *t, err == nil && strings.EqualFold(back, id) && sdk.CheckName(*t) == nil
	}
	if n == "dashes" {
		return id, true
	}
	name, ok := unescape(id)
	return name, ok && escape(name) == id && sdk.CheckName(name) == nil
}

// taken gives the other name whose secret stands where name's would, if there is one.
func (n naming) taken(name string, tags map[string]*string) (other string) {
	if t := tags[nameTag]; n != "exact" && t != nil && *t != name {
		return *t
	}
	return ""
}

func escape(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		short, known := escapes[c]
		switch {
		case known:
			b.WriteString(short)
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
			b.WriteByte(c)
		default:
			b.WriteString("-x" + hex.EncodeToString([]byte{c}))
		}
	}
	return b.String()
}

func unescape(id string) (string, bool) {
	var out []byte
	for i := 0; i < len(id); i++ {
		if id[i] != '-' {
			out = append(out, id[i])
			continue
		}
		if i++; i == len(id) {
			return "", false
		}
		if c, known := unescapes[id[i]]; known {
			out = append(out, c)
			continue
		}
		if id[i] != 'x' || i+2 >= len(id) {
			return "", false
		}
		c, err := hex.DecodeString(id[i+1 : i+3])
		if err != nil {
			return "", false
		}
		out, i = append(out, c...), i+2
	}
	return string(out), true
}
