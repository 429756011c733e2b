package litellm_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/host/litellm"
	"github.com/keyway-dev/keyway/sdk"
)

// bank is a provider that no one has: a translation must work from its manifest alone.
type bank struct {
	Address string        `json:"address" keyway:"required" env:"BANK_ADDR" doc:"where"`
	Region  string        `json:"region" env:"BANK_REGION" litellm:"bank_region" doc:"which"`
	Tries   int           `json:"tries" env:"BANK_TRIES" doc:"how often"`
	Strict  bool          `json:"strict" env:"BANK_STRICT" doc:"or not"`
	Wait    time.Duration `json:"wait" env:"BANK_WAIT" doc:"how long"`
	Zones   []string      `json:"zones" env:"BANK_ZONES" doc:"where else"`
	CA      string        `json:"ca" keyway:"path" env:"BANK_CA" doc:"file"`
	Field   string        `json:"field" doc:"which field"`
	Web     sdk.Sensitive `json:"web" litellm:"bank_web_token" doc:"a token"`
	Auth    bankAuth      `json:"auth" keyway:"required,oneof" doc:"login"`
}

type bankAuth struct {
	Card  *bankCard  `json:"card" doc:"card"`
	Token *bankToken `json:"token" doc:"token"`
}

type bankCard struct {
	Mount  string        `json:"mount" env:"BANK_CARD_MOUNT" doc:"mount"`
	Number string        `json:"number" keyway:"required" env:"BANK_CARD" doc:"number"`
	PIN    sdk.Sensitive `json:"pin" keyway:"required" env:"BANK_PIN" doc:"pin"`
}

type bankToken struct {
	Token sdk.Sensitive `json:"token" keyway:"required" env:"BANK_TOKEN" doc:"token"`
}

type noStore struct{}

func (noStore) Check(context.Context) (sdk.Report, error) { return sdk.Report{}, nil }
func (noStore) Close(context.Context) error               { return nil }

func manifests(compat map[string]string) []sdk.Manifest {
	all := map[string]string{"litellm.system": "bank_vault", "litellm.default./field": `"key"`, "litellm.ttl": "BANK_REFRESH_INTERVAL",
		"litellm.order./auth": "card,token", "litellm.default./auth/card/mount": `"card"`}
	for k, v := range compat {
		if all[k] = v; v == "" {
			delete(all, k)
		}
	}
	open := func(context.Context, sdk.Env, bank) (noStore, error) { return noStore{}, nil }
	return []sdk.Manifest{sdk.Define(sdk.About{Name: "bank", Version: "1.2.3", Compat: all}, open).Manifest()}
}

// write puts files into a folder and gives the path of config.yaml.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "config.yaml")
}

// environment gives variables; without any, those that let a manager be translated.
func environment(vars map[string]string) []string {
	if vars == nil {
		vars = map[string]string{"BANK_ADDR": "https://bank", "BANK_TOKEN": "s3cret"}
	}
	var environ []string
	for name, value := range vars {
		environ = append(environ, name+"="+value)
	}
	return environ
}

func load(t *testing.T, text string, vars map[string]string) *litellm.Translation {
	t.Helper()
	tr, err := litellm.Load(write(t, map[string]string{"config.yaml": text}), environment(vars), manifests(nil))
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return tr
}

