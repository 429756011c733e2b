package main

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"

	"github.com/keyway-dev/keyway/plugins/internal/httptls"
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
		c.GetClientCertificate = httptls.Certificate(login.CertFile, login.KeyFile)
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
