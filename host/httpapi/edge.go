package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/sdk"
)

const (
	maxBody      = 1 << 20 // bytes of a request
	bodyTimeout  = 10 * time.Second
	maxRequestID = 128 // bytes of one that the caller gives
)

// edge is what every request passes first: it has an id, its body is bounded in size and time, and whatever the answer is,
// an error of it is a Problem.
type edge struct {
	mux    *http.ServeMux
	log    *slog.Logger
	record func(context.Context, audit.Line)
}

// visit is one request on its way through.
type visit struct {
	id   string
	code sdk.Code // of its problem
	told bool     // the audit has its lines already
}

type visitKey struct{}

// visitOf gives the request that ctx belongs to.
func visitOf(ctx context.Context) *visit {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		return v
	}
	return &visit{}
}

func (e *edge) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	id := r.Header.Get("X-Request-Id")
	if !wellFormed(id) {
		id = rand.Text()
	}
	rw.Header().Set("X-Request-Id", id)
	ctx := context.WithValue(r.Context(), visitKey{}, &visit{id: id})
	r = r.WithContext(audit.WithOrigin(ctx, originOf(r, id)))
	w := &answer{ResponseWriter: rw}
	defer e.finish(w, r, begin)
	if err := readBody(w, r); err != nil {
		writeProblem(w, r, err)
		return
	}
	if _, pattern := e.mux.Handler(r); pattern == "" {
		e.unmatched(w, r)
		return
	}
	e.mux.ServeHTTP(w, r)
}

// wellFormed reports an id that may stand in a log and a header.
func wellFormed(id string) bool {
	const good = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_.:"
	return id != "" && len(id) <= maxRequestID && strings.Trim(id, good) == ""
}

// readBody reads the whole body ahead of the handler, within bounds. The deadline is taken back: net/http would end the
// request's context with it.
func readBody(w http.ResponseWriter, r *http.Request) error {
	if r.Body == nil || r.Body == http.NoBody {
		return nil
	}
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(bodyTimeout)) // where the listener cannot, there is none
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	_ = rc.SetReadDeadline(time.Time{})
	r.Body = io.NopCloser(bytes.NewReader(body))
	var over *http.MaxBytesError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &over):
		return &statusError{http.StatusRequestEntityTooLarge, sdk.Errorf(sdk.InvalidArgument, "the body is over the limit of %d bytes", maxBody)}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &statusError{http.StatusRequestTimeout, sdk.Errorf(sdk.DeadlineExceeded, "the body did not arrive within %v", bodyTimeout)}
	}
	return sdk.Errorf(sdk.InvalidArgument, "the body cannot be read: %v", err)
}

// unmatched answers a path or a method that there is not.
func (e *edge) unmatched(w http.ResponseWriter, r *http.Request) {
	m := &mute{header: http.Header{}}
	e.mux.ServeHTTP(m, r)
	if m.status != http.StatusMethodNotAllowed {
		writeProblem(w, r, &statusError{http.StatusNotFound, sdk.Errorf(sdk.Unimplemented, "%s: there is no such path; GET /openapi.json lists them", r.URL.Path)})
		return
	}
	allow := m.header.Get("Allow")
	w.Header().Set("Allow", allow)
	writeProblem(w, r, &statusError{m.status, sdk.Errorf(sdk.Unimplemented, "%s takes %s, not %s", r.URL.Path, allow, r.Method)})
}

// mute takes an answer for its status and headers alone.
type mute struct {
	header http.Header
	status int
}

func (m *mute) Header() http.Header         { return m.header }
func (m *mute) Write(b []byte) (int, error) { return len(b), nil }
func (m *mute) WriteHeader(status int)      { m.status = status }

// answer remembers the status for the log.
type answer struct {
	http.ResponseWriter
	status int
}

// Unwrap is for http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader makes huma's 422, for which the table of codes has no place, a 400.
func (a *answer) WriteHeader(status int) {
	if status == http.StatusUnprocessableEntity {
		status = http.StatusBadRequest
	}
	if a.status == 0 {
		a.status = status
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(b []byte) (int, error) {
	if a.status == 0 {
		a.status = http.StatusOK
	}
	return a.ResponseWriter.Write(b)
}

// finish logs the request, and tells the audit of it where the host did not. A panic is logged by its kind, since its text may be anything, and ends the connection.
func (e *edge) finish(w *answer, r *http.Request, begin time.Time) {
	p := recover()
	if v := visitOf(r.Context()); !v.told && strings.HasPrefix(r.URL.Path, "/v1/") {
		e.record(r.Context(), requested(r, v.code, p, begin))
	}
	if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // a panic's value, as net/http compares it
		e.log.Error("request panicked", "op", r.Method+" "+r.URL.Path, "request_id", visitOf(r.Context()).id, "panic", fmt.Sprintf("%T", p),
			"stack", string(debug.Stack()))
	}
	if p != nil {
		panic(http.ErrAbortHandler)
	}
	level := slog.LevelDebug
	if r.Method == http.MethodPost && r.URL.Path != resolvePath {
		level = slog.LevelInfo
	}
	e.log.Log(r.Context(), level, "request", "op", r.Method+" "+r.URL.Path, "status", w.status, "took", time.Since(begin),
		"request_id", visitOf(r.Context()).id)
}
