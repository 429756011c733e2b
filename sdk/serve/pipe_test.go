package serve_test

import (
	"testing"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	"github.com/keyway-dev/keyway/sdk/example"
	"github.com/keyway-dev/keyway/sdk/serve"
)

func TestAPutIsReadBackOverThePipe(t *testing.T) {
	conn, stop := serve.Pipe(example.Plugin())
	t.Cleanup(stop)
	p := dial.New(conn)
	m, err := p.Describe(t.Context())
	if err != nil || m.Name != "example" {
		t.Fatalf("Describe: %+v, %v", m, err)
	}
	s, err := p.Open(t.Context(), "main~1", nil)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	want := sdk.SensitiveString("v1")
	if _, err := s.Put(t.Context(), sdk.PutRequest{Name: "a/b", Value: want}); err != nil {
		t.Fatalf("Put: %v", err)
	}
	got, err := s.Get(t.Context(), sdk.GetRequest{Name: "a/b"})
	if err != nil || !got.Value.Equal(want) {
		t.Fatalf("Get after Put: %d bytes, %v; want the %d bytes that were put", got.Value.Len(), err, want.Len())
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatalf("Close: %v", err)
	}
	if _, err := s.Get(t.Context(), sdk.GetRequest{Name: "a/b"}); !dial.IsUnknownStore(err) {
		t.Errorf("Get after Close: %v, want an unknown store", err)
	}
}
