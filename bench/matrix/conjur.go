package matrix

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/cyberark/conjur-api-go/conjurapi"
	"github.com/cyberark/conjur-api-go/conjurapi/authn"

	fake "github.com/keyway-dev/keyway/internal/fake/conjur"
)

func conjur(_ context.Context, m *Manager) error {
	const account, login = "bench", "admin"
	m.Provider, m.Name = "conjur", numbered
	s := fake.New(account)
	url := m.serve(s.Handler(), func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/secrets") })
	client, err := conjurapi.NewClientFromKey(conjurapi.Config{ApplianceURL: url, Account: account, CredentialStorage: conjurapi.CredentialStorageNone},
		authn.LoginPair{Login: login, APIKey: s.APIKey(login)})
	if err != nil {
		return err
	}
	var declared strings.Builder
	for i := range Secrets {
		fmt.Fprintf(&declared, "- !variable %s\n", numbered(i))
	}
	if _, err := client.LoadPolicy(conjurapi.PolicyModePost, "root", strings.NewReader(declared.String())); err != nil {
		return err
	}
	for i := range Secrets {
		if err := client.AddSecret(numbered(i), value); err != nil {
			return err
		}
	}
	m.Env["KEY"] = s.APIKey(login)
	m.Settings = map[string]any{"address": url, "account": account, "login": login,
		"auth": map[string]any{"api_key": map[string]any{"key": "secret://env/KEY"}}}
	m.Direct = func(context.Context) error {
		_, err := client.RetrieveSecret(numbered(0))
		return err
	}
	return nil
}
