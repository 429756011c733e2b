package fault

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"
)

// malformed begins like JSON, so that only a reader of the whole notices.
const malformed = `{"value": "cut off here`

// Handler lets requests meet their faults on the way to next.
func (i *Injector) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, ok := i.Take()
		if !ok {
			next.ServeHTTP(w, r)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), contextKey{}, f))
		if !wait(r.Context(), f.Latency) {
			panic(http.ErrAbortHandler)
		}
		f.serve(w, r, next)
	})
}

func (f Fault) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if f.Status != 0 {
		f.refuse(w)
		return
	}
	if !f.Cut && !f.Malformed && f.Slow <= 0 {
		next.ServeHTTP(w, r)
		return
	}
	a := answer{header: http.Header{}, status: http.StatusOK}
	next.ServeHTTP(&a, r)
	for k, v := range a.header {
		w.Header()[k] = v
	}
	body := a.body.Bytes()
	if f.Malformed && !f.Cut {
		body = []byte(malformed)
	}
	if n := len(body); n > 0 || f.Cut {
		w.Header().Set("Content-Length", strconv.Itoa(max(n, 1))) // where nothing was to come, its end can still be missed
	}
	w.WriteHeader(a.status)
	switch {
	case f.Cut:
		f.cut(w, body)
	case f.Malformed:
		_, _ = w.Write(body)
	default:
		f.trickle(r.Context(), w, body)
	}
}

func (f Fault) refuse(w http.ResponseWriter) {
	if f.RetryAfter > 0 {
		seconds := (f.RetryAfter + time.Second - 1) / time.Second
		w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
	}
	if f.Body != "" {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(f.Status)
	_, _ = w.Write([]byte(f.Body))
}

// cut sends half of the body, so that the caller has the headers, and ends the connection.
func (f Fault) cut(w http.ResponseWriter, body []byte) {
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

func (f Fault) trickle(ctx context.Context, w http.ResponseWriter, body []byte) {
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	pause := f.Slow / time.Duration(max(len(body), 1))
	for n := range body {
		if !wait(ctx, pause) {
			panic(http.ErrAbortHandler)
		}
		_, _ = w.Write(body[n : n+1])
		_ = flush.Flush()
	}
}

// answer keeps what a handler answers.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }
