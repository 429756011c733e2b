package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestEveryFaultOfTheSettingsIsReportedByItsPath(t *testing.T) {
	for raw, want := range map[string][]string{
		`{}`: {"/region", "/auth"},
		`{"region":"eu-west-1","prefix":"a b","kms_key_id":"a b","auth":{"instance":{}}}`:               {"/prefix", "/kms_key_id"},
		`{"region":"eu-west-1","replica_regions":["eu-west-1","x"],"auth":{"instance":{}}}`:             {"/replica_regions/0", "/replica_regions/1"},
		`{"region":"eu-west-1","recovery_days":6,"endpoint":"x","auth":{"instance":{}}}`:                {"/endpoint", "/recovery_days"},
		`{"region":"eu-west-1","auth":{"instance":{}},"assume_role":{"arn":"x","via":[{"arn":"y"}]}}`:   {"/assume_role/arn", "/assume_role/via/0/arn"},
		`{"region":"eu-west-1","auth":{"web_identity":{"token":"a","token_file":"/b","role_arn":"c"}}}`: {"/auth/web_identity", "/auth/web_identity/role_arn"},
	} {
		_, err := plugin().Open(t.Context(), sdk.Env{}, []byte(raw))
		var e *sdk.Error
		if !errors.As(err, &e) {
			t.Errorf("%s: %v, want problems", raw, err)
			continue
		}
		var got []string
		for _, p := range e.Problems {
			got = append(got, p.Path)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: problems at %v, want %v", raw, got, want)
		}
	}
}

func TestReachFollowsRegionPartitionAndEndpoint(t *testing.T) {
	for raw, want := range map[string]string{
		`"region":"eu-west-1"`:                        "secretsmanager.eu-west-1.amazonaws.com:443,sts.eu-west-1.amazonaws.com:443",
		`"region":"cn-northwest-1"`:                   "secretsmanager.cn-northwest-1.amazonaws.com.cn:443,sts.cn-northwest-1.amazonaws.com.cn:443",
		`"region":"us-gov-west-1","fips":true`:        "secretsmanager-fips.us-gov-west-1.amazonaws.com:443,sts.us-gov-west-1.amazonaws.com:443",
		`"region":"us-east-1","dual_stack":true`:      "secretsmanager.us-east-1.amazonaws.com:443,sts.us-east-1.api.aws:443",
		`"region":"eu-west-1","endpoint":"https://v"`: "v:443,sts.eu-west-1.amazonaws.com:443",
	} {
		o, err := plugin().Open(t.Context(), sdk.Env{}, []byte(`{`+raw+`,"auth":{"static":{"access_key_id":"AKIAIOSFODNN7EXAMPLE","secret_access_key":"s"}}}`))
		if err != nil {
			t.Errorf("%s: %v", raw, err)
			continue
		}
		if got := strings.Join(o.Reach.Endpoints, ","); got != want || o.Reach.Ambient || len(o.Reach.Files) > 0 {
			t.Errorf("%s: reach %+v, want %s", raw, *o.Reach, want)
		}
	}
}
