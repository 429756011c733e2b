//go:build e2e && linux

package gcpkms_test

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
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// A world is a network and a view of the file system of its own, in which Google's name leads to the fake, whose certificate is
// trusted, and a machine has an identity. So nothing needs to be told where anything is.
const (
	insideMark   = "KEYWAY_E2E_WORLD" // set for a test process that lives in one
	serviceIP    = "127.0.0.1"
	metadataIP   = "169.254.169.254"
	service      = "cloudkms.googleapis.com"
	programs     = "KEYWAY_E2E_PROGRAMS" // folder of the compiled ones
	machineToken = "of-the-machine"      // as the metadata server gives it out
	rootsFile    = "/etc/ssl/certs/ca-certificates.crt"
)

func inside() bool { return os.Getenv(insideMark) != "" }

// enterWorld compiles the programs and runs the calling test once more, in a world. Root may make one everywhere, others where
// the system lets users have namespaces; where it does not, there is nothing to try.
func enterWorld(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	install(t, sdktest.Build(t, "github.com/keyway-dev/keyway/host/cmd/keyway"), dir)
	install(t, sdktest.Build(t, pkg), dir)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideMark+"=1", programs+"="+dir)
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
}

// build furnishes the world and gives the service in it.
func build(t *testing.T) *gcpkms.Server {
	t.Helper()
	dir := t.TempDir()
	cert, root := certificate(t)
	roots, err := os.ReadFile(rootsFile)
	if err != nil {
		t.Fatal(err)
	}
	hosts, trusted := filepath.Join(dir, "hosts"), filepath.Join(dir, "roots")
	err = errors.Join(
		os.WriteFile(hosts, []byte(serviceIP+" localhost "+service+"\n"), 0o644),
		os.WriteFile(trusted, append(roots, root...), 0o644),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(hosts, "/etc/hosts", "", unix.MS_BIND, ""),
		unix.Mount(trusted, rootsFile, "", unix.MS_BIND, ""),
		loopback())
	if err != nil {
		t.Fatalf("furnish the world: %v", err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(serviceIP, "443"))
	if err != nil {
		t.Fatal(err)
	}
	machine(t)
	srv := gcpkms.New()
	t.Cleanup(srv.Serve(l, grpc.Creds(credentials.NewServerTLSFromCert(&cert))))
	return srv
}

// certificate makes one for the service, and the root that signed it, as PEM.
func certificate(t *testing.T) (cert tls.Certificate, root []byte) {
	t.Helper()
	make := func(name string, ca bool, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: ca, BasicConstraintsValid: true}
		if parent == nil {
			parent, signer = c, key
		}
		raw, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
		if err != nil {
			t.Fatal(err)
		}
		if c, err = x509.ParseCertificate(raw); err != nil {
			t.Fatal(err)
		}
		return c, key
	}
	ca, caKey := make("root of a test", true, nil, nil)
	leaf, key := make(service, false, ca, caKey)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
}

// loopback switches the interface on and gives it the address of the metadata server beside its own.
func loopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	up, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	up.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	second, err := unix.NewIfreq("lo:1")
	if err != nil {
		return err
	}
	if err := second.SetInet4Addr(net.ParseIP(metadataIP).To4()); err != nil {
		return err
	}
	for _, step := range []struct {
		request uintptr
		with    *unix.Ifreq
	}{{unix.SIOCSIFFLAGS, up}, {unix.SIOCSIFADDR, second}} {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), step.request, uintptr(unsafe.Pointer(step.with))); errno != 0 {
			return fmt.Errorf("loopback: %w", errno)
		}
	}
	return nil
}

// machine stands for the metadata server of a machine with a service account, at its own address.
func machine(t *testing.T) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(metadataIP, "80"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		switch r.Header.Get("Metadata-Flavor") + r.URL.Path {
		case "Google/computeMetadata/v1/instance/service-accounts/default/token":
			_, _ = io.WriteString(w, `{"access_token":"`+machineToken+`","expires_in":3599,"token_type":"Bearer"}`)
		case "Google/computeMetadata/v1/instance/service-accounts/default/email":
			_, _ = io.WriteString(w, "gateway@acme.iam.gserviceaccount.com")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})}
	var done sync.WaitGroup
	done.Go(func() { _ = srv.Serve(l) })
	t.Cleanup(func() { _ = srv.Close(); done.Wait() })
}

// keyway runs the program in a folder with a file and the plugin.
func keyway(t *testing.T, file, content string, env []string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "plugins"), 0o755); err != nil {
		t.Fatal(err)
	}
	install(t, filepath.Join(os.Getenv(programs), "gcp-kms"), filepath.Join(dir, "plugins"))
	if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(os.Getenv(programs), "keyway"), args...)
	cmd.Dir, cmd.Env = dir, append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// install copies a compiled program.
func install(t *testing.T, program, dir string) {
	t.Helper()
	from, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	name := filepath.Join(dir, filepath.Base(program))
	to, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
}
