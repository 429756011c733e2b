package main

import (
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// maxName is the length of a secret's id, in bytes.
// https://cloud.google.com/secret-manager/docs/reference/rpc/google.cloud.secretmanager.v1#createsecretrequest
const maxName = 255

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	// versionForm is that of a number or an alias, numberForm that of a version's resource.
	versionForm = regexp.MustCompile(`^([1-9][0-9]{0,18}|[A-Za-z][A-Za-z0-9_-]{0,62})$`)
	numberForm  = regexp.MustCompile(`/secrets/([^/]+)/versions/([1-9][0-9]*)$`)
)

// secret is a name with the id that Google has for it.
type secret struct{ name, id string }

// secret turns a name into Google's id, or refuses what cannot be one.
func (st *store) secret(op, name string) (secret, error) {
	id := st.escape(st.s.Prefix + name)
	switch {
	case !nameForm.MatchString(id):
		return secret{}, sdk.Errorf(sdk.InvalidArgument, "%s %q: a name has letters, digits, dashes and underscores only; with names: escaped it may have others", op, name)
	case len(id) > maxName:
		return secret{}, sdk.Errorf(sdk.InvalidArgument, "%s %q: is %d bytes long in Secret Manager, which takes %d", op, name, len(id), maxName)
	}
	return secret{name, id}, nil
}

// path is the resource of a secret.
func (st *store) path(s secret) string { return st.s.parent() + "/secrets/" + s.id }

// escape writes each byte that is not a letter, digit or dash as an underscore and two hexadecimal digits. Texts that begin
// alike do so too when escaped, and no two of them become the same.
func (st *store) escape(text string) string {
	if st.s.Names != "escaped" {
		return text
	}
	var b strings.Builder
	for _, c := range []byte(text) {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('_')
		b.WriteString(hex.EncodeToString([]byte{c}))
	}
	return b.String()
}

// name undoes secret; false for an id that no name of this store has.
func (st *store) name(id string) (string, bool) {
	text := id
	if st.s.Names == "escaped" {
		var b strings.Builder
		for i := 0; i < len(id); i++ {
			if id[i] != '_' {
				b.WriteByte(id[i])
				continue
			}
			c, err := hex.DecodeString(id[min(i+1, len(id)):min(i+3, len(id))])
			if err != nil || len(c) != 1 {
				return "", false
			}
			b.WriteByte(c[0])
			i += 2
		}
		if text = b.String(); st.escape(text) != id {
			return "", false
		}
	}
	name, ok := strings.CutPrefix(text, st.s.Prefix)
	return name, ok && sdk.CheckName(name) == nil
}

// lastOf gives the last part of a resource's name. Google's answers name projects by number, so the rest says nothing.
func lastOf(resource string) string { return resource[strings.LastIndexByte(resource, '/')+1:] }

// versionOf gives the number of a version of s, or nothing if the resource is not one.
func versionOf(resource string, s secret) string {
	if m := numberForm.FindStringSubmatch(resource); m != nil && m[1] == s.id {
		return m[2]
	}
	return ""
}
