package plugin

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"

	"github.com/keyway-dev/keyway/host/internal/plugin/child"
	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"github.com/keyway-dev/keyway/host/internal/plugin/output"
	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// Describe verifies a plugin, runs its bytes with --describe and gives what it says of itself: no handshake, no network, and
// no files where plugins are confined. It takes at most 10 s and 1 MiB; a process that takes more is killed. The errors are
// those of Verify and Permit, or FailedPrecondition with ErrNotExecutable, ErrNotPlugin, ErrIdentity or ErrSlow and the last lines that
// the process wrote to its standard error.
func (c *Catalog) Describe(ctx context.Context, b Binary) (sdk.Manifest, error) {
	v, err := c.Verify(ctx, b)
	if err != nil {
		return sdk.Manifest{}, err
	}
	defer v.Close()
	return c.DescribeVerified(ctx, v)
}

// DescribeVerified is Describe for what is verified already.
func (c *Catalog) DescribeVerified(ctx context.Context, v *Verified) (sdk.Manifest, error) {
	m, err := c.Inspect(ctx, v.Binary, v.Image)
	if err != nil {
		return m, err
	}
	if err := v.Binary.checkIdentity(m); err != nil {
		return sdk.Manifest{}, fault(sdk.FailedPrecondition, "describe", v.Binary, "%w", err)
	}
	return m, v.Permit(m, c.allowance(v.Binary.Provider))
}

// Inspect is Describe for bytes that are not verified, as before an installation: they run all the same, confined. What
// they are is not held against b, which is for messages and for what the operator allows a provider.
func (c *Catalog) Inspect(ctx context.Context, b Binary, img *image.Image) (sdk.Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	printed, tail, err := c.runDescribe(ctx, b, img)
	if err != nil {
		return sdk.Manifest{}, fault(sdk.FailedPrecondition, "describe", b, "%w%s", err, said(tail))
	}
	var m sdk.Manifest
	if err := json.Unmarshal(printed, &m); err != nil {
		return sdk.Manifest{}, fault(sdk.FailedPrecondition, "describe", b, "%w: --describe does not print a manifest: %w%s", ErrNotPlugin, err, said(tail))
	}
	if err := dial.CheckManifest(m); err != nil {
		return sdk.Manifest{}, fault(sdk.FailedPrecondition, "describe", b, "%w: %w", ErrNotPlugin, err)
	}
	return m, nil
}

// describeProfile confines a process that only describes itself.
func (c *Catalog) describeProfile(b Binary, img *image.Image) (*sandbox.Profile, error) {
	allowed, have := c.allowance(b.Provider), sandbox.Kernel()
	if err := c.interpretable(b, img, have); err != nil {
		return nil, err
	}
	return sandbox.Prepare(sandbox.Policy{Mode: sandbox.Mode(c.opts.Sandbox), Network: sandbox.None, Read: allowed.Read,
		Execute: allowed.Execute, Image: img.File(), Memory: allowed.Memory}, have)
}

// defaultMemory is what a plugin may allocate, in bytes, where the operator says nothing.
const defaultMemory = 256 << 20

// allowance is what a provider's plugin may do beyond what its stores need.
func (c *Catalog) allowance(provider string) Allowance {
	a := c.opts.Allow[provider]
	a.Memory = cmp.Or(a.Memory, defaultMemory)
	return a
}

// runDescribe gives the standard output of the process.
func (c *Catalog) runDescribe(ctx context.Context, b Binary, img *image.Image) ([]byte, *output.Tail, error) {
	tail := &output.Tail{}
	env, err := environment(c.opts.Env, nil)
	if err != nil {
		return nil, tail, err
	}
	profile, err := c.describeProfile(b, img)
	if err != nil {
		return nil, tail, err
	}
	defer profile.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, tail, err
	}
	defer null.Close()
	outs, err := openPipes(2)
	if err != nil {
		return nil, tail, err
	}
	defer outs.close()
	proc, err := child.Start(child.Spec{Path: img.Path(), Image: img.File(), Args: []string{b.Path, "--describe"}, Env: env, Dir: rootDir,
		Files: []*os.File{null, outs[0].write, outs[1].write}, Restrict: profile.Restrict, Limits: profile.Limits()})
	outs.closeWriters()
	if err != nil {
		return nil, tail, startable(err)
	}
	printed, over, late := collect(ctx, proc, outs, tail)
	switch {
	case over:
		return nil, tail, fmt.Errorf("%w: --describe prints more than %d bytes", ErrNotPlugin, maxDescription)
	case errors.Is(late, context.DeadlineExceeded):
		return nil, tail, fmt.Errorf("%w: --describe did not end within %v: %w", ErrSlow, describeTimeout, late)
	case late != nil:
		return nil, tail, late
	case proc.ExitCode() != 0:
		return nil, tail, fmt.Errorf("%w: --describe ended with %s", ErrNotPlugin, proc.ExitText())
	}
	return printed, tail, nil
}

// collect waits for the process and gives what it printed, whether that was too much, and whether ctx ended first.
func collect(ctx context.Context, proc *child.Process, outs pipes, tail *output.Tail) (out []byte, over bool, late error) {
	var printed bytes.Buffer
	var readers sync.WaitGroup
	readers.Go(func() {
		_, _ = io.Copy(&printed, io.LimitReader(outs[0].read, maxDescription+1))
		if over = printed.Len() > maxDescription; over {
			proc.Kill()
		}
		_, _ = io.Copy(io.Discard, outs[0].read)
	})
	readers.Go(func() {
		lines := output.NewLines(func(line string, _ int) { tail.Add(line) })
		_, _ = io.Copy(lines, outs[1].read)
		_ = lines.Close()
	})
	late = waitFor(ctx, proc)
	outs.drain(&readers)
	return printed.Bytes(), over, late
}

// waitFor waits for the process to end, and kills it when ctx ends first.
func waitFor(ctx context.Context, p *child.Process) error {
	select {
	case <-p.Done():
		return nil
	case <-ctx.Done():
		p.Kill()
		<-p.Done()
		return ctx.Err()
	}
}

// checkIdentity holds what the plugin says of itself against what its file's name and the operator say.
func (b Binary) checkIdentity(m sdk.Manifest) error {
	if m.Name != b.Provider {
		return fmt.Errorf("%w: it calls itself %.64q; rename the file or install the right one", ErrIdentity, m.Name)
	}
	if b.Version != "" && m.Version != b.Version {
		return fmt.Errorf("%w: it calls itself version %.64q", ErrIdentity, m.Version)
	}
	if b.constraint == nil {
		return nil
	}
	if v, err := semver.StrictNewVersion(m.Version); err != nil || !b.constraint.Check(v) {
		return fmt.Errorf("%w: version %.64q does not satisfy %q", ErrIdentity, m.Version, b.constraint)
	}
	return nil
}

// said quotes what a process printed, for the end of an error message.
func said(tail *output.Tail) string {
	if brief := tail.Brief(); brief != "" {
		return "; it printed: " + strings.TrimSpace(brief)
	}
	return ""
}
