package main

import (
	"context"
	"mime"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/keyway-dev/keyway/sdk"
)

// The permissions that calls take, as an operator knows them: the data action of a role, which access policies call alike.
// https://learn.microsoft.com/azure/key-vault/general/rbac-guide
const (
	needGet     = "the permission to get secrets: Microsoft.KeyVault/vaults/secrets/getSecret/action, as in the role Key Vault Secrets User"
	needList    = "the permission to list secrets: Microsoft.KeyVault/vaults/secrets/readMetadata/action, as in the role Key Vault Secrets User"
	needSet     = "the permission to set secrets: Microsoft.KeyVault/vaults/secrets/setSecret/action, as in the role Key Vault Secrets Officer"
	needDelete  = "the permission to delete secrets: Microsoft.KeyVault/vaults/secrets/delete, as in the role Key Vault Secrets Officer"
	needRecover = "the permission to recover secrets: Microsoft.KeyVault/vaults/secrets/recover/action, as in the role Key Vault Secrets Officer"
	needPurge   = "the permission to purge secrets: Microsoft.KeyVault/vaults/secrets/purge/action, as in the role Key Vault Secrets Officer"
)

// description is the tag that holds a secret's description.
const description = "description"

// store is the secrets of one vault.
type store struct {
	s     Settings
	names naming
	http  *http.Client

	mu      sync.Mutex
	conn    *connection // nil before the first call
	renewed time.Time   // when the last one was replaced for a refused token
}

var (
	_ sdk.Getter    = (*store)(nil)
	_ sdk.Stater    = (*store)(nil)
	_ sdk.Lister    = (*store)(nil)
	_ sdk.Versioner = (*store)(nil)
	_ sdk.Putter    = (*store)(nil)
	_ sdk.Deleter   = (*store)(nil)
	_ sdk.Restorer  = (*store)(nil)
)

func plugin() *sdk.Plugin {
	return sdk.Define(sdk.About{
		Name:    "azure-kv",
		Version: version,
		Summary: "Azure Key Vault: secrets",
		Docs:    "https://github.com/keyway-dev/keyway/blob/main/docs/providers/azure-kv.md",
		Compat: map[string]string{
			"litellm.system":         "azure_key_vault",
			"litellm.default./names": `"dashes"`,
			"litellm.default./auth":  `{"default":{}}`,
			"litellm.order./auth":    "client_secret,certificate,workload_identity",
		},
	}, open)
}

func open(_ context.Context, env sdk.Env, s Settings) (*store, error) {
	client, err := httpClient(env, s.TLS)
	if err != nil {
		return nil, err
	}
	return &store{s: s, names: naming(s.Names), http: client}, nil
}

// Check asks for one name of a list. Who may only read is asked whether a secret that nobody has can be read.
func (st *store) Check(ctx context.Context) (sdk.Report, error) {
	var r sdk.Report
	_, _, err := st.page(ctx, "check", "", 1)
	if sdk.CodeOf(err) == sdk.PermissionDenied {
		_, err = st.read(ctx, "check", "keyway-check", "keyway-check", "")
		r.Notes = []string{"the login may not list secrets"}
	}
	if code := sdk.CodeOf(err); code != sdk.OK && code != sdk.NotFound && code != sdk.FailedPrecondition || code == sdk.FailedPrecondition && r.Notes == nil {
		return sdk.Report{}, err
	}
	c, err := st.connect()
	if err != nil {
		return sdk.Report{}, err
	}
	r.Identity = c.login.who()
	return r, nil
}

// Close drops the store's connections.
func (st *store) Close(context.Context) error { //nolint:unparam // the signature is that of sdk.Store
	st.http.CloseIdleConnections()
	return nil
}

// Get reads one version. A warm Get is one request.
func (st *store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	s, err := st.secret(ctx, "get", r.Name, r.Version)
	if err != nil {
		return sdk.Secret{}, err
	}
	if s.Value == nil {
		return sdk.Secret{}, sdk.Errorf(sdk.Internal, "get %q: the answer has no value", r.Name)
	}
	if *s.Value == "" {
		return sdk.Secret{}, sdk.Errorf(sdk.FailedPrecondition, "get %q: its value is empty", r.Name)
	}
	out := sdk.Secret{Value: sdk.SensitiveString(*s.Value), Version: s.ID.Version(), Created: timeOf(s.Attributes.Created)}
	if t, _, err := mime.ParseMediaType(textOf(s.ContentType)); err == nil && strings.Contains(t, "/") {
		out.MediaType = *s.ContentType
	}
	return out, nil
}

