//go:build unix

package openbao

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certify makes an authority with a server's and a client's certificate, and gives the listener's part of the config.
func (s *Server) certify(require bool) (string, error) {
	authority := template("OpenBao test authority", 1)
	authority.IsCA, authority.BasicConstraintsValid, authority.KeyUsage = true, true, x509.KeyUsageCertSign
	ca, caKey, err := sign(authority, nil, nil)
	if err != nil {
		return "", err
	}
	server := template("OpenBao test server", 2)
	server.IPAddresses, server.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost", "vault.test"}
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	serverCert, serverKey, err := sign(server, ca, caKey)
	if err != nil {
		return "", err
	}
	s.CA = pemText("CERTIFICATE", ca.Raw)
	s.authority, s.authorityKey = ca, caKey
	if s.Cert, s.Key, err = s.newClientCert("gateway"); err != nil {
		return "", err
	}
	key, err := keyText(serverKey)
	if err != nil {
		return "", err
	}
	files := map[string]string{"ca.pem": s.CA, "cert.pem": pemText("CERTIFICATE", serverCert.Raw), "key.pem": key}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("tls_cert_file = %q\n tls_key_file = %q\n tls_client_ca_file = %q\n tls_require_and_verify_client_cert = %t",
		filepath.Join(s.dir, "cert.pem"), filepath.Join(s.dir, "key.pem"), filepath.Join(s.dir, "ca.pem"), require), nil
}

// newClientCert makes another certificate that the server takes from clients, and its key, as PEM texts.
func (s *Server) newClientCert(name string) (cert, key string, err error) {
	client := template(name, time.Now().UnixNano())
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	made, private, err := sign(client, s.authority, s.authorityKey)
	if err != nil {
		return "", "", err
	}
	key, err = keyText(private)
	return pemText("CERTIFICATE", made.Raw), key, err
}

func template(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

// sign makes a certificate, signed by itself when there is no parent.
func sign(c, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if parent == nil {
		parent, by = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		return nil, nil, err
	}
	made, err := x509.ParseCertificate(der)
	return made, key, err
}

func pemText(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func keyText(k *ecdsa.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	return pemText("PRIVATE KEY", der), err
}

// clientTLS is nil for a server without TLS.
func (s *Server) clientTLS() *tls.Config {
	if s.CA == "" {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(s.CA))
	c := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	if pair, err := tls.X509KeyPair([]byte(s.Cert), []byte(s.Key)); err == nil {
		c.Certificates = []tls.Certificate{pair}
	}
	return c
}
