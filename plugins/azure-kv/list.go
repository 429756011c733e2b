package main

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	pageMax  = 25 // items that a vault gives in one answer
	maxPages = 20 // answers that one List reads, so that a prefix which few names have gives short pages
)

// pageKey marks the context of a list that asks for fewer items than a vault gives by itself.
type pageKey struct{}

// pageSize asks for as many items as the context says, which the client has no option for.
// https://learn.microsoft.com/rest/api/keyvault/secrets/get-secrets/get-secrets
type pageSize struct{}

func (pageSize) Do(r *policy.Request) (*http.Response, error) {
	if n, ok := r.Raw().Context().Value(pageKey{}).(int); ok {
		q := r.Raw().URL.Query()
		q.Set("maxresults", strconv.Itoa(n))
		r.Raw().URL.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20")
	}
	return r.Next()
}

// List gives enabled secrets. A vault has no filter, so every name is looked at; the token is the query of its next page.
func (st *store) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	page := sdk.ListPage{Next: r.PageToken}
	for range maxPages {
		items, next, err := st.page(ctx, "list", page.Next, min(pageMax, r.PageSize-len(page.Items)))
		if err != nil {
			return sdk.ListPage{}, err
		}
		for _, p := range items {
			if m, ok := st.listed(p, r.Prefix); ok {
				page.Items = append(page.Items, m)
			}
		}
		if page.Next = next; next == "" || len(page.Items) >= r.PageSize {
			break
		}
	}
	return page, nil
}

// listed describes an item of a list, if Get would read it and its name has the prefix.
func (st *store) listed(p *azsecrets.SecretProperties, prefix string) (sdk.Meta, bool) {
	if p == nil || p.ID == nil || p.Attributes == nil || p.Attributes.Enabled != nil && !*p.Attributes.Enabled {
		return sdk.Meta{}, false
	}
	id := nameOf(p.ID)
	name, ok := st.names.decode(id, p.Tags)
	if !ok || !vaultName.MatchString(id) || !strings.HasPrefix(name, prefix) {
		return sdk.Meta{}, false
	}
	return metaOf(name, p.Attributes, p.Tags), true
}

