package config

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// complete has every key once.
const complete = `version: 1
name: gw-eu-1
plugins:
  dir: bin
  lock: keyway.lock
  unlocked: warn
  trust: {conjur: [RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3]}
  sandbox: strict
  allow: {py: {network: direct, read: [/usr/lib], execute: [/usr/bin/python3], memory: 1GiB}}
stores:
  prod:
    provider: vault
    version: ">=1.2 <2"
    required: true
    access: read_write
    settings:
      address: https://vault.internal:8200
      auth: {approle: {role_id: 3f0c, secret_id: secret://cred/vault-secret-id}}
      retries: 3
      ratio: 0.5
      hosts: [a, 2, null, true]
    cache: {ttl: 10m, max_stale_denied: 10m, negative_ttl: 0s}
    limits: {rate: 50/s, burst: 100, concurrency: 16, timeout: 5s}
  aws: {provider: aws-sm, settings: {region: eu-central-1}, document: litellm_secrets, isolation: team}
  kms: {provider: aws-kms, settings: {region: eu-central-1}, ciphertext_from: env, isolation: dedicated}
references: {default_store: prod, hosted_names: [OPENAI_API_KEY], fallback: env}
sources: {env: ["OPENAI_*", LITELLM_*], file: [secrets]}
cache: {ttl: 2m, max_stale_unreachable: 90m, max_entries: 5, max_bytes: 1KiB}
listeners: [{unix: keyway.sock, group: gateway}]
audit: {file: audit.jsonl, rotate: 1MiB, keep: 3, on_failure: continue}
`

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("keyway.yaml", []byte(text))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return c
}

func TestParseReadsEveryKey(t *testing.T) {
	got := parse(t, complete)
	got.at = nil
	want := &Config{
		File: "keyway.yaml", Version: 1, Name: "gw-eu-1",
		Plugins: Plugins{Dir: "bin", Lock: "keyway.lock", Unlocked: "warn", Trust: map[string][]string{"conjur": {"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"}}, Sandbox: "strict",
			Allow: map[string]Allow{"py": {Network: "direct", Read: []string{"/usr/lib"}, Execute: []string{"/usr/bin/python3"}, Memory: 1 << 30}}},
		Stores: map[string]Store{
			"prod": {
				Provider: "vault", Version: ">=1.2 <2", Required: true, Access: ReadWrite,
				Settings: map[string]any{
					"address": "https://vault.internal:8200",
					"auth":    map[string]any{"approle": map[string]any{"role_id": "3f0c", "secret_id": "secret://cred/vault-secret-id"}},
					"retries": int64(3), "ratio": 0.5, "hosts": []any{"a", int64(2), nil, true},
				},
				Cache:  &Cache{TTL: 10 * time.Minute, MaxStaleDenied: 10 * time.Minute, NegativeTTL: Off},
				Limits: Limits{Rate: 50, Burst: 100, Concurrency: 16, Timeout: 5 * time.Second}, Isolation: "shared",
			},
			"aws": {Provider: "aws-sm", Settings: map[string]any{"region": "eu-central-1"}, Document: "litellm_secrets", Isolation: "team"},
			"kms": {Provider: "aws-kms", Settings: map[string]any{"region": "eu-central-1"}, CiphertextFrom: "env", Isolation: "dedicated"},
		},
		References: References{DefaultStore: "prod", HostedNames: []string{"OPENAI_API_KEY"}, Fallback: "env"},
		Sources:    Sources{Env: []string{"OPENAI_*", "LITELLM_*"}, File: []string{"secrets"}},
		Cache: Cache{TTL: 2 * time.Minute, NegativeTTL: 10 * time.Second, SoftTimeout: 500 * time.Millisecond, MaxStaleUnreachable: 90 * time.Minute,
			MaxStaleDeleted: Off, MaxStaleDenied: Off, MaxEntries: 5, MaxBytes: 1 << 10},
		Listeners: []Listener{{Unix: "keyway.sock", Group: "gateway"}},
		Audit:     Audit{File: "audit.jsonl", Rotate: 1 << 20, Keep: 3, OnFailure: "continue"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Parse gave\n%+v, want\n%+v", got, want)
	}
}

func TestYAMLRoundTrips(t *testing.T) {
	first := parse(t, complete)
	out, err := first.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again := parse(t, string(out))
	first.at, again.at = nil, nil
	if !reflect.DeepEqual(again, first) {
		t.Errorf("Parse(YAML()) gave\n%+v, want\n%+v, from\n%s", again, first, out)
	}
	if strings.Contains(string(out), "soft_timeout") {
		t.Errorf("YAML wrote a key with its default:\n%s", out)
	}
}

func TestAnEmptyListIsNotAnAbsentOne(t *testing.T) {
	const text = "version: 1\nstores: {a: {provider: x}}\nreferences: {default_store: a, hosted_names: []}\nsources: {env: []}\n"
	out, err := parse(t, text).YAML()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]*Config{"read": parse(t, text), "written and read": parse(t, string(out))} {
		if c.Sources.Env == nil || c.References.HostedNames == nil || c.References.Hosts("A") {
			t.Errorf("%s: env %#v, hosted names %#v; want empty lists, which allow nothing", name, c.Sources.Env, c.References.HostedNames)
		}
	}
	if c := parse(t, "version: 1\nstores: {a: {provider: x}}\nreferences: {default_store: a}\n"); c.Sources.Env != nil || !c.References.Hosts("A") {
		t.Errorf("absent lists became %#v, %#v; want nil, which allows all", c.Sources.Env, c.References.HostedNames)
	}
}

func TestWindowsLinesAndAByteOrderMark(t *testing.T) {
	if c := parse(t, "\ufeffversion: 1\r\nname: a\r\n"); c.Name != "a" {
		t.Errorf("name %q, want a", c.Name)
	}
}

func TestYAMLQuotesWhatYAMLWouldReadOtherwise(t *testing.T) {
	settings := map[string]any{"a": "yes", "b": "1.10", "c": "null", "d": "x: y", "e": "2024-01-01", "f": "", "g": " x ", "h": "a\nb", "i": "*x", "j": "0x1F", "1": "k", "true": "l", "<<": "m"}
	c := &Config{File: "k.yaml", Version: 1, Name: "1", Stores: map[string]Store{"1": {Provider: "x", Version: "1.10", Settings: settings}}}
	out, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	got := parse(t, string(out))
	if got.Name != "1" || got.Stores["1"].Version != "1.10" || !reflect.DeepEqual(got.Stores["1"].Settings, settings) {
		t.Errorf("Parse(YAML()) gave %+v, want %+v, from\n%s", got.Stores["1"], c.Stores["1"], out)
	}
}
