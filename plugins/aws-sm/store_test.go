package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/internal/fake/awssm"
	"github.com/keyway-dev/keyway/internal/fake/fault"
	"github.com/keyway-dev/keyway/sdk"
)

func text(s string) sdk.Sensitive { return sdk.SensitiveString(s) }

func TestWhatAWSRefusesIsNeverSent(t *testing.T) {
	srv := awssm.Start(t)
	st := opened(t, srv.URL, set{"prefix": "gateway/"})
	for _, name := range []string{"a b", "a:b", "ä", "a!", strings.Repeat("n", 505), "arn:aws:secretsmanager:us-east-1:123456789012:secret:a-AbCdEf",
		"arn:aws:s3:::bucket", "arn:aws:secretsmanager:eu-west-1:123456789012:policy"} {
		_, err := st.Get(t.Context(), sdk.GetRequest{Name: name})
		wantCode(t, "get "+name, err, sdk.InvalidArgument)
	}
	for what, r := range map[string]sdk.PutRequest{
		"value over 65536 bytes": {Value: text(strings.Repeat("v", 65537))},
		"long description":       {Value: text("v"), Description: strings.Repeat("d", 2049)},
		"tag of AWS's own":       {Value: text("v"), Labels: map[string]string{"aws:a": "b"}},
		"tag with a tab":         {Value: text("v"), Labels: map[string]string{"a": "b\tc"}},
		"empty version":          {Value: text("v"), If: sdk.IfVersion("")},
	} {
		r.Name = "a"
		_, err := st.Put(t.Context(), r)
		wantCode(t, "put with a "+what, err, sdk.InvalidArgument)
	}
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "a", Version: strings.Repeat("v", 257)})
	wantCode(t, "get of a long version", err, sdk.InvalidArgument)
	_, err = st.Delete(t.Context(), sdk.DeleteRequest{Name: "a", RecoveryWindow: 31 * 24 * time.Hour})
	wantCode(t, "delete with a long window", err, sdk.InvalidArgument)
	for _, action := range []string{"GetSecretValue", "PutSecretValue", "CreateSecret", "DescribeSecret", "DeleteSecret"} {
		if n := srv.Calls(action); n > 0 {
			t.Errorf("%s was asked for %d times", action, n)
		}
	}
}

func TestTextAndBytesComeBackAndTheLargestValueFits(t *testing.T) {
	st := opened(t, awssm.Start(t).URL, nil)
	for name, v := range map[string]string{"text": "a\nß\x00", "bytes": "\xff\x00a", "largest": strings.Repeat("v", 65536), "largest-bytes": strings.Repeat("\xff", 65536)} {
		put(t, st, sdk.PutRequest{Name: name, Value: text(v)})
		wantValue(t, st, name, v)
	}
}

func TestStagesAndARNsAreRead(t *testing.T) {
	srv := awssm.Start(t)
	st := opened(t, srv.URL, nil)
	first := put(t, st, sdk.PutRequest{Name: "a", Value: text("1")})
	put(t, st, sdk.PutRequest{Name: "a", Value: text("2")})
	s, err := st.Get(t.Context(), sdk.GetRequest{Name: "a", Version: "AWSPREVIOUS"})
	if err != nil || s.Version != first {
		t.Errorf("the stage AWSPREVIOUS: version %q, %v; want the id %q", s.Version, err, first)
	}
	arn := "arn:aws:secretsmanager:eu-west-1:" + awssm.Account + ":secret:a"
	other := opened(t, srv.URL, set{"prefix": "elsewhere/"})
	wantValue(t, other, arn, "2")
	wantValue(t, other, arn+"-AbCdEf", "2")
	_, err = st.Put(t.Context(), sdk.PutRequest{Name: arn + "x", Value: text("v")})
	wantCode(t, "put of an ARN that does not exist", err, sdk.NotFound)
	r, err := other.GetBatch(t.Context(), sdk.BatchRequest{Names: []string{"none", arn + "-AbCdEf", "a b"}})
	if err != nil || r[1].Err != nil || !r[1].Secret.Value.Equal(text("2")) {
		t.Fatalf("batch with an ARN: %v, %+v", err, r)
	}
	wantCode(t, "a missing name of a batch", r[0].Err, sdk.NotFound)
	wantCode(t, "a malformed name of a batch", r[2].Err, sdk.InvalidArgument)
}

// many puts n secrets.
func many(t *testing.T, st *store, n int) []string {
	t.Helper()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("k/%02d", i))
		put(t, st, sdk.PutRequest{Name: names[i], Value: text(names[i])})
	}
	return names
}

func TestABatchAsksForTwentyAtATimeAndNeverOneByOne(t *testing.T) {
	srv := awssm.Start(t)
	st := opened(t, srv.URL, nil)
	names := many(t, st, 45)
	r, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: names})
	if err != nil || srv.Calls("BatchGetSecretValue") != 3 || srv.Calls("GetSecretValue") != 0 {
		t.Fatalf("batch of 45: %v with %d requests, want 3", err, srv.Calls("BatchGetSecretValue"))
	}
	for i, x := range r {
		if x.Err != nil || !x.Secret.Value.Equal(text(names[i])) {
			t.Errorf("result %d: %v, or another's value", i, x.Err)
		}
	}
}

