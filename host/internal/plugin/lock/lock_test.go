package lock

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk"
)

const digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

// complete has every key.
const complete = `version: 1
plugins:
  vault:
    use: 1.2.0
    stores: {staging: 1.3.0}
    versions:
      1.2.0:
        digests: {linux/amd64: "` + digest + `", darwin/arm64: "` + digest + `"}
        capabilities: [get, put.if_version]
        network: direct
        endpoints: ["vault.internal:8200", "*.vault.azure.net:443", "[::1]:8200"]
      "1.3.0":
        digests: {linux/amd64: "` + digest + `"}
        capabilities: []
        bad: "2 % of calls failed: \"Internal\""
`

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("keyway.lock", []byte(text))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return f
}

func TestParseReadsEveryKey(t *testing.T) {
	want := &File{Version: 1, Plugins: map[string]Plugin{"vault": {
		Use: "1.2.0", Stores: map[string]string{"staging": "1.3.0"},
		Versions: map[string]Version{
			"1.2.0": {Digests: map[string]string{"linux/amd64": digest, "darwin/arm64": digest}, Capabilities: []string{"get", "put.if_version"},
				Network: Direct, Endpoints: []string{"vault.internal:8200", "*.vault.azure.net:443", "[::1]:8200"}},
			"1.3.0": {Digests: map[string]string{"linux/amd64": digest}, Bad: `2 % of calls failed: "Internal"`},
		},
	}}}
	if got := parse(t, complete); !reflect.DeepEqual(got, want) {
		t.Errorf("Parse = %+v, want %+v", got, want)
	}
}

func TestMarshalIsReadBackAndIsTheSameForTheSame(t *testing.T) {
	f := parse(t, complete)
	text := f.Marshal()
	back := parse(t, string(text))
	if !reflect.DeepEqual(back, f) {
		t.Errorf("written and read: %+v, want %+v\n%s", back, f, text)
	}
	if again := string(back.Marshal()); again != string(text) {
		t.Errorf("written twice:\n%s\nand\n%s", text, again)
	}
	if !strings.HasPrefix(string(text), "# Which plugins") {
		t.Errorf("the file does not begin with what it is:\n%s", text)
	}
	empty := (&File{}).Marshal()
	if got := parse(t, string(empty)); len(got.Plugins) != 0 {
		t.Errorf("an empty file is read as %+v", got)
	}
}

func TestACapabilityOfAnotherContractIsKept(t *testing.T) {
	f := parse(t, strings.Replace(complete, "[get, put.if_version]", `[get, "Ω", Later-Word]`, 1))
	want := []string{"get", "Ω", "Later-Word"}
	if got := parse(t, string(f.Marshal())).Plugins["vault"].Versions["1.2.0"].Capabilities; !slices.Equal(got, want) {
		t.Errorf("capabilities %q, want %q", got, want)
	}
}

func TestEveryProblemIsToldAtItsLine(t *testing.T) {
	_, err := Parse("keyway.lock", []byte(`version: 2
plugins:
  Vault: {versions: {}}
  vault:
    use: 1.2.1
    usee: x
    stores: {prod: 9.9.9, staging: [1]}
    versions:
      v1: {digests: {linux/amd64: "`+digest+`"}}
      1.2.0:
        digests: {linux: "`+digest+`", linux/amd64: sha256:123}
        capabilities: get
        network: open
        endpoints: [vault.internal, "https://x:443", "a:99999", "*:443", "a.*.b:1"]
        bad: ""
      1.2.0: {digests: {}}
  conjur: {}
  aws: none
extra: 1
`))
	var all *config.Error
	if !errors.As(err, &all) || !errors.Is(err, sdk.InvalidArgument) {
		t.Fatalf("Parse: %v, want the problems of the file", err)
	}
	var got []string
	for _, p := range all.Problems {
		got = append(got, p.String())
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{
		`keyway.lock:1:10 version: must be 1`,
		`keyway.lock:3:3 plugins.Vault: must be a provider's name`,
		`keyway.lock:5:10 plugins.vault.use: version "1.2.1" is not among its versions; did you mean "1.2.0"?`,
		`keyway.lock:6:5 plugins.vault.usee: unknown key; did you mean "use"?`,
		`keyway.lock:7:20 plugins.vault.stores.prod: version "9.9.9" is not among its versions`,
		`keyway.lock:7:36 plugins.vault.stores.staging: must be a text`,
		`keyway.lock:9:7 plugins.vault.versions.v1: must be a version such as 1.2.0`,
		`plugins.vault.versions["1.2.0"].digests.linux: must be a platform such as linux/amd64`,
		`plugins.vault.versions["1.2.0"].digests["linux/amd64"]: a digest is "sha256:" and 64`,
		`keyway.lock:12:23 plugins.vault.versions["1.2.0"].capabilities: must be a list`,
		`plugins.vault.versions["1.2.0"].network: must be brokered or direct`,
		`endpoints[0]: must be host:port or *.domain:port`,
		`endpoints[1]: must be`, `endpoints[2]: must be`, `endpoints[3]: must be`, `endpoints[4]: must be`,
		`plugins.vault.versions["1.2.0"].bad: must be a text`,
		`keyway.lock:16:7 plugins.vault.versions["1.2.0"]: is set twice; the first is in line 10`,
		`plugins.conjur.versions: is required`,
		`keyway.lock:18:8 plugins.aws: must be a mapping`,
		`keyway.lock:19:1 extra: unknown key; the keys here are version, plugins`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no problem %q in\n%s", want, text)
		}
	}
}

func TestWhatIsNoLockFileIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "list": "- a", "text": "hello", "null": "~", "two documents": "version: 1\nplugins: {}\n---\nversion: 1\nplugins: {}\n", "no version": "plugins: {}",
		"no plugins": "version: 1", "broken": "version: [1", "alias": "version: 1\nplugins: *x", "anchor": "version: 1\nplugins: &x {vault: *x}", "no UTF-8": "version: 1\nplugins: {\xff: 1}",
		"too large": "version: 1\nplugins: {}\n#" + strings.Repeat("x", maxFile), "null plugin": "version: 1\nplugins: {vault: ~}", "no digest": "version: 1\nplugins: {a: {versions: {1.0.0: {}}}}",
		"null version": "version: 1\nplugins: {a: {versions: {1.0.0: ~}}}",
	} {
		if f, err := Parse("keyway.lock", []byte(text)); f != nil || !errors.Is(err, sdk.InvalidArgument) {
			t.Errorf("%s: Parse = %+v, %v, want InvalidArgument", name, f, err)
		}
	}
}

func TestReach(t *testing.T) {
	v := Version{Endpoints: []string{"vault.internal:8200", "*.Vault.azure.net:443", "[::1]:8200"}}
	for endpoint, want := range map[string]bool{
		"vault.internal:8200": true, "VAULT.internal:8200": true, "vault.internal:8201": false, "xvault.internal:8200": false,
		"a.vault.azure.net:443": true, "a.b.vault.azure.net:443": true, "vault.azure.net:443": false, "evilvault.azure.net:443": false, ".vault.azure.net:443": false,
		"[::1]:8200": true, "::1:8200": false, "": false, "a.vault.azure.net": false, "a.vault.azure.net:443.evil:1": false,
	} {
		if got := v.Reaches(endpoint); got != want {
			t.Errorf("Reaches(%q) = %v, want %v", endpoint, got, want)
		}
	}
	if !(Version{}).Reaches("anything:1") {
		t.Error("without a list an endpoint is refused")
	}
}

// add is a change: another version.
func add(number string) func(*File) error {
	return func(f *File) error {
		p := f.Plugins["vault"]
		if p.Versions == nil {
			p.Versions = map[string]Version{}
		}
		p.Versions[number] = Version{Digests: map[string]string{"linux/amd64": digest}}
		f.Plugins["vault"] = p
		return nil
	}
}

