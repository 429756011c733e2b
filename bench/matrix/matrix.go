// Package matrix holds what the providers are measured beside: each secret manager in the smallest form that answers, on
// loopback, and a read of it by the vendor's own client library.
//
// The servers run in the process that measures. So a direct read stays within one process, which a read by a plugin, or of a
// real server, does not.
package matrix

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// Secrets is how many each manager holds.
const Secrets = 1000

// value is what every secret holds.
const value = "sk-0123456789abcdef0123456789abcdef"

// Manager is one secret manager. Close it.
type Manager struct {
	Provider string
	Settings map[string]any
	Env      map[string]string // what the settings refer to
	// Name gives the name of a secret. Where managers only decrypt it is nil, and Ciphertext gives one.
	Name       func(i int) string
	Ciphertext func(i int) []byte
	// Direct reads one secret by the vendor's client. It is for one caller at a time.
	Direct func(ctx context.Context) error

	front
	stop []func()
}

// Close ends the server.
func (m *Manager) Close() {
	for _, f := range m.stop {
		f()
	}
}

// Start starts the managers one after the other and hands each to f, for as long as it takes.
func Start(ctx context.Context, f func(*Manager) error) error {
	for _, start := range []func(context.Context, *Manager) error{vault, awsSM, awsKMS, azureKV, gcpSM, gcpKMS, conjur} {
		m := &Manager{Env: map[string]string{}}
		err := start(ctx, m)
		if err == nil {
			err = f(m)
		}
		m.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", m.Provider, err)
		}
	}
	return nil
}

// front counts the requests for secrets and keeps each for a while.
type front struct {
	delay    atomic.Int64
	requests atomic.Int64
}

// Delay has every request for secrets take a time from now on.
func (f *front) Delay(d time.Duration) { f.delay.Store(int64(d)) }

// Requests is how many there were for secrets; logins are none.
func (f *front) Requests() int64 { return f.requests.Load() }

func (f *front) pass(ctx context.Context) {
	f.requests.Add(1)
	d := time.Duration(f.delay.Load())
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// handler puts the front before a server. reads tells the requests for secrets from others.
func (f *front) handler(next http.Handler, reads func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if reads(r) {
			f.pass(r.Context())
		}
		next.ServeHTTP(w, r)
	})
}

// unary does it for gRPC, where all calls are for secrets.
func (f *front) unary(ctx context.Context, r any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	f.pass(ctx)
	return next(ctx, r)
}

// serve serves without TLS.
func (m *Manager) serve(h http.Handler, reads func(*http.Request) bool) (url string) {
	web := httptest.NewServer(m.handler(h, reads))
	m.stop = append(m.stop, web.Close)
	return web.URL
}

func numbered(i int) string { return fmt.Sprintf("n%d", i) }

func always(*http.Request) bool { return true }
