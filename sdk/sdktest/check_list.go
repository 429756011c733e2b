package sdktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

func listChecks() []Check {
	const list = sdk.CanList | sdk.CanPut
	return []Check{
		promise("list/prefix", "List answers the names that begin with the prefix, and no others", list, listPrefix),
		promise("list/pages", "a page has no more items than asked, and the pages together every name once", list, listPages),
		promise("list/folders", "List goes through folders", list, listFolders).with(givenFolders),
		promise("list/readable", "Get takes every name that List answers", list|sdk.CanGet, listReadable),
		promise("list/live", "List answers no deleted secret", list|sdk.CanDelete, listLive),
		promise("list/no-values", "List answers no value", list, listNoValues),
		promise("list/nothing", "a prefix that no name has is an empty page and no error", sdk.CanList, listNothing),
	}
}

func givenFolders(t *Target) string {
	return lackingIf(!strings.HasSuffix(t.Scratch, "/"), "the target's Scratch is no folder")
}

// list collects every item of a prefix, page by page.
func (t *Target) list(ctx context.Context, prefix string, size int) ([]sdk.Meta, error) {
	const most = 1000 // pages; a listing that goes on has a token that leads nowhere
	var out []sdk.Meta
	var token string
	for range most {
		page, err := t.Store.List(ctx, sdk.ListRequest{Prefix: prefix, PageToken: token, PageSize: size})
		if err != nil {
			return nil, in(fmt.Sprintf("list %q", prefix), err)
		}
		if len(page.Items) > size {
			return nil, fmt.Errorf("list %q: a page of %d items, want %d at most", prefix, len(page.Items), size)
		}
		out = append(out, page.Items...)
		if token = page.Next; token == "" {
			return out, nil
		}
	}
	return nil, fmt.Errorf("list %q: no end after %d pages", prefix, most)
}

// lists is nil where a prefix has exactly the names of want.
func (t *Target) lists(ctx context.Context, prefix string, size int, want ...string) error {
	items, err := t.list(ctx, prefix, size)
	if err != nil {
		return err
	}
	var got []string
	for _, m := range items {
		got = append(got, m.Name)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("list %q: %q, want %q", prefix, got, want)
	}
	return nil
}

// family puts one secret for each suffix to a new name.
func (t *Target) family(ctx context.Context, suffixes ...string) (base string, names []string, err error) {
	base = t.Scratch + "kw" + random()
	for _, s := range suffixes {
		name := t.named(base + s)
		if _, _, err := t.write(ctx, name); err != nil {
			return "", nil, err
		}
		names = append(names, name)
	}
	return base, names, nil
}

func listPrefix(ctx context.Context, t *Target) error {
	base, names, err := t.family(ctx, "-a1", "-a2", "-b", "x-a1")
	if err != nil {
		return err
	}
	return t.lists(ctx, base+"-a", sdk.MaxPage, names[:2]...)
}

func listPages(ctx context.Context, t *Target) error {
	base, names, err := t.family(ctx, "-1", "-2", "-3", "-4", "-5")
	if err != nil {
		return err
	}
	return t.lists(ctx, base, 2, names...)
}

func listFolders(ctx context.Context, t *Target) error {
	base, names, err := t.family(ctx, "/a", "/b/c", "/b/d/e")
	if err != nil {
		return err
	}
	return t.lists(ctx, base, sdk.MaxPage, names...)
}

func listReadable(ctx context.Context, t *Target) error {
	base, _, err := t.family(ctx, "-a", "-b")
	if err != nil {
		return err
	}
	items, err := t.list(ctx, base, sdk.MaxPage)
	if err != nil {
		return err
	}
	for _, m := range items {
		if _, err := t.Store.Get(ctx, sdk.GetRequest{Name: m.Name}); err != nil {
			return in(fmt.Sprintf("get %q, which List answered", m.Name), err)
		}
	}
	return nil
}

func listLive(ctx context.Context, t *Target) error {
	base, names, err := t.family(ctx, "-a", "-b")
	if err != nil {
		return err
	}
	if _, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: names[0]}); err != nil {
		return in("delete", err)
	}
	return t.lists(ctx, base, sdk.MaxPage, names[1])
}

func listNoValues(ctx context.Context, t *Target) error {
	name, text := t.name(), secretText()
	if _, err := t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: t.valueOf(text)}); err != nil {
		return in("put", err)
	}
	items, err := t.list(ctx, name, sdk.MaxPage)
	if err != nil {
		return err
	}
	if strings.Contains(fmt.Sprintf("%+v", items), text) {
		return errors.New("list: an item holds the secret's value")
	}
	return nil
}

func listNothing(ctx context.Context, t *Target) error {
	return t.lists(ctx, t.Scratch+"kw"+random(), sdk.MaxPage)
}
