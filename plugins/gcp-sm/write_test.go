package main

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/grpc/codes"

	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/internal/fake/gcpsm"
	"github.com/keyway-dev/keyway/sdk"
)

// half makes a secret without a version, as a writer leaves it that ends between its two calls.
func half(t *testing.T, srv *gcpsm.Server, id string, age time.Duration) {
	t.Helper()
	automatic := &smpb.Replication{Replication: &smpb.Replication_Automatic_{Automatic: &smpb.Replication_Automatic{}}}
	_, err := srv.CreateSecret(t.Context(), &smpb.CreateSecretRequest{Parent: "projects/acme-prod", SecretId: id, Secret: &smpb.Secret{Replication: automatic}})
	if err != nil {
		t.Fatal(err)
	}
	srv.Age(id, age)
}

func TestASecretWithoutAVersionIsAbsent(t *testing.T) {
	srv, st := newStore(t, nil)
	half(t, srv, "db", time.Hour)
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "db"})
	wantCode(t, "get", err, sdk.NotFound)
	_, err = st.Stat(t.Context(), sdk.StatRequest{Name: "db"})
	wantCode(t, "stat", err, sdk.NotFound)
	_, err = st.Versions(t.Context(), sdk.VersionsRequest{Name: "db", PageSize: 10})
	wantCode(t, "versions", err, sdk.NotFound)
	if _, err := st.Put(t.Context(), sdk.PutRequest{Name: "db", Value: sdk.SensitiveString("x"), If: sdk.IfAbsent()}); err != nil {
		t.Fatalf("put if absent: %v", err)
	}
	wantValue(t, st, "db", "", "x")
	_, err = st.Put(t.Context(), sdk.PutRequest{Name: "db", Value: sdk.SensitiveString("y"), If: sdk.IfAbsent()})
	wantCode(t, "put if absent over it", err, sdk.AlreadyExists)
	half(t, srv, "other", 0)
	put(t, st, "other", "z")
	wantValue(t, st, "other", "", "z")
}

func TestOfManyWhoTakeOverASecretWithoutAVersionOneDoes(t *testing.T) {
	srv, st := newStore(t, nil)
	half(t, srv, "db", time.Hour)
	var won atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			_, err := st.Put(t.Context(), sdk.PutRequest{Name: "db", Value: sdk.SensitiveString("x"), If: sdk.IfAbsent()})
			if err == nil {
				won.Add(1)
				return
			}
			wantCode(t, "put if absent that lost", err, sdk.AlreadyExists)
		})
	}
	all.Wait()
	if n := won.Load(); n != 1 {
		t.Errorf("%d of 8 created the secret, want 1", n)
	}
}

func TestASecretThatAnotherWriterIsAtIsWaitedFor(t *testing.T) {
	srv, st := newStore(t, nil)
	half(t, srv, "db", 0)
	var lists atomic.Int64
	srv.Before(func(method string) {
		if method == "ListSecretVersions" && lists.Add(1) == 3 {
			_, _ = srv.AddSecretVersion(t.Context(), &smpb.AddSecretVersionRequest{Parent: parent + "db", Payload: &smpb.SecretPayload{Data: []byte("theirs")}})
		}
	})
	_, err := st.Put(t.Context(), sdk.PutRequest{Name: "db", Value: sdk.SensitiveString("ours"), If: sdk.IfAbsent()})
	wantCode(t, "put if absent", err, sdk.AlreadyExists)
	wantValue(t, st, "db", "", "theirs")
}

