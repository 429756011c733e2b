package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"github.com/keyway-dev/keyway/host/internal/plugin/lock"
	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox"
	"github.com/keyway-dev/keyway/host/internal/plugin/trust"
	"github.com/keyway-dev/keyway/sdk"
)

// Why a plugin must not run. Errors of Verify and Verified are *sdk.Error values that hold one of these.
var (
	ErrUnlocked   = errors.New("not in the lock file") // also as a warning
	ErrDigest     = errors.New("not the bytes that the lock file has")
	ErrBad        = errors.New("marked bad in the lock file")
	ErrSignature  = errors.New("not signed by a trusted key")
	ErrEscalation = errors.New("more than it is allowed")
)

// Verified is a plugin whose bytes may run. It holds them, so whatever becomes of the file they are those that run.
type Verified struct {
	Binary   Binary
	Image    *image.Image
	Locked   *lock.Version // nil: it is not locked
	Signer   string        // the ID of the key that signed it; empty: no key is declared for the provider
	Warnings []error       // what the operator should mend
}

// Close lets go of the bytes. Processes that were started from them run on.
func (v *Verified) Close() { _ = v.Image.Close() }

// Verify opens the bytes of b and holds them against what the operator declared: signature, lock file and permissions. It
// runs nothing, and what the plugin says of itself is for Permit. The caller closes the result.
//
// Errors are FailedPrecondition with ErrUnlocked, ErrDigest, ErrBad, ErrSignature or ErrExposed, those of opening the bytes,
// InvalidArgument (a malformed lock file or key) and those of ctx.
func (c *Catalog) Verify(ctx context.Context, b Binary) (*Verified, error) {
	img, err := c.openImage(ctx, b)
	if err != nil {
		return nil, err
	}
	v := &Verified{Binary: b, Image: img}
	for _, check := range []func(*Verified) error{c.checkSignature, c.checkLock, c.checkPermissions} {
		if err := check(v); err != nil {
			v.Close()
			return nil, fault(sdk.CodeOf(err), "verify", b, "%w", err)
		}
	}
	return v, nil
}

// openImage opens the bytes of b, which need not be verified.
func (c *Catalog) openImage(ctx context.Context, b Binary) (*image.Image, error) {
	dirs := []string{os.TempDir()}
	if c.opts.RunDir != "" {
		dirs = []string{c.opts.RunDir, os.TempDir()}
	}
	img, err := c.images.Open(ctx, b.Path, image.Options{CopyDirs: dirs})
	switch {
	case err == nil:
		return img, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return nil, fault(sdk.FailedPrecondition, "verify", b, "%w: %w", ErrNotExecutable, err)
	}
	return nil, fault(sdk.CodeOf(err), "verify", b, "%w", err)
}

// checkSignature holds the bytes against the keys that are declared for the provider. There need not be any.
func (c *Catalog) checkSignature(v *Verified) error {
	keys, err := trust.ParseKeys(c.opts.Trust[v.Binary.Provider])
	if err != nil {
		return sdk.Errorf(sdk.InvalidArgument, "plugins.trust: %w", err)
	}
	if len(keys) == 0 {
		return nil
	}
	file := v.Image.Source() + trust.Suffix
	signature, err := readSignature(file)
	if errors.Is(err, fs.ErrNotExist) {
		return sdk.Errorf(sdk.FailedPrecondition, "%w: there is no %s, and plugins.trust has keys for it; get the publisher's signature", ErrSignature, filepath.Base(file))
	}
	if err == nil {
		v.Signer, err = trust.Verify(v.Image.Reader(), v.Image.Size(), signature, keys)
	}
	if err != nil {
		return sdk.Errorf(sdk.FailedPrecondition, "%w: %w", ErrSignature, err)
	}
	return nil
}

func readSignature(file string) ([]byte, error) {
	if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, notRegular(info))
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, trust.MaxSignature))
}

func notRegular(info fs.FileInfo) error {
	if info == nil || info.Mode().IsRegular() {
		return nil
	}
	return errors.New("its signature is not a regular file")
}

// checkLock holds the bytes against the lock file.
func (c *Catalog) checkLock(v *Verified) error {
	file, err := c.locked()
	if err != nil {
		return err
	}
	p := file.Plugins[v.Binary.Provider]
	number, locked := entry(p, v)
	if locked == nil {
		return c.unlocked(v, p)
	}
	want, ok := locked.Digests[Platform]
	got := v.Image.Digest().String()
	switch {
	case locked.Bad != "":
		return sdk.Errorf(sdk.FailedPrecondition, "version %s: %w: %s; keyway plugin lock %s --use %s allows it again", number, ErrBad, locked.Bad, v.Binary.Provider, number)
	case !ok:
		return sdk.Errorf(sdk.FailedPrecondition, "version %s: %w: it has no digest for %s, only for %s; keyway plugin lock %s adds this one's",
			number, ErrUnlocked, Platform, platforms(*locked), v.Binary.Provider)
	case want != got:
		return sdk.Errorf(sdk.FailedPrecondition, "version %s: %w: the file has %s, the lock %s; somebody replaced the file, or it is another build; keyway plugin lock %s accepts it",
			number, ErrDigest, got, want, v.Binary.Provider)
	}
	v.Locked = locked
	return nil
}

