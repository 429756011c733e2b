//go:build e2e && unix

package thread_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyway-dev/keyway/e2e/openbao"
)

// litellmConfig has n models whose keys are references, some of them in places where LiteLLM itself does not look.
func litellmConfig(n int) string {
	var b strings.Builder
	b.WriteString("model_list:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - model_name: m%d\n    litellm_params:\n      model: openai/gpt\n      api_key: os.environ/KEY_%d\n", i, i)
	}
	b.WriteString("litellm_settings:\n  callbacks: [os.environ/KEY_0]\n")
	b.WriteString("general_settings:\n  master_key: os.environ/KEY_0\n  key_management_system: hashicorp_vault\n")
	return b.String()
}

// child leaves what it received in its folder.
const child = `env -0 >env && cp "$0" copy.yaml && echo started`

func vaultEnv(s *openbao.Server, mount, token string) []string {
	return []string{"HCP_VAULT_ADDR=" + s.Addr, "HCP_VAULT_TOKEN=" + token, "HCP_VAULT_MOUNT_NAME=" + mount}
}

// fill puts n keys where LiteLLM's Vault client looks for them.
func fill(t *testing.T, s *openbao.Server, mount string, n int) {
	t.Helper()
	for i := range n {
		s.Write(t, fmt.Sprintf("%s/data/KEY_%d", mount, i), map[string]any{"data": map[string]any{"key": fmt.Sprintf("canary-value-%d", i)}})
	}
}

func reader(mount string) string { return `path "` + mount + `/data/*" { capabilities = ["read"] }` }

func TestALiteLLMConfigIsResolvedThroughOpenBao(t *testing.T) {
	for _, n := range []int{1, 100, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			mount := srv.KV(t, 2)
			fill(t, srv, mount, n)
			c := newCommand(t, vaultEnv(srv, mount, srv.NewToken(t, reader(mount)))...)
			c.write(t, "config.yaml", litellmConfig(n))
			r := c.keyway(t, "", "run", "--litellm", "config.yaml", "--", "sh", "-c", child, "{config}")
			if r.code != 0 || strings.TrimSpace(r.stdout) != "started" {
				t.Fatalf("exit code %d, output %q, messages:\n%s", r.code, r.stdout, r.stderr)
			}
			env := map[string]string{}
			for kv := range strings.SplitSeq(c.read(t, "env"), "\x00") {
				name, value, _ := strings.Cut(kv, "=")
				env[name] = value
			}
			for i := range n {
				if got, want := env[fmt.Sprintf("KEY_%d", i)], fmt.Sprintf("canary-value-%d", i); got != want {
					t.Fatalf("KEY_%d did not arrive as it stands in the store", i)
				}
			}
			if env["HCP_VAULT_TOKEN"] != "" {
				t.Error("the store's own token was handed to the child")
			}
			conf := c.read(t, "copy.yaml")
			if strings.Contains(conf, "key_management_system") || !strings.Contains(conf, "os.environ/KEY_0") {
				t.Error("the private copy still has the manager, or lost the references")
			}
		})
	}
}

func TestEverythingMissingIsNamedAtOnceAndTheChildNotStarted(t *testing.T) {
	mount := srv.KV(t, 2)
	fill(t, srv, mount, 3)
	c := newCommand(t, vaultEnv(srv, mount, srv.NewToken(t, reader(mount)))...)
	c.write(t, "config.yaml", litellmConfig(6))
	r := c.keyway(t, "", "run", "--litellm", "config.yaml", "--", "sh", "-c", child, "{config}")
	if r.code != 125 || r.stdout != "" {
		t.Errorf("exit code %d, output %q; want 125 and a child that was not started", r.code, r.stdout)
	}
	for _, name := range []string{"KEY_3", "KEY_4", "KEY_5"} {
		if !strings.Contains(r.stderr, name) {
			t.Errorf("the messages do not name %s:\n%s", name, r.stderr)
		}
	}
	if strings.Contains(r.stderr, "canary-value") || strings.Contains(r.stderr, "KEY_2") {
		t.Errorf("the messages hold a value, or a name that exists:\n%s", r.stderr)
	}
}

func TestABackendThatCannotAnswerIsNamedForWhatItIs(t *testing.T) {
	own := openbao.Start(t)
	mount := own.KV(t, 2)
	fill(t, own, mount, 1)
	allowed := own.NewToken(t, reader(mount))
	for _, tc := range []struct {
		name  string
		token string
		ruin  func()
		want  string
	}{
		{"a token that is none", "s.nosuchtoken", func() {}, "unauthenticated"},
		{"a token that may not read", own.NewToken(t, reader("elsewhere")), func() {}, "permission denied"},
		{"sealed", allowed, func() { own.Seal(t) }, "sealed"},
		{"stopped", allowed, own.Stop, "refused"},
	} {
		tc.ruin()
		c := newCommand(t, vaultEnv(own, mount, tc.token)...)
		c.write(t, "config.yaml", litellmConfig(1))
		r := c.keyway(t, "", "run", "--litellm", "config.yaml", "--", "sh", "-c", child, "{config}")
		if r.code != 125 || r.stdout != "" {
			t.Errorf("%s: exit code %d, output %q; want 125 and no child", tc.name, r.code, r.stdout)
		}
		if !strings.Contains(r.stderr, tc.want) || !strings.Contains(r.stderr, "KEY_0") {
			t.Errorf("%s: the messages do not say %q and KEY_0:\n%s", tc.name, tc.want, r.stderr)
		}
		if strings.Contains(r.stderr, tc.token) {
			t.Errorf("%s: the messages hold the token", tc.name)
		}
	}
}
