package config

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/sdk"
)

// store puts one store with these lines into a file; they begin in line 4.
func store(lines string) string {
	return "version: 1\nstores:\n  prod:\n    " + strings.ReplaceAll(lines, "\n", "\n    ") + "\n"
}

func TestBadFiles(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"empty", "", `k.yaml: the file is empty; it needs at least "version: 1"`},
		{"comment only", "# nothing\n", `k.yaml: the file is empty; it needs at least "version: 1"`},
		{"a list", "- a\n", "k.yaml: must be a mapping of keys, not a list"},
		{"a text", "hello\n", "k.yaml: must be a mapping of keys, not a text"},
		{"two documents", "version: 1\n---\nversion: 1\n", "k.yaml:2:1: a second document (after ---) is not allowed"},
		{"tab", "version: 1\nstores:\n\tprod: {}\n", "k.yaml:3:1: a tab; YAML indents with spaces only"},
		{"colon in a text", "version: 1\nname: a: b\n", "k.yaml:2:8: not valid YAML: mapping values are not allowed in this context; look for a quote, bracket, colon or indentation here or just before"},
		{"open bracket", "version: 1\nsources: {env: [A\n", "k.yaml:3:1: not valid YAML: did not find expected ',' or ']'; look for a quote, bracket, colon or indentation here or just before, or in what begins in line 2"},
		{"alias without anchor", "version: 1\nname: *canary\n", "k.yaml:2:7: an alias (*name) without its anchor (&name); a text that begins with * stands in quotes"},
		{"not UTF-8", "version: 1\nname: \xff\n", "k.yaml:2:7: the file is not UTF-8"},
		{"UTF-16", "\xfe\xff\x00v", "k.yaml:1:1: the file is not UTF-8"},
		{"control character", "version: 1\nname: a\x01\n", "k.yaml:2:8: control character U+0001"},
		{"over 1 MiB", strings.Repeat("#", maxFile+1), "k.yaml: the file is over the limit of 1 MiB"},
		{"no version", "name: a\n", "k.yaml version: is required"},
		{"version 2", "version: 2\n", "k.yaml:1:1 version: must be 1"},
		{"version text", "version: \"1\"\n", "k.yaml:1:1 version: must be 1, not a text"},
		{"unknown key", "version: 1\nstoress: {}\n", `k.yaml:2:1 storess: unknown key; did you mean "stores"?`},
		{"unknown key of later", "version: 1\nteams: {}\n", "k.yaml:2:1 teams: unknown key; the keys here are version, name, plugins, stores, references, sources, cache, listeners, audit"},
		{"refuse without a lock", "version: 1\nplugins: {unlocked: refuse}\n", "k.yaml:2:11 plugins.unlocked: refuse needs plugins.lock, the file that lists what may run"},
		{"sandbox", "version: 1\nplugins: {sandbox: on}\n", "k.yaml:2:11 plugins.sandbox: must be strict, best_effort or off"},
		{"signing key", "version: 1\nplugins: {trust: {vault: [RWQ]}}\n", "k.yaml:2:27 plugins.trust.vault[0]: must be a minisign public key, the second line of a minisign.pub file: RW and 54 more characters"},
		{"no signing key", "version: 1\nplugins: {trust: {vault: []}}\n", "k.yaml:2:19 plugins.trust.vault: has no key, so nothing could run; name one, or leave it away"},
		{"allowed network", "version: 1\nplugins: {allow: {py: {network: open}}}\n", "k.yaml:2:24 plugins.allow.py.network: must be brokered or direct"},
		{"allowed path", "version: 1\nplugins: {allow: {py: {read: [\"\"]}}}\n", "k.yaml:2:31 plugins.allow.py.read[0]: must be a file or a folder"},
		{"isolation", store("provider: x\nisolation: own"), "k.yaml:5:5 stores.prod.isolation: must be shared, dedicated or team"},
		{"listener without a path", "version: 1\nlisteners: [{group: g}]\n", "k.yaml:2:13 listeners[0].unix: is required"},
		{"listener twice", "version: 1\nlisteners: [{unix: a.sock}, {unix: ./a.sock}]\n", "k.yaml:2:30 listeners[1].unix: is in the list twice"},
		{"swapped letters", "version: 1\ncache: {tlt: 5m}\n", `k.yaml:2:9 cache.tlt: unknown key; did you mean "ttl"?`},
		{"doubled key", "version: 1\nname: a\nname: b\n", "k.yaml:3:1 name: is set twice; the first is in line 2"},
		{"doubled store", "version: 1\nstores:\n  a: {provider: x}\n  a: {provider: y}\n", "k.yaml:4:3 stores.a: is set twice; the first is in line 3"},
		{"no value", "version: 1\nname:\n", "k.yaml:2:1 name: has no value; give it one, or leave the key away"},
		{"number key", "version: 1\nstores: {1: {provider: x}}\n", "k.yaml:2:10 stores: a key must be a text; others stand in quotes"},
		{"list key", "version: 1\nstores: {[a]: {provider: x}}\n", "k.yaml:2:10 stores: a key must be a text; others stand in quotes"},
		{"number for text", "version: 1\nname: 12\n", "k.yaml:2:1 name: must be a text; YAML reads this as a number, so put it in quotes"},
		{"list for text", "version: 1\nname: [a]\n", "k.yaml:2:1 name: must be a text, not a list"},
		{"text for list", "version: 1\nsources: {env: A}\n", "k.yaml:2:11 sources.env: must be a list, not a text"},
		{"number in list", "version: 1\nsources: {env: [1]}\n", "k.yaml:2:17 sources.env[0]: must be a text; YAML reads this as a number, so put it in quotes"},
		{"text for mapping", "version: 1\nstores: none\n", "k.yaml:2:1 stores: must be a mapping of keys, not a text"},
		{"tag", "version: 1\nname: !canary x\n", "k.yaml:2:1 name: a YAML tag (!…) is not allowed; a text that begins with ! stands in quotes"},
		{"duration without unit", "version: 1\ncache: {ttl: 5}\n", "k.yaml:2:9 cache.ttl: must be a duration such as 500ms, 30s, 5m or 1h30m"},
		{"duration below zero", "version: 1\ncache: {ttl: -5m}\n", "k.yaml:2:9 cache.ttl: must not be negative"},
		{"decimal size", "version: 1\ncache: {max_bytes: 64MB}\n", "k.yaml:2:9 cache.max_bytes: must be a size such as 512KiB, 64MiB or 1GiB, or a number of bytes"},
		{"huge size", "version: 1\ncache: {max_bytes: 9999999TiB}\n", "k.yaml:2:9 cache.max_bytes: must be a size such as 512KiB, 64MiB or 1GiB, or a number of bytes"},
		{"no entries below zero", "version: 1\ncache: {max_entries: -1}\n", "k.yaml:2:9 cache.max_entries: must be a whole number of 0 or more"},
		{"rate without period", store("provider: x\nlimits: {rate: 50}"), "k.yaml:5:14 stores.prod.limits.rate: must be a rate such as 50/s, 100/m or 1000/h"},
		{"yes for true", store("provider: x\nrequired: yes"), "k.yaml:5:5 stores.prod.required: must be true or false, not a text"},
		{"access", store("provider: x\naccess: readwrite"), `k.yaml:5:5 stores.prod.access: must be read, write or read_write; did you mean "read_write"?`},
		{"no provider", store("required: true"), "k.yaml:3:3 stores.prod.provider: is required"},
		{"provider form", store("provider: AWS SM"), `k.yaml:4:5 stores.prod.provider: must be a provider's name: 1 to 32 of a-z, 0-9 and "-", beginning with a letter`},
		{"version range", store("provider: x\nversion: latest"), `k.yaml:5:5 stores.prod.version: must be a version or a range such as ">=1.2 <2"`},
		{"store name", "version: 1\nstores: {Prod: {provider: x}}\n", `k.yaml:2:10 stores.Prod: store name "Prod" must be 1 to 63 of a-z, 0-9, ".", "_" and "-", beginning with a letter or digit`},
		{"reserved name", "version: 1\nstores: {env: {provider: x}}\n", `k.yaml:2:10 stores.env: the name "env" has a meaning of its own in references; choose another`},
		{"unknown default store", "version: 1\nstores: {prod: {provider: x}}\nreferences: {default_store: prd}\n", `k.yaml:3:14 references.default_store: no store is named "prd"; did you mean "prod"?`},
		{"hosted names without store", "version: 1\nreferences: {hosted_names: [A]}\n", "k.yaml:2:14 references.hosted_names: needs references.default_store, the store that answers these names"},
		{"fallback", "version: 1\nreferences: {fallback: environment}\n", "k.yaml:2:14 references.fallback: must be none or env"},
		{"pattern", "version: 1\nsources: {env: [\"[\"]}\n", "k.yaml:2:17 sources.env[0]: must be a variable's name, where * and ? stand for any letters: OPENAI_*"},
		{"unknown store in settings", store("provider: x\nsettings:\n  token: secret://vualt/t"), `k.yaml:6:7 stores.prod.settings.token: no store is named "vualt"`},
		{"bad reference in a list", store("provider: x\nsettings:\n  l:\n    - a\n    - secret://env/../x"), `k.yaml:8:11 stores.prod.settings.l[1]: parse reference "secret://env/../x": name "../x" has the segment ".."; no segment between slashes may be empty, "." or ".."; the form is secret://STORE/NAME[?version=V][#/json/pointer]`},
		{"own reference", store("provider: x\nsettings: {token: secret://prod/t}"), "k.yaml:5:5 stores.prod.settings: the references of stores go round: prod -> prod"},
		{"ciphertext store", store("provider: x\nciphertext_from: envv"), `k.yaml:5:5 stores.prod.ciphertext_from: no store is named "envv"; did you mean "env"?`},
		{"ciphertext of itself", store("provider: x\nciphertext_from: prod"), "k.yaml:5:5 stores.prod.ciphertext_from: names its own store"},
		{"ciphertext for a secret", "version: 1\nstores: {k: {provider: x, ciphertext_from: env}}\nreferences: {default_store: k, fallback: env}\n",
			"k.yaml:3:32 references.fallback: cannot be env: there the environment holds the ciphertext of the name, which would stand for the secret"},
		{"document and ciphertext", store("provider: x\ndocument: d\nciphertext_from: env"), "k.yaml:6:5 stores.prod.ciphertext_from: cannot stand beside document: a name is a field of the document, or a ciphertext elsewhere"},
		{"document name", store("provider: x\ndocument: a//b"), `k.yaml:5:5 stores.prod.document: name "a//b" has the segment ""; no segment between slashes may be empty, "." or ".."`},
		{"infinity in settings", store("provider: x\nsettings: {a: .inf}"), "k.yaml:5:16 stores.prod.settings.a: must be a finite number"},
		{"long number in settings", store("provider: x\nsettings: {a: 99999999999999999999}"), "k.yaml:5:16 stores.prod.settings.a: must be a whole number of at most 64 bits; longer ones stand in quotes"},
		{"settings list", store("provider: x\nsettings: [a]"), "k.yaml:5:5 stores.prod.settings: must be a mapping of keys, not a list"},
		{"dotted store", "version: 1\nstores: {a.b: {provider: x, acces: read}}\n", `k.yaml:2:29 stores["a.b"].acces: unknown key; did you mean "access"?`},
	} {
		_, err := Parse("k.yaml", []byte(c.file))
		if err == nil {
			t.Errorf("%s: no error, want %s", c.name, c.want)
			continue
		}
		if got := err.Error(); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if !errors.Is(err, sdk.InvalidArgument) || sdk.CodeOf(err) != sdk.InvalidArgument {
			t.Errorf("%s: code %v, want InvalidArgument", c.name, sdk.CodeOf(err))
		}
	}
}

