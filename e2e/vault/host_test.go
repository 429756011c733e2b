//go:build e2e && unix

package vault_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/keyway-dev/keyway/host"
	"github.com/keyway-dev/keyway/host/config"
	"github.com/keyway-dev/keyway/sdk/sdktest"
)

// hostWith gives the configuration of a host over the compiled plugin, with one store and the references of a folder.
func hostWith(t *testing.T, plugins, dir, settings string) *config.Config {
	t.Helper()
	cfg, err := config.Parse(filepath.Join(dir, "keyway.yaml"), fmt.Appendf(nil, `version: 1
plugins: {dir: %s}
sources: {file: [.]}
cache: {ttl: 0s}
stores:
  prod: {provider: vault, settings: %s}
`, plugins, settings))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// pluginFolder gives a folder that holds only the compiled plugin. It is beside it, so that a link can be.
func pluginFolder(t *testing.T) string {
	t.Helper()
	built := sdktest.Build(t, pkg)
	dir, err := os.MkdirTemp(filepath.Dir(filepath.Dir(built)), "plugins")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Link(built, filepath.Join(dir, "vault")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAHostTakesASecretIDOverByReloadWithoutAFailedRead(t *testing.T) {
	const names = 8
	mount := srv.KV(t, 1)
	for i := range names {
		srv.Write(t, fmt.Sprintf("%s/x%d", mount, i), set{"a": "b"})
	}
	role := srv.AppRole(t, reading(mount), nil)
	plugins, dir := pluginFolder(t), t.TempDir()
	with := func(reference string) *config.Config {
		return hostWith(t, plugins, dir, fmt.Sprintf(`{address: %q, mount: %s, kv_version: 1, auth: {approle: {mount: %s, role_id: %s, secret_id: "secret://file/%s"}}}`,
			srv.Addr, mount, role.Mount, role.RoleID, reference))
	}
	file(t, filepath.Join(dir, "first"), role.SecretID)
	h, err := host.Open(t.Context(), with("first"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close(context.Background()) })
	var n atomic.Int64
	underCalls(t, func() error {
		_, err := h.Resolve(t.Context(), fmt.Sprintf("secret://prod/x%d", n.Add(1)%names))
		return err
	}, func() {
		file(t, filepath.Join(dir, "second"), srv.NewSecretID(t, role))
		if err := h.Reload(t.Context(), with("second"), nil); err != nil {
			t.Errorf("reload: %v", err)
		}
		srv.Write(t, "auth/"+role.Mount+"/role/"+role.Name+"/secret-id/destroy", set{"secret_id": role.SecretID})
	})
	until(t, "only the login of the new secret id lives on", func() bool { return srv.Logins(t, role.Mount) == 1 })
}