// entry gives what the lock file has for the binary. The version of a file whose name has none is that of its bytes, and
// where no version has these, the one that the file is expected to be.
func entry(p lock.Plugin, v *Verified) (number string, locked *lock.Version) {
	digest := v.Image.Digest().String()
	var expected string
	for number, locked := range p.Versions {
		switch {
		case v.Binary.Version == number:
			return number, &locked
		case v.Binary.Version != "":
		case locked.Digests[Platform] == digest:
			return number, &locked
		case number == p.Use || p.Use == "" && number > expected:
			expected = number
		}
	}
	if locked, ok := p.Versions[expected]; ok {
		return expected, &locked
	}
	return "", nil
}

// unlocked is what becomes of a plugin that is not in the lock file.
func (c *Catalog) unlocked(v *Verified, p lock.Plugin) error {
	what := "it"
	if len(p.Versions) > 0 {
		what = "version " + v.Binary.Version
	}
	err := sdk.Errorf(sdk.FailedPrecondition, "%s is %w; keyway plugin lock %s accepts what is installed, %s", what, ErrUnlocked, v.Binary.Provider, v.Image.Digest())
	if c.opts.Unlocked == RefuseUnlocked || c.opts.Unlocked == "" && c.opts.Lock != "" {
		return err
	}
	if c.opts.Unlocked == WarnUnlocked { // without a lock file and a word on it, nobody asked
		v.Warnings = append(v.Warnings, fault(sdk.FailedPrecondition, "verify", v.Binary, "%w", err))
	}
	return nil
}

// checkPermissions holds that nobody can replace a plugin who should not. What is locked or signed cannot be replaced
// unnoticed, so there it is a warning at most, and strict refuses in any case. Root may write everywhere.
func (c *Catalog) checkPermissions(v *Verified) error {
	dir, pinned := filepath.Dir(v.Binary.Path), v.Locked != nil || v.Signer != ""
	strict := sandbox.Mode(c.opts.Sandbox) == sandbox.Strict
	for _, path := range []string{dir, v.Binary.Path} {
		if err := exposed(path); err != nil {
			if strict || !pinned {
				return err
			}
			v.Warnings = append(v.Warnings, err)
		}
	}
	if !writable(dir) || !strict && (pinned || c.opts.Unlocked != WarnUnlocked) {
		return nil
	}
	err := sdk.Errorf(sdk.FailedPrecondition, "%q: %w: the user that runs keyway can replace plugins there; give it to another user, root at best, and chmod go-w", dir, ErrExposed)
	if strict {
		return err
	}
	v.Warnings = append(v.Warnings, err)
	return nil
}

// Permit holds what the plugin says of itself against the lock file and against what the operator allows its provider: a
// capability that is not locked, and sockets of its own where it must not have any, are FailedPrecondition with
// ErrEscalation.
func (v *Verified) Permit(m sdk.Manifest, allowed Allowance) error {
	if m.Network == lock.Direct && allowed.Network != lock.Direct {
		return v.escalation("network direct, that is sockets of its own; if it may have them, set plugins.allow.%s.network: direct", v.Binary.Provider)
	}
	if v.Locked == nil {
		return nil
	}
	if m.Network == lock.Direct && v.Locked.Network != lock.Direct {
		return v.escalation("network direct, that is sockets of its own, and is locked without them; keyway plugin lock %s accepts that", v.Binary.Provider)
	}
	var more []string
	for _, c := range m.Capabilities {
		if !slices.Contains(v.Locked.Capabilities, c) {
			more = append(more, c)
		}
	}
	if len(more) > 0 {
		return v.escalation("the capabilities %s, which the lock file does not have; keyway plugin lock %s accepts them", strings.Join(more, ", "), v.Binary.Provider)
	}
	return nil
}

// PermitEndpoints holds what a store reaches against the lock file: an endpoint beyond the list there is FailedPrecondition
// with ErrEscalation. Without a list a store may reach what its settings say.
func (v *Verified) PermitEndpoints(endpoints []string) error {
	if v.Locked == nil {
		return nil
	}
	var more []string
	for _, e := range endpoints {
		if !v.Locked.Reaches(e) {
			more = append(more, e)
		}
	}
	if len(more) > 0 {
		return v.escalation("%s, and the lock file has only %s; keyway plugin lock %s --endpoint HOST:PORT adds one",
			strings.Join(more, ", "), strings.Join(v.Locked.Endpoints, ", "), v.Binary.Provider)
	}
	return nil
}

func (v *Verified) escalation(format string, args ...any) error {
	return fault(sdk.FailedPrecondition, "verify", v.Binary, "%w: it wants %s", ErrEscalation, fmt.Sprintf(format, args...))
}