func TestAllProblemsComeAtOnceInTheFilesOrder(t *testing.T) {
	_, err := Parse("k.yaml", []byte(`name: 1
version: 1
stores:
  b: {provider: x, settings: {t: secret://a/x}, limits: {timeout: 5}}
  a: {provider: x, settings: {t: secret://c/x}}
  c: {provider: x, settings: {t: "decrypt://b/AQID"}}
cache: {ttl: 1}
namme: x
`))
	want := `k.yaml:1:1 name: must be a text; YAML reads this as a number, so put it in quotes
k.yaml:4:58 stores.b.limits.timeout: must be a duration such as 500ms, 30s, 5m or 1h30m
k.yaml:5:20 stores.a.settings: the references of stores go round: a -> c -> b -> a
k.yaml:7:9 cache.ttl: must be a duration such as 500ms, 30s, 5m or 1h30m
k.yaml:8:1 namme: unknown key; did you mean "name"?`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestBesideTheProblemsIsWhatCouldBeRead(t *testing.T) {
	c, err := Parse("k.yaml", []byte(store("provider: x\nacess: read\nsettings: {a: b}")))
	if err == nil || c == nil || c.Stores["prod"].Provider != "x" || c.Stores["prod"].Settings["a"] != "b" {
		t.Errorf("with an unknown key: %+v, %v; want the store and the problem", c, err)
	}
	for _, file := range []string{"", "- a\n", "a: [\n", "version: 1\nname: &a [" + strings.Repeat("[", maxDepth+1)} {
		if c, err := Parse("k.yaml", []byte(file)); err == nil || c != nil && len(c.Stores) > 0 {
			t.Errorf("%.20q: %+v, %v; want no stores and the problem", file, c, err)
		}
	}
}

func TestCyclesThroughOtherWays(t *testing.T) {
	for name, file := range map[string]string{
		"default store":   "version: 1\nstores: {prod: {provider: x, settings: {t: os.environ/T}}}\nreferences: {default_store: prod}\n",
		"ciphertext_from": "version: 1\nstores: {kms: {provider: x, ciphertext_from: prod}, prod: {provider: x, settings: {t: secret://kms/t}}}\n",
		"inside a text":   store(`{provider: x, settings: {a: [{b: "x ${secret://prod/t}"}]}}`),
	} {
		if _, err := Parse("k.yaml", []byte(file)); err == nil || !strings.Contains(err.Error(), "go round: ") {
			t.Errorf("%s: %v, want the cycle", name, err)
		}
	}
	for name, file := range map[string]string{
		"a name that is not hosted": "version: 1\nstores: {prod: {provider: x, settings: {t: os.environ/T}}}\nreferences: {default_store: prod, hosted_names: [A]}\n",
		// To decrypt needs the key store open, not the store that its own names' ciphertexts come from.
		"decrypt past ciphertext_from": "version: 1\nstores: {kms: {provider: x, ciphertext_from: prod}, prod: {provider: x, settings: {t: decrypt://kms/AQID}}}\n",
		"oidc is no store":             "version: 1\nstores: {google: {provider: x, settings: {t: oidc/google/aud}}}\n",
		"an escaped reference":         store(`{provider: x, settings: {t: "$${secret://prod/x}"}}`),
	} {
		if _, err := Parse("k.yaml", []byte(file)); err != nil {
			t.Errorf("%s: %v, want no error", name, err)
		}
	}
}

func TestAliasesAndMerges(t *testing.T) {
	c := parse(t, `version: 1
stores:
  a: &base
    provider: x
    cache: &short {ttl: 1m}
    settings: {region: r}
  b:
    <<: *base
    provider: y
  c: {provider: z, cache: *short}
`)
	if b := c.Stores["b"]; b.Provider != "y" || b.Settings["region"] != "r" || b.Cache.TTL != c.Stores["a"].Cache.TTL {
		t.Errorf("merged store %+v, want provider y and the rest of a", b)
	}
	if c.Stores["c"].Cache.TTL != c.Stores["a"].Cache.TTL {
		t.Errorf("aliased cache %+v, want a's", c.Stores["c"].Cache)
	}
}

func TestAliasBombsAreRefused(t *testing.T) {
	bomb := "  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	merges := "  m0: &m0 {a: 1, b: 2, c: 3, d: 4}\n"
	for i := range 12 {
		p, n := string(rune('0'+i)), string(rune('1'+i))
		if i >= 9 {
			p, n = string(rune('A'+i-9)), string(rune('A'+i-8))
			if i == 9 {
				p = "9"
			}
		}
		bomb += "  a" + n + ": &a" + n + " [" + strings.Repeat("*a"+p+", ", 9) + "*a" + p + "]\n"
		merges += "  m" + n + ": &m" + n + " {<<: [" + strings.Repeat("*m"+p+", ", 9) + "*m" + p + "]}\n"
	}
	for name, settings := range map[string]string{
		"lists":         bomb,
		"merges":        merges,
		"itself":        "  a: &a {b: *a}\n",
		"merges itself": "  a: &a\n    <<: *a\n",
		"long texts":    "  a: &a " + strings.Repeat("x", 500_000) + "\n  b: [" + strings.Repeat("*a, ", 20_000) + "]\n",
		"deep":          "  a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200) + "\n",
	} {
		_, err := Parse("k.yaml", []byte(store("provider: x\nsettings:\n"+settings)))
		if err == nil || strings.Count(err.Error(), "nested more than") != 1 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %.200v, want the bound, once", name, err)
		}
	}
}

func TestLoadTellsAFileThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	for file, want := range map[string]string{
		dir + "/none.yaml": dir + "/none.yaml: cannot be read: no such file or directory",
		dir:                dir + ": cannot be read: is a directory",
	} {
		if _, err := Load(file); err == nil || err.Error() != want {
			t.Errorf("Load: %v, want %s", err, want)
		}
	}
	file := dir + "/keyway.yaml"
	if err := os.WriteFile(file, []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.PluginDir(); got != dir+"/plugins" {
		t.Errorf("PluginDir %q, want plugins beside the file", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(complete))
	f.Add([]byte("a: &a [*a]\n<<: *a\n"))
	f.Add([]byte(store("provider: x\nsettings: {token: secret://env/canary, x: [1, {b: *c}]}")))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("k.yaml", data)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || len(e.Problems) == 0 {
				t.Fatalf("error %T, want *Error with problems", err)
			}
			for _, p := range e.Problems {
				if strings.ContainsAny(p.String(), "\n\x00") {
					t.Fatalf("problem %q is not one line", p)
				}
			}
			return
		}
		out, err := c.YAML()
		if err != nil {
			t.Fatalf("YAML of what Parse took: %v", err)
		}
		again, err := Parse("k.yaml", out)
		if err != nil {
			t.Fatalf("Parse of what YAML wrote: %v\n%s", err, out)
		}
		if second, err := again.YAML(); err != nil || string(second) != string(out) {
			t.Fatalf("YAML is not stable: %v\n%s\n%s", err, out, second)
		}
	})
}

