// Package keyway holds no code; this test holds the arrows of docs/design.md.
package keyway

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/keyway-dev/keyway"

// listed is one package with everything it imports, through every import between; tests do not count.
type listed struct {
	path string
	deps []string
}

func list(t *testing.T, format, pattern string) []listed {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join "+format+" \" \"}}", pattern)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %s: %v\n%s", pattern, err, stderr.String())
	}
	var all []listed
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		all = append(all, listed{f[0], f[1:]})
	}
	if len(all) == 0 {
		t.Fatalf("go list %s names no package", pattern)
	}
	return all
}

func TestTheSDKIsTheStandardLibraryAndItself(t *testing.T) {
	for _, p := range list(t, ".Deps", "./sdk") {
		for _, d := range p.deps {
			if first, _, _ := strings.Cut(d, "/"); strings.Contains(first, ".") {
				t.Errorf("sdk depends on %s", d)
			}
		}
	}
}

func TestArrowsGoOneWay(t *testing.T) {
	for _, rule := range []struct {
		from, never string
	}{
		{"./host/...", module + "/plugins/"},
		{"./host/...", module + "/sdk/serve"},
		{"./host/...", module + "/sdk/sdktest"},
		{"./host/...", module + "/sdk/example"},
		{"./plugins/...", module + "/host"},
		{"./plugins/...", module + "/sdk/dial"},
		{"./plugins/...", module + "/sdk/sdktest"},
		{"./sdk/...", module + "/host"},
		{"./sdk/...", module + "/plugins/"},
		{"./sdk/serve/...", module + "/sdk/dial"},
		{"./sdk/dial/...", module + "/sdk/serve"},
		{"./host", "database/sql"},
		{"./host", "net/http/httptest"},
		{"./host", "github.com/spf13/cobra"},
		{"./host", "github.com/danielgtaylor/huma/v2"},
		{"./host/httpapi", "github.com/spf13/cobra"},
		{"./host/internal/store/...", "github.com/hashicorp/go-plugin"},
		{"./host/config/...", "github.com/hashicorp/go-plugin"},
		{"./host/litellm/...", "github.com/hashicorp/go-plugin"},
	} {
		for _, p := range list(t, ".Deps", rule.from) {
			for _, d := range p.deps {
				below := strings.HasPrefix(rule.never, module) && strings.HasPrefix(d, strings.TrimSuffix(rule.never, "/")+"/")
				if d == rule.never || below {
					t.Errorf("%s imports %s, directly or through another package", p.path, d)
				}
			}
		}
	}
}

// Only one package of the host starts plugins: nobody else may import go-plugin, directly.
func TestOnlyOnePackageStartsPlugins(t *testing.T) {
	for _, p := range list(t, ".Imports", "./host/...") {
		for _, d := range p.deps {
			owner := strings.HasPrefix(p.path, module+"/host/internal/plugin")
			if strings.HasPrefix(d, "github.com/hashicorp/go-") && !owner {
				t.Errorf("%s imports %s; only host/internal/plugin may", p.path, d)
			}
			if d == "os/exec" && !owner && !strings.HasPrefix(p.path, module+"/host/cmd/") {
				t.Errorf("%s imports os/exec; only host/internal/plugin starts plugins", p.path)
			}
		}
	}
}

// A provider is known to nobody but its own folder: not to the host, not to a build file.
func TestTheHostNamesNoProvider(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "git", "ls-files", "plugins/*/main.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		name := strings.Split(strings.TrimSpace(line), "/")[1]
		if name == "local" {
			continue // an everyday word
		}
		cmd := exec.CommandContext(t.Context(), "git", "grep", "-nIw", `"`+name+`"`, "--", "host/*.go", ":!*_test.go", ":!*/testdata/*")
		if hits, err := cmd.Output(); err == nil {
			t.Errorf("the host's code names the provider %s:\n%s", name, hits)
		}
	}
}
