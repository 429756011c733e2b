//go:build e2e && unix

package awssm_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/sdk"
)

func TestANewSecretHasWhatItsPutAndTheSettingsSay(t *testing.T) {
	st := openStore(t, srv, set{"replica_regions": []string{"eu-west-1"}, "prefix": "gw/"})
	name := "new/" + srv.Name()
	_, err := st.Put(t.Context(), sdk.PutRequest{Name: name, Value: sdk.SensitiveString("v"), Description: "a key", Labels: map[string]string{"team": "llm"}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := vendor(srv).DescribeSecret(t.Context(), &secretsmanager.DescribeSecretInput{SecretId: aws.String("gw/" + name)})
	if err != nil {
		t.Fatal(err)
	}
	if aws.ToString(d.Description) != "a key" || len(d.Tags) != 1 || aws.ToString(d.Tags[0].Value) != "llm" ||
		len(d.ReplicationStatus) != 1 || aws.ToString(d.ReplicationStatus[0].Region) != "eu-west-1" {
		t.Errorf("the secret has description %q, tags %v, replicas %v", aws.ToString(d.Description), d.Tags, d.ReplicationStatus)
	}
	for _, purge := range []bool{false, true} {
		if _, err := st.Delete(t.Context(), sdk.DeleteRequest{Name: name, Purge: purge}); err != nil {
			t.Errorf("delete with replicas, purge %v: %v", purge, err)
		}
	}
}

func TestWhatOthersWroteIsRead(t *testing.T) {
	st, client := openStore(t, srv, nil), vendor(srv)
	name := "theirs/" + srv.Name()
	_, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretBinary: []byte("\xff\x00v"), Tags: []types.Tag{{Key: aws.String("aws:x"), Value: aws.String("y")}}})
	if err != nil {
		t.Fatal(err)
	}
	wantValue(t, st, name, "\xff\x00v")
	if m, err := st.Stat(t.Context(), sdk.StatRequest{Name: name}); err != nil || len(m.Labels) != 0 {
		t.Errorf("stat: labels %v, %v; want none of AWS's own", m.Labels, err)
	}
	empty := name + "-empty"
	if _, err := client.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &empty}); err != nil {
		t.Fatal(err)
	}
	_, err = st.Get(t.Context(), sdk.GetRequest{Name: empty})
	wantCode(t, "get of a secret without a value", err, sdk.NotFound)
	_, err = st.Stat(t.Context(), sdk.StatRequest{Name: empty})
	wantCode(t, "stat of a secret without a value", err, sdk.NotFound)
	put(t, st, empty, "first")
	wantValue(t, st, empty, "first")
	put(t, st, empty, "second")
	s, err := st.Get(t.Context(), sdk.GetRequest{Name: empty, Version: "AWSPREVIOUS"})
	if err != nil || !s.Value.Equal(sdk.SensitiveString("first")) {
		t.Errorf("the stage AWSPREVIOUS: %v, or another value than the first", err)
	}
}

func TestManyNamesAreReadInOneBatch(t *testing.T) {
	st := openStore(t, srv, nil)
	folder := "many/" + srv.Name()
	var names []string
	for i := range 60 {
		names = append(names, fmt.Sprintf("%s/%03d", folder, i))
		put(t, st, names[i], names[i])
	}
	r, err := st.GetBatch(t.Context(), sdk.BatchRequest{Names: names})
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range r {
		if x.Err != nil || !x.Secret.Value.Equal(sdk.SensitiveString(names[i])) {
			t.Errorf("result %d: %v, or another's value", i, x.Err)
		}
	}
}

func TestAServerThatIsGoneIsUnavailable(t *testing.T) {
	own := moto.Start(t)
	st := openStore(t, own, nil)
	put(t, st, "a", "v")
	own.Stop()
	_, err := st.Get(t.Context(), sdk.GetRequest{Name: "a"})
	wantCode(t, "get", err, sdk.Unavailable)
	_, err = st.Check(t.Context())
	wantCode(t, "check", err, sdk.Unavailable)
}
