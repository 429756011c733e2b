// Package httptls gives connections certificates that are read from files at each handshake, since others renew them while a
// plugin runs.
package httptls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"

	"github.com/keyway-dev/keyway/sdk"
)

// Certificate shows the client certificate of two files, PEM. One that cannot be read is Unauthenticated.
func Certificate(certFile, keyFile string) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, sdk.Errorf(sdk.Unauthenticated, "client certificate %q: %w", certFile, err)
		}
		return &pair, nil
	}
}

// Trust makes connections trust the certificates in a file and no others. One that cannot be read is Unavailable.
func Trust(transport *http.Transport, path string) {
	dial, base := transport.DialContext, transport.TLSClientConfig
	transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		pool, err := readCA(path)
		if err != nil {
			return nil, err
		}
		config := base.Clone()
		config.RootCAs, config.NextProtos = pool, []string{"h2", "http/1.1"}
		if config.ServerName == "" {
			if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
				return nil, err
			}
		}
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithTimeout(ctx, transport.TLSHandshakeTimeout)
		defer cancel()
		conn := tls.Client(raw, config)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, raw.Close())
		}
		return conn, nil
	}
}

func readCA(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, sdk.Errorf(sdk.Unavailable, "tls.ca_file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, sdk.Errorf(sdk.Unavailable, "tls.ca_file: %s holds no PEM certificate", path)
	}
	return pool, nil
}