func TestUpdateWritesTheFirstFileAndChangesIt(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyway.lock")
	if _, err := Load(path); !errors.Is(err, sdk.NotFound) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load of none: %v, want NotFound", err)
	}
	for _, number := range []string{"1.0.0", "1.10.0", "1.9.0"} {
		if err := Update(path, add(number)); err != nil {
			t.Fatalf("Update: %v", err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if at := strings.Index(string(text), "1.9.0:"); at < 0 || at > strings.Index(string(text), "1.10.0:") {
		t.Errorf("versions are not in order:\n%s", text)
	}
	f, err := Load(path)
	if err != nil || len(f.Plugins["vault"].Versions) != 3 {
		t.Errorf("Load = %+v, %v, want three versions", f, err)
	}
}

func TestUpdateKeepsModeLinkAndWhatIsNotChanged(t *testing.T) {
	dir := t.TempDir()
	path, link := filepath.Join(dir, "real"), filepath.Join(dir, "keyway.lock")
	if err := os.WriteFile(path, []byte("# mine\n"+complete), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	if err := Update(link, func(*File) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); !strings.HasPrefix(string(text), "# mine") {
		t.Errorf("a change of nothing has written the file:\n%s", text)
	}
	if err := Update(link, add("2.0.0")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if to, lerr := os.Readlink(link); err != nil || info.Mode().Perm() != 0o600 || to != "real" {
		t.Errorf("mode %v, %v, link to %q, %v; want 0600 and real", info.Mode(), err, to, lerr)
	}
}

func TestAnUpdateThatFailsChangesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyway.lock")
	if err := os.WriteFile(path, []byte(complete), 0o600); err != nil {
		t.Fatal(err)
	}
	no := errors.New("no")
	if err := Update(path, func(f *File) error { delete(f.Plugins, "vault"); return no }); !errors.Is(err, no) {
		t.Errorf("Update: %v, want the change's error", err)
	}
	err := Update(path, func(f *File) error { f.Plugins["No Provider"] = Plugin{}; return nil })
	if sdk.CodeOf(err) != sdk.Internal {
		t.Errorf("Update that makes it invalid: %v, want Internal", err)
	}
	if text, _ := os.ReadFile(path); string(text) != complete {
		t.Errorf("the file has changed:\n%s", text)
	}
	if err := os.WriteFile(path, []byte("version: 7"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Update(path, add("2.0.0")); !errors.Is(err, sdk.InvalidArgument) {
		t.Errorf("Update of an invalid file: %v, want InvalidArgument", err)
	}
	wantFiles(t, filepath.Dir(path), "keyway.lock", ".keyway.lock.mutex")
}

func wantFiles(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(names) {
		t.Errorf("files %v, %v, want %v", entries, err, names)
	}
}

func TestWhereNothingCanBeWrittenTheErrorSaysWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent", "keyway.lock")
	err := Update(path, add("1.0.0"))
	if sdk.CodeOf(err) != sdk.FailedPrecondition || !strings.Contains(err.Error(), "keyway reload") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Update in a folder that is not there: %v, want FailedPrecondition and what to do", err)
	}
	if _, err := Load(t.TempDir()); sdk.CodeOf(err) != sdk.FailedPrecondition {
		t.Errorf("Load of a folder: %v, want FailedPrecondition", err)
	}
}

// updates makes the test binary update a lock file.
const updates = "KEYWAY_TEST_UPDATES"

func TestMain(m *testing.M) {
	if path := os.Getenv(updates); path != "" {
		for _, number := range os.Args[1:] {
			if err := Update(path, add(number)); err != nil {
				_, _ = os.Stderr.WriteString(err.Error())
				os.Exit(1)
			}
		}
		return
	}
	os.Exit(m.Run())
}

func TestProcessesAndGoroutinesUpdateOneAfterTheOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyway.lock")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, major := range []string{"1", "2", "3"} {
		wg.Go(func() {
			cmd := exec.CommandContext(t.Context(), self, major+".0.0", major+".1.0", major+".2.0")
			cmd.Env = append(os.Environ(), updates+"="+path)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("a process that updates: %v: %s", err, out)
			}
		})
		wg.Go(func() {
			for _, minor := range []string{"3", "4", "5"} {
				if err := Update(path, add(major+"."+minor+".0")); err != nil {
					t.Errorf("Update: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if f, err := Load(path); err != nil || len(f.Plugins["vault"].Versions) != 18 {
		t.Errorf("Load = %+v, %v, want 18 versions", f, err)
	}
	wantFiles(t, filepath.Dir(path), "keyway.lock", ".keyway.lock.mutex")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(complete))
	f.Add([]byte("version: 1\nplugins: {a: {versions: {1.0.0+b: {digests: {linux/amd64: " + digest + "}, bad: \"\\x00 \\u2028\"}}}}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		parsed, err := Parse("keyway.lock", data)
		if err != nil {
			return
		}
		back, err := Parse("keyway.lock", parsed.Marshal())
		if err != nil {
			t.Fatalf("what is written is not valid: %v\n%s", err, parsed.Marshal())
		}
		if string(back.Marshal()) != string(parsed.Marshal()) {
			t.Errorf("written and read: %+v, want %+v", back, parsed)
		}
	})
}
