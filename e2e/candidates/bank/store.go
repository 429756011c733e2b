package main

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/keyway-dev/keyway/sdk"
)

// reader is a store that only reads.
type reader struct {
	client *client
	fault  fault // nil: none
}

func newReader(env sdk.Env, s settings, f fault) *reader { return &reader{newClient(env, s), f} }

// Check logs in.
func (s *reader) Check(ctx context.Context) (sdk.Report, error) {
	if _, err := s.client.call(ctx, "check", http.MethodHead, "", nil); err != nil {
		return sdk.Report{}, err
	}
	return sdk.Report{Identity: "customer"}, nil
}

// Close ends the session.
func (s *reader) Close(ctx context.Context) error {
	s.client.close(ctx)
	return nil
}

// Get reads, or does what the candidate's kind says.
func (s *reader) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	if s.fault != nil {
		return s.fault(ctx, s, r.Name)
	}
	return s.read(ctx, r.Name)
}

// read is the honest Get.
func (s *reader) read(ctx context.Context, name string) (sdk.Secret, error) {
	out, err := s.client.call(ctx, "get", http.MethodGet, name, nil)
	if err != nil {
		return sdk.Secret{}, err
	}
	return sdk.Secret{Value: sdk.NewSensitive(out.body), Version: out.version}, nil
}

// List gives the names, on one page.
func (s *reader) List(ctx context.Context, r sdk.ListRequest) (sdk.ListPage, error) {
	out, err := s.client.call(ctx, "list", "LIST", r.Prefix, nil)
	if err != nil {
		return sdk.ListPage{}, err
	}
	var names []string
	if err := json.Unmarshal(out.body, &names); err != nil {
		return sdk.ListPage{}, sdk.Errorf(sdk.Internal, "list %q: the bank's answer: %w", r.Prefix, err)
	}
	var page sdk.ListPage
	for _, name := range names[:min(len(names), r.PageSize)] {
		page.Items = append(page.Items, sdk.Meta{Name: name})
	}
	return page, nil
}

// account is a store that also writes.
type account struct{ *reader }

// Put writes. The bank takes a repeated idempotency key for the same write.
func (s *account) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	absent := ""
	if r.If.Absent() {
		absent = "*"
	}
	out, err := s.client.call(ctx, "put", http.MethodPut, r.Name, r.Value.Reveal(),
		"If-None-Match", absent, "If-Match", r.If.Version(), "Idempotency-Key", r.IdempotencyKey)
	return sdk.PutResult{Version: out.version}, err
}

// Delete removes for good.
func (s *account) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	_, err := s.client.call(ctx, "delete", http.MethodDelete, r.Name, nil)
	return sdk.DeleteResult{}, err
}
