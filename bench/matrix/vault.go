package matrix

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/hashicorp/vault/api"
)

// vault is a key-value engine of version 1, and a token that may not look itself up.
func vault(_ context.Context, m *Manager) error {
	const folder = "/v1/kv/"
	reads := func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, folder) }
	url := m.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !reads(r) {
			http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"data":{"key":%q},"lease_duration":2764800}`, value)
	}), reads)
	client, err := api.NewClient(&api.Config{Address: url})
	if err != nil {
		return err
	}
	client.SetToken("t")
	m.Provider, m.Name = "vault", numbered
	m.Env["TOKEN"] = "t"
	m.Settings = map[string]any{"address": url, "mount": "kv", "kv_version": 1, "field": "key",
		"auth": map[string]any{"token": map[string]any{"token": "secret://env/TOKEN"}}}
	m.Direct = func(ctx context.Context) error {
		_, err := client.Logical().ReadWithContext(ctx, "kv/"+numbered(0))
		return err
	}
	return nil
}
