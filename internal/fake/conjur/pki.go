package conjur

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// SPIFFE is the id in the certificate of a [PKI]'s workload, whose common name is "gw".
const SPIFFE = "spiffe://example.org/app/gw"

// PKI is an authority with a server on loopback and a workload. Files are PEM, in a folder of the test.
type PKI struct {
	Server                    tls.Certificate
	CAFile, CertFile, KeyFile string

	authority *x509.Certificate
	key       *ecdsa.PrivateKey
	workload  *ecdsa.PrivateKey
}

// NewPKI makes one.
func NewPKI(t testing.TB) *PKI {
	t.Helper()
	dir := t.TempDir()
	p := &PKI{
		CAFile: filepath.Join(dir, "ca.pem"), CertFile: filepath.Join(dir, "cert.pem"), KeyFile: filepath.Join(dir, "key.pem"),
		key: privateKey(t), workload: privateKey(t), authority: &x509.Certificate{
			Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		},
	}
	writePEM(t, p.CAFile, "CERTIFICATE", p.issue(t, p.authority, p.key))
	server := privateKey(t)
	p.Server = tls.Certificate{PrivateKey: server, Certificate: [][]byte{p.issue(t, &x509.Certificate{
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, server)}}
	der, err := x509.MarshalPKCS8PrivateKey(p.workload)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, p.KeyFile, "PRIVATE KEY", der)
	p.Renew(t, "gw")
	return p
}

// Renew replaces the workload's certificate by one with another common name.
func (p *PKI) Renew(t testing.TB, name string) {
	t.Helper()
	id, err := url.Parse(SPIFFE)
	if err != nil {
		t.Fatal(err)
	}
	writePEM(t, p.CertFile, "CERTIFICATE", p.issue(t, &x509.Certificate{
		URIs: []*url.URL{id}, Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, p.workload))
}

// issue has the authority sign a certificate for a key.
func (p *PKI) issue(t testing.TB, c *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, c, p.authority, key.Public(), p.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func privateKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func writePEM(t testing.TB, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}
