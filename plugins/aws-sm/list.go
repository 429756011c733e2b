package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/keyway-dev/keyway/sdk"
)

// AWS gives 100 items at a time. Of versions it keeps those of a day, and some hundred older ones.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ListSecrets.html
const maxPage, maxPages = 100, 100

// List pages through live secrets by the start of their names. AWS finds more than names that begin with the text, and
// lists new and deleted secrets some minutes late.
func (st *store) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	prefix := st.s.Prefix + r.Prefix
	if !prefixForm.MatchString(prefix) || len(prefix) > maxName {
		return sdk.ListPage{}, nil // no name begins with it
	}
	in := &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(int32(min(r.PageSize, maxPage))), IncludePlannedDeletion: aws.Bool(false)} //nolint:gosec // at most 100
	if prefix != "" {
		in.Filters = []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{prefix}}}
	}
	if r.PageToken != "" {
		in.NextToken = &r.PageToken
	}
	out, err := do(ctx, st, "list", r.Prefix, "ListSecrets", st.client.ListSecrets, in)
	if err != nil {
		return sdk.ListPage{}, err
	}
	page := sdk.ListPage{Next: aws.ToString(out.NextToken)}
	for _, e := range out.SecretList {
		if m, ok := st.listed(prefix, e); ok {
			page.Items = append(page.Items, m)
		}
	}
	return page, nil
}

// listed reads one item; false for one that Get would not answer: of another name, deleted, or without a value.
func (st *store) listed(prefix string, e types.SecretListEntry) (sdk.Meta, bool) {
	full, version := aws.ToString(e.Name), currentOf(e.SecretVersionsToStages)
	name, ok := strings.CutPrefix(full, st.s.Prefix)
	if !ok || !strings.HasPrefix(full, prefix) || sdk.CheckName(name) != nil || e.DeletedDate != nil || version == "" && len(e.SecretVersionsToStages) > 0 {
		return sdk.Meta{}, false
	}
	return sdk.Meta{Name: name, Version: version, Description: aws.ToString(e.Description), Labels: labels(e.Tags),
		Created: aws.ToTime(e.CreatedDate), Updated: aws.ToTime(e.LastChangedDate)}, true
}

// Versions gives all that AWS keeps, those without a stage too, of a secret that is scheduled for deletion as well. AWS has
// no order, so each page reads them all.
func (st *store) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	id, err := st.secretID("versions", r.Name)
	if err != nil {
		return sdk.VersionsPage{}, err
	}
	from, err := strconv.ParseUint("0"+r.PageToken, 10, 16)
	if err != nil {
		return sdk.VersionsPage{}, sdk.Errorf(sdk.InvalidArgument, "versions %q: the page token is not one of ours", r.Name)
	}
	all, err := st.versions(ctx, r.Name, id)
	if err != nil {
		return sdk.VersionsPage{}, err
	}
	start := min(int(from), len(all))
	end := min(start+r.PageSize, len(all))
	if end == len(all) {
		return sdk.VersionsPage{Versions: all[start:]}, nil
	}
	return sdk.VersionsPage{Versions: all[start:end], Next: strconv.Itoa(end)}, nil
}

// versions reads every page, and puts the newest first.
func (st *store) versions(ctx context.Context, name, id string) ([]sdk.Version, error) {
	d, err := st.describe(ctx, "versions", name, id)
	if err != nil {
		return nil, err
	}
	state := sdk.StateEnabled
	if d.DeletedDate != nil {
		state = sdk.StateDeleted
	}
	in := &secretsmanager.ListSecretVersionIdsInput{SecretId: &id, IncludeDeprecated: aws.Bool(true), MaxResults: aws.Int32(maxPage)}
	var all []sdk.Version
	for range maxPages {
		out, err := do(ctx, st, "versions", name, "ListSecretVersionIds", st.client.ListSecretVersionIds, in)
		if err != nil {
			return nil, err
		}
		for _, v := range out.Versions {
			all = append(all, sdk.Version{Version: aws.ToString(v.VersionId), Current: slices.Contains(v.VersionStages, current),
				State: state, Aliases: v.VersionStages, Created: aws.ToTime(v.CreatedDate)})
		}
		if in.NextToken = out.NextToken; aws.ToString(in.NextToken) == "" {
			break
		}
	}
	slices.SortStableFunc(all, func(a, b sdk.Version) int {
		if a.Current != b.Current && a.Created.Equal(b.Created) { // one second for AWS
			return map[bool]int{true: -1, false: 1}[a.Current]
		}
		return b.Created.Compare(a.Created)
	})
	return all, nil
}
