package sandbox_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/host/internal/plugin/child"
	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox"
	"github.com/keyway-dev/keyway/host/internal/plugin/sandbox/internal/attempt"
)

// nobody is a user without any privilege.
const nobody = 65534

// asHost runs a part of this test binary as a host of a user, and gives what it printed. Only root can choose another user
// than itself.
func asHost(t *testing.T, part string, uid int) []byte {
	t.Helper()
	dir, err := os.MkdirTemp("", "kw-sandbox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Dir = dir
	cmd.Env = []string{actAs + "=" + part, "PROBE=" + probe, "TMPDIR=/tmp", "PATH=" + os.Getenv("PATH")}
	if uid != os.Getuid() {
		if err := os.Chown(dir, uid, uid); err != nil {
			t.Fatal(err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("host as user %d: %v\n%s", uid, err, stderr.String())
	}
	return out
}

// host is a process that starts probes, and what it gives them to aim at.
type host struct {
	probe     *os.File
	terminal  *os.File
	null      *os.File
	listening []io.Closer
}

// newHost makes a host of this process. The program is the probe.
func newHost(program string) (*host, error) {
	h := &host{}
	var err error
	if h.probe, err = os.Open(program); err != nil {
		return nil, err
	}
	if h.null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	h.terminal, err = h.openTerminal()
	return h, err
}

// openTerminal gives a terminal whose other end stays open: what a plugin would inherit from a careless host.
func (h *host) openTerminal() (*os.File, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	h.listening = append(h.listening, master)
	var number int
	if number, err = unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN); err != nil {
		return nil, err
	}
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	return os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
}

func (h *host) close() {
	for _, c := range append(h.listening, h.probe, h.null, h.terminal) {
		_ = c.Close()
	}
}

// targets makes what attempts aim at in a directory.
func (h *host) targets(dir string) (attempt.Targets, error) {
	t := attempt.Targets{Host: os.Getpid(), Dir: dir, File: filepath.Join(dir, "file"), Readable: filepath.Join(dir, "readable"),
		Own: filepath.Join(dir, "own"), Unix: filepath.Join(dir, "unix"), Datagram: filepath.Join(dir, "datagram"),
		Abstract: "@keyway-" + dir}
	t.Locked = filepath.Join(t.Readable, "locked")
	err := errors.Join(os.MkdirAll(t.Readable, 0o755), os.Mkdir(t.Own, 0o700), os.WriteFile(t.File, []byte("0123456789abcdef"), 0o600),
		os.WriteFile(t.File+".spare", nil, 0o600), os.WriteFile(t.Locked, []byte("x"), 0))
	if os.Getuid() == 0 {
		err = errors.Join(err, os.Chown(t.Locked, nobody, nobody))
	}
	if err != nil {
		return t, err
	}
	return t, h.listen(&t)
}

func (h *host) listen(t *attempt.Targets) error {
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": t.Unix, "unix ": t.Abstract} {
		l, err := net.Listen(strings.TrimSpace(network), address)
		if err != nil {
			return err
		}
		h.listening = append(h.listening, l)
		if network == "tcp" {
			t.TCP = l.Addr().String()
		}
	}
	for network, address := range map[string]string{"udp": "127.0.0.1:0", "unixgram": t.Datagram} {
		c, err := net.ListenPacket(network, address)
		if err != nil {
			return err
		}
		h.listening = append(h.listening, c)
		if network == "udp" {
			t.UDP = c.LocalAddr().String()
		}
	}
	return nil
}

// confined is what a plugin with a brokered network gets.
func confined(t attempt.Targets) sandbox.Policy {
	return sandbox.Policy{Mode: sandbox.Strict, Network: sandbox.Brokered, Read: []string{t.Readable}, Socket: t.Own, Memory: 64 << 20}
}

// running is a probe that was started.
type running struct {
	process *child.Process
	output  *os.File
}

// start starts the probe with a policy that lacks only the image.
func (h *host) start(p sandbox.Policy, have sandbox.Layers, t attempt.Targets, args ...string) (*running, error) {
	p.Image = h.probe
	profile, err := sandbox.Prepare(p, have)
	if err != nil {
		return nil, err
	}
	defer profile.Close()
	return h.startPrepared(profile, t, args...)
}

func (h *host) startPrepared(profile *sandbox.Profile, t attempt.Targets, args ...string) (*running, error) {
	env, err := t.Environ()
	if err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	proc, err := child.Start(child.Spec{Path: h.probe.Name(), Args: append([]string{"probe"}, args...), Env: append(env, "TMPDIR="+t.Dir), Dir: "/",
		Files: []*os.File{h.terminal, h.null, w}, Image: h.probe, Restrict: profile.Restrict, Limits: profile.Limits()})
	if err != nil {
		_ = r.Close()
		return nil, err
	}
	return &running{proc, r}, nil
}

// outcome waits for the probe and tells why its attempt failed; empty when it worked. An error says that nothing was tried.
func (r *running) outcome() (string, error) {
	text, err := io.ReadAll(r.output)
	_ = r.output.Close()
	<-r.process.Done()
	switch code := r.process.ExitCode(); {
	case err != nil:
		return "", err
	case code == 0:
		return "", nil
	case code == 1:
		return strings.TrimSpace(string(text)), nil
	case code < 0:
		return r.process.ExitText(), nil
	}
	return "", fmt.Errorf("the probe ended with %s: %s", r.process.ExitText(), text)
}

// try is start and outcome.
func (h *host) try(p sandbox.Policy, have sandbox.Layers, t attempt.Targets, name string) (string, error) {
	r, err := h.start(p, have, t, name)
	if err != nil {
		return "", err
	}
	return r.outcome()
}
