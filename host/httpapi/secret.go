package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/negotiation"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/audit"
	"github.com/keyway-dev/keyway/host/refs"
	"github.com/keyway-dev/keyway/sdk"
)

// Secret is one value as it was read.
type Secret struct {
	Store       string     `json:"store,omitempty"`
	Name        string     `json:"name,omitempty"`
	Version     string     `json:"version,omitempty"`
	Value       *string    `json:"value,omitempty" doc:"the value, where it is text in UTF-8"`
	ValueBase64 []byte     `json:"value_base64,omitempty" doc:"the value, where it is none"`
	ReadAt      time.Time  `json:"read_at" doc:"when the store gave it"`
	Expires     *time.Time `json:"expires,omitempty" doc:"end of its lease"`
	Stale       bool       `json:"stale,omitempty" doc:"served past its time, because the store could not be asked"`
}

func secretOf(v *host.Value) *Secret {
	s := &Secret{Store: v.Store, Name: v.Name, Version: v.Version, ReadAt: v.ReadAt.UTC(), Stale: v.Stale}
	if !v.Expires.IsZero() {
		t := v.Expires.UTC()
		s.Expires = &t
	}
	if b := v.Reveal(); utf8.Valid(b) {
		text := string(b)
		s.Value = &text
	} else {
		s.ValueBase64 = b
	}
	return s
}

const (
	plainJSON  = "application/json"
	plainBytes = "application/octet-stream"
	secretPath = "/v1/stores/{store}/secret"

	resolvePath = "/v1/resolve"
)

// secrets serves the reads.
func (a *api) secrets(mux *http.ServeMux, doc huma.API) {
	mux.HandleFunc("GET "+secretPath, a.getSecret)
	doc.OpenAPI().AddOperation(secretOperation(doc.OpenAPI().Components.Schemas))
	huma.Register(doc, operation("resolve", http.MethodPost, resolvePath, "Resolve references"), a.resolve)
}

