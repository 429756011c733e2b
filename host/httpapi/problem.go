package httpapi

import (
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

// Problem is every error's answer, as RFC 9457 has it: application/problem+json.
type Problem struct {
	Type       string  `json:"type" doc:"a URI reference, about:blank"`
	Title      string  `json:"title" doc:"the status in words"`
	Status     int     `json:"status" doc:"HTTP status"`
	Detail     string  `json:"detail" doc:"what is wrong, one line"`
	Code       string  `json:"code" doc:"what kind of failure it is: not_found, unavailable, …"`
	Store      string  `json:"store,omitempty" doc:"the store that it is about"`
	Op         string  `json:"op,omitempty" doc:"the operation of this API"`
	RequestID  string  `json:"request_id,omitempty" doc:"id of the request, also in X-Request-Id"`
	RetryAfter int     `json:"retry_after,omitempty" doc:"seconds after which to come again, also in Retry-After"`
	Errors     []Fault `json:"errors,omitempty" doc:"each thing that is wrong, where there are several"`
}

// Fault is one of several things that are wrong.
type Fault struct {
	Location string `json:"location,omitempty" doc:"where: body.refs[2], or file:line:column"`
	Message  string `json:"message"`
}

// Error is the detail.
func (p *Problem) Error() string { return p.Detail }

// GetStatus is for huma.
func (p *Problem) GetStatus() int { return p.Status }

// ContentType is for huma.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

// Word is a code as programs read it, "not_found".
func Word(c sdk.Code) string { return strings.ReplaceAll(c.String(), " ", "_") }

// CodeOf gives the code of a Word; Unknown for any other text.
func CodeOf(word string) sdk.Code {
	for c := sdk.Canceled; c <= sdk.Unauthenticated; c++ {
		if Word(c) == word {
			return c
		}
	}
	return sdk.Unknown
}

// statusError is an error whose status is not its code's: this API's own refusals.
type statusError struct {
	status int
	error
}

func (s *statusError) Unwrap() error { return s.error }

// statusOf is the design's table of codes. What a secret manager refuses us is no 403: the caller is not whom it refuses.
func statusOf(err error) int {
	if s, ok := errors.AsType[*statusError](err); ok {
		return s.status
	}
	switch sdk.CodeOf(err) {
	case sdk.InvalidArgument:
		return http.StatusBadRequest
	case sdk.NotFound:
		return http.StatusNotFound
	case sdk.FailedPrecondition, sdk.AlreadyExists, sdk.Aborted:
		return http.StatusConflict
	case sdk.ResourceExhausted, sdk.Unavailable, sdk.Canceled:
		return http.StatusServiceUnavailable
	case sdk.DeadlineExceeded:
		return http.StatusGatewayTimeout
	case sdk.Unimplemented:
		return http.StatusNotImplemented
	}
	return http.StatusBadGateway
}

// problem describes an error. store may be empty.
func problem(err error, op, store, requestID string) *Problem {
	status := statusOf(err)
	p := &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: Word(sdk.CodeOf(err)),
		Detail: strings.ReplaceAll(err.Error(), "\n", "; "), Store: store, Op: op, RequestID: requestID}
	if e, ok := errors.AsType[*sdk.Error](err); ok && e.RetryAfter > 0 {
		p.RetryAfter = int(math.Ceil(e.RetryAfter.Seconds()))
	}
	p.Errors = faults(err)
	return p
}

// faults gives the things that are wrong, where err says so of several.
func faults(err error) (all []Fault) {
	if e, ok := errors.AsType[*config.Error](err); ok {
		for _, one := range e.Problems {
			all = append(all, Fault{Message: one.String()})
		}
		return all
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		if _, single := err.(*sdk.Error); single { //nolint:errorlint // of this error itself, not of its causes
			return nil
		}
		for _, one := range joined.Unwrap() {
			all = append(all, Fault{Message: one.Error()})
		}
	}
	return all
}

// writeProblem answers a request of a plain handler.
func writeProblem(w http.ResponseWriter, r *http.Request, err error) {
	op := r.Pattern
	if op == "" {
		op = r.Method + " " + r.URL.Path
	}
	visit := visitOf(r.Context())
	visit.code = sdk.CodeOf(err)
	p := problem(err, op, r.PathValue("store"), visit.id)
	h := w.Header()
	h.Set("Content-Type", p.ContentType(""))
	h.Set("Cache-Control", "no-store")
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // the status has gone out; the caller sees a body that is cut
}

// failed gives an operation's error as huma sends it.
func failed(err error) error {
	p := problem(err, "", "", "")
	if p.RetryAfter > 0 {
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {strconv.Itoa(p.RetryAfter)}})
	}
	return p
}

// asProblem makes every error that huma sends a Problem that knows its request. Of huma's own only places and messages are
// kept: it would repeat what the caller sent, which may be a secret in the wrong place.
func asProblem(ctx huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*Problem)
	if !ok {
		foreign, isError := v.(huma.StatusError)
		if !isError {
			return v, nil
		}
		p = refusal(foreign)
	}
	visit, out := visitOf(ctx.Context()), *p
	visit.code = CodeOf(p.Code)
	out.RequestID, out.Op = visit.id, ctx.Operation().Method+" "+ctx.Operation().Path
	return &out, nil
}

// refusal is huma's own error: a request that is not what the document says.
func refusal(err huma.StatusError) *Problem {
	code, status := sdk.InvalidArgument, err.GetStatus()
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	if status >= http.StatusInternalServerError {
		code = sdk.Internal
	}
	p := &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: Word(code), Detail: http.StatusText(status)}
	m, ok := err.(*huma.ErrorModel)
	if !ok || status >= http.StatusInternalServerError {
		return p
	}
	var all []string
	for _, e := range m.Errors {
		p.Errors = append(p.Errors, Fault{e.Location, e.Message})
		all = append(all, e.Location+": "+e.Message)
	}
	p.Detail = m.Detail
	if len(all) > 0 {
		p.Detail += ": " + strings.Join(all, "; ")
	}
	return p
}
