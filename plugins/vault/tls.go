package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/keyway-dev/keyway/sdk"
)

func (t *TLS) isSet() bool {
	return t.CA != "" || t.CAFile != "" || t.Cert != "" || !t.Key.IsZero() || t.ServerName != ""
}

func (t *TLS) validate(login *Cert) []sdk.Problem {
	var ps []sdk.Problem
	fault := func(path, message string) { ps = append(ps, sdk.Problem{Path: path, Message: message}) }
	if t.CA != "" && t.CAFile != "" {
		fault("/tls", "takes ca or ca_file, not both")
	}
	if t.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(t.CA)) {
		fault("/tls/ca", "holds no PEM certificate")
	}
	own := t.Cert != "" || !t.Key.IsZero()
	if own {
		if _, err := tls.X509KeyPair([]byte(t.Cert), t.Key.Reveal()); err != nil {
			fault("/tls/cert", "and /tls/key must be a PEM certificate and the private key that belongs to it")
		}
	}
	if login == nil {
		return ps
	}
	switch files := login.CertFile != "" || login.KeyFile != ""; {
	case (login.CertFile == "") != (login.KeyFile == ""):
		fault("/auth/cert", "needs both cert_file and key_file, or neither")
	case files && own:
		fault("/auth/cert", "takes its files or tls.cert, not both")
	case !files && !own:
		fault("/auth/cert", "needs a certificate: cert_file and key_file, or tls.cert and tls.key")
	}
	return ps
}

// config makes the client's side of TLS. Nothing is read here: certificates in files are, anew at each handshake, since they
// are renewed while we run.
func (t *TLS) config(login *Cert) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM([]byte(t.CA)) {
			return nil, invalid("/tls/ca", "holds no PEM certificate")
		}
	}
	switch {
	case login != nil && login.CertFile != "":
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(login.CertFile, login.KeyFile)
			if err != nil {
				return nil, sdk.Errorf(sdk.Unauthenticated, "client certificate %q: %w", login.CertFile, err)
			}
			return &pair, nil
		}
	case t.Cert != "":
		pair, err := tls.X509KeyPair([]byte(t.Cert), t.Key.Reveal())
		if err != nil {
			return nil, invalid("/tls/cert", "and /tls/key do not belong together")
		}
		// Not Certificates: then a server's list of acceptable issuers would decide, which the cert method does not need.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return c, nil
}

// byPath sends what concerns logins on connections of their own where logins need that.
type byPath struct {
	shared *http.Transport
	alone  *http.Transport // nil: they do not
}

// RoundTrip picks the connection.
func (p *byPath) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.alone != nil && strings.Contains(r.URL.Path, "/v1/auth/") {
		return p.alone.RoundTrip(r)
	}
	return p.shared.RoundTrip(r)
}

// alone makes the transport of logins with a certificate of files: each request is a connection, so that a login shows the
// certificate which is in the files then, and not the one that an open connection showed.
func (t *TLS) alone(shared *http.Transport, login *Cert) *http.Transport {
	if login == nil || login.CertFile == "" {
		return nil
	}
	own := shared.Clone()
	own.DisableKeepAlives = true
	return own
}

func invalid(path, message string) *sdk.Error {
	return &sdk.Error{Code: sdk.InvalidArgument, Message: "settings", Problems: []sdk.Problem{{Path: path, Message: message}}}
}

// trustFile makes connections trust the certificates in a file.
func trustFile(transport *http.Transport, path string) {
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
