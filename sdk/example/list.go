package example

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

// Stat describes one secret without its value.
func (st *store) Stat(ctx context.Context, r sdk.StatRequest) (sdk.Meta, error) {
	name, err := st.read(ctx, "stat", r.Name)
	if err != nil {
		return sdk.Meta{}, err
	}
	m, err := st.data.meta(name)
	if err != nil {
		return sdk.Meta{}, classify("stat", r.Name, err)
	}
	m.Name = r.Name
	return m, nil
}

// List answers one page of names. The page token is the last name of the page before: it stays right when secrets come
// and go between two pages, which an offset does not.
func (st *store) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	prefix, err := st.read(ctx, "list", r.Prefix)
	if err != nil {
		return sdk.ListPage{}, err
	}
	var page sdk.ListPage
	for _, m := range st.data.list(prefix) {
		m.Name = strings.TrimPrefix(m.Name, st.settings.Prefix) // a name that Get takes
		if m.Name <= r.PageToken {
			continue
		}
		if len(page.Items) == r.PageSize {
			page.Next = page.Items[len(page.Items)-1].Name
			break
		}
		page.Items = append(page.Items, m)
	}
	return page, nil
}

// Versions answers one page of a secret's versions, newest first. The page token is the last id of the page before.
func (st *store) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	name, err := st.read(ctx, "versions", r.Name)
	if err != nil {
		return sdk.VersionsPage{}, err
	}
	all, err := st.data.versions(name)
	if err != nil {
		return sdk.VersionsPage{}, classify("versions", r.Name, err)
	}
	if r.PageToken != "" {
		last, err := strconv.Atoi(r.PageToken)
		if err != nil {
			return sdk.VersionsPage{}, sdk.Errorf(sdk.InvalidArgument, "versions %q: malformed page token", r.Name)
		}
		all = slices.DeleteFunc(all, func(v sdk.Version) bool {
			id, _ := strconv.Atoi(v.Version)
			return id >= last
		})
	}
	if len(all) <= r.PageSize {
		return sdk.VersionsPage{Versions: all}, nil
	}
	page := all[:r.PageSize]
	return sdk.VersionsPage{Versions: page, Next: page[len(page)-1].Version}, nil
}
