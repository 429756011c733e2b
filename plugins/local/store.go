package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// store is one opened store file. All of it is safe for concurrent use.
type store struct {
	file        *file
	keys        *keys
	maxVersions int
	recovery    time.Duration
	now         func() time.Time
	poll        time.Duration // of Watch
}

var (
	_ sdk.Getter      = (*store)(nil)
	_ sdk.BatchGetter = (*store)(nil)
	_ sdk.Stater      = (*store)(nil)
	_ sdk.Lister      = (*store)(nil)
	_ sdk.Versioner   = (*store)(nil)
	_ sdk.Putter      = (*store)(nil)
	_ sdk.Deleter     = (*store)(nil)
	_ sdk.Restorer    = (*store)(nil)
	_ sdk.Encrypter   = (*store)(nil)
	_ sdk.Decrypter   = (*store)(nil)
	_ sdk.Watcher     = (*store)(nil)
)

// open touches no file: the first call does.
func open(_ context.Context, _ sdk.Env, s settings) (*store, error) {
	master, problem := s.masterKey()
	if problem != "" {
		return nil, sdk.Errorf(sdk.InvalidArgument, "key: %s", problem)
	}
	k, err := newKeys(master, s.DataKeys)
	if err != nil {
		return nil, sdk.Errorf(sdk.Internal, "open: %w", err)
	}
	return &store{file: newFile(s.Path, s.Create, k), keys: k, maxVersions: s.MaxVersions, recovery: s.RecoveryWindow,
		now: time.Now, poll: pollInterval}, nil
}

// Close has nothing to free: no file is open between calls.
func (s *store) Close(context.Context) error { return nil }

// Check reads the file and tells which file and key it is, and what is loose about it.
func (s *store) Check(ctx context.Context) (sdk.Report, error) {
	if _, err := s.load(ctx); err != nil {
		return sdk.Report{}, classify("check", "", err)
	}
	path := s.file.path
	report := sdk.Report{Identity: fmt.Sprintf("%s, key id %v", path, s.keys)}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		report.Notes = append(report.Notes, path+" does not exist yet; the first write makes it")
	case err != nil:
		return sdk.Report{}, classify("check", "", err)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0:
		report.Notes = append(report.Notes, fmt.Sprintf("%s has mode %04o, so that others can read it (sealed); the next write makes it 0600", path, info.Mode().Perm()))
	}
	return report, nil
}

// load gives the content for a reader, who finishes soon: ctx is only asked before.
func (s *store) load(ctx context.Context) (*document, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.file.load()
}

// Get reads a secret or one of its kept versions.
func (s *store) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	doc, err := s.load(ctx)
	if err != nil {
		return sdk.Secret{}, classify("get", r.Name, err)
	}
	return s.pick(doc, r.Name, r.Version)
}

// GetBatch reads all names from one content of the file.
func (s *store) GetBatch(ctx context.Context, r sdk.BatchRequest) ([]sdk.GetResult, error) {
	doc, err := s.load(ctx)
	if err != nil {
		return nil, classify("get_batch", "", err)
	}
	out := make([]sdk.GetResult, len(r.Names))
	for i, name := range r.Names {
		out[i].Secret, out[i].Err = s.pick(doc, name, "")
	}
	return out, nil
}

func (s *store) pick(doc *document, name, id string) (sdk.Secret, error) {
	rec, err := doc.find(name, s.now(), true)
	if err != nil {
		return sdk.Secret{}, classify("get", name, err)
	}
	v := rec.current()
	if id != "" {
		i := slices.IndexFunc(rec.Versions, func(v revision) bool { return v.id() == id })
		if i < 0 {
			return sdk.Secret{}, sdk.Errorf(sdk.NotFound, "get %q version %q: no such version, or one of the older ones that are no longer kept", name, id)
		}
		v = rec.Versions[i]
	}
	return sdk.Secret{Value: v.Value, Version: v.id(), Created: v.Created}, nil
}

// Stat tells about a live secret.
func (s *store) Stat(ctx context.Context, r sdk.StatRequest) (sdk.Meta, error) {
	doc, err := s.load(ctx)
	if err != nil {
		return sdk.Meta{}, classify("stat", r.Name, err)
	}
	rec, err := doc.find(r.Name, s.now(), true)
	if err != nil {
		return sdk.Meta{}, classify("stat", r.Name, err)
	}
	return rec.meta(r.Name), nil
}

func (r record) meta(name string) sdk.Meta {
	v := r.current()
	return sdk.Meta{Name: name, Version: v.id(), Description: r.Description, Labels: r.Labels, Created: r.Created, Updated: v.Created}
}

// maxPageText ends a page before its descriptions and labels outgrow a message, in bytes.
const maxPageText = sdk.MaxMessage / 2

// List gives live secrets by name. The page token is the last name of the page before, so that a listing goes on where it was
// while secrets come and go.
func (s *store) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	doc, err := s.load(ctx)
	if err != nil {
		return sdk.ListPage{}, classify("list", r.Prefix, err)
	}
	from, found := slices.BinarySearch(doc.names, max(r.Prefix, r.PageToken))
	if found && r.PageToken >= r.Prefix && r.PageToken != "" {
		from++
	}
	var page sdk.ListPage
	size := 0
	for _, name := range doc.names[from:] {
		if !strings.HasPrefix(name, r.Prefix) {
			break
		}
		rec := doc.Secrets[name]
		if rec.deleted() {
			continue
		}
		size += rec.textSize()
		if n := len(page.Items); n == r.PageSize || n > 0 && size > maxPageText {
			page.Next = page.Items[n-1].Name
			break
		}
		page.Items = append(page.Items, rec.meta(name))
	}
	return page, nil
}

func (r record) textSize() int { return labelSize(r.Description, r.Labels) + sdk.MaxName }

// Versions lists the kept versions of a secret, also of one that is deleted. The page token is the last id of the page before.
func (s *store) Versions(ctx context.Context, r sdk.VersionsRequest) (sdk.VersionsPage, error) {
	doc, err := s.load(ctx)
	if err != nil {
		return sdk.VersionsPage{}, classify("versions", r.Name, err)
	}
	rec, err := doc.find(r.Name, s.now(), false)
	if err != nil {
		return sdk.VersionsPage{}, classify("versions", r.Name, err)
	}
	before := rec.current().Number + 1
	if r.PageToken != "" {
		if before, err = strconv.ParseUint(r.PageToken, 10, 64); err != nil {
			return sdk.VersionsPage{}, sdk.Errorf(sdk.InvalidArgument, "versions %q: page token %q is not one of ours", r.Name, r.PageToken)
		}
	}
	state := sdk.StateEnabled
	if rec.deleted() {
		state = sdk.StateDeleted
	}
	var page sdk.VersionsPage
	for _, v := range slices.Backward(rec.Versions) {
		if v.Number >= before {
			continue
		}
		if n := len(page.Versions); n == r.PageSize {
			page.Next = page.Versions[n-1].Version
			break
		}
		current := v.Number == rec.current().Number && !rec.deleted()
		page.Versions = append(page.Versions, sdk.Version{Version: v.id(), Current: current, State: state, Created: v.Created})
	}
	return page, nil
}
