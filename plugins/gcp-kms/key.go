package main

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// keyForm is the name of a key, and after it that of a version.
// https://cloud.google.com/kms/docs/getting-resource-ids
var keyForm = regexp.MustCompile(`^(projects/[\w.:-]+/locations/[\w-]+/keyRings/[\w-]{1,63}/cryptoKeys/[\w-]{1,63})(/cryptoKeyVersions/[1-9][0-9]*)?$`)

const keyHint = "projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"

// key is the name of a key, which Decrypt wants, and of one of its versions, which Encrypt may be given and answers.
type key struct {
	name    string // "projects/…/cryptoKeys/KEY"
	version string // "/cryptoKeyVersions/7", or empty for the primary
}

func parseKey(text string) (k key, ok bool) {
	m := keyForm.FindStringSubmatch(text)
	if m == nil {
		return key{}, false
	}
	return key{m[1], m[2]}, true
}

// full is the name with its version.
func (k key) full() string { return k.name + k.version }

// answers reports whether the version that a server says it used is one of this key, and the one that was asked for. The
// project is not compared: a request may name its id, and the answer its number.
func (k key) answers(used string) bool {
	v, ok := parseKey(used)
	if !ok || v.version == "" || k.version != "" && v.version != k.version {
		return false
	}
	_, got, _ := strings.Cut(v.name, "/locations/")
	_, want, _ := strings.Cut(k.name, "/locations/")
	return got == want
}

// keyOf gives the key of a call: the one that it names, or else that of the settings.
func (st *store) keyOf(op, named string) (key, error) {
	k, ok := parseKey(cmp.Or(named, st.s.Key))
	if !ok {
		return key{}, sdk.Errorf(sdk.InvalidArgument, "%s %q: not the name of a key, %s", op, named, keyHint)
	}
	return k, nil
}
