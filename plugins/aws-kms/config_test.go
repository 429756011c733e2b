package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

func TestSettingsAreRefusedWithEveryFaultAtItsPath(t *testing.T) {
	for name, tc := range map[string]struct {
		more set
		want []string // paths
	}{
		"several at once":           {set{"region": "nowhere at all", "key": "my key", "grant_tokens": []string{"ok", "not ok", ""}}, []string{"/region", "/key", "/grant_tokens/1", "/grant_tokens/2"}},
		"a key of another region":   {set{"key": "arn:aws:kms:us-east-1:111122223333:alias/x"}, []string{"/key"}},
		"an unknown algorithm":      {set{"algorithm": "ROT13"}, []string{"/algorithm"}},
		"context and an RSA key":    {set{"algorithm": "RSAES_OAEP_SHA_256", "context": set{"a": "b"}}, []string{"/context"}},
		"a context of numbers":      {set{"context": set{"a": 1}}, []string{"/context/a"}},
		"eleven grant tokens":       {set{"grant_tokens": strings.Split(strings.Repeat("t,", 10)+"t", ",")}, []string{"/grant_tokens"}},
		"two logins":                {set{"auth": set{"default": set{}, "instance": set{}}}, []string{"/auth"}},
		"no login":                  {set{"auth": nil}, []string{"/auth"}},
		"an endpoint with a query":  {set{"endpoint": "https://kms.example.com/?a=b"}, []string{"/endpoint"}},
		"a setting that is unknown": {set{"keyid": "x"}, []string{"/keyid"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, "", tc.more))
			wantCode(t, "open", err, sdk.InvalidArgument)
			var e *sdk.Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v, want one with problems", err)
			}
			var got []string
			for _, p := range e.Problems {
				got = append(got, p.Path)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("problems at %q, want %q (%v)", got, tc.want, err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error holds a secret setting: %v", err)
			}
		})
	}
}

func TestReachIsTheServiceAndSts(t *testing.T) {
	for name, tc := range map[string]struct {
		more set
		want []string
	}{
		"a region":          {nil, []string{"kms.eu-west-1.amazonaws.com:443", "sts.eu-west-1.amazonaws.com:443"}},
		"China":             {set{"region": "cn-north-1"}, []string{"kms.cn-north-1.amazonaws.com.cn:443", "sts.cn-north-1.amazonaws.com.cn:443"}},
		"FIPS":              {set{"region": "us-east-1", "fips": true}, []string{"kms-fips.us-east-1.amazonaws.com:443", "sts-fips.us-east-1.amazonaws.com:443"}},
		"IPv6":              {set{"dual_stack": true}, []string{"kms.eu-west-1.api.aws:443", "sts.eu-west-1.api.aws:443"}},
		"a VPC endpoint":    {set{"endpoint": "https://vpce.example.com"}, []string{"vpce.example.com:443", "sts.eu-west-1.amazonaws.com:443"}},
		"both of one's own": {set{"endpoint": "https://kms.internal", "sts_endpoint": "https://sts.internal:8443"}, []string{"kms.internal:443", "sts.internal:8443"}},
		"an emulator":       {set{"endpoint": "http://127.0.0.1:4599"}, []string{"127.0.0.1:4599"}},
	} {
		t.Run(name, func(t *testing.T) {
			o, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, "", tc.more))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(o.Reach.Endpoints, tc.want) || o.Reach.Ambient || o.Reach.Files != nil {
				t.Errorf("reach %+v, want %q and nothing else", *o.Reach, tc.want)
			}
		})
	}
}

func TestOnlySymmetricKeysTakeAdditionalData(t *testing.T) {
	for algorithm, want := range map[string]bool{symmetric: true, "RSAES_OAEP_SHA_1": false, "RSAES_OAEP_SHA_256": false, "SM2PKE": false} {
		o, err := plugin().Open(t.Context(), sdk.Env{}, settings(t, "", set{"algorithm": algorithm}))
		if err != nil {
			t.Fatal(err)
		}
		if got := o.Capabilities.Has(sdk.CanAAD); got != want || !o.Capabilities.Has(sdk.CanEncrypt|sdk.CanDecrypt) {
			t.Errorf("%s: capabilities %v", algorithm, o.Capabilities)
		}
	}
}
