package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

const mediaJSON = "application/json"

// document is one version of one document. The zero document is one that does not exist.
type document struct {
	data             json.RawMessage // a JSON object; nil unless state is enabled
	version          int             // 0: none, or KV v1
	state            sdk.State
	created, expires time.Time
}

// versionInfo is how KV v2 describes a version.
type versionInfo struct {
	Version   int    `json:"version"`
	Created   string `json:"created_time"`
	Deletion  string `json:"deletion_time"` // also in the future, as delete_version_after says
	Destroyed bool   `json:"destroyed"`
}

func (v versionInfo) state(now time.Time) (state sdk.State, expires time.Time) {
	switch t := parseTime(v.Deletion); {
	case v.Destroyed:
		return sdk.StateDestroyed, time.Time{}
	case t.IsZero():
		return sdk.StateEnabled, time.Time{}
	case t.After(now):
		return sdk.StateEnabled, t
	}
	return sdk.StateDeleted, time.Time{}
}

func parseTime(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// path is where the API keeps a secret; kind is one of KV v2's: data, metadata, subkeys, delete, undelete, destroy.
func (st *store) path(kind, name string) string {
	if st.s.KV == 1 {
		return st.mount + "/" + st.prefix + name
	}
	return st.mount + "/" + kind + "/" + st.prefix + name
}

// id gives the version's text, empty in KV v1.
func (d document) id() string {
	if d.version == 0 {
		return ""
	}
	return strconv.Itoa(d.version)
}

// alive says why a document cannot be read.
func (d document) alive(op, name string) error {
	switch d.state {
	case sdk.StateEnabled:
		return nil
	case sdk.StateDeleted:
		return sdk.Errorf(sdk.FailedPrecondition, "%s %q: version %d is deleted; restore brings it back", op, name, d.version)
	case sdk.StateDestroyed:
		return sdk.Errorf(sdk.NotFound, "%s %q: version %d is destroyed", op, name, d.version)
	}
	return sdk.Errorf(sdk.NotFound, "%s %q: no such secret or version", op, name)
}

// read fetches a version, the current one if version is empty. A document that does not exist is the zero document and no
// error.
func (st *store) read(ctx context.Context, op, name, version string) (document, error) {
	q := url.Values{}
	if version != "" {
		if _, err := number(op, name, version); err != nil {
			return document{}, err
		}
		q.Set("version", version)
	}
	a, err := st.do(ctx, call{op: op, object: name, method: http.MethodGet, path: st.path("data", name), query: q})
	if sdk.CodeOf(err) == sdk.NotFound {
		return document{}, nil
	}
	if err != nil {
		return document{}, err
	}
	if st.s.KV == 1 {
		return document{data: a.Data, state: sdk.StateEnabled, expires: a.hint(time.Now())}, nil
	}
	var v2 struct {
		Data     json.RawMessage `json:"data"`
		Metadata versionInfo     `json:"metadata"`
	}
	if json.Unmarshal(a.Data, &v2) != nil || v2.Metadata.Version == 0 {
		return document{}, sdk.Errorf(sdk.Internal, "%s %q: the answer is not one of KV v2; is kv_version right?", op, name)
	}
	d := document{version: v2.Metadata.Version, created: parseTime(v2.Metadata.Created)}
	d.state, d.expires = v2.Metadata.state(time.Now())
	if d.state != sdk.StateEnabled {
		return d, nil
	}
	if !isSet(v2.Data) {
		return document{}, sdk.Errorf(sdk.Internal, "%s %q: version %d has no data", op, name, d.version)
	}
	d.data = v2.Data
	return d, nil
}

// hint is when a reader of KV v1 should come again: the engine makes a lease of the member "ttl", and of nothing else a
// meaningful one.
// https://developer.hashicorp.com/vault/docs/secrets/kv/kv-v1#ttls
func (a answer) hint(now time.Time) time.Time {
	var document struct {
		TTL json.RawMessage `json:"ttl"`
	}
	if json.Unmarshal(a.Data, &document) != nil || !isSet(document.TTL) || a.LeaseDuration <= 0 {
		return time.Time{}
	}
	return now.Add(time.Duration(a.LeaseDuration) * time.Second)
}

// number reads a version, which Vault counts from 1; it would take 0 as "current".
func number(op, name, version string) (int, error) {
	n, err := strconv.Atoi(version)
	if err != nil || n < 1 || strconv.Itoa(n) != version {
		return 0, sdk.Errorf(sdk.InvalidArgument, "%s %q: version %q is not a whole number from 1", op, name, version)
	}
	return n, nil
}

// write stores a whole document and gives its version. cas is the version that must be current, 0 for none; nil asks for
// no check. Vault answers a lost check like a bad request: InvalidArgument.
func (st *store) write(ctx context.Context, op, name string, data json.RawMessage, cas *int) (int, error) {
	var body any = data
	if st.s.KV == 2 {
		body = kvBody{Data: data, Options: options(cas)}
	}
	a, err := st.do(ctx, call{op: op, object: name, method: http.MethodPut, path: st.path("data", name), body: body})
	if err != nil || st.s.KV == 1 {
		return 0, err
	}
	return written(op, name, a)
}

type kvBody struct {
	Data    json.RawMessage `json:"data"`
	Options map[string]int  `json:"options,omitempty"`
}

func options(cas *int) map[string]int {
	if cas == nil {
		return nil
	}
	return map[string]int{"cas": *cas}
}

func written(op, name string, a answer) (int, error) {
	var v versionInfo
	if json.Unmarshal(a.Data, &v) != nil || v.Version < 1 {
		return 0, sdk.Errorf(sdk.Internal, "%s %q: the answer names no version; is kv_version right?", op, name)
	}
	return v.Version, nil
}

// swap changes a document under check-and-set until the write holds or ctx ends, so that nobody's write is lost. change
// gets what is there and answers the whole new document.
func (st *store) swap(ctx context.Context, op, name string, change func(document) (json.RawMessage, error)) (int, error) {
	var refusal error
	for at := -1; ; {
		d, err := st.read(ctx, op, name, "")
		if err != nil {
			return 0, err
		}
		if d.version == at { // nobody else wrote, so it was not the check that failed
			return 0, refusal
		}
		data, err := change(d)
		if err != nil {
			return 0, err
		}
		v, err := st.write(ctx, op, name, data, &d.version)
		if sdk.CodeOf(err) != sdk.InvalidArgument {
			return v, err
		}
		at, refusal = d.version, err
	}
}

// versions asks KV v2 to delete, undelete or destroy exactly these versions.
func (st *store) versions(ctx context.Context, op, kind, name string, of []int) error {
	_, err := st.do(ctx, call{op: op, object: name, method: http.MethodPut, path: st.path(kind, name), body: map[string][]int{"versions": of}})
	return err
}
