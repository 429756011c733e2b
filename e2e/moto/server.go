//go:build unix

package moto

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	startTimeout  = 60 * time.Second
	startAttempts = 3 // somebody may take the free port before the server does
)

// Region is where tests work; moto has them all.
const Region = "us-east-1"

// Server is a running moto that keeps everything in memory.
type Server struct {
	URL string // "http://127.0.0.1:41234", for every service
	Key Key    // of a user who may do everything

	process *process
}

// Start runs a server of its own until the test ends, installing it when that has not been done. It fails the test when it
// cannot.
func Start(t testing.TB) *Server {
	t.Helper()
	s, stop, err := Run()
	if err != nil {
		t.Fatalf("start moto: %v", err)
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			t.Logf("moto's last lines:\n%s", s.process.log.tail())
		}
	})
	return s
}

// StartEnforced is Start for a server that holds callers to their signatures and IAM policies. Calls without a signature,
// such as AssumeRoleWithWebIdentity, are errors of the server.
func StartEnforced(t testing.TB) *Server {
	t.Helper()
	s := Start(t)
	if err := s.enforce(t.Context()); err != nil {
		t.Fatalf("enforce IAM: %v", err)
	}
	return s
}

// Run is Start for TestMain; stop ends the server and must be called.
func Run() (s *Server, stop func(), err error) {
	python, err := install()
	if err != nil {
		return nil, nil, fmt.Errorf("install: %w", err)
	}
	for range startAttempts {
		if s, err = start(python); err == nil {
			return s, s.process.stop, nil
		}
	}
	return nil, nil, err
}

// RunEnforced is StartEnforced for TestMain.
func RunEnforced() (s *Server, stop func(), err error) {
	s, stop, err = Run()
	if err != nil {
		return nil, nil, err
	}
	if err := s.enforce(context.Background()); err != nil {
		stop()
		return nil, nil, err
	}
	return s, stop, nil
}

func start(python string) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	s := &Server{URL: "http://127.0.0.1:" + port}
	if s.process, err = startProcess(python, port); err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		s.process.stop()
		return nil, fmt.Errorf("%w\n%s", err, s.process.log.tail())
	}
	return s, nil
}

// prepare waits until the server answers, and makes the user of tests.
func (s *Server) prepare() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.post(ctx, "/moto-api/reset", "") != nil {
		select {
		case <-tick.C:
		case <-s.process.done:
			return errors.New("the server ended")
		case <-ctx.Done():
			return fmt.Errorf("the server is not ready: %w", ctx.Err())
		}
	}
	var err error
	s.Key, err = s.newUser(ctx, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	return err
}

// enforce has the server look at signatures and policies from here on.
func (s *Server) enforce(ctx context.Context) error { return s.post(ctx, "/moto-api/reset-auth", "0") }

// post calls moto's own interface.
func (s *Server) post(ctx context.Context, path, body string) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, a.Status)
	}
	return nil
}

// Stop ends the server before the test does: connections are refused.
func (s *Server) Stop() { s.process.stop() }
