// Gateway is a small reverse proxy that embeds Keyway. Its keys are live values: a secret that changes in its store is used
// by the next request, without a restart. It reads keyway.yaml and routes.yaml in its working directory. SIGHUP has it read
// keyway.yaml and the lock file anew, and swap what they change, plugins too, under the requests that run.
package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
)

type routes struct {
	Listen string   `yaml:"listen"`
	Routes []*route `yaml:"routes"`
}

type route struct {
	Path     string     `yaml:"path"`     // what the route answers: "/openai/"
	Upstream string     `yaml:"upstream"` // where it goes: "https://api.openai.com/v1/"
	Header   string     `yaml:"header"`   // which header carries the key: "Authorization"
	Key      *host.Live `yaml:"key"`      // text in the file, a value in the program: "Bearer ${secret://prod/openai#/key}"
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("gateway", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg, err := config.Load("keyway.yaml")
	if err != nil {
		return err
	}
	h, err := host.Open(ctx, cfg, host.WithLogger(slog.Default()))
	if err != nil {
		return err
	}
	defer h.Close(context.WithoutCancel(ctx))
	var r routes
	text, err := os.ReadFile("routes.yaml")
	if err := errors.Join(err, yaml.Unmarshal(text, &r)); err != nil {
		return err
	}
	if err := h.Bind(ctx, &r); err != nil && !host.Retryable(err) {
		return err // a wrong reference; what is only unreachable arrives later by itself
	}
	mux := http.NewServeMux()
	for _, rt := range r.Routes {
		upstream, err := url.Parse(rt.Upstream)
		if err != nil {
			return err
		}
		proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(upstream) }, Transport: rt}
		mux.Handle(rt.Path, http.StripPrefix(rt.Path, proxy))
	}
	go reload(ctx, h)
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", r.Listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	finished := make(chan error, 1)
	context.AfterFunc(ctx, func() { finished <- server.Shutdown(context.WithoutCancel(ctx)) })
	slog.Info("gateway listens", "address", listener.Addr(), "routes", len(r.Routes))
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-finished // requests that were running
}

// reload changes over to the files as they are now, at each SIGHUP. What is wrong in them changes nothing.
func reload(ctx context.Context, h *host.Host) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	for ctx.Err() == nil {
		select {
		case <-hup:
			cfg, err := config.Load("keyway.yaml")
			if err == nil {
				err = h.Reload(ctx, cfg, func(s host.SwapStep) { slog.Info("reload", "step", s.Step, "text", s.Text) })
			}
			if err != nil {
				slog.Error("reload", "error", err)
			}
		case <-ctx.Done():
		}
	}
}

// RoundTrip sends a request with the key that is current now, and has Keyway look for a newer one when that is refused.
func (rt *route) RoundTrip(r *http.Request) (*http.Response, error) {
	key, err := rt.Key.Load()
	if err != nil {
		return nil, err
	}
	r.Header.Set(rt.Header, key.Text())
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		_, err := rt.Key.Reject(r.Context(), key)
		slog.Warn("upstream refused the key", "route", rt.Path, "newer", err == nil)
	}
	return resp, err
}
