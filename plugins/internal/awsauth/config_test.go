package awsauth

import (
	"slices"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

// service stands for a provider's own.
func service(s Settings) Settings {
	s.Service = resolveSTS
	return s
}

func key() *Static {
	return &Static{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: sdk.SensitiveString("secret")}
}

func role() *AssumeRole {
	return &AssumeRole{ARN: "arn:aws:iam::123456789012:role/gateway", SessionName: "keyway", Duration: time.Hour}
}

func paths(ps []sdk.Problem) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Path)
	}
	return out
}

func TestEveryFaultIsReportedByItsPath(t *testing.T) {
	long := role()
	long.Duration, long.Via = 2*time.Hour, []Hop{{ARN: "gateway", SessionName: "k", ExternalID: "a b", Tags: map[string]string{"": "x"}, TransitiveTagKeys: []string{"no"}}}
	for name, c := range map[string]struct {
		s    Settings
		want []string
	}{
		"region":            {Settings{Region: "Ireland", Auth: Auth{Static: key()}}, []string{"/region"}},
		"endpoints":         {Settings{Region: "eu-west-1", Endpoint: "vpce", STSEndpoint: "https://u@h", Auth: Auth{Static: key()}}, []string{"/endpoint", "/sts_endpoint"}},
		"FIPS beside own":   {Settings{Region: "eu-west-1", Endpoint: "https://h", FIPS: true, Auth: Auth{Static: key()}}, []string{"/fips"}},
		"keys":              {Settings{Region: "eu-west-1", Auth: Auth{Static: &Static{AccessKeyID: "AK IA", SecretAccessKey: sdk.SensitiveString("a b"), SessionToken: sdk.SensitiveString("a\n")}}}, []string{"/auth/static/access_key_id", "/auth/static/secret_access_key", "/auth/static/session_token"}},
		"token without one": {Settings{Region: "eu-west-1", Auth: Auth{WebIdentity: &WebIdentity{}}}, []string{"/auth/web_identity", "/auth/web_identity/role_arn"}},
		"two tokens":        {Settings{Region: "eu-west-1", AssumeRole: role(), Auth: Auth{WebIdentity: &WebIdentity{Token: sdk.SensitiveString("t"), TokenFile: "/t", SessionName: "a b", RoleARN: "x"}}}, []string{"/auth/web_identity", "/auth/web_identity/role_arn", "/auth/web_identity/session_name"}},
		"profile":           {Settings{Region: "eu-west-1", Auth: Auth{Profile: &Profile{Name: "a"}}}, []string{"/auth/profile"}},
		"container":         {Settings{Region: "eu-west-1", Auth: Auth{Container: &Container{URI: "http://example.com/", Token: sdk.SensitiveString("a\nb"), TokenFile: "/f"}}}, []string{"/auth/container/uri", "/auth/container", "/auth/container/token"}},
		"instance":          {Settings{Region: "eu-west-1", Auth: Auth{Instance: &Instance{Endpoint: "169.254.169.254"}}}, []string{"/auth/instance/endpoint"}},
		"roles": {Settings{Region: "eu-west-1", Auth: Auth{Static: key()}, AssumeRole: long}, []string{"/assume_role/via/0/arn", "/assume_role/via/0/external_id",
			"/assume_role/via/0/session_name", "/assume_role/via/0/tags", "/assume_role/via/0/transitive_tag_keys/0", "/assume_role/duration"}},
	} {
		s := service(c.s)
		if got := paths(s.Validate()); !slices.Equal(got, c.want) {
			t.Errorf("%s: problems at %v, want %v", name, got, c.want)
		}
	}
	for name, s := range map[string]Settings{
		"key and role":            {Region: "eu-west-1", Auth: Auth{Static: key()}, AssumeRole: role()},
		"pod identity":            {Region: "eu-west-1", Auth: Auth{Container: &Container{URI: "http://169.254.170.23/v1/credentials", TokenFile: "/t"}}},
		"task":                    {Region: "eu-west-1", Auth: Auth{Container: &Container{URI: "/v2/credentials/1"}}},
		"path in a token's place": {Region: "eu-west-1", AssumeRole: role(), Auth: Auth{WebIdentity: &WebIdentity{Token: sdk.SensitiveString("/t"), TokenFile: "/t"}}},
	} {
		s := service(s)
		if ps := s.Validate(); len(ps) > 0 {
			t.Errorf("%s: %v, want no problems", name, ps)
		}
	}
}
