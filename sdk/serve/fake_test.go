package serve_test

import (
	"context"
	"testing"

	"google.golang.org/grpc"

	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
	pb "github.com/keyway-dev/keyway/sdk/proto/keyway/plugin/v1"
	"github.com/keyway-dev/keyway/sdk/serve"
)

// fake is a store that does what a test tells it.
type fake struct {
	get   func(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error)
	watch func(ctx context.Context, emit func(sdk.Event) error) error
	close func(ctx context.Context) error
	batch []sdk.GetResult
	meta  sdk.Meta
	page  sdk.ListPage
	put   sdk.PutResult
	crypt []byte
}

func (f *fake) Check(context.Context) (sdk.Report, error) { return sdk.Report{Identity: "fake"}, nil }

func (f *fake) Close(ctx context.Context) error {
	if f.close == nil {
		return nil
	}
	return f.close(ctx)
}

func (f *fake) Get(ctx context.Context, r sdk.GetRequest) (sdk.Secret, error) {
	if f.get == nil {
		return sdk.Secret{Value: sdk.SensitiveString("v")}, nil
	}
	return f.get(ctx, r)
}

func (f *fake) GetBatch(context.Context, sdk.BatchRequest) ([]sdk.GetResult, error) {
	return f.batch, nil
}

func (f *fake) Stat(context.Context, sdk.StatRequest) (sdk.Meta, error) { return f.meta, nil }

func (f *fake) List(context.Context, sdk.ListRequest) (sdk.ListPage, error) { return f.page, nil }

func (f *fake) Put(context.Context, sdk.PutRequest) (sdk.PutResult, error) { return f.put, nil }

func (f *fake) Delete(context.Context, sdk.DeleteRequest) (sdk.DeleteResult, error) {
	return sdk.DeleteResult{}, nil
}

func (f *fake) Encrypt(context.Context, sdk.EncryptRequest) (sdk.EncryptResult, error) {
	return sdk.EncryptResult{Ciphertext: f.crypt}, nil
}

func (f *fake) Decrypt(context.Context, sdk.DecryptRequest) (sdk.DecryptResult, error) {
	return sdk.DecryptResult{Plaintext: sdk.NewSensitive(f.crypt)}, nil
}

func (f *fake) Watch(ctx context.Context, emit func(sdk.Event) error) error {
	if f.watch == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	return f.watch(ctx, emit)
}

type fakeSettings struct {
	Fail string `json:"fail" enum:"panic,error"`
	X    int    `json:"x"`
}

// serveFake serves stores that f makes, one for each opening.
func serveFake(t *testing.T, make func(env sdk.Env) *fake) grpc.ClientConnInterface {
	t.Helper()
	conn, stop := serve.Pipe(sdk.Define(sdk.About{Name: "fake", Version: "1.0.0"},
		func(_ context.Context, env sdk.Env, s fakeSettings) (*fake, error) {
			switch s.Fail {
			case "panic":
				panic("canary in open")
			case "error":
				return nil, sdk.Errorf(sdk.PermissionDenied, "open: refused")
			}
			return make(env), nil
		}))
	t.Cleanup(stop)
	return conn
}

// openFake opens one store that is f, and gives the raw client beside it, which sends what no host would.
func openFake(t *testing.T, f *fake) (*dial.Store, pb.PluginClient) {
	t.Helper()
	conn := serveFake(t, func(sdk.Env) *fake { return f })
	s, err := dial.New(conn).Open(t.Context(), "main~1", nil)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s, pb.NewPluginClient(conn)
}