// Stat reads the current version, since Key Vault tells about it in no other way, and drops the value.
func (st *store) Stat(ctx context.Context, r sdk.StatRequest) (sdk.Meta, error) {
	s, err := st.secret(ctx, "stat", r.Name, "")
	if err != nil {
		return sdk.Meta{}, err
	}
	m := metaOf(r.Name, s.Attributes, s.Tags)
	m.Version = s.ID.Version()
	return m, nil
}

// secret reads one version of the secret that has this name and no other.
func (st *store) secret(ctx context.Context, op, name, version string) (azsecrets.Secret, error) {
	id, err := st.names.encode(op, name)
	if err != nil {
		return azsecrets.Secret{}, err
	}
	if version != "" && !vaultVersion.MatchString(version) {
		return azsecrets.Secret{}, sdk.Errorf(sdk.InvalidArgument, "%s %q: version %q is not one of 32 hexadecimal digits", op, name, version)
	}
	s, err := st.read(ctx, op, name, id, version)
	if err != nil {
		return azsecrets.Secret{}, err
	}
	if other := st.names.taken(name, s.Tags); other != "" {
		return azsecrets.Secret{}, collision(sdk.NotFound, op, name, other)
	}
	return s, nil
}

// read gets a secret by the vault's name. One that can be restored is FailedPrecondition, which takes a second request
// to know.
func (st *store) read(ctx context.Context, op, name, id, version string) (azsecrets.Secret, error) {
	r, err := call(ctx, st, func(ctx context.Context, c *azsecrets.Client) (azsecrets.GetSecretResponse, error) {
		return c.GetSecret(ctx, id, version, nil)
	})
	if err := classify(op, name, needGet, err); err != nil {
		if sdk.CodeOf(err) != sdk.NotFound {
			return azsecrets.Secret{}, err
		}
		return azsecrets.Secret{}, st.whyMissing(ctx, op, name, id, err)
	}
	if r.ID == nil || !strings.Contains(string(*r.ID), "/secrets/") || r.ID.Version() == "" || r.Attributes == nil {
		return azsecrets.Secret{}, sdk.Errorf(sdk.Internal, "%s %q: the answer is not a secret's", op, name)
	}
	return r.Secret, nil
}

// whyMissing tells a deleted secret from one that is not there. A login that may not see deleted secrets is told the
// latter.
func (st *store) whyMissing(ctx context.Context, op, name, id string, missing error) error {
	d, err := st.deleted(ctx, op, name, id)
	switch sdk.CodeOf(err) {
	case sdk.OK:
	case sdk.NotFound, sdk.PermissionDenied, sdk.FailedPrecondition:
		return missing
	default:
		return err
	}
	if st.names.taken(name, d.Tags) != "" {
		return missing
	}
	return sdk.Errorf(sdk.FailedPrecondition, "%s %q: deleted, and can be restored%s", op, name, until(d.ScheduledPurgeDate))
}

func until(t *time.Time) string {
	if t == nil {
		return ""
	}
	return " until " + t.UTC().Format(time.RFC3339)
}

// deleted looks a deleted secret up.
func (st *store) deleted(ctx context.Context, op, name, id string) (azsecrets.DeletedSecret, error) {
	r, err := call(ctx, st, func(ctx context.Context, c *azsecrets.Client) (azsecrets.GetDeletedSecretResponse, error) {
		return c.GetDeletedSecret(ctx, id, nil)
	})
	return r.DeletedSecret, classify(op, name, needGet, err)
}

// metaOf tells about a secret. That it has expired keeps nobody from reading it.
func metaOf(name string, a *azsecrets.SecretAttributes, tags map[string]*string) sdk.Meta {
	m := sdk.Meta{Name: name, Labels: map[string]string{}}
	for k, v := range tags {
		switch k {
		case description:
			m.Description = textOf(v)
		case nameTag:
		default:
			m.Labels[k] = textOf(v)
		}
	}
	if a != nil {
		m.Created, m.Updated, m.Expires = timeOf(a.Created), timeOf(a.Updated), timeOf(a.Expires)
	}
	return m
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func textOf(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
