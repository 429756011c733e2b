package matrix

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"

	"github.com/keyway-dev/keyway/internal/fake/azurekv"
)

// azureKV is over TLS, as its client library demands.
func azureKV(ctx context.Context, m *Manager) error {
	m.Provider, m.Name = "azure-kv", numbered
	s := azurekv.New()
	web := httptest.NewUnstartedServer(m.handler(s.Handler(), func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/secrets/") }))
	web.EnableHTTP2 = true
	web.StartTLS()
	m.stop = append(m.stop, web.Close)
	client, err := azsecrets.NewClient(web.URL, bearer(s.Token()), &azsecrets.ClientOptions{
		ClientOptions: policy.ClientOptions{Transport: web.Client()}, DisableChallengeResourceVerification: true})
	if err != nil {
		return err
	}
	secret := value
	for i := range Secrets {
		if _, err := client.SetSecret(ctx, numbered(i), azsecrets.SetSecretParameters{Value: &secret}, nil); err != nil {
			return err
		}
	}
	m.Env["SECRET"] = azurekv.Secret
	m.Settings = map[string]any{"vault_url": "https://kv-bench.vault.azure.net", "endpoint": web.URL, "authority_host": web.URL,
		"tls":       map[string]any{"ca": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw}))},
		"tenant_id": azurekv.Tenant, "client_id": azurekv.ClientID, "auth": map[string]any{"client_secret": map[string]any{"secret": "secret://env/SECRET"}}}
	m.Direct = func(ctx context.Context) error {
		_, err := client.GetSecret(ctx, numbered(0), "", nil)
		return err
	}
	return nil
}

// bearer is a token that was made elsewhere.
type bearer string

func (b bearer) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(b), ExpiresOn: time.Now().Add(time.Hour)}, nil
}
