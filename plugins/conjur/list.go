package main

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cyberark/conjur-api-go/conjurapi"

	"github.com/keyway-dev/keyway/sdk"
)

const (
	// listPage is how many variables one request lists: at most 1000 unless the server is told otherwise.
	listPage = 500
	// listRequests is how many requests one page may take where few names have the prefix; then it is a short one.
	listRequests = 8
	// description is the annotation that holds a secret's description.
	description = "description"
)

// resource is what Conjur tells of a variable.
type resource struct {
	ID          string    `json:"id"`
	Created     time.Time `json:"created_at"`
	Annotations []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"annotations"`
	Secrets *[]struct {
		Version int `json:"version"`
	} `json:"secrets"`
}

// live reports whether the variable has a value. Without it there is nothing to get.
func (r *resource) live() bool { return r.Secrets == nil || len(*r.Secrets) > 0 }

// versions gives the numbers of the versions that are kept, newest first.
func (r *resource) versions() []int {
	var ns []int
	if r.Secrets != nil {
		for _, s := range *r.Secrets {
			ns = append(ns, s.Version)
		}
	}
	slices.SortFunc(ns, func(a, b int) int { return b - a })
	return ns
}

func (r *resource) meta(name string) sdk.Meta {
	m := sdk.Meta{Name: name, Created: r.Created}
	if ns := r.versions(); len(ns) > 0 {
		m.Version = strconv.Itoa(ns[0])
	}
	for _, a := range r.Annotations {
		if a.Name == description {
			m.Description = a.Value
			continue
		}
		if m.Labels == nil {
			m.Labels = map[string]string{}
		}
		m.Labels[a.Name] = a.Value
	}
	return m
}

// Stat tells annotations as labels, and the one named description as the description.
func (st *store) Stat(ctx context.Context, r sdk.StatRequest) (sdk.Meta, error) {
	v, err := st.variable(ctx, "stat", r.Name)
	if err != nil {
		return sdk.Meta{}, err
	}
	return v.meta(r.Name), nil
}

// Versions gives the numbers of those that are kept, 20 unless the server is told otherwise.
func (st *store) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	v, err := st.variable(ctx, "versions", r.Name)
	if err != nil {
		return sdk.VersionsPage{}, err
	}
	var page sdk.VersionsPage
	numbers := v.versions()
	before := 0
	if r.PageToken != "" {
		if before, err = strconv.Atoi(r.PageToken); err != nil {
			return sdk.VersionsPage{}, sdk.Errorf(sdk.InvalidArgument, "versions %q: the page token is not ours", r.Name)
		}
	}
	for i, n := range numbers {
		switch {
		case before > 0 && n >= before:
		case len(page.Versions) == r.PageSize:
			page.Next = strconv.Itoa(numbers[i-1])
			return page, nil
		default:
			page.Versions = append(page.Versions, sdk.Version{Version: strconv.Itoa(n), Current: i == 0, State: sdk.StateEnabled})
		}
	}
	return page, nil
}

func (st *store) variable(ctx context.Context, op, name string) (resource, error) {
	id := st.id(name)
	var v resource
	err := st.doJSON(ctx, call{op: op, object: name, needs: "any other privilege", build: func() (*http.Request, error) {
		return spaced(st.requests.ResourceRequest(st.full("variable", id)))
	}}, &v)
	switch {
	case err != nil:
		return resource{}, err
	case v.ID != st.full("variable", id):
		return resource{}, sdk.Errorf(sdk.Internal, "%s %q: the answer is about something else", op, name)
	case !v.live():
		return resource{}, sdk.Errorf(sdk.NotFound, "%s %q: the variable is declared and has no value", op, name)
	}
	return v, nil
}

// List goes through all variables that the login may see, in the server's order: it has no search by prefix. The token is
// how many were passed, so names may be missed while others are removed.
func (st *store) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	offset := 0
	if r.PageToken != "" {
		n, err := strconv.Atoi(r.PageToken)
		if err != nil || n < 0 {
			return sdk.ListPage{}, sdk.Errorf(sdk.InvalidArgument, "list %q: the page token is not ours", r.Prefix)
		}
		offset = n
	}
	var page sdk.ListPage
	for range listRequests {
		found, err := st.resources(ctx, r.Prefix, offset)
		if err != nil {
			return sdk.ListPage{}, err
		}
		for i := range found {
			name, ok := st.name(&found[i])
			if !ok || !strings.HasPrefix(name, r.Prefix) {
				continue
			}
			if len(page.Items) == r.PageSize {
				page.Next = strconv.Itoa(offset + i)
				return page, nil
			}
			page.Items = append(page.Items, found[i].meta(name))
		}
		if len(found) < listPage {
			return page, nil
		}
		offset += len(found)
	}
	page.Next = strconv.Itoa(offset)
	return page, nil
}

func (st *store) resources(ctx context.Context, prefix string, offset int) (found []resource, err error) {
	err = st.doJSON(ctx, call{op: "list", object: prefix, build: func() (*http.Request, error) {
		return st.requests.ResourcesRequest(&conjurapi.ResourceFilter{Kind: "variable", Limit: listPage, Offset: offset})
	}}, &found)
	return found, err
}

// name gives the name of a variable that the store has; false: it has no value, or another place, or an id that is no name.
func (st *store) name(r *resource) (string, bool) {
	id, ours := strings.CutPrefix(r.ID, st.full("variable", ""))
	name, below := strings.CutPrefix(id, st.id(""))
	return name, ours && below && r.live() && sdk.CheckName(name) == nil
}
