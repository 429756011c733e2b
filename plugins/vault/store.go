package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/keyway-dev/keyway/plugins/internal/httptls"
	"github.com/keyway-dev/keyway/plugins/internal/session"
	"github.com/keyway-dev/keyway/sdk"
)

// store is one key-value mount, seen as documents or as one field of each, or a transit mount, or both.
type store struct {
	s                      Settings
	mount, prefix, transit string // without slashes at their ends
	account                *account
	session                *session.Session[token]
	transport              *http.Transport
	noPatch                atomic.Bool // merge patch is not allowed or not known here
}

var (
	_ sdk.Getter    = (*store)(nil)
	_ sdk.Stater    = (*store)(nil)
	_ sdk.Lister    = (*store)(nil)
	_ sdk.Versioner = (*store)(nil)
	_ sdk.Putter    = (*store)(nil)
	_ sdk.Deleter   = (*store)(nil)
	_ sdk.Restorer  = (*store)(nil)
	_ sdk.Encrypter = (*store)(nil)
	_ sdk.Decrypter = (*store)(nil)
)

func plugin() *sdk.Plugin {
	return sdk.Define(sdk.About{
		Name:    "vault",
		Version: version,
		Summary: "HashiCorp Vault and OpenBao: key-value engine (versions 1 and 2) and transit",
		Docs:    "https://github.com/keyway-dev/keyway/blob/main/docs/providers/vault.md",
		Compat: map[string]string{
			"litellm.system":           "hashicorp_vault",
			"litellm.default./address": `"http://127.0.0.1:8200"`,
			"litellm.default./field":   `"key"`,
			"litellm.order./auth":      "approle,cert,token",
			"litellm.ttl":              "HCP_VAULT_REFRESH_INTERVAL,SECRET_MANAGER_REFRESH_INTERVAL",
		},
	}, open)
}

func open(_ context.Context, env sdk.Env, s Settings) (*store, error) {
	config, err := s.TLS.config(s.Auth.Cert)
	if err != nil {
		return nil, err
	}
	transport := env.NewTransport()
	transport.TLSClientConfig = config
	if s.TLS.CAFile != "" {
		httptls.Trust(transport, s.TLS.CAFile)
	}
	client, err := newClient(s.Address, &byPath{shared: transport, alone: s.TLS.alone(transport, s.Auth.Cert)}, s.Forward)
	if err != nil {
		return nil, err
	}
	acc := &account{base: client, secrets: s.secrets(), login: s.login(), method: s.Auth.method(env), logger: env.Logger}
	acc.namespaces = acc.secrets == "" && acc.login == ""
	st := &store{s: s, mount: trim(s.Mount), transit: trim(s.Transit), transport: transport, account: acc, session: session.New(acc.source())}
	if p := trim(s.PathPrefix); p != "" {
		st.prefix = p + "/"
	}
	return st, nil
}

// Check looks the token up, which the policy "default" allows. Beyond the login it notes what would surprise later.
func (st *store) Check(ctx context.Context) (sdk.Report, error) {
	a, err := st.do(ctx, lookUpSelf)
	if err != nil {
		return sdk.Report{}, err
	}
	t, err := a.token()
	if err != nil {
		return sdk.Report{}, err
	}
	r := sdk.Report{Identity: t.DisplayName}
	if left := time.Duration(t.TTL) * time.Second; left > 0 && !t.Renewable && !st.account.method.again {
		r.Notes = append(r.Notes, fmt.Sprintf("the token ends in %v and cannot be renewed", left))
	}
	if note := st.checkMount(ctx); note != "" {
		r.Notes = append(r.Notes, note)
	}
	return r, nil
}