func TestALargeFileIsReadAndAWrongOneIsBounded(t *testing.T) {
	var good, bad strings.Builder
	good.WriteString("version: 1\nstores:\n")
	for i := range 5000 {
		fmt.Fprintf(&good, "  s%d: {provider: vault, settings: {address: a, token: secret://env/X}}\n", i)
		fmt.Fprintf(&bad, "k%d: x\n", i)
	}
	if c := parse(t, good.String()); len(c.Stores) != 5000 {
		t.Errorf("%d stores, want 5000", len(c.Stores))
	}
	_, err := Parse("k.yaml", []byte(bad.String()))
	var e *Error
	if !errors.As(err, &e) || len(e.Problems) != 5001 || strings.Count(err.Error(), "\n") != maxShown || !strings.HasSuffix(err.Error(), "and 4901 more problems") {
		t.Errorf("%.200v, want 5001 problems of which 100 are shown", err)
	}
}

// FuzzSettingsText: whatever stands beside it in the file, no problem shows a literal of the settings.
func FuzzSettingsText(f *testing.F) {
	f.Add("x: *y", "token")
	f.Add("token: 5\n  b: [", "a")
	f.Add("&a b: !c d", "secret://x")
	f.Fuzz(func(t *testing.T, text, key string) {
		const canary = "canary-7d1e"
		if strings.Contains(text+key, "canary") {
			return
		}
		for _, value := range []string{canary, "*" + canary, "!" + canary, "\"" + canary, "{" + canary, "- " + canary, "| " + canary, "%" + canary, "&" + canary} {
			_, err := Parse("k.yaml", []byte(store("provider: x\nsettings:\n  "+text+"\n  "+key+": "+value)))
			// A flow mapping makes a key of the text; keys are names, and named.
			if err != nil && strings.Contains(err.Error(), canary) && !strings.Contains(value+text+key, "{") {
				t.Fatalf("%q: %v", value, err)
			}
		}
	})
}
