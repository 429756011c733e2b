package sandbox_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox"
	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox/internal/attempt"
	"github.com/keyway-dev/keyway/sdk"
)

// bench is a host in this process, with something to aim at.
func bench(t testing.TB) (*host, attempt.Targets) {
	t.Helper()
	h, err := newHost(probe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.close)
	dir, err := os.MkdirTemp("", "kw-sandbox") // short, for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	targets, err := h.targets(filepath.Join(dir, "a"))
	if err != nil {
		t.Fatal(err)
	}
	return h, targets
}

// wants holds that the attempts end as said: true where one must work.
func (h *host) wants(t *testing.T, p sandbox.Policy, have sandbox.Layers, targets attempt.Targets, want map[string]bool) {
	t.Helper()
	for name, works := range want {
		reason, err := h.try(p, have, targets, name)
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case works && reason != "":
			t.Errorf("%s: %s, want that it works", name, reason)
		case !works && !refusedBy(reason):
			t.Errorf("%s: answered %q, want a refusal", name, reason)
		}
	}
}

// wantsPrepared holds the same for one attempt with a profile that was made before.
func (h *host) wantsPrepared(t *testing.T, profile *sandbox.Profile, targets attempt.Targets, name string, works bool) {
	t.Helper()
	r, err := h.startPrepared(profile, targets, name)
	if err != nil {
		t.Fatal(err)
	}
	reason, err := r.outcome()
	if err != nil || works != (reason == "") || !works && !refusedBy(reason) {
		t.Errorf("%s: answered %q (error %v), want that it works: %v", name, reason, err, works)
	}
}

func without(change func(*sandbox.Layers)) sandbox.Layers {
	have := sandbox.Kernel()
	change(&have)
	return have
}

var lesser = []struct {
	name    string
	have    sandbox.Layers
	network sandbox.Network
	missing []string // the layers
	want    map[string]bool
}{
	{"no Landlock", without(func(l *sandbox.Layers) { l.Landlock = 0 }), sandbox.Brokered, []string{"landlock"},
		map[string]bool{"read the host's file": true, "connect by TCP": false, "signal the host": false, "change the mode of the host's file": false}},
	{"Landlock 3, brokered", without(func(l *sandbox.Layers) { l.Landlock = 3 }), sandbox.Brokered, nil,
		map[string]bool{"read the host's file": false, "connect by TCP": false, "connect to an abstract Unix socket": false, "signal the host": false}},
	{"Landlock 3, direct", without(func(l *sandbox.Layers) { l.Landlock = 3 }), sandbox.Direct, []string{"landlock 4", "landlock 6"},
		map[string]bool{"read the host's file": false, "connect by TCP": true, "connect by MPTCP": false, "connect to an abstract Unix socket": true, "signal the host": false}},
	{"Landlock 5, direct", without(func(l *sandbox.Layers) { l.Landlock = 5 }), sandbox.Direct, []string{"landlock 6"},
		map[string]bool{"connect by TCP": false, "connect to an abstract Unix socket": true, "signal the host by the owner of a socket": false}},
	{"Landlock 6 with its first faults", without(func(l *sandbox.Layers) { l.Landlock, l.LandlockErrata = 6, 0 }), sandbox.Brokered, nil,
		map[string]bool{"read the host's file": false, "signal the host": false, "signal the host by the owner of a socket": false}},
	{"no seccomp", without(func(l *sandbox.Layers) { l.Seccomp = false }), sandbox.Brokered, []string{"seccomp"},
		map[string]bool{"read the host's file": false, "connect by TCP": false, "send by UDP": true}},
	{"no limits", without(func(l *sandbox.Layers) { l.Limits = false }), sandbox.Brokered, []string{"rlimits"},
		map[string]bool{"read the host's file": false, "allocate 512 MiB": true}},
	{"nothing", sandbox.Layers{}, sandbox.Brokered, []string{"no_new_privs", "rlimits"},
		map[string]bool{"read the host's file": true, "connect by TCP": true}},
}

func TestALesserKernelConfinesWithWhatItHasAndSaysWhatIsMissing(t *testing.T) {
	h, targets := bench(t)
	for _, c := range lesser {
		t.Run(c.name, func(t *testing.T) {
			p := confined(targets)
			p.Mode, p.Network = sandbox.BestEffort, c.network
			r, err := sandbox.Prepare(p, c.have)
			if err != nil {
				t.Fatal(err)
			}
			r.Close()
			var missing []string
			for _, m := range r.Missing() {
				layer, reason, _ := strings.Cut(m, ": ")
				if missing = append(missing, layer); reason == "" {
					t.Errorf("missing %q without a reason", m)
				}
			}
			if !slices.Equal(missing, c.missing) {
				t.Errorf("missing %q, want %q", missing, c.missing)
			}
			h.wants(t, p, c.have, targets, c.want)
		})
	}
}

func TestStrictRefusesWhereALayerIsMissing(t *testing.T) {
	for _, c := range lesser {
		r, err := sandbox.Prepare(sandbox.Policy{Mode: sandbox.Strict, Network: c.network, Socket: "/tmp"}, c.have)
		if len(c.missing) == 0 {
			if err != nil {
				t.Errorf("%s: %v, want that it starts", c.name, err)
				continue
			}
			r.Close()
			continue
		}
		if !errors.Is(err, sdk.FailedPrecondition) {
			t.Errorf("%s: %v, want a failed precondition", c.name, err)
			continue
		}
		for _, part := range append(c.missing, "plugins.sandbox") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not name %s", c.name, err, part)
			}
		}
	}
}

func TestRootWithoutTheMeansToKeepItsCapabilitiesIsTold(t *testing.T) {
	_, err := sandbox.Prepare(sandbox.Policy{Mode: sandbox.Strict}, without(func(l *sandbox.Layers) { l.Securebits = false }))
	if root := os.Geteuid() == 0; errors.Is(err, sdk.FailedPrecondition) != root {
		t.Errorf("user %d: %v, want a failed precondition for root alone", os.Geteuid(), err)
	}
}

func TestWhatConfinesIsNamed(t *testing.T) {
	r, err := sandbox.Prepare(sandbox.Policy{Mode: sandbox.Strict}, sandbox.Kernel())
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	r.Close() // does nothing
	want := []string{"no_new_privs", "landlock " + strconv.Itoa(sandbox.Kernel().Landlock), "securebits", "seccomp", "rlimits"}
	if os.Geteuid() != 0 {
		want = slices.Delete(want, 2, 3)
	}
	if !slices.Equal(r.Layers(), want) || len(r.Missing()) > 0 {
		t.Errorf("layers %q, missing %q, want %q and nothing", r.Layers(), r.Missing(), want)
	}
}

func TestOffConfinesNothingAndSaysSo(t *testing.T) {
	h, targets := bench(t)
	off := sandbox.Policy{Mode: sandbox.Off, Network: sandbox.Brokered}
	r, err := sandbox.Prepare(off, sandbox.Kernel())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Layers()) > 0 || len(r.Missing()) != 1 {
		t.Errorf("layers %q, missing %q, want none and one reason", r.Layers(), r.Missing())
	}
	h.wants(t, off, sandbox.Kernel(), targets, map[string]bool{"read the host's file": true, "connect by TCP": true})
}

func TestADirectProcessConnectsToItsPortsOnly(t *testing.T) {
	h, targets := bench(t)
	_, port, err := net.SplitHostPort(targets.TCP)
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	p := confined(targets)
	p.Network = sandbox.Direct
	others := map[string]bool{"connect by TCP": false, "connect by MPTCP": false, "connect by TCP fast open": false, "listen on a TCP port": false,
		"connect to an abstract Unix socket": false, "send to a Unix socket without connecting": false, "send through one of a pair of Unix sockets": false,
		"list the machine's addresses": true, "read the list of users": false, "signal the host": false}
	h.wants(t, p, sandbox.Kernel(), targets, others)
	p.Ports = []uint16{uint16(number)}
	h.wants(t, p, sandbox.Kernel(), targets, map[string]bool{"connect by TCP": true, "connect by MPTCP": false, "connect by TCP fast open": false})
}

func TestADescribingProcessHasNoSocketAtAll(t *testing.T) {
	h, targets := bench(t)
	h.wants(t, sandbox.Policy{Mode: sandbox.Strict}, sandbox.Kernel(), targets, map[string]bool{"connect by TCP": false, "send by UDP": false,
		"connect to a Unix socket by path": false, "signal the host by the owner of a socket": false})
}