func TestABatchWithoutItsPermissionSaysSo(t *testing.T) {
	srv := awssm.Start(t)
	srv.Forbidden = []string{"BatchGetSecretValue"}
	st := opened(t, srv.URL, nil)
	_, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: many(t, st, 21)})
	wantCode(t, "a batch without permission", err, sdk.PermissionDenied)
	if err == nil || !strings.Contains(err.Error(), "secretsmanager:BatchGetSecretValue") {
		t.Errorf("%v, want the permission's name", err)
	}
	if n := srv.Calls("GetSecretValue"); n != 0 {
		t.Errorf("%d secrets were read one by one, which is the host's to do", n)
	}
}

func TestOneRequestOfABatchThatFailsFailsForItsNames(t *testing.T) {
	srv := awssm.Start(t)
	st := opened(t, srv.URL, nil)
	names := many(t, st, 40)
	srv.Faults.Next(1, fault.Fault{Status: http.StatusBadRequest, Body: `{"__type":"ExpiredTokenException"}`})
	r, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: names})
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, x := range r {
		if x.Err != nil {
			wantCode(t, "a name of the request that failed", x.Err, sdk.Unauthenticated)
			failed++
		}
	}
	if failed != 20 {
		t.Errorf("%d names failed, want the 20 of one request", failed)
	}
}

func TestAnAnswerThatIsEmptyOrAnothersIsInternal(t *testing.T) {
	for what, body := range map[string]string{
		"nothing":        `{}`,
		"no value":       `{"Name":"a","VersionId":"v"}`,
		"an empty value": `{"Name":"a","VersionId":"v","SecretString":""}`,
		"no version":     `{"Name":"a","SecretString":"canary"}`,
		"another secret": `{"Name":"b","VersionId":"v","SecretString":"canary"}`,
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		_, err := opened(t, srv.URL, nil).Get(t.Context(), sdk.GetRequest{Name: "a"})
		wantCode(t, what, err, sdk.Internal)
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error holds the value", what)
		}
		srv.Close()
	}
}

func TestACheckTellsWhoWeAreAndDoesWithoutSTS(t *testing.T) {
	srv := awssm.Start(t)
	r, err := opened(t, srv.URL, nil).Check(t.Context())
	if err != nil || r.Identity != "arn:aws:iam::"+awssm.Account+":user/gateway" {
		t.Errorf("check: %+v, %v; want the user's ARN", r, err)
	}
	nobody := httptest.NewServer(http.NotFoundHandler())
	defer nobody.Close()
	r, err = opened(t, srv.URL, set{"sts_endpoint": nobody.URL}).Check(t.Context())
	if err != nil || r.Identity != "" || len(r.Notes) != 1 {
		t.Errorf("check without STS: %+v, %v; want a note", r, err)
	}
	_, err = opened(t, nobody.URL, nil).Check(t.Context())
	wantCode(t, "check of what is not AWS", err, sdk.FailedPrecondition)
	srv.Faults.Always(fault.Fault{Status: http.StatusBadRequest, Body: `{"__type":"UnrecognizedClientException"}`})
	_, err = opened(t, srv.URL, set{"sts_endpoint": nobody.URL}).Check(t.Context())
	wantCode(t, "check without STS of a key that is unknown", err, sdk.Unauthenticated)
}

func TestAListingChecksThePrefixAgainAndPages(t *testing.T) {
	srv := awssm.Start(t)
	st, whole := opened(t, srv.URL, set{"prefix": "gw/"}), opened(t, srv.URL, nil)
	for _, name := range []string{"gw/a", "gw/b", "other/gw/c", "gwx", "gw//e"} {
		put(t, whole, sdk.PutRequest{Name: name, Value: text("v")})
	}
	var got []string
	r := sdk.ListRequest{PageSize: 1}
	for {
		page, err := st.List(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range page.Items {
			got = append(got, m.Name)
		}
		if r.PageToken = page.Next; r.PageToken == "" {
			break
		}
	}
	if strings.Join(got, " ") != "a b" {
		t.Errorf("names %v, want a and b: no other folder's, and none that no Get could take", got)
	}
	page, err := st.List(t.Context(), sdk.ListRequest{Prefix: "a b", PageSize: 1})
	if err != nil || len(page.Items) > 0 {
		t.Errorf("a prefix that no name has: %v, %v; want nothing", page, err)
	}
}

func TestAMissingPermissionIsNamedAndNoValueIs(t *testing.T) {
	srv := awssm.Start(t)
	srv.Denied = []string{"no/"}
	st := opened(t, srv.URL, nil)
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "no/a"})
	wantCode(t, "get", err, sdk.PermissionDenied)
	if err == nil || !strings.Contains(err.Error(), "secretsmanager:GetSecretValue") || !strings.Contains(err.Error(), "kms:Decrypt") {
		t.Errorf("%v, want the permissions' names", err)
	}
	_, err = st.Put(t.Context(), sdk.PutRequest{Name: "no/a", Value: text("canary")})
	wantCode(t, "put", err, sdk.PermissionDenied)
	if err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v; want no value in it", err)
	}
	r, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: []string{"no/a"}})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a denied name of a batch", r[0].Err, sdk.PermissionDenied)
}
