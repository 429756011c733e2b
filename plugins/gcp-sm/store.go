package main

import (
	"context"
	"hash/crc32"
	"maps"

	"cloud.google.com/go/iam/apiv1/iampb"
	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"

	"github.com/keyway-dev/keyway/plugins/internal/gcpauth"
	"github.com/keyway-dev/keyway/sdk"
)

// store is the secrets of one project, or of one location of it.
type store struct {
	s      Settings
	conn   *gcpauth.Conn
	client *secretmanager.Client
	recent recent
}

var (
	_ sdk.Getter    = (*store)(nil)
	_ sdk.Stater    = (*store)(nil)
	_ sdk.Lister    = (*store)(nil)
	_ sdk.Versioner = (*store)(nil)
	_ sdk.Putter    = (*store)(nil)
	_ sdk.Deleter   = (*store)(nil)
)

func plugin() *sdk.Plugin {
	compat := map[string]string{
		"litellm.system": "google_secret_manager",
		"litellm.ttl":    "GOOGLE_SECRET_MANAGER_REFRESH_INTERVAL,SECRET_MANAGER_REFRESH_INTERVAL",
	}
	maps.Copy(compat, gcpauth.Compat())
	return sdk.Define(sdk.About{
		Name:    "gcp-sm",
		Version: version,
		Summary: "Google Cloud Secret Manager, global and regional",
		Docs:    "https://github.com/keyway-dev/keyway/blob/main/docs/providers/gcp-sm.md",
		Compat:  compat,
	}, open)
}

func open(ctx context.Context, env sdk.Env, s Settings) (*store, error) {
	conn, err := s.connection().Connect(env)
	if err != nil {
		return nil, err
	}
	client, err := secretmanager.NewClient(context.WithoutCancel(ctx), conn.Options()...)
	if err != nil {
		return nil, sdk.Errorf(sdk.Internal, "the client cannot be made: %w", err)
	}
	client.CallOptions = &secretmanager.CallOptions{} // no attempts and no time of its own: see call.do
	return &store{s: s, conn: conn, client: client}, nil
}

// Check asks what the login may do with a secret, which everybody may ask, of one that need not exist.
// https://cloud.google.com/secret-manager/docs/reference/rpc/google.cloud.secretmanager.v1#secretmanagerservice
func (st *store) Check(ctx context.Context) (sdk.Report, error) {
	var r sdk.Report
	s, err := st.secret("check", "keyway-check")
	if err != nil {
		return r, err
	}
	c := call{op: "check", object: st.s.parent(), on: st.s.parent(), need: toAccess}
	err = c.do(ctx, func() error {
		_, err := st.client.TestIamPermissions(ctx, &iampb.TestIamPermissionsRequest{Resource: st.path(s), Permissions: []string{toAccess.permission}})
		return err
	})
	if sdk.CodeOf(err) == sdk.Unimplemented { // an emulator
		r.Notes, err = append(r.Notes, "the server does not tell permissions; that it answers is all that is known"), nil
	}
	if err != nil {
		return r, err
	}
	r.Identity, err = st.conn.Identity(ctx)
	return r, c.classify(ctx, err)
}

// Close drops the store's connection.
func (st *store) Close(context.Context) error {
	if err := st.client.Close(); err != nil {
		return sdk.Errorf(sdk.Internal, "close: %w", err)
	}
	return nil
}

// latest and latestEnabled name a version by what it is. The first is Google's own word, the second ours.
const latest, latestEnabled = "latest", "latest_enabled"

// Get reads one version: by number, by an alias of the secret, "latest" or "latest_enabled". The current one is a single
// request, unless it is the newest enabled one and the newest is not enabled.
func (st *store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	s, err := st.secret("get", r.Name)
	if err != nil {
		return sdk.Secret{}, err
	}
	which := r.Version
	if which == "" {
		which = st.s.Current
	}
	if !versionForm.MatchString(which) {
		return sdk.Secret{}, sdk.Errorf(sdk.InvalidArgument, "get %q: a version is a number, an alias, %s or %s", r.Name, latest, latestEnabled)
	}
	if which != latest && which != latestEnabled {
		return st.access(ctx, s, which)
	}
	out, err := st.latest(ctx, s)
	if which == latest || sdk.CodeOf(err) != sdk.FailedPrecondition {
		return out, err
	}
	v, err := st.newestEnabled(ctx, "get", s)
	if err != nil {
		return sdk.Secret{}, err
	}
	return st.access(ctx, s, versionOf(v.GetName(), s))
}

// latest reads the newest version, or the one that this store has written since.
func (st *store) latest(ctx context.Context, s secret) (sdk.Secret, error) {
	out, err := st.access(ctx, s, latest)
	switch sdk.CodeOf(err) {
	case sdk.OK, sdk.NotFound, sdk.FailedPrecondition:
		if number := st.recent.after(s.id, out.Version); number != "" {
			if ours, err := st.access(ctx, s, number); err == nil {
				return ours, nil
			}
		}
	default:
	}
	return out, err
}

// access reads one version.
func (st *store) access(ctx context.Context, s secret, which string) (sdk.Secret, error) {
	var out sdk.Secret
	c := call{op: "get", object: s.name, on: st.path(s), need: toAccess}
	err := c.do(ctx, func() error {
		a, err := st.client.AccessSecretVersion(ctx, &smpb.AccessSecretVersionRequest{Name: st.path(s) + "/versions/" + which})
		if err != nil {
			return err
		}
		number, p := versionOf(a.GetName(), s), a.GetPayload()
		switch {
		case number == "" || which[0] <= '9' && number != which:
			return sdk.Errorf(sdk.Internal, "the answer is of something else, %q", a.GetName())
		case len(p.GetData()) == 0:
			return sdk.Errorf(sdk.Internal, "the answer holds no value")
		case p.DataCrc32C != nil && p.GetDataCrc32C() != checksum(p.GetData()):
			return sdk.Errorf(sdk.DataLoss, "the value that came does not match its checksum")
		}
		out = sdk.Secret{Value: sdk.NewSensitive(p.GetData()), Version: number}
		return nil
	})
	return out, err
}

// checksum is what Google sums values up with, both ways. It is told with every value; versions from before there were
// checksums have none.
// https://cloud.google.com/secret-manager/docs/data-integrity
func checksum(data []byte) int64 {
	return int64(crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)))
}