func TestAFileThatIsReplacedStaysReadable(t *testing.T) {
	h, targets := bench(t)
	p := confined(targets)
	p.Read, p.Image = []string{targets.File, "/no/such/file"}, h.probe
	r, err := sandbox.Prepare(p, sandbox.Kernel()) // what is granted is decided here
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	next := targets.File + ".next"
	if err := errors.Join(os.WriteFile(next, []byte("rotated"), 0o600), os.Rename(next, targets.File)); err != nil {
		t.Fatal(err)
	}
	h.wantsPrepared(t, r, targets, "read the host's file", true)
}

func TestTheFileOfALinkStaysReadableWhenTheLinkIsMoved(t *testing.T) {
	h, targets := bench(t)
	volume := filepath.Join(targets.Dir, "volume") // as Kubernetes mounts a secret
	link := filepath.Join(volume, "token")
	err := errors.Join(os.MkdirAll(filepath.Join(volume, "1"), 0o755), os.Symlink("1", filepath.Join(volume, "data")),
		os.WriteFile(filepath.Join(volume, "1", "token"), []byte("x"), 0o600), os.Symlink("data/token", link))
	if err != nil {
		t.Fatal(err)
	}
	p := confined(targets)
	p.Read, p.Image = []string{link}, h.probe
	r, err := sandbox.Prepare(p, sandbox.Kernel())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	err = errors.Join(os.MkdirAll(filepath.Join(volume, "2"), 0o755), os.WriteFile(filepath.Join(volume, "2", "token"), []byte("x"), 0o600),
		os.Symlink("2", filepath.Join(volume, "next")), os.Rename(filepath.Join(volume, "next"), filepath.Join(volume, "data")))
	if err != nil {
		t.Fatal(err)
	}
	beside := targets
	targets.File = link
	h.wantsPrepared(t, r, targets, "read the host's file", true)
	h.wantsPrepared(t, r, beside, "read the host's file", false)
}

func TestAnInterpreterIsExecutedOnlyWhenItIsAllowed(t *testing.T) {
	h, targets := bench(t)
	p := confined(targets)
	p.Execute = []string{"/bin", "/usr", "/lib", "/lib64"}
	h.wants(t, p, sandbox.Kernel(), targets, map[string]bool{"execute a shell": true, "execute memory": false, "read the list of users": false})
}

func TestAProcessThatMayWriteWritesInItsDirectoryOnly(t *testing.T) {
	h, targets := bench(t)
	p := confined(targets)
	p.Write, p.Writes = []string{targets.Own}, true
	h.wants(t, p, sandbox.Kernel(), targets, map[string]bool{"write one byte into a file of its own": true, "create a file of the host's": false,
		"execute its own file beside what it is": false, "make a symbolic link of its own": false, "rename the host's file": false})
}

func TestAProcessHasItsOwnDescriptorsOnly(t *testing.T) {
	h, targets := bench(t)
	got, err := h.try(confined(targets), sandbox.Kernel(), targets, attempt.Descriptors)
	if want := "0 device, 1 device, 2 pipe, 3 file"; err != nil || got != want { // the last is its image
		t.Errorf("descriptors %q (error %v), want %q", got, err, want)
	}
}

func TestAProcessIsLimited(t *testing.T) {
	h, targets := bench(t)
	r, err := h.start(confined(targets), sandbox.Kernel(), targets, attempt.Wait)
	if err != nil {
		t.Fatal(err)
	}
	defer r.process.Kill()
	defer r.output.Close()
	for resource, want := range map[int]uint64{unix.RLIMIT_CORE: 0, unix.RLIMIT_FSIZE: 0, unix.RLIMIT_NOFILE: 4096, unix.RLIMIT_DATA: 160 << 20} {
		var got unix.Rlimit
		if err := unix.Prlimit(r.process.PID(), resource, nil, &got); err != nil {
			t.Fatal(err)
		}
		if got.Cur > want || got.Max > want {
			t.Errorf("limit %d: %d, at most %d; want %d", resource, got.Cur, got.Max, want)
		}
	}
}

func BenchmarkStart(b *testing.B) {
	h, targets := bench(b)
	for _, mode := range []sandbox.Mode{sandbox.Off, sandbox.Strict} {
		b.Run(string(mode), func(b *testing.B) {
			p := confined(targets)
			p.Mode = mode
			for b.Loop() {
				r, err := h.start(p, sandbox.Kernel(), targets, attempt.Nothing)
				if err != nil {
					b.Fatal(err)
				}
				if reason, err := r.outcome(); reason != "" || err != nil {
					b.Fatal(reason, err)
				}
			}
		})
	}
}
