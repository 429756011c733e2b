package main

import (
	"net/url"
	"os"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"

	"github.com/keyway-dev/keyway/sdk"
)

// clouds are Azure's, by our word for each. Vault domains: https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates
var clouds = []struct {
	name, domain string
	config       cloud.Configuration
}{
	{"public", ".vault.azure.net", cloud.AzurePublic},
	{"us_government", ".vault.usgovcloudapi.net", cloud.AzureGovernment},
	{"china", ".vault.azure.cn", cloud.AzureChina},
}

// cloudOf gives the cloud that a vault's domain belongs to; empty: none that we know.
func cloudOf(vaultURL string) string {
	u, err := url.Parse(vaultURL)
	if err != nil {
		return ""
	}
	for _, c := range clouds {
		if strings.HasSuffix(strings.ToLower(u.Hostname()), c.domain) {
			return c.name
		}
	}
	return ""
}

// cloud gives where logins go. discover is false for an authority that is nobody's but the operator's: no public service
// could vouch for it.
func (s *Settings) cloud() (config cloud.Configuration, discover bool) {
	name := s.Cloud
	if name == "auto" {
		name = cloudOf(s.VaultURL)
	}
	config = cloud.AzurePublic
	for _, c := range clouds {
		if c.name == name {
			config = c.config
		}
	}
	if s.AuthorityHost == "" {
		return config, true
	}
	for _, c := range clouds {
		discover = discover || endpoint(c.config.ActiveDirectoryAuthorityHost) == endpoint(s.AuthorityHost)
	}
	return cloud.Configuration{ActiveDirectoryAuthorityHost: s.AuthorityHost}, discover
}

// Where managed identities answer: virtual machines and Kubernetes at the instance metadata service, other hosts where the
// environment says. https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
const metadataService = "169.254.169.254:80"

// arcKeys is where the agent of Azure Arc puts the proof that a caller may read its files.
// https://learn.microsoft.com/azure/azure-arc/servers/managed-identity-authentication
const arcKeys = "/var/opt/azcmagent/tokens"

// Reach is the vault and Entra ID, the files that logins and handshakes read, and for the machine's own identity where
// that answers.
func (s *Settings) Reach() sdk.Reach {
	config, _ := s.cloud()
	r := sdk.Reach{Endpoints: []string{endpoint(s.address())}}
	file := func(path string) {
		if path != "" {
			r.Files = append(r.Files, path)
		}
	}
	file(s.TLS.CAFile)
	a := s.Auth
	if a.Managed == nil && a.CLI == nil {
		r.Endpoints = append(r.Endpoints, endpoint(config.ActiveDirectoryAuthorityHost))
	}
	if a.Certificate != nil {
		file(a.Certificate.File)
	}
	if a.Workload != nil {
		file(a.Workload.TokenFile)
	}
	r.Ambient = a.Managed != nil || a.CLI != nil || a.Default != nil
	if a.Default != nil {
		file(os.Getenv("AZURE_CLIENT_CERTIFICATE_PATH"))
		file(os.Getenv("AZURE_FEDERATED_TOKEN_FILE"))
	}
	if a.Managed != nil || a.Default != nil {
		r.Endpoints = append(r.Endpoints, metadataService)
		for _, name := range []string{"IDENTITY_ENDPOINT", "MSI_ENDPOINT"} { // App Service, Arc, Service Fabric, Cloud Shell
			if at := os.Getenv(name); at != "" {
				r.Endpoints = append(r.Endpoints, endpoint(at))
			}
		}
		if os.Getenv("IMDS_ENDPOINT") != "" {
			file(arcKeys)
		}
	}
	return r
}
