package plugin

import (
	"cmp"
	"debug/elf"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/keyway-dev/keyway/host/internal/plugin/broker"
	"github.com/keyway-dev/keyway/host/internal/plugin/image"
	"github.com/keyway-dev/keyway/host/internal/plugin/output"
	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox"
	"github.com/keyway-dev/keyway/sdk"
)

// order is one start: what runs, for whom, and what it may touch.
type order struct {
	verified *Verified
	cell     Cell
	broker   *broker.Broker // nil: the process dials by itself
	need     need
	number   int
	tail     *output.Tail
}

// need is what open stores touch and what a process must be allowed before it starts. It does not change.
type need struct {
	read, write []string
	ports       []uint16 // of endpoints; only a process with sockets of its own needs them
}

// needOf gives what a store needs. The error, FailedPrecondition, names a path that no store may touch.
func needOf(r *sdk.Reach, direct bool) (n need, err error) {
	if r == nil {
		return n, nil
	}
	if n.read, err = grantable("read", r.Files); err != nil {
		return need{}, err
	}
	if n.write, err = grantable("write", r.Writes); err != nil {
		return need{}, err
	}
	if !direct {
		return n, nil
	}
	for _, e := range r.Endpoints {
		if _, port, err := net.SplitHostPort(e); err == nil {
			if p, err := strconv.ParseUint(port, 10, 16); err == nil {
				n.ports = append(n.ports, uint16(p))
			}
		}
	}
	return n, nil
}

// systems are directories of the kernel's, a way around everything else that confines a process.
var systems = []string{"/proc", "/sys", "/dev"}

// grantable gives what a process is to be allowed for the paths of a store. A rule needs something that exists: for a file
// that is not there yet it is the file's directory, unless that is directly below the root, or a home.
func grantable(verb string, paths []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		if !filepath.IsAbs(path) {
			return nil, sdk.Errorf(sdk.FailedPrecondition, "the store wants to %s %q, which is not an absolute path", verb, path)
		}
		path = filepath.Clean(path)
		for _, dir := range systems {
			if path == filepath.Dir(path) || path == dir || strings.HasPrefix(path, dir+"/") {
				return nil, sdk.Errorf(sdk.FailedPrecondition, "the store wants to %s %q, which no plugin may; change the path in its settings", verb, path)
			}
		}
		if _, err := os.Stat(path); err == nil {
			out = append(out, path)
			continue
		}
		dir := filepath.Dir(path)
		if _, err := os.Stat(dir); err == nil && strings.Count(filepath.ToSlash(dir), "/") > 1 && filepath.Dir(dir) != "/home" {
			out = append(out, dir)
		}
	}
	return out, nil
}

// covers reports whether whoever may n may also o.
func (n need) covers(o need) bool {
	return holds(n.read, o.read) && holds(n.write, o.write) && holds(n.ports, o.ports)
}

func holds[T comparable](all, some []T) bool {
	return !slices.ContainsFunc(some, func(x T) bool { return !slices.Contains(all, x) })
}

// with gives both needs as one.
func (n need) with(o need) need {
	return need{union(n.read, o.read), union(n.write, o.write), union(n.ports, o.ports)}
}

// beyond gives what o does not have.
func (n need) beyond(o need) need {
	return need{without(n.read, o.read), without(n.write, o.write), without(n.ports, o.ports)}
}

// String tells it for people: "reads /a, /b; writes /c; dials port 443".
func (n need) String() string {
	var parts []string
	if len(n.read) > 0 {
		parts = append(parts, "reads "+strings.Join(n.read, ", "))
	}
	if len(n.write) > 0 {
		parts = append(parts, "writes "+strings.Join(n.write, ", "))
	}
	for _, p := range n.ports {
		parts = append(parts, fmt.Sprintf("dials port %d", p))
	}
	return strings.Join(parts, "; ")
}

func without[T comparable](all, some []T) []T {
	return slices.DeleteFunc(slices.Clone(all), func(x T) bool { return slices.Contains(some, x) })
}

func union[T cmp.Ordered](a, b []T) []T {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// direct reports whether a provider's plugin opens its sockets itself, as the operator allowed.
func (c *Catalog) direct(provider string) bool {
	return c.opts.Allow[provider].Network == string(sandbox.Direct)
}

// profile prepares the confinement of a start whose socket is in dir.
func (c *Catalog) profile(o order, dir string) (*sandbox.Profile, error) {
	b, img, have := o.verified.Binary, o.verified.Image, sandbox.Kernel()
	if err := c.interpretable(b, img, have); err != nil {
		return nil, err
	}
	allowed, network := c.allowance(b.Provider), sandbox.Brokered
	if o.broker == nil {
		network = sandbox.Direct
	}
	if o.cell.Kind == Team {
		if network == sandbox.Direct {
			return nil, sdk.Errorf(sdk.FailedPrecondition, "it opens sockets itself, so nothing keeps it from addresses that are not a team's; remove plugins.allow.%s.network, or serve no teams with it", b.Provider)
		}
		allowed.Read = nil
	}
	return sandbox.Prepare(sandbox.Policy{Mode: sandbox.Mode(c.opts.Sandbox), Network: network, Ports: o.need.ports,
		Read: slices.Concat(allowed.Read, o.need.read), Write: o.need.write, Socket: dir, Execute: allowed.Execute, Image: img.File(),
		Memory: allowed.Memory, Writes: len(o.need.write) > 0}, have)
}

// interpretable refuses what needs another program to run that the sandbox would not let it execute, in words that say what
// to do: a script its interpreter, and a program that is linked dynamically its loader.
func (c *Catalog) interpretable(b Binary, img *image.Image, have sandbox.Layers) error {
	if len(c.opts.Allow[b.Provider].Execute) > 0 || sandbox.Mode(c.opts.Sandbox) == sandbox.Off || have.Landlock == 0 {
		return nil
	}
	name := cmp.Or(b.Provider, "NAME")
	if by, script := img.Script(); script {
		return fmt.Errorf("%w: it is a script for %s, which the sandbox does not let it execute; set plugins.allow.%s.execute to the interpreter and what that loads, and read to what it reads",
			ErrNotExecutable, by, name)
	}
	if by := loader(img); by != "" {
		return fmt.Errorf("%w: it is linked dynamically and needs %s, which the sandbox does not let it execute; build it with CGO_ENABLED=0, or set plugins.allow.%s.execute to the loader and the libraries",
			ErrNotExecutable, by, name)
	}
	return nil
}

// loader gives the program that loads an image's libraries; empty for one that has none.
func loader(img *image.Image) string {
	f, err := elf.NewFile(img.Reader())
	if err != nil {
		return ""
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < 4096 {
			path := make([]byte, p.Filesz)
			_, _ = p.ReadAt(path, 0)
			return strings.TrimRight(string(path), "\x00")
		}
	}
	return ""
}

// newBroker gives what dials for the processes of a provider; nil where they dial by themselves.
func (c *Catalog) newBroker(b Binary, cell Cell) *broker.Broker {
	if c.direct(b.Provider) {
		return nil
	}
	return broker.New(broker.Options{Plugin: b.Provider, Team: cell.Kind == Team, Proxy: c.opts.Proxy, Logger: c.opts.Logger,
		Refused: func(r broker.Refusal) {
			c.event(Event{Kind: "refuse_dial", Provider: b.Provider, Version: b.Version, Cell: cell, Detail: r.Endpoint, Err: &r})
		}})
}

// event tells whoever wants to know what happens to plugins.
func (c *Catalog) event(e Event) {
	if c.opts.Events != nil {
		c.opts.Events(e)
	}
}
