//go:build e2e && unix

package awssm_test

import (
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"testing"

	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/e2e/recordings"
	"github.com/keyway-dev/keyway/sdk"
	"github.com/keyway-dev/keyway/sdk/dial"
)

// object reads a JSON object.
func object(t *testing.T, raw []byte) set {
	t.Helper()
	m := set{}
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Errorf("not a JSON object: %v", err)
	}
	return m
}

func TestRecordedAnswersOfTheRealServiceAreRead(t *testing.T) {
	p := startPlugin(t)
	recordings.HTTP(t, "gocloud.dev", "runtimevar/awssecretsmanager/testdata", 18, func(t *testing.T, all []recordings.HTTPExchange) {
		r := recordings.NewHTTPReplay(t, all, func(got, want []byte) bool { return same(t, got, want) })
		server := httptest.NewServer(r)
		defer server.Close()
		st := reopen(t, p, &moto.Server{URL: server.URL, Key: moto.Key{ID: "AKIAIOSFODNN7EXAMPLE", Secret: "k"}}, set{"region": "us-east-2"})
		for e, ok := r.Next(); ok && !t.Failed(); e, ok = r.Next() {
			repeat(t, st, e)
		}
	})
}

// same reports whether two requests ask the same: we name the stage, and a text goes as one.
func same(t *testing.T, got, want []byte) bool {
	a, b := object(t, got), object(t, want)
	for _, k := range []string{"VersionStage", "SecretString", "SecretBinary"} {
		delete(a, k)
		delete(b, k)
	}
	return reflect.DeepEqual(a, b)
}

// repeat makes the call of ours that leads to a recorded exchange.
func repeat(t *testing.T, st *dial.Store, e recordings.HTTPExchange) {
	t.Helper()
	asked, answered := object(t, e.Asked()), object(t, e.Response.Body)
	name, _ := asked["SecretId"].(string)
	var version string
	var err error
	switch e.Action() {
	case "GetSecretValue":
		var s sdk.Secret
		s, err = st.Get(t.Context(), sdk.GetRequest{Name: name})
		if version = s.Version; err == nil && (s.Created.IsZero() || !s.Value.Equal(valueOf(t, e.Response.Body))) {
			t.Error("get: another value or time than the one that was recorded")
		}
	case "CreateSecret":
		name, _ = asked["Name"].(string)
		version = repeatPut(t, st, e, sdk.PutRequest{Name: name, If: sdk.IfAbsent()})
	case "PutSecretValue":
		version = repeatPut(t, st, e, sdk.PutRequest{Name: name})
	case "DescribeSecret":
		var m sdk.Meta
		m, err = st.Stat(t.Context(), sdk.StatRequest{Name: name})
		if err == nil && (m.Version == "" || m.Created.IsZero() || m.Updated.IsZero()) {
			t.Error("stat: a version or time is missing")
		}
	case "DeleteSecret": // and the looks until the secret is gone
		_, err = st.Delete(t.Context(), sdk.DeleteRequest{Name: name, Purge: true})
	default:
		t.Fatalf("no call of ours leads to %s", e.Action())
	}
	if want := answered["VersionId"]; err == nil && want != nil && version != want {
		t.Errorf("%s: version %q, want %q", e.Action(), version, want)
	}
	want := sdk.OK
	if answered["__type"] == "ResourceNotFoundException" {
		want = sdk.NotFound
	}
	wantCode(t, e.Action(), err, want)
}

func repeatPut(t *testing.T, st *dial.Store, e recordings.HTTPExchange, r sdk.PutRequest) string {
	t.Helper()
	r.IdempotencyKey, _ = object(t, e.Asked())["ClientRequestToken"].(string)
	r.Value = valueOf(t, e.Asked())
	out, err := st.Put(t.Context(), r)
	if err != nil {
		t.Errorf("put: %v", err)
	}
	return out.Version
}

func valueOf(t *testing.T, raw []byte) sdk.Sensitive {
	t.Helper()
	var v struct {
		SecretString string
		SecretBinary []byte
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Errorf("a recorded value: %v", err)
	}
	return sdk.NewSensitive(append(v.SecretBinary, v.SecretString...))
}
