//go:build e2e && unix

package vault_test

import (
	"context"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/e2e/openbao"
	"github.com/keyway-dev/keyway/sdk"
)

func TestAServerThatIsSealedHangsOrIsGoneIsUnavailable(t *testing.T) {
	own := openbao.Start(t)
	own.MountKV(t, "secret", 2)
	st := openStore(t, own, set{"auth": rootAuth(own)})
	put(t, st, "x", `{"a":"b"}`)

	own.Seal(t)
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get from a sealed server", err, sdk.Unavailable)
	_, err = st.Check(t.Context())
	wantCode(t, "check of a sealed server", err, sdk.Unavailable)
	own.Unseal(t)
	wantValue(t, st, `{"a":"b"}`)

	own.Pause(t)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = st.Get(ctx, sdk.GetRequest{Name: "x"})
	wantCode(t, "get from a server that hangs", err, sdk.DeadlineExceeded)
	own.Resume(t)
	wantValue(t, st, `{"a":"b"}`)

	own.Stop()
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "get from a server that is gone", err, sdk.Unavailable)
}

func TestWrongMountsAndEnginesAreNotTakenForMissingSecrets(t *testing.T) {
	v2 := srv.KV(t, 2)
	p := startPlugin(t)
	_, err := reopen(t, p, srv, set{"mount": "nowhere", "auth": rootAuth(srv)}).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "a mount that does not exist", err, sdk.FailedPrecondition)
	_, err = reopen(t, p, srv, set{"mount": v2, "kv_version": 1, "auth": rootAuth(srv)}).Get(t.Context(), sdk.GetRequest{Name: "x"})
	wantCode(t, "an engine of another version", err, sdk.FailedPrecondition)
}

func TestAReadOnlyPolicyReadsAndDoesNotWrite(t *testing.T) {
	mount := srv.KV(t, 2)
	srv.Write(t, mount+"/data/x", set{"data": set{"key": "v"}})
	token := srv.NewToken(t, `path "`+mount+`/data/*" { capabilities = ["read"] }`)
	st := openStore(t, srv, set{"mount": mount, "field": "key", "auth": tokenAuth(token)})
	wantValue(t, st, "v")
	for _, r := range []sdk.PutRequest{{Name: "x"}, {Name: "new", If: sdk.IfAbsent()}, {Name: "x", If: sdk.IfVersion("1")}} {
		r.Value = sdk.SensitiveString("w")
		_, err := st.Put(t.Context(), r)
		wantCode(t, "put with a token that may only read", err, sdk.PermissionDenied)
	}
	_, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "x"})
	wantCode(t, "delete with a token that may only read", err, sdk.PermissionDenied)
	_, err = st.List(t.Context(), sdk.ListRequest{PageSize: 10})
	wantCode(t, "list with a token that may only read", err, sdk.PermissionDenied)
	wantValue(t, st, "v")
}