func reference(tr *litellm.Translation, name string) *litellm.Reference {
	i := slices.IndexFunc(tr.References, func(r litellm.Reference) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &tr.References[i]
}

func TestAManagerBecomesAStoreThroughItsPluginsManifest(t *testing.T) {
	tr := load(t, `
general_settings:
  key_management_system: os.environ/SYSTEM
  key_management_settings:
    bank_region: os.environ/WHERE
    bank_web_token: os.environ/WEB
    hosted_keys: [OPENAI_API_KEY, os.environ/LITELLM_MASTER_KEY]
    primary_secret_name: all
    access_mode: read_and_write
`, map[string]string{"SYSTEM": "bank_vault", "WHERE": "north", "WEB": "s3cret", "BANK_ADDR": "https://bank", "BANK_REGION": "south",
		"BANK_TRIES": "3", "BANK_STRICT": "True", "BANK_WAIT": "30", "BANK_ZONES": "a, b", "BANK_CA": "/ca.pem", "BANK_CARD": "42",
		"BANK_PIN": "s3cret", "BANK_REFRESH_INTERVAL": "60"})
	st := tr.Config.Stores[litellm.Store]
	if st.Provider != "bank" || st.Access != config.ReadWrite || st.Document != "all" || st.Cache == nil || st.Cache.TTL != time.Minute {
		t.Errorf("store: %+v", st)
	}
	want := map[string]string{"address": "https://bank", "region": "north", "wait": "30s", "field": "key", "ca": "/ca.pem", "web": "secret://env/WEB"}
	for k, v := range want {
		if st.Settings[k] != v {
			t.Errorf("settings.%s: got %v, want %q", k, st.Settings[k], v)
		}
	}
	if st.Settings["tries"] != int64(3) || st.Settings["strict"] != true {
		t.Errorf("typed settings: got %v and %v", st.Settings["tries"], st.Settings["strict"])
	}
	auth := st.Settings["auth"].(map[string]any)["card"].(map[string]any)
	if auth["number"] != "42" || auth["pin"] != "secret://env/BANK_PIN" || auth["mount"] != "card" {
		t.Errorf("auth.card: got %v", auth)
	}
	r := tr.Config.References
	if r.DefaultStore != litellm.Store || r.Fallback != "env" || !slices.Equal(r.HostedNames, []string{"OPENAI_API_KEY", "LITELLM_MASTER_KEY"}) {
		t.Errorf("references: %+v", r)
	}
	if !slices.Equal(tr.Withheld, []string{"BANK_PIN", "BANK_TOKEN", "WEB"}) {
		t.Errorf("withheld from LiteLLM: got %v", tr.Withheld)
	}
	if err := config.NewError(tr.Config.CheckSettings(litellm.Store, config.SchemaOf(manifests(nil)[0]))...); err != nil {
		t.Errorf("the plugin's schema refuses the translated settings: %v", err)
	}
}

func TestAnIdentityTokenOfLiteLLMsFormStaysAReference(t *testing.T) {
	const token = "oidc/google/https://bank.example.com"
	tr := load(t, "general_settings: {key_management_system: bank_vault, key_management_settings: {bank_web_token: "+token+"}}\n",
		map[string]string{"BANK_ADDR": "https://bank", "BANK_CARD": "42", "BANK_PIN": "s3cret"})
	if got := tr.Config.Stores[litellm.Store].Settings["web"]; got != token {
		t.Errorf("settings.web: got %v, want the reference %q", got, token)
	}
	if err := config.NewError(tr.Config.CheckSettings(litellm.Store, config.SchemaOf(manifests(nil)[0]))...); err != nil {
		t.Errorf("the plugin's schema refuses the translated settings: %v", err)
	}
}

func TestSeveralLoginsInTheEnvironment(t *testing.T) {
	const text = "general_settings: {key_management_system: bank_vault}\n"
	login := func(tr *litellm.Translation) string {
		for k := range tr.Config.Stores[litellm.Store].Settings["auth"].(map[string]any) {
			return k
		}
		return ""
	}
	both := map[string]string{"BANK_ADDR": "a", "BANK_CARD": "1", "BANK_PIN": "2", "BANK_TOKEN": "3"}
	if tr := load(t, text, both); login(tr) != "card" || len(tr.Notes) != 1 {
		t.Errorf("both logins: chose %s with notes %q; want card, noted", login(tr), tr.Notes)
	}
	if tr := load(t, text, map[string]string{"BANK_ADDR": "a", "BANK_CARD": "1", "BANK_TOKEN": "3"}); login(tr) != "token" {
		t.Errorf("a card without its PIN beside a token: chose %s, want the complete one", login(tr))
	}
	_, err := litellm.Load(write(t, map[string]string{"config.yaml": text}), environment(both), manifests(map[string]string{"litellm.order./auth": ""}))
	if err == nil || !strings.Contains(err.Error(), "card and token") {
		t.Errorf("both logins and no order: got %v, want an error that names both", err)
	}
}

func TestWithoutAManagerTheEnvironmentAnswers(t *testing.T) {
	for name, text := range map[string]string{
		"no block":         "model_list: []\n",
		"unset variable":   "general_settings: {key_management_system: os.environ/NOPE}\n",
		"write only":       "general_settings: {key_management_system: bank_vault, key_management_settings: {access_mode: write_only}}\n",
		"a null":           "general_settings: {key_management_system: }\n",
		"empty general":    "general_settings:\n",
		"sections are odd": "general_settings: [1]\n",
	} {
		tr := load(t, text, nil)
		if tr.Config.References.DefaultStore != "" {
			t.Errorf("%s: os.environ/NAME asks %q, want the environment", name, tr.Config.References.DefaultStore)
		}
	}
}

func TestReferencesAreFoundEverywhere(t *testing.T) {
	file := write(t, map[string]string{
		"config.yaml": `include: [more.yaml]
model_list:
  - litellm_params: {api_key: os.environ/A, tags: [os.environ/B, plain], nested: {deep: [{x: os.environ/C}]}}
  - litellm_params: {api_key: secret://prod/x#/k, api_base: "https://${secret://prod/host}/v1", other: secret://prod/x#/k}
  - litellm_params: &p {api_key: os.environ/D, extra_headers: {Authorization: Bearer os.environ/E}}
  - litellm_params: {<<: *p, api_version: "os.environ/F"}
environment_variables: {FROM_STORE: os.environ/G, LITERAL: abc, FLAG: true, PATH: /x, NOTHING: null}
general_settings: {master_key: os.environ/FROM_STORE, token: oidc/google/aud, description: see os.environ/X}
`,
		"more.yaml": "model_list:\n  - litellm_params: {api_key: os.environ/H, lit: [os.environ/LITERAL]}\n",
	})
	tr, err := litellm.Load(file, environment(nil), manifests(nil))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"A": "os.environ/A", "B": "os.environ/B", "C": "os.environ/C", "D": "os.environ/D", "F": "os.environ/F", "H": "os.environ/H",
		"FROM_STORE": "os.environ/G", "KEYWAY_REF_1": "secret://prod/x#/k", "KEYWAY_REF_2": "https://${secret://prod/host}/v1", "KEYWAY_REF_3": "Bearer ${os.environ/E}"}
	for name, text := range texts {
		if r := reference(tr, name); r == nil || r.Text != text || !r.Required {
			t.Errorf("%s: got %+v, want the required text %q", name, r, text)
		}
	}
	if r := reference(tr, "LITELLM_MASTER_KEY"); r == nil || r.Required {
		t.Errorf("LITELLM_MASTER_KEY, which LiteLLM reads by itself: got %+v, want it optional", r)
	}
	for _, name := range []string{"LITERAL", "X", "PATH", "NOTHING", "G"} {
		if r := reference(tr, name); r != nil {
			t.Errorf("%s is a reference: %+v", name, r)
		}
	}
	if tr.Environment["LITERAL"] != "abc" || tr.Environment["FLAG"] != "True" || len(tr.Environment) != 2 {
		t.Errorf("literals of environment_variables: got %v", tr.Environment)
	}
	dir := filepath.Dir(file)
	if got, want := reference(tr, "H").Places, dir+"/more.yaml:2 model_list[4].litellm_params.api_key"; len(got) != 1 || got[0] != want {
		t.Errorf("place of a reference in an included file: got %q, want %q", got, want)
	}
	if len(reference(tr, "KEYWAY_REF_1").Places) != 2 || !reference(tr, "B").InFile || reference(tr, "A").InFile {
		t.Errorf("one text used twice is one reference, and only a list's item is in the file: %+v", tr.References)
	}
}