// secretOperation describes the plain handler in the document.
func secretOperation(schemas huma.Registry) *huma.Operation {
	op := operation("getSecret", http.MethodGet, secretPath, "Read a secret")
	text := &huma.Schema{Type: huma.TypeString}
	op.Parameters = []*huma.Param{
		{Name: "store", In: "path", Required: true, Schema: text},
		{Name: "name", In: "query", Required: true, Schema: text, Description: "name of the secret; slashes as they are"},
		{Name: "version", In: "query", Schema: text, Description: "default: the current one"},
		{Name: "pointer", In: "query", Schema: text, Description: "JSON pointer to the member that is meant"},
		{Name: "If-None-Match", In: "header", Schema: text, Description: "an ETag, for which the answer is 304 without the value"},
	}
	header := func(about string) *huma.Param { return &huma.Param{Schema: text, Description: about} }
	op.Responses = map[string]*huma.Response{
		"200": {Description: "The value", Headers: map[string]*huma.Param{
			"ETag": header("the version, in quotes"), "Age": header("seconds since the store gave it"),
			"Keyway-Stale": header("1 where it is served past its time")},
			Content: map[string]*huma.MediaType{plainBytes: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
				plainJSON: {Schema: schemas.Schema(reflect.TypeFor[Secret](), true, "Secret")}}},
		"304": {Description: "The caller has this version"},
		"default": {Description: "Error", Content: map[string]*huma.MediaType{
			"application/problem+json": {Schema: schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")}}},
	}
	return &op
}

// getSecret is the read that gateways make for every request of theirs, so it is a plain handler.
func (a *api) getSecret(w http.ResponseWriter, r *http.Request) {
	ref, err := askedFor(r)
	if err == nil {
		err = permitted(ref)
	}
	visitOf(r.Context()).told = true
	var v *host.Value
	if err == nil {
		v, err = a.host.Resolve(r.Context(), ref.String())
	} else {
		a.refused(r.Context(), ref, err)
	}
	if err != nil {
		writeProblem(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Age", strconv.FormatInt(int64(max(0, time.Since(v.ReadAt))/time.Second), 10))
	if v.Stale {
		h.Set("Keyway-Stale", "1")
	}
	if tag := etag(v.Version); tag != "" {
		h.Set("ETag", tag)
		if matches(r.Header.Get("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if negotiation.SelectQValueFast(r.Header.Get("Accept"), []string{plainJSON, plainBytes}) == plainBytes {
		h.Set("Content-Type", plainBytes)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Length", strconv.Itoa(v.Len()))
		_, _ = w.Write(v.Reveal()) // a caller that has left needs no answer
		return
	}
	h.Set("Content-Type", plainJSON)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(secretOf(v))
}

// askedFor makes the reference that a request's path and query mean.
func askedFor(r *http.Request) (refs.Ref, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return refs.Ref{}, sdk.Errorf(sdk.InvalidArgument, "the query is malformed: %v", err)
	}
	ref := refs.Ref{Kind: refs.Secret, Store: r.PathValue("store")}
	for key, values := range query {
		if len(values) != 1 {
			return ref, sdk.Errorf(sdk.InvalidArgument, "the query has %q %d times", key, len(values))
		}
		switch key {
		case "name":
			ref.Name = values[0]
		case "version":
			ref.Version = values[0]
		case "pointer":
			ref.Pointer = values[0]
		default:
			return ref, sdk.Errorf(sdk.InvalidArgument, "the query has no key %q; it takes name, version and pointer", key)
		}
	}
	if ref.Name == "" {
		return ref, sdk.Errorf(sdk.InvalidArgument, "the query lacks the name of the secret, ?name=")
	}
	parsed, err := refs.Parse(ref.String())
	if err != nil {
		return ref, err
	}
	if parsed != ref {
		return ref, sdk.Errorf(sdk.InvalidArgument, "store %q: it is no name of a store", ref.Store)
	}
	return parsed, nil
}

// etag gives the entity tag of a version. What a tag cannot hold is percent-encoded.
func etag(version string) string {
	if version == "" {
		return ""
	}
	if strings.ContainsFunc(version, func(c rune) bool { return c <= ' ' || c == '"' || c >= 0x7f }) {
		version = url.QueryEscape(version)
	}
	return `"` + version + `"`
}

// matches reports whether the list of an If-None-Match has the tag.
func matches(list, tag string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
			return true
		}
	}
	return false
}

// permitted refuses the host's own sources.
func permitted(r refs.Ref) error {
	if r.Kind == refs.OIDC || r.Kind == refs.Secret && refs.IsSource(r.Store) {
		return notServed(r.String())
	}
	return nil
}

// refused tells the audit of a read that was refused before the host could tell.
func (a *api) refused(ctx context.Context, ref refs.Ref, err error) {
	a.host.Record(ctx, audit.Line{Event: audit.Request, Op: "get", Store: ref.Store, Name: ref.Name, Version: ref.Version,
		Code: sdk.CodeOf(err).String()})
}

func notServed(ref string) error {
	return &statusError{http.StatusForbidden, sdk.Errorf(sdk.PermissionDenied, "%s: the host's own environment, files, credentials and tokens are not served; put the secret into a store", ref)}
}

// Resolution is what /v1/resolve answers.
type Resolution struct {
	Items []Item `json:"items" doc:"an answer for each reference, in the order asked for"`
}

// Item is the answer to one reference: its value or a problem.
type Item struct {
	Ref     string   `json:"ref"`
	Secret  *Secret  `json:"secret,omitempty"`
	Problem *Problem `json:"problem,omitempty"`
}

type resolveInput struct {
	Body struct {
		Refs   []string `json:"refs" minItems:"1" maxItems:"1000" doc:"references: secret://, decrypt://, os.environ/"`
		Strict bool     `json:"strict,omitempty" doc:"one problem makes the whole answer a problem"`
	}
}

type resolveOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         Resolution
}

func (a *api) resolve(ctx context.Context, in *resolveInput) (*resolveOutput, error) {
	out := &resolveOutput{CacheControl: "no-store", Body: Resolution{Items: make([]Item, len(in.Body.Refs))}}
	visitOf(ctx).told = true
	var problems []error
	stores := make([]string, len(in.Body.Refs))
	fail := func(i int, err error) {
		out.Body.Items[i].Problem = problem(err, "", stores[i], "")
		problems = append(problems, err)
	}
	var places []int
	var wanted []string
	for i, text := range in.Body.Refs {
		out.Body.Items[i].Ref = text
		ref, err := refs.Parse(text)
		if err == nil {
			stores[i] = ref.Store
			err = permitted(ref)
		}
		if err != nil {
			a.refused(ctx, ref, err)
			fail(i, err)
			continue
		}
		places, wanted = append(places, i), append(wanted, text)
	}
	if in.Body.Strict && len(problems) > 0 {
		return nil, failed(errors.Join(problems...))
	}
	for i, got := range a.host.ResolveEach(ctx, wanted...) {
		err := got.Err
		if err == nil && refs.IsSource(got.Value.Store) { // os.environ/NAME that no store answers
			err = notServed(got.Reference)
			a.refused(ctx, refs.Ref{Store: got.Value.Store, Name: got.Value.Name}, err)
		}
		if err != nil {
			fail(places[i], err)
			continue
		}
		out.Body.Items[places[i]].Secret = secretOf(got.Value)
	}
	if in.Body.Strict && len(problems) > 0 {
		return nil, failed(errors.Join(problems...))
	}
	return out, nil
}