// checkMount asks what the mount is, as far as the token may know, because a version 1 engine answers reads meant for
// version 2 with "not found".
func (st *store) checkMount(ctx context.Context) string {
	if st.mount == "" {
		return ""
	}
	a, err := st.do(ctx, call{op: "check", object: st.mount, method: http.MethodGet, path: "sys/internal/ui/mounts/" + st.mount})
	if err != nil {
		return ""
	}
	var m struct {
		Type    string            `json:"type"`
		Options map[string]string `json:"options"`
	}
	if json.Unmarshal(a.Data, &m) != nil {
		return ""
	}
	if m.Type != "kv" && m.Type != "generic" {
		return fmt.Sprintf("mount %q is a %s engine, not a key-value one", st.mount, m.Type)
	}
	if is := cmp.Or(m.Options["version"], "1"); is != strconv.Itoa(st.s.KV) {
		return fmt.Sprintf("mount %q has version %s of the key-value engine, the settings say %d", st.mount, is, st.s.KV)
	}
	return ""
}

// Close revokes a token that was made for this store and drops its connections.
func (st *store) Close(ctx context.Context) error { //nolint:unparam // the signature is that of sdk.Store
	if l := st.session.End(); l != nil {
		st.account.revoke(ctx, l.Token)
	}
	st.transport.CloseIdleConnections()
	return nil
}

// do makes one request with the store's token, and once more with a new one if that token has ended. Vault says 403 to an
// ended token and to a denied path alike.
func (st *store) do(ctx context.Context, r call) (answer, error) {
	l, err := st.session.Lease(ctx)
	if err != nil {
		return answer{}, classify(r, err, nil)
	}
	a, err := send(ctx, l.Token.clientFor(r), r)
	if r.once || !isForbidden(err) {
		return a, err
	}
	n, refusal := st.session.Refused(ctx, l)
	if refusal != nil {
		return answer{}, classify(r, refusal, nil)
	}
	if n == l {
		return a, err
	}
	return send(ctx, n.Token.clientFor(r), r)
}

// Get reads one document, or the field of it. A warm Get is one request.
func (st *store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	d, err := st.read(ctx, "get", r.Name, r.Version)
	if err != nil {
		return sdk.Secret{}, err
	}
	if err := d.alive("get", r.Name); err != nil {
		return sdk.Secret{}, err
	}
	out := sdk.Secret{Version: d.id(), Created: d.created, Expires: d.expires}
	if st.s.Field == "" {
		out.Value, out.MediaType = sdk.NewSensitive(d.data), mediaJSON
		return out, nil
	}
	out.Value, out.MediaType, err = st.field("get", r.Name, d)
	return out, err
}

// Put writes one document, or the field of it.
func (st *store) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	if err := checkLabels(r); err != nil {
		return sdk.PutResult{}, err
	}
	put := st.putDocument
	if st.s.Field != "" {
		put = st.putField
	}
	v, err := put(ctx, r)
	if err != nil || st.s.KV == 1 {
		return sdk.PutResult{}, err
	}
	if err := st.label(ctx, r, v); err != nil {
		return sdk.PutResult{}, err
	}
	return sdk.PutResult{Version: document{version: v}.id()}, nil
}

// Delete deletes the current version, which Restore brings back, or everything (Purge, and always in KV v1). Of a document
// with other fields only the field goes.
func (st *store) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	if st.s.Field != "" {
		return st.deleteField(ctx, r)
	}
	path := st.path("data", r.Name)
	if r.Purge {
		path = st.path("metadata", r.Name)
	}
	_, err := st.do(ctx, call{op: "delete", object: r.Name, method: http.MethodDelete, path: path})
	if err != nil {
		return sdk.DeleteResult{}, err
	}
	return sdk.DeleteResult{Recoverable: st.s.KV == 2 && !r.Purge}, nil
}

// Restore undeletes the current version.
func (st *store) Restore(ctx context.Context, r sdk.RestoreRequest) error {
	d, err := st.read(ctx, "restore", r.Name, "")
	if err != nil {
		return err
	}
	if d.state == sdk.StateDeleted {
		return st.versions(ctx, "restore", "undelete", r.Name, []int{d.version})
	}
	if err := d.alive("restore", r.Name); err != nil || st.s.Field == "" {
		return err
	}
	_, _, err = st.field("restore", r.Name, d)
	return err
}