func TestHostedNamesLimitWhatIsAskedFor(t *testing.T) {
	tr := load(t, `
general_settings:
  key_management_system: bank_vault
  key_management_settings: {hosted_keys: [DATABASE_URL, UNUSED]}
`, nil)
	var names []string
	for _, r := range tr.References {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{"DATABASE_URL", "UNUSED"}) {
		t.Errorf("asked for %q, want the hosted names alone", names)
	}
}

func TestLoadRefuses(t *testing.T) {
	system := func(settings string) string {
		return "general_settings:\n  key_management_system: bank_vault\n  key_management_settings: {" + settings + "}\n"
	}
	for name, c := range map[string]struct{ text, want string }{
		"not yaml":                {"a: [", "config.yaml: is not YAML"},
		"two documents":           {"a: 1\n---\nb: 2\n", "is not YAML"},
		"an empty file":           {"\n", "is empty"},
		"a list":                  {"- a\n", "must be a mapping"},
		"an anchor in itself":     {"a: &a {b: *a}\n", "holds itself"},
		"a missing include":       {"include: [nope.yaml]\n", "nope.yaml: cannot be read: no such file or directory (included at "},
		"an include of itself":    {"include: [config.yaml]\n", "config.yaml:1:11 include: \"config.yaml\" was read already"},
		"an include of nothing":   {"include: [[a]]\n", "must be a file"},
		"an unknown manager":      {"general_settings:\n  key_management_system: bank_valt\n", `config.yaml:2:26 general_settings.key_management_system: no installed plugin stands for the secret manager "bank_valt"; did you mean "bank_vault"?; install`},
		"a python class":          {"general_settings: {key_management_system: custom}\n", "write a plugin instead"},
		"a manager that is a map": {"general_settings: {key_management_system: {}}\n", "must be the name"},
		"an unknown setting":      {system("bank_regoin: x"), `key_management_settings.bank_regoin: bank_vault has no such setting; did you mean "bank_region"?`},
		"a literal secret":        {system("bank_web_token: canary"), "bank_web_token: literal secret; use os.environ/NAME"},
		"an unset setting":        {system("bank_region: os.environ/NOPE"), "the variable NOPE is not set"},
		"a wrong mode":            {system("access_mode: rw"), "must be read_only, write_only or read_and_write"},
		"a contradiction":         {system("access_mode: read_only, store_virtual_keys: true"), "contradicts"},
		"hosted names of a kind":  {system("hosted_keys: A"), "must be a list of names"},
		"settings of a kind":      {"general_settings: {key_management_system: bank_vault, key_management_settings: 1}\n", "must be a mapping"},
		"a bad reference":         {"a: {b: secret://prod/../x}\n", `config.yaml:1:8 a.b: parse reference "secret://prod/../x"`},
		"an unended reference":    {"a: {b: \"x${secret://prod/x\"}\n", "no \"}\" ends"},
		"an empty name":           {"a: {b: os.environ/}\n", "name is empty"},
	} {
		_, err := litellm.Load(write(t, map[string]string{"config.yaml": c.text}), environment(nil), manifests(nil))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
			continue
		}
		if !errors.Is(err, sdk.InvalidArgument) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v is not InvalidArgument, or quotes a value", name, err)
		}
	}
	if _, err := litellm.Load("nowhere/config.yaml", environment(nil), nil); err == nil || !strings.Contains(err.Error(), "nowhere/config.yaml: cannot be read") {
		t.Errorf("a missing file: got %v", err)
	}
	bad := map[string]string{"BANK_ADDR": "a", "BANK_TOKEN": "b", "BANK_TRIES": "canary", "BANK_STRICT": "canary", "BANK_REFRESH_INTERVAL": "canary"}
	_, err := litellm.Load(write(t, map[string]string{"config.yaml": system("")}), environment(bad), manifests(nil))
	if err == nil || strings.Count(err.Error(), "\n") != 2 || strings.Contains(err.Error(), "canary") {
		t.Errorf("three bad variables: got %v, want all three named and no value quoted", err)
	}
}

