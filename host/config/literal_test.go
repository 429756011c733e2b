package config

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/sdk"
)

func TestALiteralIsCheckedWithoutPlaces(t *testing.T) {
	c := &Config{
		Version: 3,
		Stores: map[string]Store{
			"oidc": {Provider: "x"},
			"prod": {Access: 7, Settings: map[string]any{"token": sdk.SensitiveString("canary"), "list": []string{"a"}, "nan": math.NaN()},
				Cache: &Cache{TTL: -5}, Limits: Limits{Rate: math.Inf(1), Burst: -1}},
		},
		References: References{DefaultStore: "env", HostedNames: []string{"A", "", "A"}, Fallback: "x"},
		Sources:    Sources{Env: []string{""}, File: []string{""}},
		Cache:      Cache{MaxEntries: -1, NegativeTTL: Off},
	}
	want := `cache.max_entries: must not be negative
references.default_store: no store is named "env"
references.fallback: must be none or env
references.hosted_names[1]: name is empty
references.hosted_names[2]: "A" is in the list twice
sources.env[0]: must be a variable's name, where * and ? stand for any letters: OPENAI_*
sources.file[0]: must be a folder
stores.oidc: the name "oidc" has a meaning of its own in references; choose another
stores.prod.access: must be read, write or read_write
stores.prod.cache.ttl: must not be negative
stores.prod.limits.burst: must not be negative
stores.prod.limits.rate: must be a rate of 0 or more calls a second
stores.prod.provider: is required
stores.prod.settings.list: has the Go type []string; settings are texts, numbers, true, false, null, []any and map[string]any
stores.prod.settings.nan: has the Go type float64; settings are texts, numbers, true, false, null, []any and map[string]any
stores.prod.settings.token: has the Go type sdk.Sensitive; settings are texts, numbers, true, false, null, []any and map[string]any
version: must be 1`
	err := c.Check()
	if err == nil || err.Error() != want {
		t.Errorf("Check gave\n%v\nwant\n%s", err, want)
	}
	if _, err := c.YAML(); !errors.Is(err, sdk.InvalidArgument) {
		t.Errorf("YAML of it: %v, want InvalidArgument", err)
	}
	if p := c.CheckSettings("prod", SchemaOf(sdk.Manifest{Schema: []byte(plugin)})); len(p) != 1 || strings.Contains(p[0].String(), "canary") {
		t.Errorf("CheckSettings of what is not JSON: %v, want one problem", p)
	}
}

func TestTheZeroConfigIsGood(t *testing.T) {
	if err := (&Config{}).Check(); err != nil {
		t.Errorf("Check: %v", err)
	}
	if out, err := (&Config{}).YAML(); err != nil || string(out) != "version: 1\n" {
		t.Errorf("YAML = %q, %v, want only the version", out, err)
	}
}

func TestCacheOfInherits(t *testing.T) {
	defaults := Cache{TTL: 5 * time.Minute, NegativeTTL: 10 * time.Second, SoftTimeout: 500 * time.Millisecond, MaxStaleUnreachable: time.Hour, MaxEntries: 10000, MaxBytes: 64 << 20}
	literal := &Config{
		Cache:  Cache{TTL: time.Minute, MaxStaleDeleted: time.Hour, NegativeTTL: Off},
		Stores: map[string]Store{"own": {Cache: &Cache{TTL: Off, MaxStaleDenied: time.Second, MaxStaleDeleted: Off}}, "none": {}},
	}
	file := parse(t, `version: 1
cache: {ttl: 1m, max_stale_deleted: 1h, negative_ttl: 0s}
stores:
  own: {provider: x, cache: {ttl: 0s, max_stale_denied: 1s, max_stale_deleted: 0s}}
  none: {provider: x}
`)
	all, own := defaults, defaults
	all.TTL, all.MaxStaleDeleted, all.NegativeTTL = time.Minute, time.Hour, 0
	own.TTL, own.MaxStaleDenied, own.NegativeTTL = 0, time.Second, 0
	for name, c := range map[string]*Config{"literal": literal, "file": file} {
		for store, want := range map[string]Cache{"own": own, "none": all, "no such": all} {
			if got := c.CacheOf(store); got != want {
				t.Errorf("%s: CacheOf(%q) = %+v, want %+v", name, store, got, want)
			}
		}
	}
	if got := (&Config{}).CacheOf(""); got != defaults {
		t.Errorf("CacheOf of the zero Config = %+v, want the defaults", got)
	}
}

func TestProblemFindsTheNearestPlace(t *testing.T) {
	c := parse(t, complete)
	for path, want := range map[string]string{
		"stores.prod.settings.auth.approle.role_id":       "keyway.yaml:18:24 stores.prod.settings.auth.approle.role_id: m",
		"stores.prod.settings.auth.token.x[3]":            "keyway.yaml:18:7 stores.prod.settings.auth.token.x[3]: m",
		SettingsPath("prod", "/hosts/1"):                  "keyway.yaml:21:18 stores.prod.settings.hosts[1]: m",
		SettingsPath("prod", ""):                          "keyway.yaml:16:5 stores.prod.settings: m",
		Path("stores", "prod", "settings", `a"].b`, "~x"): `keyway.yaml:16:5 stores.prod.settings["a\"].b"]["~x"]: m`,
		"nothing.here": "keyway.yaml nothing.here: m",
	} {
		if got := c.Problem(path, "%s", "m").String(); got != want {
			t.Errorf("Problem(%q) = %s, want %s", path, got, want)
		}
	}
}

func TestNeedsIsWhatMustBeOpenFirst(t *testing.T) {
	c := parse(t, `version: 1
stores:
  a: {provider: x, settings: {s: secret://b/1, t: ["${secret://kms/2}"], u: secret://env/X}}
  b: {provider: x, settings: {s: os.environ/Y}}
  c: {provider: x}
  kms: {provider: x, ciphertext_from: c}
references: {default_store: c}
`)
	for store, want := range map[string]string{"a": "b kms", "b": "c", "c": "", "kms": "", "none": ""} {
		if got := strings.Join(c.Needs(store), " "); got != want {
			t.Errorf("Needs(%q) = %q, want %q", store, got, want)
		}
	}
}

func TestAccessWords(t *testing.T) {
	for word, want := range map[string][2]bool{"read": {true, false}, "write": {false, true}, "read_write": {true, true}} {
		var a Access
		if err := a.UnmarshalText([]byte(word)); err != nil || a.String() != word || a.CanRead() != want[0] || a.CanWrite() != want[1] {
			t.Errorf("%s: %v, reads %v, writes %v, %v", word, a, a.CanRead(), a.CanWrite(), err)
		}
	}
	var a Access
	if err := a.UnmarshalText([]byte("all")); err == nil || !a.CanRead() || a.CanWrite() {
		t.Errorf("an unknown word: %v, and the zero access %v; want an error and read only", err, a)
	}
}
