package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/keyway-dev/keyway/sdk"
)

// listWorkers is how many of a page's names are looked at together.
const listWorkers = 16

// List walks the folders under the prefix in the order of the whole names; the token is the last name looked at. Vault
// lists deleted secrets too and tells nothing but names, so each name costs a request for its metadata, and in a field
// store another for its keys.
func (st *store) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	dir := r.Prefix[:strings.LastIndex(r.Prefix, "/")+1]
	if dir != "" && !isFolder(dir) {
		return sdk.ListPage{}, nil // no name is like that, and ".." must not climb out of the mount
	}
	w := walk{st: st, prefix: r.Prefix, after: r.PageToken, limit: r.PageSize}
	if err := w.folder(ctx, dir); err != nil {
		return sdk.ListPage{}, err
	}
	var page sdk.ListPage
	if w.more {
		page.Next = w.names[len(w.names)-1]
	}
	var err error
	page.Items, err = st.live(ctx, w.names)
	return page, err
}

// isFolder reports whether names can begin with dir.
func isFolder(dir string) bool { return sdk.CheckName(strings.TrimSuffix(dir, "/")) == nil }

// walk collects up to limit names that have the prefix and come after a name.
type walk struct {
	st            *store
	prefix, after string
	limit         int
	names         []string
	more          bool
}

func (w *walk) folder(ctx context.Context, dir string) error {
	keys, err := w.st.keys(ctx, dir)
	if err != nil {
		return err
	}
	for _, k := range keys {
		name := dir + k
		folder := strings.HasSuffix(k, "/")
		switch {
		case folder && w.mayHold(name):
			if err := w.folder(ctx, name); err != nil {
				return err
			}
		case folder || !strings.HasPrefix(name, w.prefix) || name <= w.after:
		case len(w.names) == w.limit:
			w.more = true
		default:
			w.names = append(w.names, name)
		}
		if w.more {
			return nil
		}
	}
	return nil
}

// mayHold reports whether a folder may hold wanted names.
func (w *walk) mayHold(folder string) bool {
	return (strings.HasPrefix(folder, w.prefix) || strings.HasPrefix(w.prefix, folder)) &&
		(folder > w.after || strings.HasPrefix(w.after, folder))
}

// keys gives the sorted keys of one folder; those of folders end in a slash. A folder without any is absent.
func (st *store) keys(ctx context.Context, dir string) ([]string, error) {
	a, err := st.do(ctx, call{op: "list", object: dir, method: http.MethodGet, path: st.path("metadata", dir), query: url.Values{"list": {"true"}}})
	if sdk.CodeOf(err) == sdk.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var l struct {
		Keys []string `json:"keys"`
	}
	if json.Unmarshal(a.Data, &l) != nil {
		return nil, sdk.Errorf(sdk.Internal, "list %q: the answer is not a list of keys", dir)
	}
	l.Keys = slices.DeleteFunc(l.Keys, func(k string) bool { return !isFolder(k) })
	slices.Sort(l.Keys)
	return l.Keys, nil
}

// live describes the names that Get would answer, in order.
func (st *store) live(ctx context.Context, names []string) ([]sdk.Meta, error) {
	if st.s.KV == 1 && st.s.Field == "" {
		metas := make([]sdk.Meta, len(names))
		for i, n := range names {
			metas[i].Name = n
		}
		return metas, nil
	}
	metas := make([]sdk.Meta, len(names))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(listWorkers)
	for i, name := range names {
		group.Go(func() (err error) {
			switch metas[i], err = st.describe(ctx, name); sdk.CodeOf(err) {
			case sdk.NotFound, sdk.FailedPrecondition:
				metas[i].Name = ""
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(metas, func(m sdk.Meta) bool { return m.Name == "" }), nil
}

// describe gives what a list says of a name. KV v1 has no metadata: there the field is read.
func (st *store) describe(ctx context.Context, name string) (sdk.Meta, error) {
	if st.s.KV == 2 {
		return st.meta(ctx, "list", name)
	}
	d, err := st.read(ctx, "list", name, "")
	if err == nil {
		err = d.alive("list", name)
	}
	if err == nil {
		_, _, err = st.field("list", name, d)
	}
	return sdk.Meta{Name: name}, err
}
