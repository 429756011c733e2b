package wire

import (
	"time"
	"unicode/utf8"

	"github.com/keyway-dev/keyway/sdk"
)

// The Check functions judge an answer where it leaves the provider and again where the host receives it. A breach of the
// contract is Internal: it is a bug of the provider or the plugin, not of the request.

// CheckSecret judges the secret that was read by name. over is the code for a value that is larger than a value may be:
// at the plugin InvalidArgument, since the backend holds what the contract cannot carry; at the host DataLoss.
func CheckSecret(op, name string, s sdk.Secret, over sdk.Code) error {
	switch n := s.Value.Len(); {
	case n == 0:
		return bug("%s %q: the provider answered an empty value", op, name)
	case n > sdk.MaxValue:
		return sdk.Errorf(over, "%s %q: the value has %d bytes, over the limit of %d", op, name, n, sdk.MaxValue)
	}
	return checkFields(op, name, s.Version, s.Created, s.Expires)
}

// CheckResults judges the answer of a batch: in place for each name, as an error for the whole.
func CheckResults(names []string, results []sdk.GetResult, over sdk.Code) error {
	const op = "get_batch"
	if len(results) != len(names) {
		return bug("%s: the provider answered %d results for %d names", op, len(results), len(names))
	}
	for i := range results {
		if !isNil(results[i].Err) {
			continue
		}
		results[i].Err = nil
		if err := CheckSecret(op, names[i], results[i].Secret, over); err != nil {
			results[i] = sdk.GetResult{Err: err}
		}
	}
	return nil
}

// CheckMeta judges the metadata of the secret that was asked for by name.
func CheckMeta(name string, m sdk.Meta) error {
	if m.Name != name {
		return bug("stat %q: the provider answered for %q", name, Line(m.Name, maxReason))
	}
	return checkFields("stat", name, m.Version, m.Created, m.Updated, m.Expires)
}

// CheckPage judges one page of secrets.
func CheckPage(r sdk.ListRequest, page sdk.ListPage) error {
	if err := checkAnsweredPage("list", r.PageSize, len(page.Items), page.Next); err != nil {
		return err
	}
	for _, m := range page.Items {
		if err := sdk.CheckName(m.Name); err != nil {
			return bug("list %q: the provider answered a name that no read takes: %w", r.Prefix, err)
		}
		if err := checkFields("list", m.Name, m.Version, m.Created, m.Updated, m.Expires); err != nil {
			return err
		}
	}
	return nil
}

// CheckVersionsPage judges one page of versions.
func CheckVersionsPage(r sdk.VersionsRequest, page sdk.VersionsPage) error {
	if err := checkAnsweredPage("versions", r.PageSize, len(page.Versions), page.Next); err != nil {
		return err
	}
	for _, v := range page.Versions {
		if v.Version == "" {
			return bug("versions %q: the provider answered a version without an id", r.Name)
		}
		if err := checkFields("versions", r.Name, v.Version, v.Created, v.Expires); err != nil {
			return err
		}
	}
	return nil
}

func checkAnsweredPage(op string, asked, got int, next string) error {
	switch {
	case got > asked:
		return bug("%s: the provider answered %d items on a page of %d", op, got, asked)
	case len(next) > MaxToken || !utf8.ValidString(next):
		return bug("%s: the provider answered a page token of %d bytes that is not text of up to %d", op, len(next), MaxToken)
	}
	return nil
}

// CheckPutResult judges the answer of a write.
func CheckPutResult(name string, r sdk.PutResult) error {
	return checkFields("put", name, r.Version)
}

// CheckDeleteResult judges the answer of a delete.
func CheckDeleteResult(name string, r sdk.DeleteResult) error {
	return checkFields("delete", name, "", r.Until)
}

// CheckEncryptResult judges the answer of an encryption; over as for [CheckSecret].
func CheckEncryptResult(r sdk.EncryptResult, over sdk.Code) error {
	if err := checkBytes("encrypt", "ciphertext", len(r.Ciphertext), over); err != nil {
		return err
	}
	return checkFields("encrypt", r.Key, r.Key)
}

// CheckDecryptResult judges the answer of a decryption; over as for [CheckSecret].
func CheckDecryptResult(r sdk.DecryptResult, over sdk.Code) error {
	if err := checkBytes("decrypt", "plaintext", r.Plaintext.Len(), over); err != nil {
		return err
	}
	return checkFields("decrypt", r.Key, r.Key)
}

func checkBytes(op, what string, n int, over sdk.Code) error {
	switch {
	case n == 0:
		return bug("%s: the provider answered an empty %s", op, what)
	case n > sdk.MaxValue:
		return sdk.Errorf(over, "%s: the %s has %d bytes, over the limit of %d", op, what, n, sdk.MaxValue)
	}
	return nil
}

// CheckEvent judges one event of a watch.
func CheckEvent(e sdk.Event) error {
	if e.Name != "" {
		if err := sdk.CheckName(e.Name); err != nil {
			return bug("watch: the provider reported a name that no read takes: %w", err)
		}
	}
	return checkFields("watch", e.Name, e.Version)
}

// CheckReach judges what a store says it touches.
func CheckReach(handle string, r *sdk.Reach) error {
	if r == nil {
		return nil
	}
	for _, list := range [][]string{r.Endpoints, r.Files, r.Writes} {
		if len(list) > MaxItems {
			return bug("open %q: the plugin declares %d places, over the limit of %d", handle, len(list), MaxItems)
		}
		for _, s := range list {
			if s == "" || len(s) > maxPath || Line(s, maxPath) != s {
				return bug("open %q: the plugin declares a place that is not 1 to %d bytes of text", handle, maxPath)
			}
		}
	}
	return nil
}

const maxPath = 4 << 10 // Linux's PATH_MAX

func checkFields(op, name, version string, times ...time.Time) error {
	if err := sdk.CheckVersion(version); err != nil {
		return bug("%s %q: the provider answered a malformed version: %w", op, name, err)
	}
	for _, t := range times {
		if !validTime(t) {
			return bug("%s %q: the provider answered a time outside the years 1 to 9999", op, name)
		}
	}
	return nil
}
