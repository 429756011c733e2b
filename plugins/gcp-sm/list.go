package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/iterator"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/keyway-dev/keyway/sdk"
)

// description is the annotation that keeps a secret's description: Google has no field for it.
const description = "description"

// Stat reads what is known of a secret and of its current version.
func (st *store) Stat(ctx context.Context, r sdk.StatRequest) (sdk.Meta, error) {
	s, err := st.secret("stat", r.Name)
	if err != nil {
		return sdk.Meta{}, err
	}
	about, err := st.about(ctx, "stat", s)
	if err != nil {
		return sdk.Meta{}, err
	}
	v, err := st.current(ctx, "stat", s)
	if err != nil {
		return sdk.Meta{}, err
	}
	m := meta(r.Name, about)
	m.Version, m.Updated = versionOf(v.GetName(), s), timeOf(v.GetCreateTime())
	return m, nil
}

// about reads a secret without its versions.
func (st *store) about(ctx context.Context, op string, s secret) (about *smpb.Secret, err error) {
	c := call{op: op, object: s.name, on: st.path(s), need: toRead}
	err = c.do(ctx, func() error {
		about, err = st.client.GetSecret(ctx, &smpb.GetSecretRequest{Name: st.path(s)})
		return err
	})
	return about, err
}

// current finds the version that Get reads.
func (st *store) current(ctx context.Context, op string, s secret) (v *smpb.SecretVersion, err error) {
	if st.s.Current == latestEnabled {
		return st.newestEnabled(ctx, op, s)
	}
	c := call{op: op, object: s.name, on: st.path(s), need: toSee}
	err = c.do(ctx, func() error {
		v, err = st.client.GetSecretVersion(ctx, &smpb.GetSecretVersionRequest{Name: st.path(s) + "/versions/" + latest})
		return err
	})
	return v, err
}

// newestEnabled finds the newest version that can be read. Google lists the newest first.
func (st *store) newestEnabled(ctx context.Context, op string, s secret) (*smpb.SecretVersion, error) {
	versions, _, err := st.page(ctx, op, s, &smpb.ListSecretVersionsRequest{PageSize: 1, Filter: "state:ENABLED"})
	if err != nil {
		return nil, err
	}
	for _, v := range versions {
		if v.GetState() == smpb.SecretVersion_ENABLED && versionOf(v.GetName(), s) != "" {
			return v, nil
		}
	}
	return nil, sdk.Errorf(sdk.FailedPrecondition, "%s %q: no version of it is enabled", op, s.name)
}

// page reads some of a secret's versions.
func (st *store) page(ctx context.Context, op string, s secret, r *smpb.ListSecretVersionsRequest) (versions []*smpb.SecretVersion, next string, err error) {
	r.Parent = st.path(s)
	c := call{op: op, object: s.name, on: st.path(s), need: toVersions}
	err = c.do(ctx, func() error {
		versions = nil
		next, err = iterator.NewPager(st.client.ListSecretVersions(ctx, r), int(r.GetPageSize()), r.GetPageToken()).NextPage(&versions)
		return err
	})
	return versions, next, err
}

// List pages through secrets by the start of their names. A secret that was left without a version is listed too, since only
// a request for each would tell.
func (st *store) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	prefix := st.escape(st.s.Prefix + r.Prefix)
	if prefix != "" && (!nameForm.MatchString(prefix) || len(prefix) > maxName) {
		return sdk.ListPage{}, nil // no name begins with it
	}
	request := &smpb.ListSecretsRequest{Parent: st.s.parent()}
	if prefix != "" && prefix[0] != '-' && prefix[0] != '_' {
		// Names that contain it. https://cloud.google.com/secret-manager/docs/filtering
		request.Filter = "name:" + prefix
	}
	c := call{op: "list", object: r.Prefix, on: st.s.parent(), need: toList}
	var page sdk.ListPage
	err := c.do(ctx, func() error {
		var secrets []*smpb.Secret
		next, err := iterator.NewPager(st.client.ListSecrets(ctx, request), r.PageSize, r.PageToken).NextPage(&secrets)
		if err != nil {
			return err
		}
		page = sdk.ListPage{Next: next}
		for _, about := range secrets {
			id := lastOf(about.GetName())
			if name, ok := st.name(id); ok && strings.HasPrefix(id, prefix) {
				page.Items = append(page.Items, meta(name, about))
			}
		}
		return nil
	})
	return page, err
}

// found marks a page token: the current version was on a page before it.
const found = "+"

// Versions pages through the versions, the newest first, with the aliases that the secret gives them, if the login may see
// those.
func (st *store) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	s, err := st.secret("versions", r.Name)
	if err != nil {
		return sdk.VersionsPage{}, err
	}
	token, seen := strings.CutPrefix(r.PageToken, found)
	versions, next, err := st.page(ctx, "versions", s, &smpb.ListSecretVersionsRequest{PageSize: int32(r.PageSize), PageToken: token}) //nolint:gosec // at most sdk.MaxPage
	switch {
	case err != nil:
		return sdk.VersionsPage{}, err
	case r.PageToken == "" && len(versions) == 0:
		return sdk.VersionsPage{}, sdk.Errorf(sdk.NotFound, "versions %q: the secret has none", r.Name)
	}
	aliases := st.aliases(ctx, s)
	var out sdk.VersionsPage
	for _, v := range versions {
		number := versionOf(v.GetName(), s)
		if number == "" {
			return sdk.VersionsPage{}, sdk.Errorf(sdk.Internal, "versions %q: the answer is of something else, %q", r.Name, v.GetName())
		}
		current := !seen && (st.s.Current == latest || v.GetState() == smpb.SecretVersion_ENABLED)
		seen = seen || current
		out.Versions = append(out.Versions, sdk.Version{Version: number, Current: current, State: stateOf(v.GetState()), Aliases: aliases[number], Created: timeOf(v.GetCreateTime())})
	}
	if out.Next = next; next != "" && seen {
		out.Next = found + out.Next
	}
	return out, nil
}

// aliases gives the aliases of each version, sorted. They are told with the secret, for which a login that lists versions
// may have no permission.
func (st *store) aliases(ctx context.Context, s secret) map[string][]string {
	about, err := st.about(ctx, "versions", s)
	if err != nil {
		return nil
	}
	out := map[string][]string{}
	for _, alias := range slices.Sorted(maps.Keys(about.GetVersionAliases())) {
		number := strconv.FormatInt(about.GetVersionAliases()[alias], 10)
		out[number] = append(out[number], alias)
	}
	return out
}

func stateOf(s smpb.SecretVersion_State) sdk.State {
	switch s {
	case smpb.SecretVersion_ENABLED:
		return sdk.StateEnabled
	case smpb.SecretVersion_DISABLED:
		return sdk.StateDisabled
	case smpb.SecretVersion_DESTROYED:
		return sdk.StateDestroyed
	default:
		return sdk.StateUnknown
	}
}

func meta(name string, about *smpb.Secret) sdk.Meta {
	return sdk.Meta{
		Name: name, Description: about.GetAnnotations()[description], Labels: about.GetLabels(),
		Created: timeOf(about.GetCreateTime()), Expires: timeOf(about.GetExpireTime()),
	}
}

// timeOf gives the zero time for one that was not told.
func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
