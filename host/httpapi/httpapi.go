// Package httpapi serves an open host over HTTP: secrets, status, and the changes that an operator makes. Handler gives all of
// it as one http.Handler, with paths of its own (/v1/…, /livez, /readyz, /openapi.json), for any mux and any listener.
//
// It knows no users: who may connect is the listener's to decide. `keyway serve` listens on a Unix socket and asks the kernel.
// Who asked for what is in the host's audit, by [Server] or [ConnContext], or by what a middleware says with
// [audit.WithOrigin].
// The host's own sources (environment, files, credentials, identity tokens) are not served at all: they are what the stores log
// in with.
package httpapi

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
)

// Options change what Handler serves.
type Options struct {
	Version string                         // of the program, for the status and the OpenAPI document
	Logger  *slog.Logger                   // nil: nothing is logged. It never gets a value
	Load    func() (*config.Config, error) // what /v1/reload changes over to; nil: it answers Unimplemented
}

// api is one host being served.
type api struct {
	host  *host.Host
	opts  Options
	log   *slog.Logger
	since time.Time
}

// Handler serves h until the caller stops using it; h is the caller's to close, afterwards.
func Handler(h *host.Host, o Options) http.Handler {
	a := &api{host: h, opts: o, log: o.Logger, since: time.Now()}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	doc := humago.New(mux, documentConfig(o.Version))
	a.secrets(mux, doc)
	a.statuses(doc)
	a.changes(doc)
	a.health(mux, doc)
	text, err := json.Marshal(doc.OpenAPI())
	if err != nil {
		panic("httpapi: its own OpenAPI document: " + err.Error()) // a programmer's mistake
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(text)
	})
	return &edge{mux: mux, log: a.log, record: h.Record}
}

// documentConfig is huma's configuration. Nothing of it is shared with another API in the same program, and no page of it
// loads anything from elsewhere.
func documentConfig(version string) huma.Config {
	c := huma.DefaultConfig("Keyway", version)
	c.OpenAPIPath, c.DocsPath, c.SchemasPath, c.CreateHooks = "", "", "", nil
	c.Formats = map[string]huma.Format{"application/json": huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}
	c.RejectUnknownQueryParameters = true
	c.Transformers = []huma.Transformer{asProblem}
	c.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[Problem]())
	return c
}

// operation is what all operations have in common. The edge has bounded the body already.
func operation(id, method, path, summary string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, MaxBodyBytes: -1, BodyReadTimeout: -1}
}

// Bounds of a connection, for Server.
const (
	maxHeader     = 16 << 10 // bytes
	headerTimeout = 10 * time.Second
	idleTimeout   = 2 * time.Minute
)

// Server gives a server for a handler with the bounds on headers and their time that a handler cannot set, and with
// [ConnContext]. A call may take as long as it does: a swap takes minutes.
func Server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{Handler: handler, MaxHeaderBytes: maxHeader - netHTTPSlop, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout,
		ConnContext: ConnContext, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
}

// netHTTPSlop is what net/http allows beyond MaxHeaderBytes.
const netHTTPSlop = 4 << 10 // bytes
