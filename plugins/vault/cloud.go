package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/keyway-dev/keyway/plugins/internal/retryafter"
	"github.com/keyway-dev/keyway/sdk"
)

const maxProof = 64 << 10 // bytes of what a cloud's endpoint answers

// ask makes one request of a cloud's own endpoint.
func ask(client *http.Client, r *http.Request, what string) ([]byte, error) {
	resp, err := client.Do(r)
	if err != nil {
		return nil, classify(call{op: "login:", object: what}, err, nil)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxProof))
	switch s := resp.StatusCode; {
	case err != nil:
		return nil, classify(call{op: "login:", object: what}, err, nil)
	case s == http.StatusTooManyRequests, s >= http.StatusInternalServerError:
		e := sdk.Errorf(sdk.Unavailable, "login: %s: %s answered %d", what, r.URL.Host, s)
		e.RetryAfter = retryafter.Of(resp.Header, time.Now())
		return nil, e
	case s != http.StatusOK:
		return nil, sdk.Errorf(sdk.Unauthenticated, "login: %s: %s answered %d", what, r.URL.Host, s)
	}
	return body, nil
}

// askJSON makes one request and decodes the answer.
func askJSON(client *http.Client, r *http.Request, what string, out any) error {
	body, err := ask(client, r, what)
	if err != nil {
		return err
	}
	if json.Unmarshal(body, out) != nil {
		return sdk.Errorf(sdk.Unavailable, "login: %s: the answer of %s is not JSON", what, r.URL.Host)
	}
	return nil
}

func newRequest(ctx context.Context, method, address string, query url.Values, body string) (*http.Request, error) {
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, sdk.Errorf(sdk.InvalidArgument, "login: %s is not an address", address)
	}
	return r, nil
}

// credentials asks the instance's metadata for a token and for what the machine is, which a role may demand.
// https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
// https://learn.microsoft.com/azure/virtual-machines/instance-metadata-service
func (z *Azure) credentials(client *http.Client) credentials {
	return func(ctx context.Context, _ *api.Client) (map[string]string, error) {
		query := url.Values{"api-version": {"2018-02-01"}, "resource": {z.Resource}}
		if z.ClientID != "" {
			query.Set("client_id", z.ClientID)
		}
		var token struct {
			AccessToken string `json:"access_token"`
		}
		if err := z.metadata(ctx, client, "identity/oauth2/token", query, &token); err != nil {
			return nil, err
		}
		if token.AccessToken == "" {
			return nil, sdk.Errorf(sdk.Unauthenticated, "login: managed identity: the answer holds no token")
		}
		var machine struct {
			Compute struct {
				Name           string `json:"name"`
				ResourceGroup  string `json:"resourceGroupName"`
				SubscriptionID string `json:"subscriptionId"`
				ScaleSet       string `json:"vmScaleSetName"`
			} `json:"compute"`
		}
		if err := z.metadata(ctx, client, "instance", url.Values{"api-version": {"2021-02-01"}}, &machine); err != nil {
			return nil, err
		}
		m := machine.Compute
		body := map[string]string{"role": z.Role, "jwt": token.AccessToken, "subscription_id": m.SubscriptionID, "resource_group_name": m.ResourceGroup}
		if m.ScaleSet != "" { // Vault takes one of the two
			body["vmss_name"] = m.ScaleSet
			return body, nil
		}
		body["vm_name"] = m.Name
		return body, nil
	}
}

func (z *Azure) metadata(ctx context.Context, client *http.Client, path string, query url.Values, out any) error {
	r, err := newRequest(ctx, http.MethodGet, strings.TrimSuffix(z.MetadataEndpoint, "/")+"/metadata/"+path, query, "")
	if err != nil {
		return err
	}
	r.Header.Set("Metadata", "true")
	return askJSON(client, r, "managed identity", out)
}
