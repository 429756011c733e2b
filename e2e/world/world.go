//go:build linux

// Package world runs a test in a network and a view of the file system of its own, in which the names of a cloud lead to
// servers of the test and their certificates are trusted. So the programs run unmodified, with the vendor's addresses, and
// whatever else they try to reach is not there.
//
//	func TestX(t *testing.T) {
//		if !world.Inside(t, "github.com/…/plugins/gcp-sm") {
//			return
//		}
//		w := world.Furnish(t, map[string]string{"secretmanager.googleapis.com": "127.0.0.20"})
package world

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/keyway-dev/keyway/docs/doctest"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

const (
	programs = "KEYWAY_E2E_WORLD_PROGRAMS" // set for a test process in a world: the folder of the compiled programs
	host     = "github.com/keyway-dev/keyway/host/cmd/keyway"
	roots    = "/etc/ssl/certs/ca-certificates.crt"
)

// Inside reports whether the test is in a world. Where it is not, it compiles the host and the plugins and runs the test once
// more in one, and the test has only to return. Root may make a world everywhere, others where the system lets users have
// namespaces; where it does not, there is nothing to try.
func Inside(t *testing.T, plugins ...string) bool {
	t.Helper()
	if os.Getenv(programs) != "" {
		return true
	}
	dir := t.TempDir()
	for _, p := range append(plugins, host) {
		install(t, sdktest.Build(t, p), dir)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), programs+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var status *exec.ExitError
	switch {
	case errors.As(err, &status):
		t.Fatalf("in a world of its own: %v\n%s", err, out)
	case err != nil:
		t.Logf("this system gives no namespaces: %v", err)
	}
	return false
}

// World is one that is furnished.
type World struct {
	// Certificate is of all its names.
	Certificate tls.Certificate
	hosts       map[string]string
}

// Furnish makes a world in which names lead to addresses: of 127.0.0.0/8, or others, which are added to the loopback
// interface.
func Furnish(t *testing.T, hosts map[string]string) *World {
	t.Helper()
	dir := t.TempDir()
	names := slices.Sorted(maps.Keys(hosts))
	cert, root := certificate(t, names)
	trusted, err := os.ReadFile(roots)
	if err != nil {
		t.Fatal(err)
	}
	text := "127.0.0.1 localhost\n"
	for _, n := range names {
		text += hosts[n] + " " + n + "\n"
	}
	hostsFile, rootsFile := filepath.Join(dir, "hosts"), filepath.Join(dir, "roots")
	err = errors.Join(
		os.WriteFile(hostsFile, []byte(text), 0o644),
		os.WriteFile(rootsFile, append(trusted, root...), 0o644),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(hostsFile, "/etc/hosts", "", unix.MS_BIND, ""),
		unix.Mount(rootsFile, roots, "", unix.MS_BIND, ""),
		loopback(slices.Sorted(maps.Values(hosts))))
	if err != nil {
		t.Fatalf("furnish the world: %v", err)
	}
	return &World{Certificate: cert, hosts: hosts}
}

// Trust has the world trust an authority, PEM, beside its own, as a machine of a company does.
func (w *World) Trust(t *testing.T, authority string) {
	t.Helper()
	f, err := os.OpenFile(roots, os.O_APPEND|os.O_WRONLY, 0) // the world's, not the machine's
	if err == nil {
		_, err = f.WriteString(authority)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatalf("trust: %v", err)
	}
}

// Listen listens at a name.
func (w *World) Listen(t *testing.T, name, port string) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(w.hosts[name], port))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Serve serves HTTP at a name until the test ends: on port 80 without TLS, on any other with it.
func (w *World) Serve(t *testing.T, name, port string, h http.HandlerFunc) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Listener.Close()
	s.Listener = w.Listen(t, name, port)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{w.Certificate}, MinVersion: tls.VersionTLS12}
	if port == "80" {
		s.Start()
	} else {
		s.StartTLS()
	}
	t.Cleanup(s.Close)
}

// certificate makes one of all names, and the root that signed it, as PEM.
func certificate(t *testing.T, names []string) (cert tls.Certificate, root []byte) {
	t.Helper()
	issue := func(c, parent *x509.Certificate, signer *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if signer == nil {
			signer = key
		}
		c.SerialNumber, c.BasicConstraintsValid = big.NewInt(time.Now().UnixNano()), true
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		raw, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		return raw, key
	}
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "root of a test"}, IsCA: true}
	rawCA, caKey := issue(ca, ca, nil)
	leaf, key := issue(&x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names}, ca, caKey)
	return tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rawCA})
}

// loopback does what "ip link set lo up" does, and "ip addr add" for addresses that are not of it anyway.
func loopback(addresses []string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	set := func(device string, request uintptr, fill func(*unix.Ifreq) error) error {
		r, err := unix.NewIfreq(device)
		if err == nil {
			err = fill(r)
		}
		if err != nil {
			return err
		}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(r))); errno != 0 { //nolint:gosec // there is no call for it
			return fmt.Errorf("%s: %w", device, errno)
		}
		return nil
	}
	err = set("lo", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
	for i, a := range addresses {
		if ip := net.ParseIP(a).To4(); !strings.HasPrefix(a, "127.") {
			err = errors.Join(err, set(fmt.Sprintf("lo:%d", i), unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(ip) }))
		}
	}
	return err
}

// Keyway runs the host in a folder with a file and the plugins, and nothing in its environment but env.
func Keyway(t *testing.T, file, content string, env []string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	installPlugins(t, filepath.Join(dir, "plugins"))
	if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(os.Getenv(programs), filepath.Base(host)), args...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// Bench is where the commands of a page are tried in a world.
func Bench(t *testing.T) doctest.Bench {
	t.Helper()
	b := doctest.Bench{Bin: os.Getenv(programs), Plugins: t.TempDir(), Downloads: t.TempDir()}
	installPlugins(t, b.Plugins)
	return b
}

func installPlugins(t *testing.T, dir string) {
	t.Helper()
	all, err := os.ReadDir(os.Getenv(programs))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Name() != filepath.Base(host) {
			install(t, filepath.Join(os.Getenv(programs), p.Name()), dir)
		}
	}
}

// install copies a compiled program.
func install(t *testing.T, program, dir string) {
	t.Helper()
	raw, err := os.ReadFile(program)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, filepath.Base(program)), raw, 0o755) //nolint:gosec // a program
	}
	if err != nil {
		t.Fatal(err)
	}
}
