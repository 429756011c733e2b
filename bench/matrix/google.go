package matrix

import (
	"context"
	"fmt"
	"net"

	kms "cloud.google.com/go/kms/apiv1"
	"cloud.google.com/go/kms/apiv1/kmspb"
	secretmanager "cloud.google.com/go/secretmanager/apiv1"
	smpb "cloud.google.com/go/secretmanager/apiv1/secretmanagerpb"
	"google.golang.org/api/option"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/keyway-dev/keyway/internal/fake/gcpkms"
	"github.com/keyway-dev/keyway/internal/fake/gcpsm"
)

const (
	project = "projects/acme-prod"
	gcpKey  = project + "/locations/global/keyRings/prod/cryptoKeys/gateway"
)

// google serves one of Google's services and gives the options of a client.
func (m *Manager) google(ctx context.Context, serve func(net.Listener, ...grpc.ServerOption) func()) ([]option.ClientOption, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	m.stop = append(m.stop, serve(l, grpc.ChainUnaryInterceptor(m.unary)))
	address := l.Addr().String()
	m.Settings = map[string]any{"endpoint": "http://" + address, "auth": map[string]any{"none": map[string]any{}}}
	return []option.ClientOption{option.WithEndpoint(address), option.WithoutAuthentication(),
		option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials()))}, nil
}

func gcpSM(ctx context.Context, m *Manager) error {
	m.Provider, m.Name = "gcp-sm", numbered
	s := gcpsm.New("acme-prod", "892942638129", "")
	automatic := &smpb.Replication{Replication: &smpb.Replication_Automatic_{Automatic: &smpb.Replication_Automatic{}}}
	for i := range Secrets {
		if _, err := s.CreateSecret(ctx, &smpb.CreateSecretRequest{Parent: project, SecretId: numbered(i), Secret: &smpb.Secret{Replication: automatic}}); err != nil {
			return err
		}
		if _, err := s.AddSecretVersion(ctx, &smpb.AddSecretVersionRequest{Parent: project + "/secrets/" + numbered(i), Payload: &smpb.SecretPayload{Data: []byte(value)}}); err != nil {
			return err
		}
	}
	options, err := m.google(ctx, s.Serve)
	if err != nil {
		return err
	}
	m.Settings["project"] = "acme-prod"
	client, err := secretmanager.NewClient(ctx, options...)
	if err != nil {
		return err
	}
	m.stop = append(m.stop, func() { _ = client.Close() })
	m.Direct = func(ctx context.Context) error {
		_, err := client.AccessSecretVersion(ctx, &smpb.AccessSecretVersionRequest{Name: project + "/secrets/" + numbered(0) + "/versions/latest"})
		return err
	}
	return nil
}

func gcpKMS(ctx context.Context, m *Manager) error {
	m.Provider = "gcp-kms"
	s := gcpkms.New()
	s.CreateKey(gcpKey, kmspb.ProtectionLevel_SOFTWARE)
	var ciphertexts [Secrets][]byte
	for i := range ciphertexts {
		a, err := s.Encrypt(ctx, &kmspb.EncryptRequest{Name: gcpKey, Plaintext: fmt.Append(nil, value, i)})
		if err != nil {
			return err
		}
		ciphertexts[i] = a.GetCiphertext()
	}
	m.Ciphertext = func(i int) []byte { return ciphertexts[i] }
	options, err := m.google(ctx, s.Serve)
	if err != nil {
		return err
	}
	m.Settings["key"] = gcpKey
	client, err := kms.NewKeyManagementClient(ctx, options...)
	if err != nil {
		return err
	}
	m.stop = append(m.stop, func() { _ = client.Close() })
	m.Direct = func(ctx context.Context) error {
		_, err := client.Decrypt(ctx, &kmspb.DecryptRequest{Name: gcpKey, Ciphertext: ciphertexts[0]})
		return err
	}
	return nil
}
