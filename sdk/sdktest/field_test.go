package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// fields is a store of one field of JSON documents. A careless one writes and deletes whole documents. It is good for one
// caller at a time.
type fields struct {
	sdk.Store
	documents *good
	field     string
	careless  bool
}

func (s *fields) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	doc, err := s.document(ctx, r.Name)
	if err != nil {
		return sdk.Secret{}, err
	}
	v, ok := doc[s.field]
	if !ok {
		return sdk.Secret{}, sdk.Errorf(sdk.NotFound, "get %q: no field %q", r.Name, s.field)
	}
	return sdk.Secret{Value: sdk.NewSensitive(v)}, nil
}

func (s *fields) Put(ctx context.Context, r sdk.PutRequest) (sdk.PutResult, error) {
	doc, err := s.document(ctx, r.Name)
	if s.careless || errors.Is(err, sdk.NotFound) {
		doc, err = map[string][]byte{}, nil
	}
	if err != nil {
		return sdk.PutResult{}, err
	}
	doc[s.field] = r.Value.Reveal()
	return sdk.PutResult{}, s.write(ctx, r.Name, doc)
}

func (s *fields) Delete(ctx context.Context, r sdk.DeleteRequest) (sdk.DeleteResult, error) {
	doc, err := s.document(ctx, r.Name)
	if err != nil {
		return sdk.DeleteResult{}, err
	}
	delete(doc, s.field)
	if s.careless || len(doc) == 0 {
		_, err := s.documents.Delete(ctx, sdk.DeleteRequest{Name: r.Name, Purge: true})
		return sdk.DeleteResult{}, err
	}
	return sdk.DeleteResult{}, s.write(ctx, r.Name, doc)
}

func (s *fields) document(ctx context.Context, name string) (map[string][]byte, error) {
	v, err := s.documents.Get(ctx, sdk.GetRequest{Name: name})
	if err != nil {
		return nil, err
	}
	var doc map[string][]byte
	if json.Unmarshal(v.Value.Reveal(), &doc) != nil {
		return nil, sdk.Errorf(sdk.FailedPrecondition, "get %q: not a document", name)
	}
	return doc, nil
}

func (s *fields) write(ctx context.Context, name string, doc map[string][]byte) error {
	raw, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	_, err = s.documents.Put(ctx, sdk.PutRequest{Name: name, Value: sdk.NewSensitive(raw)})
	return err
}

// fieldTarget opens two fields of the same documents, one as the target and one as its sibling.
func fieldTarget(t *testing.T, careless bool) *Target {
	t.Helper()
	names := []string{"a", "b"}
	target := piped(t, provider(func(g *good, _ opening) *fields {
		f := &fields{Store: g, documents: g, field: names[0], careless: careless}
		names = []string{"b"}
		return f
	}))
	plugin := target.Plugin
	target.Plugin, target.Settings, target.SettingsAt = nil, nil, nil
	target.Sibling = func(ctx context.Context) (*dial.Store, error) { return plugin.Open(ctx, handle(), []byte(`{}`)) }
	return target
}

func TestFieldStoreKeepsEveryPromise(t *testing.T) {
	target := fieldTarget(t, false)
	got := outcome(Verify(t.Context(), target))
	if len(got[Failed]) > 0 {
		t.Errorf("failed: %q", got[Failed])
	}
	if !slices.Contains(got[Passed], "delete/field-siblings") {
		t.Errorf("passed %q, want delete/field-siblings among them", got[Passed])
	}
}

func TestCarelessFieldStoreTakesSiblings(t *testing.T) {
	got := outcome(Verify(t.Context(), fieldTarget(t, true)))
	for _, want := range []string{"put/field-siblings", "delete/field-siblings"} {
		if !slices.Contains(got[Failed], want) {
			t.Errorf("failed %q, want %s among them", got[Failed], want)
		}
	}
}
