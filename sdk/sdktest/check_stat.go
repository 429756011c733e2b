package sdktest

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

func statChecks() []Check {
	return []Check{
		promise("stat/missing", "Stat of a name that does not exist is NotFound", sdk.CanStat, statMissing),
		promise("stat/current", "Stat answers the name asked, and the current version where it tells one", sdk.CanStat|sdk.CanGet, statCurrent).with(givenSecret),
		promise("stat/deleted", "Stat of a deleted secret fails as Get does", sdk.CanStat|putGet|sdk.CanDelete, statDeleted),
		promise("stat/no-value", "Stat answers no value", sdk.CanStat|sdk.CanPut, statNoValue),
	}
}

func statMissing(ctx context.Context, t *Target) error {
	_, err := t.Store.Stat(ctx, sdk.StatRequest{Name: t.name()})
	return refused("stat of a missing name", err, sdk.NotFound)
}

func statCurrent(ctx context.Context, t *Target) error {
	name, _, err := t.existing(ctx)
	if err != nil {
		return err
	}
	m, err := t.Store.Stat(ctx, sdk.StatRequest{Name: name})
	if err != nil {
		return in("stat", err)
	}
	s, err := t.Store.Get(ctx, sdk.GetRequest{Name: name})
	if err != nil {
		return in("get", err)
	}
	switch {
	case m.Name != name:
		return fmt.Errorf("stat: name %q, want %q", m.Name, name)
	case m.Version != "" && s.Version != "" && m.Version != s.Version:
		return fmt.Errorf("stat: version %q, but Get answers %q", m.Version, s.Version)
	}
	return nil
}

func statDeleted(ctx context.Context, t *Target) error {
	name, _, _, err := t.create(ctx)
	if err != nil {
		return err
	}
	if _, err := t.Store.Delete(ctx, sdk.DeleteRequest{Name: name}); err != nil {
		return in("delete", err)
	}
	_, wanted := t.Store.Get(ctx, sdk.GetRequest{Name: name})
	_, err = t.Store.Stat(ctx, sdk.StatRequest{Name: name})
	if wanted == nil {
		return errors.New("get of a deleted secret: no error")
	}
	return refused("stat of a deleted secret", err, sdk.CodeOf(wanted))
}

func statNoValue(ctx context.Context, t *Target) error {
	name, text := t.name(), secretText()
	if _, err := t.Store.Put(ctx, sdk.PutRequest{Name: name, Value: t.valueOf(text)}); err != nil {
		return in("put", err)
	}
	m, err := t.Store.Stat(ctx, sdk.StatRequest{Name: name})
	if err != nil {
		return in("stat", err)
	}
	if strings.Contains(fmt.Sprintf("%+v", m), text) {
		return errors.New("stat: the answer holds the secret's value")
	}
	return nil
}

func versionChecks() []Check {
	return []Check{
		promise("versions/missing", "Versions of a name that does not exist is NotFound", sdk.CanVersions, versionsMissing),
		promise("versions/current", "exactly one version is current, the one that Get answers, and newer versions come first", sdk.CanVersions|putGet, versionsCurrent),
		promise("versions/pages", "a page has no more versions than asked, and the pages together each version once", sdk.CanVersions|sdk.CanPut, versionsPages),
		promise("versions/readable", "Get takes the id of every enabled version", sdk.CanVersions|putGet|sdk.CanGetVersion, versionsReadable),
	}
}

func (t *Target) versions(ctx context.Context, name string, size int) ([]sdk.Version, error) {
	const most = 100 // pages
	var out []sdk.Version
	var token string
	for range most {
		page, err := t.Store.Versions(ctx, sdk.VersionsRequest{Name: name, PageToken: token, PageSize: size})
		if err != nil {
			return nil, in("versions", err)
		}
		if len(page.Versions) > size {
			return nil, fmt.Errorf("versions: a page of %d, want %d at most", len(page.Versions), size)
		}
		out = append(out, page.Versions...)
		if token = page.Next; token == "" {
			return out, nil
		}
	}
	return nil, fmt.Errorf("versions: no end after %d pages", most)
}

// updated puts a secret and then new versions of it.
func (t *Target) updated(ctx context.Context, times int) (name string, err error) {
	name, _, _, err = t.create(ctx)
	for range times {
		if err != nil {
			return "", err
		}
		_, _, err = t.write(ctx, name)
	}
	return name, err
}

func versionsMissing(ctx context.Context, t *Target) error {
	_, err := t.Store.Versions(ctx, sdk.VersionsRequest{Name: t.name(), PageSize: 1})
	return refused("versions of a missing name", err, sdk.NotFound)
}

func versionsCurrent(ctx context.Context, t *Target) error {
	name, err := t.updated(ctx, 2)
	if err != nil {
		return err
	}
	s, err := t.Store.Get(ctx, sdk.GetRequest{Name: name})
	if err != nil {
		return in("get", err)
	}
	all, err := t.versions(ctx, name, sdk.MaxPage)
	if err != nil {
		return err
	}
	var current []string
	for i, v := range all {
		if v.Current {
			current = append(current, v.Version)
		}
		if i > 0 && v.Created.After(all[i-1].Created) {
			return fmt.Errorf("versions: %q is newer than %q before it", v.Version, all[i-1].Version)
		}
	}
	if len(current) != 1 || s.Version != "" && current[0] != s.Version {
		return fmt.Errorf("versions: current %q, but Get answers %q", current, s.Version)
	}
	return nil
}

func versionsPages(ctx context.Context, t *Target) error {
	name, err := t.updated(ctx, 2)
	if err != nil {
		return err
	}
	all, err := t.versions(ctx, name, 2)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, v := range all {
		if v.Version == "" || seen[v.Version] {
			return fmt.Errorf("versions: %q is empty or comes twice", v.Version)
		}
		seen[v.Version] = true
	}
	if len(all) != 3 {
		return fmt.Errorf("versions: %d after three puts", len(all))
	}
	return nil
}

func versionsReadable(ctx context.Context, t *Target) error {
	name, err := t.updated(ctx, 2)
	if err != nil {
		return err
	}
	all, err := t.versions(ctx, name, sdk.MaxPage)
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.State != sdk.StateEnabled {
			continue
		}
		if _, err := t.Store.Get(ctx, sdk.GetRequest{Name: name, Version: v.Version}); err != nil {
			return in(fmt.Sprintf("get of version %q, which Versions answered", v.Version), err)
		}
	}
	return nil
}
