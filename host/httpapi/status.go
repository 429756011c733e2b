package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyway-dev/keyway/host"
)

// Status is the host as a whole.
type Status struct {
	State   string   `json:"state" enum:"ready,not_ready"`
	Reason  string   `json:"reason,omitempty" doc:"why it is not ready"`
	Version string   `json:"version,omitempty" doc:"of the program"`
	PID     int      `json:"pid"`
	Since   string   `json:"since" format:"date-time" doc:"when it began to serve"`
	Drift   []string `json:"drift,omitempty" doc:"the plugins that are not what the lock file says"`
	Stores  []Store  `json:"stores"`
	Plugins []Plugin `json:"plugins"`
}

// Store is one configured store.
type Store struct {
	Name         string     `json:"name"`
	Provider     string     `json:"provider"`
	State        string     `json:"state" enum:"ready,unavailable,idle" doc:"idle: it opens on its next use"`
	Required     bool       `json:"required"`
	Generation   int        `json:"generation,omitempty" doc:"number of the plugin's process that serves it"`
	Capabilities []string   `json:"capabilities,omitempty"`
	Opened       *time.Time `json:"opened,omitempty"`
	Error        string     `json:"error,omitempty" doc:"why its secret manager is taken for unreachable"`
	Code         string     `json:"code,omitempty" doc:"the error's code"`
}

// Plugin is one plugin in use.
type Plugin struct {
	Provider   string     `json:"provider"`
	Version    string     `json:"version,omitempty"`
	State      string     `json:"state"`
	Stores     []string   `json:"stores,omitempty"`
	Cell       string     `json:"cell,omitempty" doc:"whose stores it serves: shared, team, dedicated STORE"`
	Path       string     `json:"path,omitempty"`
	PID        int        `json:"pid,omitempty"`
	Generation int        `json:"generation,omitempty"`
	Restarts   int        `json:"restarts"`
	Since      *time.Time `json:"since,omitempty" doc:"since when it is in this state"`
	Digest     string     `json:"digest,omitempty" doc:"of the bytes that run"`
	Image      string     `json:"image,omitempty" doc:"how they are executed"`
	Signer     string     `json:"signer,omitempty"`
	Network    string     `json:"network,omitempty"`
	Sandbox    []string   `json:"sandbox,omitempty" doc:"the layers that confine it"`
	Missing    []string   `json:"missing,omitempty" doc:"the layers that this system lacks, with the reason"`
	Dials      int64      `json:"dials" doc:"connections that the host made for it"`
	Refused    int64      `json:"refused" doc:"connections that the host refused it"`
	Drift      bool       `json:"drift,omitempty" doc:"it is not what the lock file says"`
	Error      string     `json:"error,omitempty"`
	Stderr     []string   `json:"stderr,omitempty" doc:"the last lines that it printed"`
	History    []string   `json:"history,omitempty" doc:"how its last processes ended, newest last"`
}

type body[T any] struct {
	CacheControl string `header:"Cache-Control"`
	Body         T
}

func fresh[T any](v T) *body[T] { return &body[T]{"no-store", v} }

type providerInput struct {
	Plugin string `path:"plugin" doc:"name of the provider"`
}

func (a *api) statuses(doc huma.API) {
	huma.Register(doc, operation("status", http.MethodGet, "/v1/status", "State of the host, its stores and its plugins"),
		func(context.Context, *struct{}) (*body[Status], error) { return fresh(a.status()), nil })
	huma.Register(doc, operation("stores", http.MethodGet, "/v1/stores", "State of the stores"),
		func(context.Context, *struct{}) (*body[[]Store], error) { return fresh(a.stores()), nil })
	huma.Register(doc, operation("plugins", http.MethodGet, "/v1/plugins", "State of the plugins"),
		func(context.Context, *struct{}) (*body[[]Plugin], error) { return fresh(a.plugins()), nil })
	huma.Register(doc, operation("pluginSchema", http.MethodGet, "/v1/plugins/{plugin}/schema", "JSON Schema of a plugin's settings"),
		func(_ context.Context, in *providerInput) (*body[json.RawMessage], error) {
			m, err := a.host.Manifest(in.Plugin)
			if err != nil {
				return nil, failed(err)
			}
			return fresh(m.Schema), nil
		})
}

func (a *api) status() Status {
	s := Status{State: "ready", Version: a.opts.Version, PID: os.Getpid(), Since: a.since.UTC().Format(time.RFC3339), Stores: a.stores(), Plugins: a.plugins()}
	if err := a.host.Ready(); err != nil {
		s.State, s.Reason = "not_ready", err.Error()
	}
	for _, p := range s.Plugins {
		if p.Drift && !slices.Contains(s.Drift, p.Provider) {
			s.Drift = append(s.Drift, p.Provider)
		}
	}
	return s
}

func (a *api) stores() []Store {
	out := []Store{}
	for _, s := range a.host.Stores() {
		one := Store{Name: s.Name, Provider: s.Provider, State: "idle", Required: s.Required, Generation: s.Generation,
			Capabilities: s.Can.Names(), Opened: moment(s.Opened)}
		switch {
		case s.Down != nil:
			p := problem(s.Down, "", "", "")
			one.State, one.Error, one.Code = "unavailable", p.Detail, p.Code
		case s.Open:
			one.State = "ready"
		}
		out = append(out, one)
	}
	return out
}

func (a *api) plugins() []Plugin {
	out := []Plugin{}
	for _, p := range a.host.Plugins() {
		out = append(out, pluginOf(p))
	}
	return out
}

func pluginOf(p host.PluginStatus) Plugin {
	out := Plugin{Provider: p.Provider, Version: p.Version, State: p.State, Stores: p.Stores, Cell: p.Cell, Path: p.Path, PID: p.PID,
		Generation: p.Generation, Restarts: p.Restarts, Since: moment(p.Since), Digest: p.Digest, Image: p.Image, Signer: p.Signer,
		Network: p.Network, Sandbox: p.Sandbox, Missing: p.Missing, Dials: p.Dials, Refused: p.Refused, Drift: p.Drift,
		Stderr: p.Stderr, History: p.History}
	if p.LastError != nil {
		out.Error = p.LastError.Error()
	}
	return out
}

// moment is a time, or nothing where there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// health serves the two questions of whoever watches the process. Neither asks a backend or a plugin.
func (a *api) health(mux *http.ServeMux, doc huma.API) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { say(w, "live") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := a.host.Ready(); err != nil {
			writeProblem(w, r, err)
			return
		}
		say(w, "ready")
	})
	for _, x := range []struct{ id, path, summary, good string }{
		{"livez", "/livez", "Whether the process answers", "It does"},
		{"readyz", "/readyz", "Whether every required store has answered", "They have; 503 names those that have not"},
	} {
		op := operation(x.id, http.MethodGet, x.path, x.summary)
		op.Responses = map[string]*huma.Response{"200": {Description: x.good, Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: huma.TypeString}}}}}
		doc.OpenAPI().AddOperation(&op)
	}
}

func say(w http.ResponseWriter, word string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(word + "\n"))
}
