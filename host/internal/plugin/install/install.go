// Package install puts a plugin into the plugin folder, whole or not at all: verified, described, copied, locked.
package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/keyway-dev/keyway/host/internal/plugin"
	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
	"github.com/keyway-dev/keyway/host/internal/plugin/trust"
	"github.com/keyway-dev/keyway/sdk"
)

// Request says what to install where.
type Request struct {
	Source    string              // a program, or a .tar.gz of one
	Signature string              // its minisign signature; empty: what lies beside it, or in the archive
	Force     bool                // replace other bytes of the same version
	Dir       string              // the plugin folder
	Lock      string              // the lock file
	Trust     map[string][]string // as plugin.Options.Trust
	Catalog   *plugin.Catalog     // describes it
}

// Result is what was installed.
type Result struct {
	Manifest sdk.Manifest
	Path     string
	Digest   image.Digest
	Signer   string // empty: no key is declared for it
	Already  bool   // the same bytes were there
}

// Install verifies a plugin's signature, describes it without network, copies it into the plugin folder as NAME-VERSION, and
// locks it; in that order, and each step only after the one before. What fails leaves folder and lock file as they were. What
// is killed leaves no plugin that is not whole; the next Install removes what it was working on. The bytes that are verified
// are those that are described and copied. Installations into one folder wait for each other.
//
// Errors are FailedPrecondition (the file, its signature or the plugin's word are refused; the folder or the lock file
// cannot be written), AlreadyExists (this version is there with other bytes), InvalidArgument (a malformed key or lock file)
// and those of ctx.
func Install(ctx context.Context, r Request) (*Result, error) {
	res, err := install(ctx, r)
	if err == nil {
		return res, nil
	}
	code := sdk.CodeOf(err)
	if code == sdk.Unknown {
		code = sdk.FailedPrecondition
	}
	return nil, sdk.Errorf(code, "install %q: %w", r.Source, err)
}

func install(ctx context.Context, r Request) (*Result, error) {
	site, err := open(r.Dir)
	if err != nil {
		return nil, err
	}
	defer site.close()
	s, err := stage(r.Source, site.dir, maxSize)
	if err != nil {
		return nil, full(err)
	}
	if r.Signature != "" {
		s.signature = r.Signature
	}
	signature, err := readSignature(s.signature)
	if err != nil {
		return nil, err
	}
	img, err := image.Open(ctx, s.program, image.Options{CopyDirs: []string{site.dir}})
	if err != nil {
		return nil, err
	}
	defer img.Close()
	i := &installation{Request: r, site: site, img: img, signature: signature, named: plugin.Named(s.program)}
	i.named.Path = r.Source // where the operator knows it from
	if err := i.judge(ctx); err != nil {
		return nil, err
	}
	if err := i.place(); err != nil {
		return nil, err
	}
	return &i.Result, nil
}

func readSignature(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, trust.MaxSignature))
}

// installation is one plugin on its way.
type installation struct {
	Request
	Result
	site      *site
	img       *image.Image
	signature []byte
	named     plugin.Binary // as the file is called, which proves nothing
}

// judge verifies the signature before anything of the plugin runs, and once more when the plugin has said who it is.
func (i *installation) judge(ctx context.Context) error {
	if err := i.verify(i.named.Provider); err != nil {
		return err
	}
	m, err := i.Catalog.Inspect(ctx, i.named, i.img)
	if err != nil {
		return err
	}
	if n := i.named; n.Version != "" && (n.Provider != m.Name || n.Version != m.Version) {
		return fmt.Errorf("%w: it is called %s-%s and calls itself %s-%s", plugin.ErrIdentity, n.Provider, n.Version, m.Name, m.Version)
	}
	i.Manifest, i.Digest = m, i.img.Digest()
	return i.verify(m.Name)
}

// verify holds the bytes against the keys that are declared for a provider, if any are.
func (i *installation) verify(provider string) error {
	keys, err := trust.ParseKeys(i.Trust[provider])
	if err != nil {
		return sdk.Errorf(sdk.InvalidArgument, "plugins.trust.%s: %w", provider, err)
	}
	if len(keys) == 0 {
		return nil
	}
	if i.signature == nil {
		return fmt.Errorf("%w: it has no signature, and plugins.trust has keys for %s; get FILE%s from its publisher, or name it with --signature",
			plugin.ErrSignature, provider, trust.Suffix)
	}
	if i.Signer, err = trust.Verify(i.img.Reader(), i.img.Size(), i.signature, keys); err != nil {
		return fmt.Errorf("%w: %w", plugin.ErrSignature, err)
	}
	return nil
}

// place copies the plugin and locks it. The lock file stays locked meanwhile, and is read first: one that cannot be read or
// written stops the copy.
func (i *installation) place() error {
	i.Path = filepath.Join(i.Dir, i.Manifest.Name+"-"+i.Manifest.Version)
	if runtime.GOOS == "windows" {
		i.Path += ".exe"
	}
	err := lock.Update(i.Lock, func(f *lock.File) error {
		if err := i.compare(); err != nil {
			return err
		}
		if err := i.copy(); err != nil {
			return err
		}
		Record(f, i.Manifest, i.Digest)
		return nil
	})
	if err != nil {
		return errors.Join(err, i.site.revert())
	}
	return nil
}

// compare looks whether the version is there already. Other bytes of it are replaced only with --force.
func (i *installation) compare() error {
	f, err := os.Open(i.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	there, err := image.DigestOf(f)
	if err != nil {
		return err
	}
	if i.Already = there == i.Digest; i.Already || i.Force {
		return nil
	}
	return sdk.Errorf(sdk.AlreadyExists, "%s is there with other bytes, %s, and this is %s; give the new build a version of its own, or replace it with --force",
		filepath.Base(i.Path), there, i.Digest)
}

// copy puts the signature into the folder, and then the program.
func (i *installation) copy() error {
	if i.signature != nil {
		if err := i.site.put(i.Path+trust.Suffix, bytes.NewReader(i.signature), 0o644); err != nil {
			return err
		}
	}
	if i.Already {
		return nil
	}
	return i.site.put(i.Path, io.NewSectionReader(i.img.Reader(), 0, i.img.Size()), 0o755)
}

// Record locks a plugin's version: the digest for this platform, and what the plugin says that it can do. The first version
// of a plugin is the one to use.
func Record(f *lock.File, m sdk.Manifest, d image.Digest) {
	p := f.Plugins[m.Name]
	if p.Versions == nil {
		p.Versions = map[string]lock.Version{}
	}
	v := p.Versions[m.Version]
	if v.Digests == nil {
		v.Digests = map[string]string{}
	}
	v.Digests[plugin.Platform] = d.String()
	v.Capabilities, v.Network = m.Capabilities, m.Network
	p.Versions[m.Version] = v
	if p.Use == "" {
		p.Use = m.Version
	}
	f.Plugins[m.Name] = p
}
