//go:build e2e && unix

package managers_test

import (
	"crypto/rand"
	"encoding/base64"
	"testing"

	"github.com/keyway-dev/keyway/e2e/moto"
	"github.com/keyway-dev/keyway/internal/fake/awssm"
	"github.com/keyway-dev/keyway/internal/fake/azurekv"
	"github.com/keyway-dev/keyway/internal/fake/conjur"
	"github.com/keyway-dev/keyway/internal/fake/gcpsm"
)

// backend is one secret manager that writes, on a server of a test's own or in a place of its own on a shared one.
type backend struct {
	name     string // of its store, and of its subtest
	provider string
	settings set
	env      []string // what the settings refer to
	identity string   // the check tells whom the server takes us for, in these words among others
	text     bool     // values are texts; others are refused
	lax      bool     // the server takes a value for a deleted secret and keeps it deleted, where the service refuses it
}

// backends sets all of them up.
func backends(t *testing.T) []backend {
	t.Helper()
	return []backend{onOpenBao(t), onMoto(t), onAWS(t), onAzure(t), onGoogle(t), onConjur(t), onDisk()}
}

func onOpenBao(t *testing.T) backend {
	t.Helper()
	mount := bao.KV(t, 2)
	token := bao.NewToken(t, `path "`+mount+`/*" { capabilities = ["create","read","update","patch","delete","list"] }`)
	return backend{name: "vault", provider: "vault", text: true, identity: "token", env: []string{"VAULT_TOKEN=" + token},
		settings: set{"address": bao.Addr, "mount": mount, "field": "key", "auth": set{"token": set{"token": "secret://env/VAULT_TOKEN"}}}}
}

func onMoto(t *testing.T) backend {
	t.Helper()
	key := aws.User(t, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"}]}`)
	return backend{name: "moto", provider: "aws-sm", lax: true, identity: key.User, env: []string{"SM_KEY_ID=" + key.ID, "SM_SECRET=" + key.Secret},
		settings: set{"region": moto.Region, "endpoint": aws.URL, "prefix": aws.Name() + "/",
			"auth": set{"static": set{"access_key_id": "secret://env/SM_KEY_ID", "secret_access_key": "secret://env/SM_SECRET"}}}}
}

// onAWS is on a fake that refuses what the service refuses.
func onAWS(t *testing.T) backend {
	t.Helper()
	s := awssm.Start(t)
	return backend{name: "aws", provider: "aws-sm", identity: awssm.Account,
		settings: set{"region": moto.Region, "endpoint": s.URL,
			"auth": set{"static": set{"access_key_id": "secret://env/AWS_ID", "secret_access_key": "secret://env/AWS_SECRET"}}},
		env: []string{"AWS_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET=wJalrXUtnFEMI"}}
}

func onAzure(t *testing.T) backend {
	t.Helper()
	s := azurekv.Start(t)
	return backend{name: "azure", provider: "azure-kv", text: true, identity: azurekv.ClientID, env: []string{"KV_SECRET=" + azurekv.Secret},
		settings: set{"vault_url": "https://kv-test.vault.azure.net", "endpoint": s.URL(), "authority_host": s.URL(), "tls": set{"ca": s.CA()}, "names": "escaped",
			"tenant_id": azurekv.Tenant, "client_id": azurekv.ClientID, "auth": set{"client_secret": set{"secret": "secret://env/KV_SECRET"}}}}
}

func onGoogle(t *testing.T) backend {
	t.Helper()
	address := gcpsm.New("acme-prod", "892942638129", "").Listen(t)
	return backend{name: "google", provider: "gcp-sm", identity: "",
		settings: set{"project": "acme-prod", "endpoint": "http://" + address, "names": "escaped", "auth": set{"none": set{}}}}
}

func onConjur(t *testing.T) backend {
	t.Helper()
	s := conjur.Start(t)
	s.Load(t, "root", "- !host gateway\n- !policy\n  id: gateway/prod\n  owner: !host gateway\n")
	return backend{name: "conjur", provider: "conjur", identity: "host/gateway", env: []string{"CONJUR_KEY=" + s.APIKey("host/gateway")},
		settings: set{"address": s.URL, "account": s.Account, "login": "host/gateway", "path_prefix": "gateway/prod", "policy_branch": "gateway/prod",
			"auth": set{"api_key": set{"key": "secret://env/CONJUR_KEY"}}}}
}

func onDisk() backend {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // it cannot fail
	return backend{name: "disk", provider: "local", identity: "key id", env: []string{"DISK_KEY=" + base64.StdEncoding.EncodeToString(key)},
		settings: set{"path": "secrets.kw", "key": "secret://env/DISK_KEY"}}
}

// store is a backend in a configuration.
func (b backend) store() set {
	return set{"provider": b.provider, "access": "read_write", "settings": b.settings}
}
