//go:build unix

package openbao

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"
)

const (
	startTimeout  = 20 * time.Second
	startAttempts = 3 // somebody may take the free port before the server does
)

// Server is a running, initialized and unsealed OpenBao that keeps everything in memory.
type Server struct {
	Addr  string // "https://127.0.0.1:41234", or http
	Token string // the root token
	// CA, Cert and Key are PEM texts of a TLS server: whom to trust, and a client certificate that it accepts.
	CA, Cert, Key string

	authority    *x509.Certificate
	authorityKey *ecdsa.PrivateKey

	process   *process
	dir       string
	client    *api.Client
	unsealKey string
	namespace string
}

// Option changes how a server starts.
type Option func(*options)

type options struct{ tls, clientCert bool }

// ClientCert makes it speak TLS and refuse connections without a certificate of its authority.
func ClientCert() Option { return func(o *options) { o.tls, o.clientCert = true, true } }

// Start runs a server until the test ends, installing it when that has not been done. It fails the test when it cannot.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s, stop, err := Run(opts...)
	if err != nil {
		t.Fatalf("start OpenBao: %v", err)
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("OpenBao's last lines:\n%s", s.process.log.tail())
		}
	})
	return s
}

// Run is Start for TestMain; stop ends the server and must be called.
func Run(opts ...Option) (s *Server, stop func(), err error) {
	var o options
	for _, f := range opts {
		f(&o)
	}
	binary, err := install()
	if err != nil {
		return nil, nil, fmt.Errorf("install: %w", err)
	}
	dir, err := os.MkdirTemp("", "openbao")
	if err != nil {
		return nil, nil, err
	}
	for range startAttempts {
		s, err = start(binary, dir, o)
		if err == nil {
			return s, func() { s.process.stop(); _ = os.RemoveAll(dir) }, nil
		}
	}
	_ = os.RemoveAll(dir)
	return nil, nil, err
}

func start(binary, dir string, o options) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Addr: "http://127.0.0.1:" + port, dir: dir}
	tls := "tls_disable = true"
	if o.tls {
		s.Addr = "https://127.0.0.1:" + port
		if tls, err = s.certify(o.clientCert); err != nil {
			return nil, err
		}
	}
	config := filepath.Join(dir, "config.hcl")
	text := fmt.Sprintf("storage \"inmem\" {}\nlistener \"tcp\" {\n address = \"127.0.0.1:%s\"\n %s\n}\napi_addr = %q\n", port, tls, s.Addr)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	if s.client, err = s.newClient(); err != nil {
		return nil, err
	}
	if s.process, err = startProcess(binary, config); err != nil {
		return nil, err
	}
	if err := s.initialize(); err != nil {
		s.process.stop()
		return nil, fmt.Errorf("%w\n%s", err, s.process.log.tail())
	}
	return s, nil
}

// newClient makes a client that nothing in the environment changes.
func (s *Server) newClient() (*api.Client, error) {
	c, err := api.NewClient(&api.Config{Address: s.Addr, HttpClient: &http.Client{Transport: &http.Transport{
		TLSClientConfig: s.clientTLS(), MaxIdleConnsPerHost: 64,
	}}})
	if err != nil {
		return nil, err
	}
	c.ClearToken()
	c.ClearNamespace()
	return c, nil
}

func (s *Server) initialize() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := s.until(ctx, func() bool { _, err := s.client.Sys().SealStatusWithContext(ctx); return err == nil }); err != nil {
		return err
	}
	r, err := s.client.Sys().InitWithContext(ctx, &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		return err
	}
	s.unsealKey, s.Token = r.Keys[0], r.RootToken
	s.client.SetToken(s.Token)
	return s.unseal(ctx)
}

func (s *Server) unseal(ctx context.Context) error {
	if _, err := s.client.Sys().UnsealWithContext(ctx, s.unsealKey); err != nil {
		return err
	}
	return s.until(ctx, func() bool {
		h, err := s.client.Sys().HealthWithContext(ctx)
		return err == nil && !h.Sealed && !h.Standby
	})
}

// until asks every 10 ms whether a condition holds.
func (s *Server) until(ctx context.Context, holds func() bool) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-s.process.done:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", ctx.Err())
		}
	}
	return nil
}

// Client gives a client with the root token, in the server's namespace.
func (s *Server) Client() *api.Client { return s.client.WithNamespace(s.namespace) }

// Seal makes the server answer 503 to everything, Unseal ends that.
func (s *Server) Seal(t testing.TB) {
	t.Helper()
	if err := s.client.Sys().SealWithContext(t.Context()); err != nil {
		t.Fatalf("seal: %v", err)
	}
}

// Unseal undoes Seal.
func (s *Server) Unseal(t testing.TB) {
	t.Helper()
	if err := s.unseal(t.Context()); err != nil {
		t.Fatalf("unseal: %v", err)
	}
}

// Pause stops the process as SIGSTOP does: connections open and nothing answers. Resume ends that.
func (s *Server) Pause(t testing.TB) {
	t.Helper()
	if err := s.process.signal(syscall.SIGSTOP); err != nil {
		t.Fatalf("pause: %v", err)
	}
	for !s.process.stopped() { // the signal reaches one thread after the other
		if t.Context().Err() != nil {
			t.Fatal("pause: the server does not stop")
		}
		runtime.Gosched()
	}
}

// Resume undoes Pause.
func (s *Server) Resume(t testing.TB) {
	t.Helper()
	if err := s.process.signal(syscall.SIGCONT); err != nil {
		t.Fatalf("resume: %v", err)
	}
}

// Stop ends the server before the test does: connections are refused.
func (s *Server) Stop() { s.process.stop() }