// nameOf gives the name in an id. The client's own way stops the process at an id that has none.
func nameOf(id *azsecrets.ID) string {
	u, err := url.Parse(string(*id))
	if err != nil {
		return ""
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(parts) < 2 || parts[0] != "secrets" {
		return ""
	}
	return parts[1]
}

// page reads one of the vault's pages, of at most size items; token is empty for the first.
func (st *store) page(ctx context.Context, op, token string, size int) (items []*azsecrets.SecretProperties, next string, err error) {
	ctx = context.WithValue(ctx, pageKey{}, size)
	if token != "" && !strings.Contains(token, "skiptoken=") {
		return nil, "", sdk.Errorf(sdk.InvalidArgument, "%s: the page token is not one of this store", op)
	}
	p, err := call(ctx, st, func(ctx context.Context, c *azsecrets.Client) (azsecrets.ListSecretPropertiesResponse, error) {
		pager := c.NewListSecretPropertiesPager(nil)
		if token == "" {
			return pager.NextPage(ctx)
		}
		return resume(ctx, pager, st.s.address()+"/secrets?"+token)
	})
	if err := classify(op, "", needList, err); err != nil {
		return nil, "", err
	}
	next, err = nextQuery(op, p.NextLink)
	return p.Value, next, err
}

// pager is the client's, of one kind of list.
type pager[T any] interface {
	json.Unmarshaler
	NextPage(ctx context.Context) (T, error)
}

// resume reads the page that a link leads to. A pager that has a page by its JSON gives that first.
func resume[T any](ctx context.Context, p pager[T], link string) (T, error) {
	before, err := json.Marshal(map[string]string{"nextLink": link})
	if err != nil {
		return *new(T), err
	}
	if err := p.UnmarshalJSON(before); err != nil {
		return *new(T), err
	}
	if page, err := p.NextPage(ctx); err != nil {
		return page, err
	}
	return p.NextPage(ctx)
}

// nextQuery gives the query of the link to the next page. Its host is left out: it is input, and requests go to ours.
func nextQuery(op string, link *string) (string, error) {
	if textOf(link) == "" {
		return "", nil
	}
	u, err := url.Parse(*link)
	if err != nil || !strings.Contains(u.RawQuery, "skiptoken=") {
		return "", sdk.Errorf(sdk.Internal, "%s: the answer's link to the next page is none", op)
	}
	return u.RawQuery, nil
}

// Versions lists all versions, which a vault gives in no order, newest first. The token is how many came before.
func (st *store) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	id, err := st.names.encode("versions", r.Name)
	if err != nil {
		return sdk.VersionsPage{}, err
	}
	begin := 0
	if r.PageToken != "" {
		if begin, err = strconv.Atoi(r.PageToken); err != nil || begin < 0 {
			return sdk.VersionsPage{}, sdk.Errorf(sdk.InvalidArgument, "versions %q: the page token is not one of this store", r.Name)
		}
	}
	current, err := st.current(ctx, "versions", r.Name, id)
	if err != nil {
		return sdk.VersionsPage{}, err
	}
	if other := st.names.taken(r.Name, current.Tags); other != "" {
		return sdk.VersionsPage{}, collision(sdk.NotFound, "versions", r.Name, other)
	}
	all, err := st.allVersions(ctx, "versions", r.Name, id)
	if err != nil {
		return sdk.VersionsPage{}, err
	}
	out := make([]sdk.Version, len(all))
	for i, p := range all {
		out[i] = versionOf(p)
		out[i].Current = out[i].Version == current.ID.Version()
	}
	slices.SortStableFunc(out, func(a, b sdk.Version) int { // times are whole seconds, so the current one may have equals
		if a.Current != b.Current {
			return map[bool]int{true: -1, false: 1}[a.Current]
		}
		return 0
	})
	begin = min(begin, len(out))
	end := min(begin+r.PageSize, len(out))
	page := sdk.VersionsPage{Versions: out[begin:end]}
	if end < len(out) {
		page.Next = strconv.Itoa(end)
	}
	return page, nil
}

func versionOf(p *azsecrets.SecretProperties) sdk.Version {
	v := sdk.Version{Version: p.ID.Version(), State: sdk.StateEnabled, Created: timeOf(p.Attributes.Created), Expires: timeOf(p.Attributes.Expires)}
	if p.Attributes.Enabled != nil && !*p.Attributes.Enabled {
		v.State = sdk.StateDisabled
	}
	return v
}

// allVersions gives every version, at least one, the latest by its time first.
func (st *store) allVersions(ctx context.Context, op, name, id string) ([]*azsecrets.SecretProperties, error) {
	var all []*azsecrets.SecretProperties
	next := ""
	for {
		p, err := call(ctx, st, func(ctx context.Context, c *azsecrets.Client) (azsecrets.ListSecretPropertiesVersionsResponse, error) {
			pager := c.NewListSecretPropertiesVersionsPager(id, nil)
			if next == "" {
				return pager.NextPage(ctx)
			}
			return resume(ctx, pager, st.s.address()+"/secrets/"+id+"/versions?"+next)
		})
		if err := classify(op, name, needList, err); err != nil {
			return nil, err
		}
		for _, v := range p.Value {
			if v == nil || v.ID == nil || nameOf(v.ID) == "" || v.ID.Version() == "" || v.Attributes == nil {
				return nil, sdk.Errorf(sdk.Internal, "%s %q: the answer is not a list of versions", op, name)
			}
		}
		all = append(all, p.Value...)
		if next, err = nextQuery(op, p.NextLink); err != nil {
			return nil, err
		}
		if next == "" {
			break
		}
	}
	if len(all) == 0 {
		return nil, sdk.Errorf(sdk.NotFound, "%s %q: it has no version", op, name)
	}
	slices.SortStableFunc(all, func(a, b *azsecrets.SecretProperties) int {
		return cmp.Compare(timeOf(b.Attributes.Created).Unix(), timeOf(a.Attributes.Created).Unix())
	})
	return all, nil
}
