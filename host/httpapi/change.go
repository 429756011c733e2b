package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/sdk"
)

// The last step of a change is one of these.
const (
	Done   = "done"
	Failed = "failed"
)

// Step is one step of a change, as one line of the answer.
type Step struct {
	Time time.Time `json:"time"`
	Step string    `json:"step" doc:"verify, start, open, compare, lock, flip, watch, rollback, done, failed"`
	Text string    `json:"text" doc:"for people, one line"`
	Code string    `json:"code,omitempty" doc:"of failed: which kind of failure"`
}

// SwapRequest asks for another version of a plugin: one of the plugin folder, or a file.
type SwapRequest struct {
	Version   string   `json:"version,omitempty" doc:"a version in the plugin folder"`
	File      string   `json:"file,omitempty" doc:"in its place: absolute path of a binary, which the serving process opens"`
	Stores    []string `json:"stores,omitempty" doc:"the stores that change over; default: all of the provider"`
	Watch     string   `json:"watch,omitempty" example:"15m" doc:"how long it may still be rolled back by itself; 0s: not; default: 15m"`
	DryRun    bool     `json:"dry_run,omitempty" doc:"everything up to the flip"`
	Ephemeral bool     `json:"ephemeral,omitempty" doc:"leave the lock file alone"`
}

// swap checks the request.
func (r SwapRequest) swap(provider string) (host.Swap, error) {
	s := host.Swap{Plugin: provider, Version: r.Version, File: r.File, Stores: r.Stores, DryRun: r.DryRun, Ephemeral: r.Ephemeral}
	if (r.Version == "") == (r.File == "") {
		return s, sdk.Errorf(sdk.InvalidArgument, "swap %s: give a version or a file, one of the two", provider)
	}
	if r.Watch == "" {
		return s, nil
	}
	d, err := time.ParseDuration(r.Watch)
	if err != nil || d < 0 {
		return s, sdk.Errorf(sdk.InvalidArgument, "swap %s: watch %q is no duration such as 15m", provider, r.Watch)
	}
	if s.Watch = d; d == 0 {
		s.Watch = -1 // the host's word for none
	}
	return s, nil
}

type swapInput struct {
	Plugin string `path:"plugin" doc:"name of the provider"`
	Body   SwapRequest
}

func (a *api) changes(doc huma.API) {
	schema := doc.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Step](), true, "Step")
	stream := func(id, path, summary string) huma.Operation {
		op := operation(id, http.MethodPost, path, summary)
		op.Description = "The steps as they happen, one JSON object a line; the last is \"done\", or \"failed\" with its code. " +
			"What is refused before the first step is a problem. Whoever leaves before the flip calls the change off."
		op.Responses = map[string]*huma.Response{"200": {Description: "The steps", Content: map[string]*huma.MediaType{"application/x-ndjson": {Schema: schema}}}}
		return op
	}
	huma.Register(doc, stream("swap", "/v1/plugins/{plugin}/swap", "Replace a plugin by another version"),
		func(_ context.Context, in *swapInput) (*huma.StreamResponse, error) {
			s, err := in.Body.swap(in.Plugin)
			if err != nil {
				return nil, failed(err)
			}
			return a.stream(func(ctx context.Context, progress func(host.SwapStep)) error { return a.host.Swap(ctx, s, progress) }), nil
		})
	huma.Register(doc, stream("rollback", "/v1/plugins/{plugin}/rollback", "Undo the last swap of a plugin"),
		func(_ context.Context, in *providerInput) (*huma.StreamResponse, error) {
			return a.stream(func(ctx context.Context, progress func(host.SwapStep)) error {
				return a.host.Rollback(ctx, in.Plugin, progress)
			}), nil
		})
	huma.Register(doc, stream("reload", "/v1/reload", "Read the configuration and the lock file anew and change over to them"),
		func(context.Context, *struct{}) (*huma.StreamResponse, error) { return a.stream(a.reload), nil })
}

func (a *api) reload(ctx context.Context, progress func(host.SwapStep)) error {
	if a.opts.Load == nil {
		return sdk.Errorf(sdk.Unimplemented, "reload: whoever embeds this host changes its configuration")
	}
	cfg, err := a.opts.Load()
	if err != nil {
		return err
	}
	return a.host.Reload(ctx, cfg, progress)
}

// stream runs a change and sends its steps.
func (a *api) stream(change func(context.Context, func(host.SwapStep)) error) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(ctx huma.Context) {
		r, w := humago.Unwrap(ctx)
		s := &steps{w: w}
		err := change(r.Context(), s.send)
		visitOf(r.Context()).code = sdk.CodeOf(err)
		if err != nil && !s.begun {
			writeProblem(w, r, err)
			return
		}
		s.end(err)
	}}
}

// steps is an answer of JSON lines. A change may report from several goroutines.
type steps struct {
	mu    sync.Mutex
	w     http.ResponseWriter
	begun bool
	done  string // the text of the step done, if there was one
}

// send writes one step at once. The last is kept for end, which knows how the change ended.
func (s *steps) send(step host.SwapStep) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch step.Step {
	case Done:
		s.done = step.Text
	case Failed:
	default:
		s.write(Step{Time: step.Time, Step: step.Step, Text: step.Text})
	}
}

func (s *steps) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := Step{Time: time.Now().UTC(), Step: Done, Text: s.done}
	if err != nil {
		last.Step, last.Code, last.Text = Failed, Word(sdk.CodeOf(err)), problem(err, "", "", "").Detail
	}
	s.write(last)
}

func (s *steps) write(step Step) {
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", "application/x-ndjson")
		s.w.Header().Set("Cache-Control", "no-store")
		s.w.WriteHeader(http.StatusOK)
	}
	enc := json.NewEncoder(s.w)
	enc.SetEscapeHTML(false)
	if enc.Encode(step) == nil { // else the caller has left, and its context says so
		_ = http.NewResponseController(s.w).Flush()
	}
}