func TestANewSecretHasWhatTheSettingsSay(t *testing.T) {
	europe := "projects/a/locations/europe-west1/keyRings/r/cryptoKeys/k"
	for name, c := range map[string]struct {
		more  set
		check func(*smpb.Secret) bool
	}{
		"replication that Google decides": {nil, func(s *smpb.Secret) bool { return s.GetReplication().GetAutomatic() != nil }},
		"a key": {set{"kms_key": strings.Replace(europe, "europe-west1", "global", 1)}, func(s *smpb.Secret) bool {
			return strings.Contains(s.GetReplication().GetAutomatic().GetCustomerManagedEncryption().GetKmsKeyName(), "/global/")
		}},
		"replicas": {set{"replicas": []set{{"location": "europe-west1", "kms_key": europe}}}, func(s *smpb.Secret) bool {
			r := s.GetReplication().GetUserManaged().GetReplicas()
			return len(r) == 1 && r[0].GetLocation() == "europe-west1" && r[0].GetCustomerManagedEncryption().GetKmsKeyName() == europe
		}},
		"a location": {set{"location": "europe-west1", "kms_key": europe}, func(s *smpb.Secret) bool {
			return s.GetReplication() == nil && s.GetCustomerManagedEncryption().GetKmsKeyName() == europe
		}},
		"labels and annotations": {set{"labels": set{"team": "gw", "env": "prod"}, "annotations": set{"owner": "me"}}, func(s *smpb.Secret) bool {
			return maps.Equal(s.GetLabels(), map[string]string{"team": "call", "env": "prod"}) &&
				maps.Equal(s.GetAnnotations(), map[string]string{"owner": "me", "description": "what it is"})
		}},
	} {
		srv, st := newStore(t, c.more)
		_, err := st.Put(t.Context(), sdk.PutRequest{Name: "db", Value: sdk.SensitiveString("x"), Description: "what it is", Labels: map[string]string{"team": "call"}})
		if err != nil {
			t.Errorf("%s: put: %v", name, err)
			continue
		}
		about, err := srv.GetSecret(t.Context(), &smpb.GetSecretRequest{Name: st.path(secret{id: "db"})})
		if err != nil || !c.check(about) {
			t.Errorf("%s: the secret is %v (%v)", name, about, err)
		}
	}
}

func TestWhatGoogleCannotHoldIsRefusedBeforeAnyCall(t *testing.T) {
	srv, st := newStore(t, nil)
	x := sdk.SensitiveString("x")
	for what, r := range map[string]sdk.PutRequest{
		"a value over 64 KiB":         {Value: sdk.NewSensitive(make([]byte, maxValue+1))},
		"a label in capitals":         {Value: x, Labels: map[string]string{"Team": "a"}},
		"a label's value in capitals": {Value: x, Labels: map[string]string{"team": "A"}},
		"a description too long":      {Value: x, Description: strings.Repeat("d", maxAnnotations)},
	} {
		r.Name = "db"
		_, err := st.Put(t.Context(), r)
		wantCode(t, what, err, sdk.InvalidArgument)
	}
	if n := len(srv.Calls()); n != 0 {
		t.Errorf("%d calls reached the service, want none", n)
	}
	put(t, st, "db", strings.Repeat("v", maxValue))
}

func TestAnErrorOfAPutNeverQuotesTheValue(t *testing.T) {
	srv, st := newStore(t, nil)
	half(t, srv, "db", 0)
	const value = "do-not-quote-me"
	for _, code := range []codes.Code{codes.InvalidArgument, codes.Internal, codes.Unknown, codes.OutOfRange} {
		srv.Faults.Always(fault.Fault{Code: code, Body: "the payload " + value + " is not good"})
		_, err := st.Put(t.Context(), sdk.PutRequest{Name: "db", Value: sdk.SensitiveString(value)})
		if err == nil || strings.Contains(err.Error(), value) {
			t.Errorf("%v: put answered success or an error with the value in it", code)
		}
	}
}

func TestDeleteLeavesNothing(t *testing.T) {
	_, st := newStore(t, nil)
	put(t, st, "db", "x")
	for _, purge := range []bool{true, false} {
		r, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: "db", Purge: purge})
		if err != nil || r.Recoverable {
			t.Errorf("delete with purge %v: recoverable %v (%v), want that it is gone", purge, r.Recoverable, err)
		}
		_, err = st.Get(t.Context(), sdk.GetRequest{Name: "db"})
		wantCode(t, "get", err, sdk.NotFound)
		if v := put(t, st, "db", "y"); v != "1" {
			t.Errorf("the first version after a delete is %q, want 1", v)
		}
	}
}
