package main

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// description is the key of the custom metadata that holds a secret's description.
const description = "description"

// Limits of custom metadata.
// https://developer.hashicorp.com/vault/api-docs/secret/kv/kv-v2#create-update-metadata
const (
	maxLabels     = 64
	maxLabelKey   = 128 // bytes
	maxLabelValue = 512 // bytes
)

// history is KV v2's metadata of a secret.
type history struct {
	Current  int                    `json:"current_version"`
	Created  string                 `json:"created_time"`
	Updated  string                 `json:"updated_time"`
	Custom   map[string]string      `json:"custom_metadata"`
	Versions map[string]versionInfo `json:"versions"` // by number
}

func (st *store) history(ctx context.Context, op, name string) (history, error) {
	a, err := st.do(ctx, call{op: op, object: name, method: http.MethodGet, path: st.path("metadata", name)})
	if err != nil {
		return history{}, err
	}
	var h history
	if json.Unmarshal(a.Data, &h) != nil {
		return history{}, sdk.Errorf(sdk.Internal, "%s %q: the answer is not KV v2's metadata", op, name)
	}
	return h, nil
}

// ids gives the numbers of the versions, newest first.
func (h history) ids() []int {
	var ns []int
	for k := range h.Versions {
		if n, err := strconv.Atoi(k); err == nil {
			ns = append(ns, n)
		}
	}
	slices.Sort(ns)
	slices.Reverse(ns)
	return ns
}

// Stat tells about a secret without reading it. In a field store a second request makes sure that the field is there.
func (st *store) Stat(ctx context.Context, r sdk.StatRequest) (sdk.Meta, error) {
	return st.meta(ctx, "stat", r.Name)
}

func (st *store) meta(ctx context.Context, op, name string) (sdk.Meta, error) {
	h, err := st.history(ctx, op, name)
	if err != nil {
		return sdk.Meta{}, err
	}
	m := sdk.Meta{Name: name, Version: strconv.Itoa(h.Current), Created: parseTime(h.Created), Updated: parseTime(h.Updated)}
	v, ok := h.Versions[m.Version]
	if !ok {
		return sdk.Meta{}, document{}.alive(op, name)
	}
	d := document{version: h.Current}
	d.state, m.Expires = v.state(time.Now())
	if err := d.alive(op, name); err != nil {
		return sdk.Meta{}, err
	}
	m.Description = h.Custom[description]
	delete(h.Custom, description)
	if len(h.Custom) > 0 {
		m.Labels = h.Custom
	}
	if st.s.Field == "" {
		return m, nil
	}
	return m, st.hasField(ctx, op, name)
}

// hasField asks for the document's keys, without values.
func (st *store) hasField(ctx context.Context, op, name string) error {
	a, err := st.do(ctx, call{op: op, object: name, method: http.MethodGet, path: st.path("subkeys", name), query: url.Values{"depth": {"1"}}})
	if err != nil {
		return err
	}
	var keys struct {
		Subkeys map[string]json.RawMessage `json:"subkeys"`
	}
	if json.Unmarshal(a.Data, &keys) != nil {
		return sdk.Errorf(sdk.Internal, "%s %q: the answer is not KV v2's subkeys", op, name)
	}
	if _, ok := keys.Subkeys[st.s.Field]; !ok {
		return sdk.Errorf(sdk.NotFound, "%s %q: the document has no field %q", op, name, st.s.Field)
	}
	return nil
}

// Versions lists the versions that the engine still knows, ten by default. The token is the last number given.
func (st *store) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	h, err := st.history(ctx, "versions", r.Name)
	if err != nil {
		return sdk.VersionsPage{}, err
	}
	after := int(^uint(0) >> 1)
	if r.PageToken != "" {
		if after, err = number("versions", r.Name, r.PageToken); err != nil {
			return sdk.VersionsPage{}, err
		}
	}
	var page sdk.VersionsPage
	for _, n := range h.ids() {
		if n >= after {
			continue
		}
		if len(page.Versions) == r.PageSize {
			page.Next = page.Versions[len(page.Versions)-1].Version
			break
		}
		id := strconv.Itoa(n)
		v := sdk.Version{Version: id, Current: n == h.Current, Created: parseTime(h.Versions[id].Created)}
		v.State, v.Expires = h.Versions[id].state(time.Now())
		page.Versions = append(page.Versions, v)
	}
	return page, nil
}

// checkLabels refuses before anything is written what the engine would refuse afterwards.
func checkLabels(r sdk.PutRequest) error {
	m := custom(r)
	if _, taken := r.Labels[description]; taken || len(m) > maxLabels {
		return sdk.Errorf(sdk.InvalidArgument, "put %q: at most %d labels with the description, and none named %q", r.Name, maxLabels, description)
	}
	for k, v := range m {
		if k == "" || len(k) > maxLabelKey || v == "" || len(v) > maxLabelValue {
			return sdk.Errorf(sdk.InvalidArgument, "put %q: label %.128q: a key has 1 to %d bytes, a value 1 to %d", r.Name, k, maxLabelKey, maxLabelValue)
		}
	}
	return nil
}

func custom(r sdk.PutRequest) map[string]string {
	m := maps.Clone(r.Labels)
	if r.Description == "" {
		return m
	}
	if m == nil {
		m = map[string]string{}
	}
	m[description] = r.Description
	return m
}

// label gives description and labels to a secret that the Put has just created, which its first version shows.
func (st *store) label(ctx context.Context, r sdk.PutRequest, version int) error {
	m := custom(r)
	if version != 1 || len(m) == 0 {
		return nil
	}
	_, err := st.do(ctx, call{op: "put labels", object: r.Name, method: http.MethodPut, path: st.path("metadata", r.Name),
		body: map[string]map[string]string{"custom_metadata": m}})
	if err != nil {
		return sdk.Errorf(sdk.CodeOf(err), "the value is stored, its labels are not: %w", err)
	}
	return nil
}