func TestWhatNoVariableFillsIsNamedByTheVariables(t *testing.T) {
	file := write(t, map[string]string{"config.yaml": "general_settings: {key_management_system: bank_vault}\n"})
	for name, c := range map[string]struct {
		vars map[string]string
		want []string
	}{
		"nothing":       {map[string]string{}, []string{"/address of the plugin is missing; it comes from the variables BANK_ADDR", "/auth of the plugin is missing; it comes from the variables BANK_CARD, BANK_CARD_MOUNT, BANK_PIN, BANK_TOKEN"}},
		"half a login":  {map[string]string{"BANK_ADDR": "a", "BANK_CARD": "1"}, []string{"/auth/card/pin of the plugin is missing; it comes from the variables BANK_PIN"}},
		"only its rest": {map[string]string{"BANK_ADDR": "a", "BANK_CARD_MOUNT": "1"}, []string{"variables BANK_CARD", "variables BANK_PIN"}},
	} {
		_, err := litellm.Load(file, environment(c.vars), manifests(nil))
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q in it", name, err, want)
			}
		}
		if err != nil && strings.Count(err.Error(), "\n") != len(c.want)-1 {
			t.Errorf("%s: got %v, want %d problems", name, err, len(c.want))
		}
	}
}

func TestIncludesGoInACircle(t *testing.T) {
	file := write(t, map[string]string{"config.yaml": "include: a.yaml\n", "a.yaml": "include: [b.yaml]\n", "b.yaml": "include: [a.yaml]\n"})
	_, err := litellm.Load(file, environment(nil), nil)
	if err == nil || !strings.Contains(err.Error(), `b.yaml:1:11 include: "a.yaml" was read already`) {
		t.Errorf("got %v", err)
	}
}
