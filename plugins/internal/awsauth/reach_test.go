package awsauth

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestReachIsExactlyWhatIsDialled(t *testing.T) {
	static := Auth{Static: key()}
	for name, c := range map[string]struct {
		s    Settings
		want []string
	}{
		// The service of these tests is STS, so both addresses are its.
		"region":               {Settings{Region: "eu-west-1", Auth: static}, []string{"sts.eu-west-1.amazonaws.com:443"}},
		"China":                {Settings{Region: "cn-north-1", Auth: static}, []string{"sts.cn-north-1.amazonaws.com.cn:443"}},
		"GovCloud with FIPS":   {Settings{Region: "us-gov-west-1", FIPS: true, Auth: static}, []string{"sts.us-gov-west-1.amazonaws.com:443"}},
		"FIPS":                 {Settings{Region: "us-east-2", FIPS: true, Auth: static}, []string{"sts-fips.us-east-2.amazonaws.com:443"}},
		"IPv6":                 {Settings{Region: "eu-west-1", DualStack: true, Auth: static}, []string{"sts.eu-west-1.api.aws:443"}},
		"endpoints of our own": {Settings{Region: "eu-west-1", Endpoint: "https://vpce.example.com", STSEndpoint: "http://10.0.0.1:8080", Auth: static}, []string{"vpce.example.com:443", "10.0.0.1:8080"}},
		"emulator":             {Settings{Region: "eu-west-1", Endpoint: "http://localhost:4566", Auth: static}, []string{"localhost:4566"}},
		"pod":                  {Settings{Region: "eu-west-1", Auth: Auth{Container: &Container{URI: "http://169.254.170.23/v1/credentials"}}}, []string{"sts.eu-west-1.amazonaws.com:443", "169.254.170.23:80"}},
		"task":                 {Settings{Region: "eu-west-1", Auth: Auth{Container: &Container{URI: "/v2/x"}}}, []string{"sts.eu-west-1.amazonaws.com:443", "169.254.170.2:80"}},
		"instance":             {Settings{Region: "eu-west-1", Auth: Auth{Instance: &Instance{Endpoint: "http://[fd00:ec2::254]"}}}, []string{"sts.eu-west-1.amazonaws.com:443", "[fd00:ec2::254]:80"}},
	} {
		s := service(c.s)
		if ps := s.Validate(); len(ps) > 0 {
			t.Errorf("%s: %v", name, ps)
		}
		if got := s.Reach().Endpoints; !slices.Equal(got, c.want) {
			t.Errorf("%s: endpoints %v, want %v", name, got, c.want)
		}
	}
}

func TestAKeyReachesNothingOfTheMachine(t *testing.T) {
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/token")
	t.Setenv("AWS_CONFIG_FILE", "/config")
	s := service(Settings{Region: "eu-west-1", Auth: Auth{Static: key()}, AssumeRole: role()})
	if r := s.Reach(); r.Ambient || len(r.Files) > 0 || len(r.Writes) > 0 {
		t.Errorf("reach %+v, want no files and nothing ambient", r)
	}
}

func TestReachFollowsAProfile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	text := `[profile people]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = reader
[sso-session corp]
sso_region = eu-central-1
sso_start_url = https://corp.awsapps.com/start
[profile machine]
role_arn = arn:aws:iam::123456789012:role/gateway
credential_source = Ec2InstanceMetadata
[profile pod]
role_arn = arn:aws:iam::123456789012:role/gateway
web_identity_token_file = /var/run/token
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reach := func(profile string) sdk.Reach {
		s := service(Settings{Region: "eu-west-1", Auth: Auth{Profile: &Profile{Name: profile, ConfigFile: file}}})
		return s.Reach()
	}
	sts, cache := "sts.eu-west-1.amazonaws.com:443", filepath.Join(filepath.Dir(file), "sso", "cache")
	for profile, want := range map[string]sdk.Reach{
		"people":  {Endpoints: []string{sts, "oidc.eu-central-1.amazonaws.com:443", "portal.sso.eu-central-1.amazonaws.com:443"}, Files: []string{file, cache}, Writes: []string{cache}},
		"machine": {Endpoints: []string{sts, "169.254.169.254:80"}, Files: []string{file}},
		"pod":     {Endpoints: []string{sts}, Files: []string{file, "/var/run/token"}},
		"none":    {Endpoints: []string{sts}, Files: []string{file}},
	} {
		got := reach(profile)
		if !got.Ambient || !slices.Equal(got.Endpoints, want.Endpoints) || !slices.Equal(got.Files, want.Files) || !slices.Equal(got.Writes, want.Writes) {
			t.Errorf("profile %s: reach %+v, want %+v and ambient", profile, got, want)
		}
	}
}

func TestTheDefaultChainReachesTheInstanceOrWhatTheEnvironmentSays(t *testing.T) {
	for _, k := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_PROFILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
		t.Setenv(k, "")
	}
	dir := t.TempDir()
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	s := service(Settings{Region: "eu-west-1", Auth: Auth{Default: &Default{}}})
	want := []string{"sts.eu-west-1.amazonaws.com:443", "169.254.169.254:80"}
	if r := s.Reach(); !r.Ambient || !slices.Equal(r.Endpoints, want) || !slices.Equal(r.Files, []string{filepath.Join(dir, "config"), filepath.Join(dir, "credentials")}) {
		t.Errorf("reach %+v, want %v and both files", r, want)
	}
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials")
	if got := s.Reach().Endpoints; !slices.Contains(got, "169.254.170.23:80") {
		t.Errorf("endpoints %v, want the container's", got)
	}
}
